package suite

import (
	"fmt"
	"slices"
	"strings"

	"sharedpid.example/reports"
)

const (
	pullStep    = "name a registry that the node reaches with --image-registry, or the image with --image NAME=REFERENCE"
	limitStep   = "exempt the run's namespaces from the LimitRange"
	classStep   = "configure the handler on the node, or leave --runtime-class out"
	startStep   = "name an image that has the program with --image NAME=REFERENCE, or take the suite's own"
	resumeStep  = "go on with --resume and the directory of its reports"
	networkStep = "look at the network plugin's Pods, and at its configuration on the node, which is in /etc/cni/net.d as a rule"
	slowStep    = "look at the diagnosis below and at the node's load; --patience FACTOR stretches the limits"
)

const (
	runtimeGone = "the node's container runtime did not answer the kubelet"
	runtimeStep = "look at the service of containerd or CRI-O on the node and at its log, then run again"
	noProcess   = "no process could be made: a limit of the node, or of the Pods' cgroup, is reached"
	processStep = "look at pids.max of the Pods' cgroups, and at the kubelet's podPidsLimit; raise what is reached, then run again"
)

const networkGone = "the node has no configuration of a network plugin"

const noProgram = "the container's image does not have a program that the suite starts in it"

// explanations are what any trait may meet: what keeps a Pod from being looked at.
var explanations = []Cause{
	{Words: "no space left on device", Cause: "a file system of the node is full, or has no inode left",
		NextStep: "df and df -i on the node show which: free room there, then run again"},
	{Words: "Resource temporarily unavailable", Cause: noProcess, NextStep: processStep}, // shells' words
	{Words: "resource temporarily unavailable", Cause: noProcess, NextStep: processStep}, // Go's
	{Words: "failed to create new OS thread", Cause: noProcess, NextStep: processStep},
	{Words: "ErrImagePull", Cause: "the node cannot pull a test image", NextStep: pullStep},
	{Words: "ImagePullBackOff", Cause: "the node cannot pull a test image", NextStep: pullStep},
	{Words: "InvalidImageName", Cause: "a test image's reference is malformed", NextStep: "check --image and --image-registry"},
	{Words: `exec: "`, Cause: noProgram, NextStep: startStep},            // runc's words
	{Words: "executable file", Cause: noProgram, NextStep: startStep},    // crun's
	{Words: "finding executable", Cause: noProgram, NextStep: startStep}, // runsc's
	{Words: "no runtime for", Cause: "the node's containerd has no handler that the RuntimeClass names", NextStep: classStep},
	{Words: "failed to find runtime handler", Cause: "the node's CRI-O has no handler that the RuntimeClass names", NextStep: classStep},
	{
		Words:    "RuntimeClass",
		Cause:    "the RuntimeClass does not exist, or does not admit the Pod",
		NextStep: "kubectl get runtimeclass shows what there is",
	},
	{Words: "PodSecurity", Cause: "Pod Security admission refused the Pod",
		NextStep: "allow the level privileged for namespaces with the label app.kubernetes.io/managed-by=sharedpid, or choose those that need less with " +
			"--pod-security"},
	{Words: "exceeded quota", Cause: "a quota refused the Pod",
		NextStep: "raise the quota that the reason names, or exempt namespaces with the label app.kubernetes.io/managed-by=sharedpid"},
	{Words: "must specify limits", Cause: "a quota asks for limits that the Pods do not have",
		NextStep: "exempt the run's namespaces from the quota, or give them a LimitRange with defaults"},
	{Words: "LimitRange", Cause: "a LimitRange refused the Pod", NextStep: limitStep},
	{Words: "usage per Container", Cause: "a LimitRange refused the Pod", NextStep: limitStep},
	{Words: "usage per Pod", Cause: "a LimitRange refused the Pod", NextStep: limitStep},
	{Words: "ValidatingAdmissionPolicy", Cause: "a policy of the cluster refused the Pod",
		NextStep: "exempt namespaces with the label app.kubernetes.io/managed-by=sharedpid from the policy"},
	{Words: "denied the request", Cause: "an admission webhook of the cluster refused the Pod",
		NextStep: "exempt namespaces with the label app.kubernetes.io/managed-by=sharedpid from the webhook's policy"},
	{
		Words: "forbidden",
		Cause: "admission or RBAC refused a request",
		NextStep: "grant the run's user the verb on the resource that the reason names, the README lists all; " +
			"where a policy speaks, exempt namespaces with the label app.kubernetes.io/managed-by=sharedpid",
	},
	{Words: "Unauthorized", Cause: "the API accepts the run's token or certificate no longer",
		NextStep: "log in to the cluster again, and " + resumeStep + ", which keeps what is decided; a Job starts anew"},
	{Words: "cni plugin not initialized", Cause: networkGone, NextStep: networkStep}, // containerd's words
	{Words: "No CNI configuration file", Cause: networkGone, NextStep: networkStep},  // CRI-O's
	{Words: "low on resource", Cause: "the node evicted a Pod of the trait",
		NextStep: "kubectl describe node shows what is short: free it, or check on another node with --node"},
	{Words: "is not ready", Cause: "the node was lost while it was looked at",
		NextStep: "look at the node's kubelet and conditions with kubectl describe node, then run again"},
	{Words: "was lost before the trait began", Cause: "the node was lost while it was looked at",
		NextStep: "look at the node and at its kubelet, then run again"},
	{Words: "Unschedulable", Cause: "no node had room for the Pod",
		NextStep: "kubectl describe node shows what is requested of it and its taints: free room, or name the node with --node"},
	{Words: "exec runs under another label",
		Cause:    "the node's security module gives exec another label than the container (containerd#12886)",
		NextStep: "update the runtime, or its profile; what the container's own processes may do is seen from a start process alone"},
	{Words: "code = Unavailable", Cause: runtimeGone, NextStep: runtimeStep},
	{Words: "error reading from server", Cause: runtimeGone, NextStep: runtimeStep},
	{Words: "connection refused", Cause: "the API server does not answer",
		NextStep: "kubectl get --raw '/readyz?verbose' shows what of the control plane is not well; run again when it is"},
}

// kindExplanations are what is said of a kind of which no words are known.
var kindExplanations = map[reports.Kind]Cause{
	reports.Control: {
		Cause: "the control did not show the opposite, so that the look at the Pod that shares proves nothing",
		NextStep: "compare the control's evidence below with the trait's; where both Pods share, look for a policy, a webhook or a " +
			"runtime setting that shares without being asked",
	},
	reports.Precondition: {
		Cause: "what the trait looks at was not there",
		NextStep: "the reason names what is missing, and the evidence below shows what was there instead; with --image, check that the program " +
			"does what that of the suite's own image does; otherwise run again, and report it when it stays",
	},
	reports.Ambiguous: {
		Cause:    "processes of other Pods are visible, among which the Pod's own cannot be told",
		NextStep: "run --profile core: namespace/not-the-node and namespace/pods-apart say whose processes they are",
	},
	reports.Changed: {
		Cause:    "an admission plugin, a webhook or a policy of the cluster changes the suite's Pods",
		NextStep: "the reason names what is changed: exempt namespaces with the label app.kubernetes.io/managed-by=sharedpid from it",
	},
	reports.NotStarted: {
		Cause:    "a Pod of the trait could not start",
		NextStep: "the diagnosis below has the Pod's events and the states of its containers: they name the image, mount or handler that fails",
	},
	reports.Refused: {
		Cause: "admission or RBAC refused a request",
		NextStep: "the reason has the words of what refused it: grant that right, or exempt namespaces with the label " +
			"app.kubernetes.io/managed-by=sharedpid",
	},
	reports.Lost: {
		Cause:    "an answer of the cluster was lost",
		NextStep: "kubectl get nodes and kubectl get --raw '/readyz?verbose' show whether the node and the API are well; run again when they are",
	},
	reports.OutOfTime: {
		Cause:    "what the reason names did not come in time: the node, the API or a process of the Pod was too slow, or it never comes",
		NextStep: slowStep,
	},
	reports.Killed: {
		Cause: "the look was ended by SIGKILL",
		NextStep: "the diagnosis below shows whether the container was OOMKilled: then give the node or the Pods more memory; " +
			"otherwise the node's kernel log and its runtime's log say who sent the signal",
	},
	reports.Interrupted: {
		Cause:    "the run was interrupted",
		NextStep: "run again, and let it end",
	},
	reports.Defect: {
		Cause:    "a defect of the suite",
		NextStep: "report it to the suite's authors with run.json, which has the stack of the check and what it looked at",
	},
}

// setUpSteps are what a person does next when a run ends before its traits were checked.
var setUpSteps = []Cause{
	{Words: "is cordoned", NextStep: "kubectl uncordon it, or name it with --node, which checks it all the same"},
	{Words: "has the taint", NextStep: "name the node with --node, which tolerates its taints"},
	{Words: "cni plugin not initialized", NextStep: networkStep},
	{Words: "is not ready", NextStep: "kubectl describe node shows why"},
	{Words: "has no node", NextStep: "kubectl get nodes shows what there is; --limit nodes=DURATION waits longer"},
	{Words: "forbidden",
		NextStep: "give the kubeconfig's user what sharedpid rights prints; sharedpid check names all that is missing"},
	{Words: "Unauthorized", NextStep: "log in to the cluster again: the token or certificate is not accepted; a Job starts anew"},
	{Words: "does not answer", NextStep: "check that the cluster runs and that the kubeconfig is its own"},
	{Words: "not within", NextStep: slowStep},
}

// explainSetUp adds to the error that ended a run what a person does next, where that is known.
func explainSetUp(err error) error {
	if err == nil {
		return nil
	}
	for _, each := range setUpSteps {
		if strings.Contains(err.Error(), each.Words) {
			return fmt.Errorf("%w; next step: %s", err, each.NextStep)
		}
	}
	return err
}

// Explain returns the probable cause and the next step of an outcome, empty when nothing is known of it. What was seen of
// a Pod is the trait's own matter, as is its control; what kept it from being seen is everybody's.
func (trait Trait) Explain(outcome Outcome) (cause, nextStep string) {
	var known []Cause
	switch outcome.Verdict {
	case reports.Nonconformant:
		known = causes(trait, false)
	case reports.Inconclusive:
		known = explanations
		if outcome.Kind == reports.Control {
			known = slices.Concat(causes(trait, true), []Cause{kindExplanations[reports.Control]})
		}
	default:
		return "", ""
	}
	for _, each := range known {
		if strings.Contains(outcome.Reason, each.Words) {
			return each.Cause, each.NextStep
		}
	}
	byKind := kindExplanations[outcome.Kind]
	return byKind.Cause, byKind.NextStep
}

// causes are those of a trait that are about its control, or about its violations.
func causes(trait Trait, control bool) []Cause {
	return slices.DeleteFunc(slices.Clone(trait.Causes), func(cause Cause) bool { return cause.Control != control })
}

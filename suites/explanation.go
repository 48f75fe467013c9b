package suites

import (
	"slices"
	"strings"

	"sharedpid.example/reports"
)

// explanations are the causes that any trait may meet: what keeps a Pod from being looked at.
var explanations = []Cause{
	{"ErrImagePull", "the node cannot pull a test image", "name a registry that the node reaches with -image-registry, or the image with -image NAME=REFERENCE"},
	{"ImagePullBackOff", "the node cannot pull a test image", "name a registry that the node reaches with -image-registry, or the image with -image NAME=REFERENCE"},
	{"InvalidImageName", "a test image's reference is malformed", "check -image and -image-registry"},
	{"no runtime for", "the node's containerd has no handler that the RuntimeClass names", "configure the handler on the node, or leave -runtime-class out"},
	{"failed to find runtime handler", "the node's CRI-O has no handler that the RuntimeClass names", "configure the handler on the node, or leave -runtime-class out"},
	{"RuntimeClass", "the RuntimeClass does not exist, or does not admit the Pod", "kubectl get runtimeclass shows what there is"},
	{"PodSecurity", "Pod Security admission refused the Pod", "allow the level privileged for namespaces with the label app.kubernetes.io/managed-by=sharedpid"},
	{"exceeded quota", "a quota refused the Pod", "raise the quota, or exempt the run's namespaces"},
	{"must specify limits", "a quota asks for limits that the Pods do not have", "exempt the run's namespaces from the quota, or give them a LimitRange with defaults"},
	{"LimitRange", "a LimitRange refused the Pod", "exempt the run's namespaces from the LimitRange"},
	{"usage per Container", "a LimitRange refused the Pod", "exempt the run's namespaces from the LimitRange"},
	{"usage per Pod", "a LimitRange refused the Pod", "exempt the run's namespaces from the LimitRange"},
	{"forbidden", "admission or RBAC refused a request", "run with rights to create namespaces, Pods and to exec into them"},
	{"is not ready", "the node was lost while it was looked at", "look at the node's kubelet and conditions with kubectl describe node, then run again"},
	{"Unschedulable", "no node had room for the Pod", "free resources, or look at the node's taints"},
	{"context canceled", "the run was interrupted", "run again"},
	{"not within", "the cluster did not answer, or the Pod did not start, in time", "look at the diagnosis below and at the node's load"},
	{"deadline exceeded", "the cluster did not answer, or the Pod did not start, in time", "look at the diagnosis below and at the node's load"},
	{"connection refused", "the API server does not answer", "look at the cluster's control plane"},
}

// explain returns the probable cause and the next step for a reason, empty when nothing is known of it. What was seen of
// a Pod is the trait's own matter, its control's included; what kept it from being seen is everybody's.
func explain(trait Trait, verdict reports.Verdict, reason string) (cause, nextStep string) {
	known := explanations
	switch {
	case verdict == reports.Nonconformant:
		known = trait.Causes
	case strings.HasPrefix(reason, controlFailed):
		known = slices.Concat(explanations, trait.Causes)
	}
	for _, each := range known {
		if strings.Contains(reason, each.Words) {
			return each.Cause, each.NextStep
		}
	}
	return "", ""
}

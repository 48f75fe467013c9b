package suites

import (
	"context"
	"slices"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"sharedpid.example/helpers/process"
	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
	"sharedpid.example/suites/access"
)

// debugger is an ephemeral container as kubectl debug makes it.
type debugger struct {
	name    string // of the container, and of the caller in evidence
	context *corev1.SecurityContext
}

// tracingDebugger is one that may look at every process of the Pod, whatever uid the Pod is given.
const tracingDebugger = "general-as-root"

// debuggers are what kubectl debug makes with --profile, and two that name root by --custom. A Pod-level runAsUser holds for those that
// name no user, and leaves them without the capabilities that they are given.
var debuggers = []debugger{
	{"general", &corev1.SecurityContext{Capabilities: added("SYS_PTRACE")}},
	{"baseline", nil},
	{"restricted", &corev1.SecurityContext{
		RunAsNonRoot: new(true), AllowPrivilegeEscalation: new(false),
		Capabilities:   &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}},
	{"netadmin", &corev1.SecurityContext{Capabilities: added("NET_ADMIN", "NET_RAW")}},
	{"sysadmin", &corev1.SecurityContext{Privileged: new(true)}},
	{tracingDebugger, &corev1.SecurityContext{RunAsUser: new(int64(0)), Capabilities: added("SYS_PTRACE")}},
	{"sysadmin-as-root", &corev1.SecurityContext{RunAsUser: new(int64(0)), Privileged: new(true)}},
}

func added(capabilities ...corev1.Capability) *corev1.Capabilities {
	return &corev1.Capabilities{Add: capabilities}
}

// debuggersTried is a Pod that admission lets through where it would let the debuggers through: ephemeral containers are added to Pods, and
// none is made with them.
var debuggersTried = suite.Fixture{Name: "tried-debuggers", Objects: func() ([]runtime.Object, error) {
	tried := suite.SmallestPod("busybox:1.37.0")
	tried.Spec.SecurityContext = nil
	tried.Spec.Containers = nil
	for _, each := range debuggers {
		tried.Spec.Containers = append(tried.Spec.Containers, corev1.Container{Name: each.name, Image: "busybox:1.37.0", SecurityContext: each.context})
	}
	return []runtime.Object{tried}, nil
}}

var debuggerTrait = suite.Trait{
	ID: "joiners/debuggers-reach-by-credentials",
	Statement: "Ephemeral containers with the security contexts that kubectl debug gives them MUST see the Pod's processes, and MUST reach " +
		"those that the kernel's rules let their credentials reach: where the Pod names a user other than root, that user without a capability.",
	Profile: suite.Full,
	Sources: []string{
		"https://kubernetes.io/docs/tasks/debug/debug-application/debug-running-pod/#debugging-profiles",
		"https://github.com/kubernetes/enhancements/tree/master/keps/sig-cli/1441-kubectl-debug",
		ptraceSource, "https://github.com/kubernetes/kubectl/issues/1650",
	},
	Fixtures: []suite.Fixture{podUserFixture},
	Tries:    []suite.Fixture{debuggersTried},
	Slow:     true,
	Causes: []suite.Cause{
		notVisible,
		{
			Words:    "is effective",
			Cause:    "the runtime makes capabilities effective that a container of another user than root was given",
			NextStep: "look at process.capabilities and process.user in the config.json of the ephemeral container on the node",
		},
		{
			Cause:    "a security module or a seccomp profile narrows what debuggers may do, or they have other credentials than they asked for",
			NextStep: "compare CapEff and Seccomp in /proc/self/status of the ephemeral container with its security context",
		},
	},
	Rights: []suite.Right{{Resource: "pods/ephemeralcontainers", Verbs: []string{"update"}, Why: "to add ephemeral containers"}},
	Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
		var containers []corev1.EphemeralContainer
		for _, each := range debuggers {
			containers = append(containers, corev1.EphemeralContainer{EphemeralContainerCommon: corev1.EphemeralContainerCommon{
				Name: each.name, Image: "busybox:1.37.0", Command: newSleep(session, each.name), SecurityContext: each.context,
				ImagePullPolicy: corev1.PullIfNotPresent, TerminationMessagePolicy: corev1.TerminationMessageReadFile,
			}})
		}
		seen, err := attach(ctx, session, podUserFixture, containers)
		if err != nil {
			return err
		}
		for i, each := range debuggers {
			expectOne(judge, seen[i], "ephemeral container "+each.name+" must see the owner", ownerSleep...)
		}
		matrix, err := debuggersMatrix(ctx, session, seen[slices.IndexFunc(debuggers, isTracing)])
		if err != nil {
			return err
		}
		recordCredentials(session, podUserFixture, slices.Concat(matrix.Callers, matrix.Targets)...)
		recordAccess(session, podUserFixture, "what debuggers reach", matrix.Cells...)
		judgeDebuggersReach(judge, matrix)
		return nil
	},
}

func isTracing(each debugger) bool { return each.name == tracingDebugger }

// debuggersMatrix tries, as each debugger, everything on a process of another uid and on pause, which has the Pod's own.
func debuggersMatrix(ctx context.Context, session *suite.Session, seen process.Snapshot) (access.Matrix, error) {
	first, found := seen.PID(1)
	if !found {
		return access.Matrix{}, suite.Undecided(reports.Precondition, "process 1 is not visible")
	}
	matrix := access.Matrix{Targets: []access.Party{
		{Name: "process of another uid", Process: seen.With(ownerSleep...)[0]}, {Name: access.TargetPause, Process: first},
	}}
	if err := describeTargets(ctx, session, podUserFixture, tracingDebugger, matrix.Targets); err != nil {
		return matrix, err
	}
	for _, each := range debuggers {
		if err := lookAs(ctx, session, podUserFixture, &matrix, each.name, each.name); err != nil {
			return matrix, err
		}
	}
	return matrix, nil
}

// judgeDebuggersReach holds the debuggers to the Pod's user, and what they reach to the rules. That root with CAP_SYS_PTRACE looks at the
// process of another uid is the control: without it, refusals would prove nothing.
func judgeDebuggersReach(judge suite.Judge, matrix access.Matrix) {
	for _, each := range debuggers {
		caller := matrix.Caller(each.name)
		if each.context != nil && each.context.RunAsUser != nil {
			judge.Claim.Expect(caller.UID).To(gomega.Equal(int(*each.context.RunAsUser)), "%s runs as uid %d", each.name, caller.UID)
			continue
		}
		judge.Claim.Expect(caller.UID).To(gomega.Equal(podUser), "%s runs as uid %d, must run as the Pod's user", each.name, caller.UID)
		judge.Claim.Expect(caller.Effective).To(gomega.Equal(uint64(0)),
			"%s runs as uid %d, and a capability is effective: CapEff %016x", each.name, caller.UID, caller.Effective)
	}
	cell := matrix.Cell(tracingDebugger, "process of another uid", "environ")
	if err := excuseCell(matrix, cell); err != nil {
		judge.Stop(err)
	}
	judge.Control.Expect(cell.Observed).To(gomega.Equal(access.Allowed), "environ of the %s by %s is %s, must be allowed (%s)",
		cell.Target, cell.Caller, cell.Observed, cell.Rule)
	judgeAccess(judge, matrix.Cells)
}

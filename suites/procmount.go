package suites

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"sharedpid.example/helpers/suite"
)

var (
	unmaskedFixture = suite.Fixture{
		Name: "unmasked-proc", Objects: manifest("unmasked-proc.yaml"), Newer: procMountChanged, Stable: true,
	}
	unmaskedUnsharedFixture = suite.Fixture{
		Name: "unmasked-proc-unshared", Objects: manifest("unmasked-proc.yaml"), Unshared: true, Newer: procMountChanged, Stable: true,
	}

	procMountChanged = []string{"procMount of container unmasked was sent as Unmasked and is Default", hostUsersDropped}
)

// unmaskProc leaves a Pod in the node's user namespace, so that the API must refuse it.
func unmaskProc(pod *corev1.Pod) {
	pod.Spec.Containers[0].SecurityContext.ProcMount = new(corev1.UnmaskedProcMount)
}

// The start processes of the manifest unmasked-proc.yaml.
var (
	unmasked = suite.Process{Container: "unmasked", Arguments: []string{"sleep", "1000325"}}
	masked   = suite.Process{Container: "masked", Arguments: []string{"sleep", "1000326"}}
)

var unmaskedProcTrait = suite.Trait{
	ID: "namespace/unmasked-proc",
	Statement: "A container with procMount Unmasked in a Pod with hostUsers: false MUST have none of the masks of /proc, and in it the processes of " +
		"the Pod's namespace alone under the rules that hold for them; its siblings MUST stay masked, and without hostUsers: false the API MUST " +
		"reject the Pod.",
	Profile: suite.Full,
	Sources: []string{
		"https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/4265-proc-mount",
		"https://kubernetes.io/docs/tasks/configure-pod-container/security-context/#proc-access", validationSource, pidPage, ptraceSource,
	},
	Requires:       []suite.Requirement{userNamespaces},
	WhenNotStarted: []suite.Requirement{startUnmasked},
	Fixtures:       []suite.Fixture{unmaskedFixture, unmaskedUnsharedFixture, fileModesFixture},
	Causes: []suite.Cause{
		blindControl,
		sharesUnasked,
		notVisible,
		{
			Words:    "mask",
			Cause:    "the runtime masks what it masks by default, whatever paths the kubelet sends, or does so for all containers of a Pod alike",
			NextStep: "look at linux.maskedPaths and linux.readonlyPaths in the containers' config.json on the node",
		},
		{
			Words:    "accepted",
			Cause:    "the API server does not validate procMount against hostUsers",
			NextStep: "look at the cluster's API server",
		},
		{
			Cause:    "/proc of the unmasked container is not that of the Pod's namespace",
			NextStep: "compare /proc/self/mounts and NSpid in /proc/self/status of both containers",
		},
	},
	Check: checkUnmaskedProc,
}

// startUnmasked is whether Pods with an unmasked /proc start on the node: a kernel refuses to mount it where the node's own is masked.
var startUnmasked = startsUnshared("Pods with an unmasked /proc that start", "a Pod with an unmasked /proc",
	unmaskedUnsharedFixture, unmasked.Container, masked.Container)

func checkUnmaskedProc(ctx context.Context, session *suite.Session, judge suite.Judge) error {
	if err := known(ctx, session, unmaskedFixture, "procMount or hostUsers"); err != nil {
		return err
	}
	// The other Pod comes up beside it: when neither starts there is not the time for one after the other.
	if _, err := session.Changes(ctx, unmaskedUnsharedFixture); err != nil {
		return suite.ControlFailed(err)
	}
	seen, err := session.Await(ctx, unmaskedFixture, unmasked.Container, "processes in an unmasked /proc", unmasked, masked)
	if err != nil {
		return err
	}
	sibling := seen.With(masked.Arguments...)[0]
	const mounts = "cat /proc/self/mounts"
	open, err := session.Exec(ctx, unmaskedFixture, unmasked.Container, "an unmasked /proc", mounts, "grep NSpid: /proc/self/status",
		fmt.Sprintf("cat /proc/%d/environ", sibling.PID))
	if err != nil {
		return err
	}
	closed, err := session.Exec(ctx, unmaskedFixture, masked.Container, "/proc of its sibling", mounts)
	if err != nil {
		return err
	}
	ordinary, err := session.Exec(ctx, fileModesFixture, "visitor", "/proc of a container elsewhere that asks for nothing", mounts)
	if err != nil {
		return suite.ControlFailed(err)
	}
	if err := judgeMasks(judge, open[0], closed[0], ordinary[0]); err != nil {
		return err
	}
	judgeProcOfPod(judge, open[1], open[2])
	unshared, err := session.Processes(ctx, unmaskedUnsharedFixture, unmasked.Container, "processes in an unmasked /proc")
	if err != nil {
		return suite.ControlFailed(err)
	}
	judge.Control.Expect(unshared.With(unmasked.Arguments...)).NotTo(gomega.BeEmpty(), "the container must see its own start process")
	judge.Control.Expect(unshared.With(masked.Arguments...)).To(gomega.BeEmpty(), "without sharing, the sibling's process must not be visible")
	// Last, since a policy may be what rejects it, which leaves that part undecided.
	tried, err := session.TryCreate(ctx, "an unmasked /proc in the node's user namespace", "", triedPod(session, unmaskProc))
	if err != nil {
		return err
	}
	judgeRejected(judge, tried, "`hostUsers` must be false to use `Unmasked`")
	return nil
}

// maskedPaths are those that the kubelet has masked or made read-only where procMount is Default. Which of them a kernel has is its matter.
var maskedPaths = []string{
	"/proc/acpi", "/proc/asound", "/proc/bus", "/proc/fs", "/proc/interrupts", "/proc/irq", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
	"/proc/sched_debug", "/proc/scsi", "/proc/sys", "/proc/sysrq-trigger", "/proc/timer_list", "/proc/timer_stats",
}

// masks are those paths that have a mount of their own.
func masks(mounts suite.ExecResult) []string {
	found := []string{}
	for line := range strings.Lines(mounts.Output) {
		if fields := strings.Fields(line); len(fields) > 1 && slices.Contains(maskedPaths, fields[1]) {
			found = append(found, fields[1])
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// judgeMasks takes the mounts of a container with procMount Unmasked, of its sibling, and of a container elsewhere that asks for nothing: what
// is masked there must be masked in the sibling as well.
func judgeMasks(judge suite.Judge, open, closed, ordinary suite.ExecResult) error {
	judgeRun(judge, open, closed, ordinary)
	for _, each := range []suite.ExecResult{open, closed, ordinary} {
		judge.Precondition.Expect(each.Output).To(gomega.ContainSubstring(" /proc proc "), "no mount of /proc is to be seen: %s", quote(each.Output))
	}
	usual := masks(ordinary)
	if len(usual) == 0 {
		return &suite.Unsupported{Reason: "nothing of /proc is masked in a container that asks for nothing"}
	}
	judge.Claim.Expect(masks(open)).To(gomega.BeEmpty(), "the unmasked container must have no mask")
	judge.Claim.Expect(masks(closed)).To(gomega.ContainElements(usual), "the sibling must have the masks of any container")
	return nil
}

// judgeProcOfPod takes, of the unmasked container, the pids of a look in the namespace of its /proc and those below, of which there are none,
// and the environment of a sibling of another user.
func judgeProcOfPod(judge suite.Judge, pids, environ suite.ExecResult) {
	judgeRun(judge, pids, environ)
	numbers := strings.Fields(strings.TrimPrefix(pids.Output, "NSpid:"))
	judge.Precondition.Expect(numbers).NotTo(gomega.BeEmpty(), "NSpid is not told: %s", quote(pids.Output))
	judge.Claim.Expect(numbers).To(gomega.HaveLen(1), "/proc must be that of the Pod's namespace, a look has the pids %v in it and below", numbers)
	judge.Claim.Expect(environ.Errno()).To(gomega.Equal("EACCES"), "the environment of a sibling of another uid must be denied, it gave %s",
		quote(environ.Output))
}

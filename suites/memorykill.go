package suites

import (
	"context"
	"slices"
	"strings"

	"github.com/onsi/gomega"

	"sharedpid.example/helpers/pod"
	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
)

var memoryFixture = suite.Fixture{Name: "memory-limit", Objects: manifest("memory-limit.yaml")}

// What the containers of the manifest memory-limit.yaml run, each container's start process first.
var (
	limitedProcesses   = [][]string{{"sleep", "1000330"}, {"sleep", "1000331"}}
	unlimitedProcesses = [][]string{{"sleep", "1000332"}, {"sleep", "1000333"}}
)

// groupKillCommand prints whether the kernel kills the container as a whole. There is no such file with cgroup version 1.
const groupKillCommand = "cat /sys/fs/cgroup/memory.oom.group"

// limitCommand prints the memory limit of the container, with cgroup version 2 or 1, and memoryLimit is what it is to be, in bytes.
const (
	limitCommand = "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes"
	memoryLimit  = "33554432"
)

// eatCommand wants more memory than the container may have. What it can get where nothing limits the container is little as well.
const eatCommand = "ulimit -v 131072; tail /dev/zero"

// reasonOOMKilled is the reason that runtimes give when the kernel ended a container for its memory.
const reasonOOMKilled = "OOMKilled"

var memoryTrait = suite.Trait{
	ID: "lifecycle/memory-kill-stays-in-container",
	Statement: "When the kernel kills in a container that is over its memory limit, process 1 and the processes of its siblings MUST live on, " +
		"and where it kills the container as a whole, none of its processes MAY be left when it runs again.",
	Profile: suite.Full,
	Sources: []string{
		"https://docs.kernel.org/admin-guide/cgroup-v2.html#memory-interface-files", "https://github.com/kubernetes/kubernetes/pull/117793",
		"https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/#how-pods-with-resource-limits-are-run", lifecyclePage + "#restart-policy",
	},
	Fixtures: []suite.Fixture{memoryFixture},
	Destroys: []suite.Fixture{memoryFixture},
	Slow:     true,
	Causes: []suite.Cause{
		{
			Words:    "is still there",
			Cause:    "processes of the container are not in its cgroup, so that the kernel does not kill them with it",
			NextStep: "compare /proc/PID/cgroup of the process that is left with that of the container's start process, on the node",
		},
		{
			Cause:    "the runtime or the kubelet ends more than the container whose memory is over, or the containers have one cgroup",
			NextStep: "look at the events of the Pod, and at the kernel's log on the node for the cgroup whose memory was over",
		},
	},
	Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
		var seen returned
		var err error
		all := append(processesOf("limited", limitedProcesses), processesOf("neighbour", unlimitedProcesses)...)
		if seen.before, err = session.Await(ctx, memoryFixture, "neighbour", "processes before the kill", all...); err != nil {
			return err
		}
		if seen.last, err = session.Status(ctx, memoryFixture); err != nil {
			return err
		}
		asked, err := session.Exec(ctx, memoryFixture, "limited", "whether the kernel kills the container as a whole, and its limit",
			groupKillCommand, limitCommand)
		if err != nil {
			return err
		}
		if !slices.Contains(strings.Fields(asked[1].Output), memoryLimit) {
			return &suite.Unsupported{Reason: "the container is not seen to have its memory limit: " + quote(asked[1].Output)}
		}
		asAWhole := strings.TrimSpace(asked[0].Output) == "1"
		restarted, err := eatMemory(ctx, session, judge, &seen, asAWhole)
		if err != nil {
			return err
		}
		if restarted {
			err = lookAfterReturn(ctx, session, memoryFixture, &seen, true, "limited", "neighbour", limitedProcesses...)
		} else {
			seen.after, err = session.Processes(ctx, memoryFixture, "neighbour", "processes after the kill")
		}
		if err != nil {
			return err
		}
		judgeMemoryKill(judge, seen, asAWhole)
		return nil
	},
}

// eatMemory has the kernel kill in the container, and tells whether the container was restarted then. Where the container is killed as a whole,
// the exec dies with it.
func eatMemory(ctx context.Context, session *suite.Session, judge suite.Judge, seen *returned, asAWhole bool) (restarted bool, err error) {
	eaten, asked := session.ExecOnce(ctx, memoryFixture, "limited", "a process that wants more memory than the container may have", eatCommand)
	if asked == nil {
		judgeRun(judge, eaten...)
		if eaten[0].ExitCode != killedExitCode {
			return false, suite.Undecided(reports.Precondition, "the kernel did not kill what wanted more memory than the limit: it ended with %d: %s",
				eaten[0].ExitCode, quote(eaten[0].Output))
		}
		if !asAWhole {
			seen.last, err = session.Status(ctx, memoryFixture)
			return false, err
		}
	}
	seen.last, restarted, err = settled(ctx, session, memoryFixture, restartedSince(seen.last, "limited"))
	switch {
	case err != nil || restarted:
		return restarted, err
	case asAWhole:
		return false, suite.Undecided(reports.OutOfTime, "the container was not restarted within %s: %s", session.Limits().Settling, pod.Describe(seen.last))
	case suite.Killed(asked):
		return false, nil // of all processes the kernel chose the shell of the exec
	}
	return false, asked
}

// judgeMemoryKill judges what the kill of a process left, or of the container as a whole. Whether the one or the other happens is the node's
// matter: cgroup version 1 knows the first only, and a kubelet with singleProcessOOMKill wants it.
func judgeMemoryKill(judge suite.Judge, seen returned, asAWhole bool) {
	if asAWhole {
		ended := pod.Container(seen.last, "limited").LastTerminationState.Terminated
		judge.Precondition.Expect(ended).NotTo(gomega.BeNil(), "how the container ended is not reported")
		judge.Precondition.Expect(ended.Reason).To(gomega.Equal(reasonOOMKilled), "whether the container ended for its memory is not known")
		judgeReturn(judge, "limited", seen, limitedProcesses[0], unlimitedProcesses...)
		judgeNothingLeft(judge, seen.before, seen.after, limitedProcesses...)
		return
	}
	judge.Claim.Expect(seen.restarted).To(gomega.BeEmpty(), "container %s was restarted", seen.restarted)
	judgeSameNamespace(judge, seen.before, seen.after)
	judgeLiveOn(judge, seen.before, seen.after, unlimitedProcesses...)
}

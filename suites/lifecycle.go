package suites

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"sharedpid.example/helpers/pod"
	"sharedpid.example/helpers/process"
	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
)

var (
	killedFixture  = suite.Fixture{Name: "killed-container", Objects: manifest("multi-process.yaml"), Change: withoutProbes}
	stoppedFixture = suite.Fixture{Name: "stopped-container", Objects: manifest("multi-process.yaml")}
	// With Kubernetes' default of a grace period only a start process that TERM does not reach waits it out, on a busy node too.
	termFixture         = suite.Fixture{Name: "term", Objects: manifest("start-process.yaml")}
	termUnsharedFixture = suite.Fixture{
		Name:     "term-unshared",
		Objects:  manifest("start-process.yaml"),
		Unshared: true,
		Change:   withGracePeriod(2),
	} // is waited out
	probeFixture  = suite.Fixture{Name: "timed-out-probe", Objects: manifest("timed-out-probe.yaml")}
	streamFixture = suite.Fixture{Name: "open-stream", Objects: manifest("start-process.yaml")}
	hookFixture   = suite.Fixture{Name: "outliving-hook", Objects: manifest("outliving-hook.yaml")}
	notesFixture  = suite.Fixture{Name: "term-notes", Objects: manifest("term-notes.yaml")}
	// ordinaryFixture is deleted when a Pod that was deleted before is not gone.
	ordinaryFixture = suite.Fixture{Name: "ordinary-deletion", Objects: manifest("start-process.yaml")}
)

// already is how long it takes to learn what has happened before.
const already = 10 * time.Millisecond

func withGracePeriod(seconds int64) func(*corev1.Pod) {
	return func(pod *corev1.Pod) { pod.Spec.TerminationGracePeriodSeconds = &seconds }
}

// withoutProbes is for a fixture in which no probe stops anything: each probe is an exec.
func withoutProbes(pod *corev1.Pod) {
	for i := range pod.Spec.Containers {
		pod.Spec.Containers[i].LivenessProbe = nil
	}
}

var lifecycleTraits = []suite.Trait{
	{
		ID:        "lifecycle/killed-container-returns",
		Statement: "When a sibling kills a container's start process, that container alone MUST be restarted, in the same namespace.",
		Profile:   suite.Core,
		Sources:   []string{lifecyclePage + "#restart-policy", kep, "https://github.com/kubernetes/kubernetes/issues/92214"},
		Needs:     []suite.Need{killedContainer, nginxEndsAlone},
		Slow:      true,
		Causes: []suite.Cause{
			{
				Words:    "not restarted",
				Cause:    "processes that the start process left behind keep the container alive",
				NextStep: "look for them on the node, and at the runtime's kill with --all (kubernetes#92214)",
			},
			{Cause: "the runtime or the kubelet restarts the whole Pod", NextStep: "look at the events of the Pod"},
		},
		Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
			killed, err := killedContainer.Of(ctx, session)
			if err != nil {
				return err
			}
			judgeReturn(judge, "stopped", killed, stoppedProcesses[0], neighbourProcesses...)
			return controlEndsAlone(ctx, session, judge)
		},
	},
	{
		ID:        "lifecycle/leftovers-die-with-container",
		Statement: "When a container's start process is killed, its other processes MUST be gone by the time that the container runs again.",
		Profile:   suite.Core,
		Sources: []string{
			"https://github.com/opencontainers/runtime-spec/blob/main/runtime.md#lifecycle", "https://github.com/opencontainers/runc/issues/4047",
			"https://github.com/containerd/containerd/issues/2744", "https://github.com/kata-containers/kata-containers/issues/3913",
		},
		Needs: []suite.Need{killedContainer},
		Slow:  true,
		Causes: []suite.Cause{{
			Cause:    "the runtime kills only the start process, and the namespace that would have killed the rest is the Pod's",
			NextStep: "look at the runtime's kill with --all for containers without a pid namespace of their own",
		}},
		Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
			killed, err := killedContainer.Of(ctx, session)
			if err != nil {
				return err
			}
			judgeReturn(judge, "stopped", killed, stoppedProcesses[0], neighbourProcesses...)
			judgeNothingLeft(judge, killed.before, killed.after, stoppedProcesses...)
			return nil
		},
	},
	{
		ID:        "lifecycle/siblings-survive-stop",
		Statement: "When the kubelet stops one container, the processes of the others MUST live on, and none of the stopped one's.",
		Profile:   suite.Core,
		Sources:   []string{lifecyclePage + "#container-probes", criSource, "https://github.com/moby/moby/issues/50523"},
		Fixtures:  []suite.Fixture{stoppedFixture},
		Destroys:  []suite.Fixture{stoppedFixture},
		Slow:      true,
		Causes: []suite.Cause{{
			Cause:    "the runtime kills every process of the namespace, not those of the container's cgroup",
			NextStep: "look at how the runtime's kill finds the container's processes",
		}},
		Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
			var seen returned
			var err error
			seen.before, err = session.Await(ctx, stoppedFixture, "neighbour", "processes before the stop", multiProcess...)
			if err != nil {
				return err
			}
			if err := stopByProbe(ctx, session, stoppedFixture, &seen, "stopped", "neighbour", stoppedProcesses...); err != nil {
				return err
			}
			judgeReturn(judge, "stopped", seen, stoppedProcesses[0], neighbourProcesses...)
			judgeNothingLeft(judge, seen.before, seen.after, stoppedProcesses...)
			return nil
		},
	},
	{
		ID: "lifecycle/orphans-are-reaped",
		Statement: "A process whose parent ended MUST become a child of pause, and MUST NOT stay a zombie when it ends, alone or together " +
			"with many others.",
		Profile:  suite.Core,
		Sources:  []string{pidPage, pauseSource, "https://github.com/kubernetes/kubernetes/issues/50865"},
		Fixtures: []suite.Fixture{fileModesFixture, fileModesUnsharedFixture},
		Causes: []suite.Cause{
			{Control: true, Cause: "the control's start process reaps children", NextStep: "look at process 1 of the control"},
			{
				Words:    "of 50 orphans",
				Cause:    "the sandbox's process waits once for each SIGCHLD, and several SIGCHLD may arrive as one: signals are not queued",
				NextStep: "look at sandbox_image in the runtime's configuration; a reaper calls waitpid(2) until nothing is left",
			},
			{
				Words:    "zombie",
				Cause:    "the sandbox's process does not reap: an old pause, or another program in its place",
				NextStep: "look at sandbox_image in the runtime's configuration; pause reaps since 3.1 (kubernetes#50865)",
			},
			{Cause: "something else than process 1 adopts orphans", NextStep: "look at the parent of the orphan in the evidence"},
		},
		Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
			looked, err := endOrphans(ctx, session, fileModesFixture, "an orphan that ends, and fifty that have ended",
				orphanCommand(session, session.Limits().Absence), orphansCommand(session, session.Limits().Absence))
			if err != nil {
				return err
			}
			parent, left, err := parseOrphan(looked[0].Output)
			if err != nil {
				return err
			}
			judge.Claim.Expect(parent).To(gomega.Equal("1"), "the orphan is a child of process %s, must be of process 1", parent)
			judge.Claim.Expect(left).To(gomega.BeEmpty(), "the orphan stays a zombie: %s", left)
			if err := judgeOrphansAreReaped(judge, looked[1].Output); err != nil {
				return err
			}
			looked, err = endOrphans(ctx, session, fileModesUnsharedFixture, "an orphan that ends",
				orphanCommand(session, session.Limits().Ambiguity))
			if err != nil {
				return err
			}
			_, left, err = parseOrphan(looked[0].Output)
			if err != nil {
				return err
			}
			judge.Control.Expect(left).To(gomega.Equal("Z"),
				"a zombie must stay where process 1 is a program that does not reap, it is in state %q", left)
			return nil
		},
	},
	{
		ID:        "lifecycle/pause-is-spared-for-memory",
		Statement: "The oom_score_adj of process 1 MUST be lower than that of every start process: its end would end all containers.",
		Profile:   suite.Core,
		Sources: []string{
			"https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/#node-out-of-memory-behavior",
			"https://man7.org/linux/man-pages/man5/proc_pid_oom_score_adj.5.html", pidPage,
			"https://github.com/kubernetes/kubernetes/issues/86337",
		},
		Fixtures: []suite.Fixture{siblingsFixture},
		Causes: []suite.Cause{{
			Cause:    "the runtime does not give the sandbox the oom_score_adj that the kubelet asks for, -998",
			NextStep: "look at process.oomScoreAdj in the sandbox's config.json on the node, and at restrict_oom_score_adj of containerd",
		}},
		Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
			// The owner is root: to a gid other than 0, hidepid hides process 1.
			snapshot, err := session.Processes(ctx, siblingsFixture, "owner", "processes seen from the owner")
			if err != nil {
				return err
			}
			pids := []int{1}
			for _, start := range [][]string{ownerSleep, sealedSleep, visitorSleep, tracerSleep} {
				found := snapshot.With(start...)
				judge.Precondition.Expect(found).To(gomega.HaveLen(1), "the Pod has one process %q, %d are visible", start, len(found))
				pids = append(pids, found[0].PID)
			}
			judge.Precondition.Expect(pids[1:]).NotTo(gomega.ContainElement(1), "process 1 is a start process")
			var commands []string
			for _, pid := range pids {
				commands = append(commands, fmt.Sprintf("cat /proc/%d/oom_score_adj", pid))
			}
			looked, err := session.Exec(ctx, siblingsFixture, "owner", "oom_score_adj of process 1 and of the start processes", commands...)
			if err != nil {
				return err
			}
			var values []int
			for _, each := range looked {
				value, err := strconv.Atoi(strings.TrimSpace(each.Output))
				if err != nil {
					return suite.Undecided(reports.Precondition, "%s shows no number: %s", each.Command, quote(each.Output))
				}
				values = append(values, value)
			}
			judgeSparedForMemory(judge, values[0], values[1:])
			return nil
		},
	},
	{
		ID: "lifecycle/term-kills-at-once",
		Statement: "A start process without a handler for TERM MUST end with 143 as soon as its Pod is deleted: it is not process 1, which " +
			"would ignore TERM.",
		Profile:  suite.Core,
		Sources:  []string{pidPage, lifecyclePage + "#pod-termination"},
		Fixtures: []suite.Fixture{termFixture, termUnsharedFixture},
		Destroys: []suite.Fixture{termFixture, termUnsharedFixture},
		Slow:     true,
		Causes: []suite.Cause{
			{
				Control:  true,
				Cause:    "the control's start process is not process 1, or the runtime does not send TERM",
				NextStep: "look at the control's evidence",
			},
			{
				Cause:    "the start process is process 1 of a namespace of its own, or the runtime sends another signal than TERM",
				NextStep: "look at /proc/1/cmdline of the container, and at STOPSIGNAL of the image",
			},
		},
		Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
			shared, err := terminated(ctx, session, termFixture, sleeper)
			if err != nil {
				return err
			}
			judge.Claim.Expect(shared.exitCode).To(gomega.BeEquivalentTo(143),
				"the start process ended with %d, must end with 143 (TERM) and not wait to be killed", shared.exitCode)
			unshared, err := terminated(ctx, session, termUnsharedFixture, sleeper)
			if err != nil {
				return err
			}
			return judgeIgnored(judge, unshared, "TERM", 143)
		},
	},
	{
		ID: "lifecycle/term-reaches-start-process-alone",
		Statement: "At the end of a Pod every start process MUST get TERM once, the other processes MUST NOT get it, and process 1 MUST NOT " +
			"end before the containers have.",
		Profile: suite.Core,
		Sources: []string{
			lifecyclePage + "#pod-termination", criSource, "https://github.com/opencontainers/runtime-spec/blob/main/runtime.md#kill",
			"https://github.com/kubernetes/website/issues/36013",
		},
		Fixtures: []suite.Fixture{notesFixture},
		Destroys: []suite.Fixture{notesFixture},
		Slow:     true,
		Causes: []suite.Cause{
			{
				Words:    "the child",
				Cause:    "the runtime sends TERM to every process of the container's cgroup",
				NextStep: "look at how the runtime's kill finds whom to signal: --all is for KILL",
			},
			{
				Words:    "before it could write",
				Cause:    "the sandbox is stopped before its containers have ended, or the end of a container ends its siblings",
				NextStep: "look at the order of StopContainer and StopPodSandbox in the runtime's log",
			},
			{
				Cause:    "the runtime does not pass on the TERM that it is asked to send, or sends it again",
				NextStep: "look at STOPSIGNAL of the image, and at the runtime's log",
			},
		},
		Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
			last, err := deleteNoted(ctx, session, judge)
			if err != nil {
				return err
			}
			ends := last
			if len(unnoted(last)) > 0 {
				ends, _, err = session.Wait(ctx, notesFixture, "all containers to end", session.Limits().Settling, func(status *corev1.Pod) bool {
					return status == nil || !slices.ContainsFunc(notingParents, func(container string) bool {
						return pod.Container(status, container).State.Terminated == nil
					})
				})
				if err != nil {
					return err
				}
			}
			return judgeNotes(judge, last, ends)
		},
	},
	{
		ID:        "lifecycle/probes-leave-no-zombies",
		Statement: "Exec probes that run out of time MUST NOT leave zombies.",
		Profile:   suite.Full,
		Sources: []string{
			"https://github.com/openshift/images/issues/27",
			"https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/",
			pauseSource,
		},
		Fixtures: []suite.Fixture{probeFixture},
		Slow:     true,
		Causes: []suite.Cause{{
			Cause:    "the sandbox's process does not reap what a killed probe leaves",
			NextStep: "look at sandbox_image in the runtime's configuration",
		}},
		Check: checkProbes,
	},
	{
		ID:        "lifecycle/deletion-is-prompt",
		Statement: "Deletion of a Pod MUST end its open exec streams, and MUST NOT wait for a preStop hook that has outlived the start process.",
		Profile:   suite.Full,
		Sources: []string{
			"https://github.com/kubernetes/kubernetes/issues/89233",
			"https://github.com/cri-o/cri-o/issues/9771",
			lifecyclePage + "#pod-termination",
		},
		Fixtures: []suite.Fixture{streamFixture, hookFixture, ordinaryFixture},
		Destroys: []suite.Fixture{streamFixture, hookFixture, ordinaryFixture},
		Slow:     true,
		Causes: []suite.Cause{
			{
				Words:    "stream",
				Cause:    "processes of the exec outlive the container and hold the stream open (kubernetes#89233)",
				NextStep: "look on the node for what is left of the exec",
			},
			{
				Cause:    "the runtime waits for the hook's process, which the namespace no longer kills (cri-o#9771)",
				NextStep: "look at the kubelet's log about the hook",
			},
		},
		Check: checkPromptDeletion,
	},
	restartRulesTrait, restartAllTrait, helperTrait, stopSignalTrait, sidecarsTrait, preStopTrait, livenessTrait, resizeTrait, memoryTrait,
	jobTrait,
}

// What the containers of the manifest multi-process.yaml run, each container's start process first.
var (
	stoppedProcesses   = [][]string{{"sleep", "1000060"}, {"sleep", "1000061"}, {"sleep", "1000062"}}
	neighbourProcesses = [][]string{{"sleep", "1000063"}, {"sleep", "1000064"}}
	multiProcess       = slices.Concat(processesOf("stopped", stoppedProcesses), processesOf("neighbour", neighbourProcesses))
)

func processesOf(container string, all [][]string) []suite.Process {
	var processes []suite.Process
	for _, arguments := range all {
		processes = append(processes, suite.Process{Container: container, Arguments: arguments})
	}
	return processes
}

// returned is what a sibling saw before a container was ended and after it runs again, and the Pod as last seen.
type returned struct {
	before, after process.Snapshot
	last          *corev1.Pod
	restarted     string // the sibling, when it was restarted as well and could not look
}

// killedContainer is what becomes of a container that has several processes when a sibling kills its start process.
var killedContainer = &suite.Probe[returned]{
	Name:     "killed container",
	Fixtures: []suite.Fixture{killedFixture},
	Look: func(ctx context.Context, session *suite.Session) (returned, error) {
		return killAndReturn(ctx, session, killedFixture, "neighbour", multiProcess[0], multiProcess...)
	},
}

// killAndReturn kills the start process of a container from a sibling, and waits until the container runs again with all of
// its processes. The snapshots are the sibling's.
func killAndReturn(
	ctx context.Context, session *suite.Session, fixture suite.Fixture, sibling string, killed suite.Process, all ...suite.Process,
) (returned, error) {
	var seen returned
	var err error
	if seen.before, err = session.Await(ctx, fixture, sibling, "processes before the kill", all...); err != nil {
		return seen, err
	}
	// An exec that is killed has sent its signal: what kills it may be what the runtime does at the end of a container.
	err = kill(ctx, session, fixture, sibling, "SIGKILL to the start process", seen.before, killed)
	if err != nil && !suite.Killed(err) {
		return seen, err
	}
	var own [][]string
	for _, each := range all {
		if each.Container == killed.Container {
			own = append(own, each.Arguments)
		}
	}
	return seen, awaitReturn(ctx, session, fixture, &seen, killed.Container, sibling, own...)
}

// kill sends SIGKILL to start processes from a sibling's container.
func kill(
	ctx context.Context, session *suite.Session, fixture suite.Fixture, sibling, title string, before process.Snapshot, killed ...suite.Process,
) error {
	command := "kill -KILL"
	for _, each := range killed {
		command += fmt.Sprintf(" %d", before.With(each.Arguments...)[0].PID)
	}
	signalled, err := session.ExecOnce(ctx, fixture, sibling, title, command)
	if err == nil && signalled[0].ExitCode != 0 {
		err = refused(signalled[0])
	}
	return err
}

// awaitReturn waits until a container that was ended runs again, once more than in what was last seen, and looks from a sibling until its
// processes are there, as lookAfterReturn does.
func awaitReturn(
	ctx context.Context, session *suite.Session, fixture suite.Fixture, seen *returned, container, sibling string, processes ...[]string,
) error {
	again := restartedSince(seen.last, container)
	last, reached, err := settled(ctx, session, fixture, again)
	if seen.last = last; err == nil && !reached {
		err = outpaced(ctx, session, fixture, last, container)
	}
	if err != nil {
		return err
	}
	return lookAfterReturn(ctx, session, fixture, seen, again(last), container, sibling, processes...)
}

// stopByProbe has the liveness probe of a container fail, waits until it runs again, once more than in what was last seen, and looks from a
// sibling, as awaitReturn does.
func stopByProbe(
	ctx context.Context, session *suite.Session, fixture suite.Fixture, seen *returned, container, sibling string, processes ...[]string,
) error {
	before := pod.Container(seen.last, container).RestartCount
	// The probe finds the file and the kubelet stops the container: the exec may die with it.
	_, asked := session.ExecOnce(ctx, fixture, container, "the file that makes the probe fail", "touch /stop")
	if err := awaitReturn(ctx, session, fixture, seen, container, sibling, processes...); err != nil {
		return err
	}
	if asked != nil && pod.Container(seen.last, container).RestartCount == before {
		return asked // the file may not be there
	}
	return nil
}

// restartedSince tells of a Pod whether a container runs again, once more than in what was seen earlier, which may be nil.
func restartedSince(earlier *corev1.Pod, container string) func(*corev1.Pod) bool {
	before := pod.Container(earlier, container).RestartCount
	return func(status *corev1.Pod) bool {
		return restartedAll(status, container) && pod.Container(status, container).RestartCount > before
	}
}

// lookAfterReturn looks from a sibling until the processes of a container are there, new ones where it was restarted: that may have been before
// it was ended here. When the sibling cannot look since it was restarted itself, that is what was seen.
func lookAfterReturn(
	ctx context.Context, session *suite.Session, fixture suite.Fixture, seen *returned, restarted bool, container, sibling string,
	processes ...[]string,
) error {
	missing := func(arguments []string) bool {
		there := seen.after
		if restarted {
			there = fresh(seen.before, seen.after)
		}
		return len(there.With(arguments...)) == 0
	}
	all, err := session.Until(ctx, session.Limits().Appearance, func() (bool, error) {
		var err error
		seen.after, err = session.Processes(ctx, fixture, sibling, "processes after the restart")
		return err == nil && !slices.ContainsFunc(processes, missing), err
	})
	switch {
	case err == nil && !all && restarted:
		return startedAgain(ctx, session, fixture, seen.after, container, processes[slices.IndexFunc(processes, missing)])
	case err == nil:
		return nil // the last look is judged
	}
	last, siblingRestarted, waitErr := session.WaitTolerant(ctx, fixture, "whether the sibling is restarted", session.Limits().Absence,
		func(status *corev1.Pod) bool { return status != nil && restartedWith(status, sibling, container) })
	if waitErr == nil && siblingRestarted {
		seen.last, seen.restarted = last, sibling
		return nil
	}
	return err
}

// laterFixture is a Pod whose nginx is ended after a container of another Pod was. It is created only when it is needed: when that
// container was not restarted in time.
func laterFixture(fixture suite.Fixture) suite.Fixture {
	return suite.Fixture{Name: fixture.Name + "-later-unshared", Objects: manifest("share-process-namespace.yaml"), Unshared: true}
}

// outpaced is an error unless a container that has ended and was not restarted in time is overtaken: one of another Pod that ends later is
// restarted first. Only then is it not the kubelet, nor the API, that takes long.
func outpaced(ctx context.Context, session *suite.Session, fixture suite.Fixture, last *corev1.Pod, container string) error {
	late := func(kind reports.Kind, how string) error {
		return suite.Undecided(kind, "container %s was not restarted within %s%s", container, session.Limits().Settling, how)
	}
	if pod.Container(last, container).RestartCount > 0 {
		return late(reports.OutOfTime, ", or did not run then")
	}
	if _, err := endNginx(ctx, session, laterFixture(fixture)); err != nil {
		return late(suite.KindOf(err), fmt.Sprintf(", and no other that ended later: %v", err))
	}
	status, err := session.Status(ctx, fixture)
	if err == nil && pod.Container(status, container).RestartCount > 0 {
		err = late(reports.OutOfTime, ", and was later")
	}
	return err
}

// startedAgain is an error unless a restarted container itself shows a process that its sibling does not see: only then is it
// elsewhere, and not late.
func startedAgain(
	ctx context.Context, session *suite.Session, fixture suite.Fixture, sibling process.Snapshot, container string, arguments []string,
) error {
	own, err := session.Processes(ctx, fixture, container, "processes that the restarted container itself sees")
	if err == nil && !hidden(own, sibling, arguments) {
		err = suite.Undecided(reports.OutOfTime, "container %s did not start process %q within %s", container, arguments,
			session.Limits().Appearance)
	}
	return err
}

// hidden tells whether a process that its own container shows is in no way visible from a sibling: it was started before the sibling
// looked, and nothing there was started at the same time, as the process is before its execve(2).
func hidden(own, sibling process.Snapshot, arguments []string) bool {
	look, found := sibling.PID(sibling.Self)
	return found && slices.ContainsFunc(own.With(arguments...), func(started process.Process) bool {
		return started.StartTime < look.StartTime && !slices.ContainsFunc(sibling.Processes, func(each process.Process) bool {
			return each.StartTime == started.StartTime
		})
	})
}

// judgeReturn holds that one container was restarted and nothing else: process 1 and the survivors are the same
// processes as before.
func judgeReturn(judge suite.Judge, container string, seen returned, start []string, survivors ...[]string) {
	judge.Claim.Expect(seen.restarted).To(gomega.BeEmpty(), "container %s was restarted as well", seen.restarted)
	for _, status := range seen.last.Status.ContainerStatuses {
		if status.Name == container {
			judge.Claim.Expect(status.RestartCount).To(gomega.BeNumerically(">", 0),
				"container %s was not restarted, unlike one that ended later", container)
		} else {
			judge.Claim.Expect(restartedWith(seen.last, status.Name, container)).To(gomega.BeFalse(), "container %s was restarted as well", status.Name)
		}
	}
	before, after := seen.before, seen.after
	judgeSameNamespace(judge, before, after)
	expectOne(judge, fresh(before, after), "the restarted container's start process must be in the same namespace as its siblings", start...)
	judgeLiveOn(judge, before, after, survivors...)
}

// restartedWith tells whether a container was started again when another one had last ended. One that was restarted before that, for whatever
// reason, is no matter. Both times are of the node's clock, and in whole seconds.
func restartedWith(status *corev1.Pod, sibling, container string) bool {
	again, ended := pod.Container(status, sibling), ended(status, container)
	if again.RestartCount == 0 || again.State.Running == nil || ended == nil {
		return again.RestartCount > 0
	}
	return !again.State.Running.StartedAt.Before(&ended.FinishedAt)
}

// judgeLiveOn holds that processes of siblings are the same as before.
func judgeLiveOn(judge suite.Judge, before, after process.Snapshot, survivors ...[]string) {
	for _, arguments := range survivors {
		judge.Precondition.Expect(before.With(arguments...)).NotTo(gomega.BeEmpty(), "process %q of a sibling must have been there", arguments)
		judge.Claim.Expect(identities(after.With(arguments...))).To(gomega.Equal(identities(before.With(arguments...))),
			"process %q of a sibling must live on", arguments)
	}
}

// fresh is what a later snapshot has and an earlier one has not.
func fresh(before, after process.Snapshot) process.Snapshot {
	known := identities(before.Processes)
	return process.Snapshot{Processes: slices.DeleteFunc(slices.Clone(after.Processes), func(each process.Process) bool {
		return slices.Contains(known, identity{each.PID, each.StartTime})
	})}
}

// judgeSameNamespace holds that process 1 is the one that it was.
func judgeSameNamespace(judge suite.Judge, before, after process.Snapshot) {
	old, seen := before.PID(1)
	judge.Precondition.Expect(seen).To(gomega.BeTrue(), "process 1 was not visible before")
	now, found := after.PID(1)
	judge.Claim.Expect(found && now.StartTime == old.StartTime).To(gomega.BeTrue(),
		"process 1 must be the same as before: the namespace must stay")
}

// judgeNothingLeft holds that none of the old processes still lives. A zombie has ended: lifecycle/orphans-are-reaped checks
// whether it is reaped.
func judgeNothingLeft(judge suite.Judge, before, after process.Snapshot, gone ...[]string) {
	for _, arguments := range gone {
		judge.Precondition.Expect(before.With(arguments...)).NotTo(gomega.BeEmpty(), "process %q must have been there", arguments)
		judge.Claim.Expect(left(before, after, arguments)).To(gomega.BeEmpty(), "process %q of the ended container is still there", arguments)
	}
}

// left are the processes of these arguments that a later look still shows alive.
func left(before, after process.Snapshot, arguments ...[]string) []identity {
	now := identities(slices.DeleteFunc(slices.Clone(after.Processes), func(each process.Process) bool { return each.State == "Z" }))
	var old []identity
	for _, each := range arguments {
		old = append(old, identities(before.With(each...))...)
	}
	return slices.DeleteFunc(old, func(each identity) bool { return !slices.Contains(now, each) })
}

// identity tells a process from another that has its pid later.
type identity struct {
	PID       int
	StartTime uint64
}

func identities(processes []process.Process) []identity {
	var all []identity
	for _, each := range processes {
		all = append(all, identity{each.PID, each.StartTime})
	}
	return all
}

// endOrphans runs commands that make orphans and end them, in one exec in the owner's container.
func endOrphans(
	ctx context.Context, session *suite.Session, fixture suite.Fixture, title string, commands ...string,
) ([]suite.ExecResult, error) {
	looked, err := session.ExecOnce(ctx, fixture, "owner", title, commands...)
	if err != nil {
		return nil, err
	}
	for _, each := range looked {
		if each.ExitCode != 0 {
			return nil, suite.Undecided(reports.Precondition, "an orphan could not be made or ended: %s", quote(each.Output))
		}
	}
	return looked, nil
}

// orphanCommand starts a process whose parent ends at once, and then ends it. It prints State and PPid of /proc/PID/status while
// the process lives, and its State once more if it is not gone when it has had the time to be reaped. All is done in one look, where
// waiting costs nothing.
func orphanCommand(session *suite.Session, patience time.Duration) string {
	return fmt.Sprintf(
		`orphan=$(%s </dev/null >/dev/null 2>&1 & echo $!); grep -E '^(State|PPid):' /proc/$orphan/status; kill -KILL $orphan || exit 1; `+
			`for tenth in $(seq %d); do [ -d /proc/$orphan ] || exit 0; sleep 0.1; done; grep ^State: /proc/$orphan/status; true`,
		strings.Join(newSleep(session, "orphan"), " "), tenths(patience))
}

// orphansCount is how many orphans are left to process 1 at once.
const orphansCount = 50

// orphansCommand starts a parent that never waits for its children, which end at once, and then ends the parent. The kernel tells
// process 1 of all these zombies in one go, so that it gets one or two SIGCHLD for fifty of them. The command prints how many zombies
// there were while the parent lived, and how many there are once they have had the time to be reaped.
func orphansCommand(session *suite.Session, patience time.Duration) string {
	return fmt.Sprintf(`sh -c 'for each in $(seq %[1]d); do : & done; exec %[2]s' </dev/null >/dev/null 2>&1 &
parent=$!
for tenth in $(seq %[3]d); do
  children=$(cat /proc/[0-9]*/stat 2>/dev/null | awk -v parent=$parent '$3 == "Z" && $4 == parent { print $1 }')
  [ $(echo $children | wc -w) = %[1]d ] && break
  sleep 0.1
done
kill -KILL $parent || exit 1
wait $parent 2>/dev/null
for tenth in $(seq %[3]d); do
  left=
  for each in $children; do [ -d /proc/$each ] && left="$left /proc/$each/stat"; done
  [ -z "$left" ] && break
  sleep 0.1
done
echo $(echo $children | wc -w) $(cat $left /dev/null 2>/dev/null | awk '$3 == "Z"' | wc -l)`,
		orphansCount, strings.Join(newSleep(session, "parent of orphans"), " "), tenths(patience))
}

// tenths is a time in tenths of a second: what loops in containers sleep.
func tenths(limit time.Duration) int { return int(limit / (100 * time.Millisecond)) }

// judgeOrphansAreReaped judges what orphansCommand printed. That the zombies of a parent that lives stay is the positive control: the
// look can see zombies.
func judgeOrphansAreReaped(judge suite.Judge, output string) error {
	var zombies, left int
	if _, err := fmt.Sscanf(output, "%d %d\n", &zombies, &left); err != nil {
		return suite.Undecided(reports.Lost, "two numbers of zombies are to be seen, not %s", quote(output))
	}
	judge.Control.Expect(zombies).To(gomega.Equal(orphansCount),
		"of %d children that ended, %d are zombies while their parent lives: nobody else may reap them", orphansCount, zombies)
	judge.Claim.Expect(left).To(gomega.BeZero(), "of %d orphans that ended, %d stay zombies", orphansCount, left)
	return nil
}

// judgeSparedForMemory judges oom_score_adj of process 1 and of the start processes. Where all have the same value of 0 or more, nobody
// was allowed to lower one: that takes CAP_SYS_RESOURCE.
func judgeSparedForMemory(judge suite.Judge, first int, starts []int) {
	lowest := slices.Min(starts)
	if first == lowest && first >= 0 {
		judge.Stop(&suite.Unsupported{Reason: fmt.Sprintf("oom_score_adj of process 1 and of a start process are both %d: "+
			"the runtime may not lower the value of a process, which takes CAP_SYS_RESOURCE", first)})
	}
	judge.Claim.Expect(first).To(gomega.BeNumerically("<", lowest),
		"oom_score_adj of process 1 is %d, must be lower than each of %v", first, starts)
}

// parseOrphan reads State and PPid of /proc/PID/status, and State once more if the process was still there.
func parseOrphan(output string) (parent, left string, err error) {
	var values []string
	for line := range strings.Lines(output) {
		if _, value, found := strings.Cut(line, ":"); found {
			values = append(values, strings.Fields(value + " ?")[0])
		}
	}
	switch {
	case len(values) == 2:
		return values[1], "", nil
	case len(values) == 3:
		return values[1], values[2], nil
	}
	return "", "", suite.Undecided(reports.Lost, "of the orphan two or three fields are to be seen, not %s", quote(output))
}

// ending is how a start process ended on the deletion of its Pod.
type ending struct {
	first    bool // it was process 1
	exitCode int32
}

// terminated deletes the Pod and returns how a start process ended, as the last status before the Pod is gone says.
func terminated(ctx context.Context, session *suite.Session, fixture suite.Fixture, start suite.Process) (ending, error) {
	before, err := session.Await(ctx, fixture, start.Container, "processes before the deletion", start)
	if err != nil {
		return ending{}, err
	}
	first, _ := before.PID(1)
	seen := ending{first: slices.Equal(first.Arguments, start.Arguments)}
	deleted := time.Now()
	_, state, err := endedByDeletion(ctx, session, fixture, start.Container, "container")
	if err != nil {
		return seen, err
	}
	seen.exitCode = state.ExitCode
	exitCode := int(state.ExitCode)
	session.Record(fixture, reports.Evidence{
		Title: "how the start process ended", Where: "API", Command: "kubectl get pod", ExitCode: &exitCode,
		Output: fmt.Sprintf("seen %.1f s after the deletion", time.Since(deleted).Seconds()),
	})
	return seen, nil
}

// judgeIgnored is a control: a start process that is process 1 ignores a signal for which it has no handler, and which would end it with
// that exit code.
func judgeIgnored(judge suite.Judge, unshared ending, signal string, exitCode int32) error {
	if unshared.exitCode == exitCode && unshared.first {
		return &suite.Unsupported{
			Reason: "the kernel that the containers have ends process 1 by " + signal + " without a handler, unlike pid_namespaces(7): being process 1 " +
				"or not makes no difference to the start process",
		}
	}
	judge.Control.Expect(unshared.exitCode).To(gomega.BeEquivalentTo(killedExitCode),
		"without sharing, the start process must ignore %s and be killed with %d, it ended with %d", signal, killedExitCode, unshared.exitCode)
	return nil
}

// endedByDeletion deletes the Pod and returns its last status and how a container ended, once that has been reported. what is what the
// container is called in words.
func endedByDeletion(
	ctx context.Context, session *suite.Session, fixture suite.Fixture, container, what string,
) (*corev1.Pod, *corev1.ContainerStateTerminated, error) {
	if err := session.Delete(ctx, fixture); err != nil {
		return nil, nil, err
	}
	return endOfDeleted(ctx, session, fixture, container, what)
}

// endOfDeleted is endedByDeletion of a Pod that was deleted before.
func endOfDeleted(
	ctx context.Context, session *suite.Session, fixture suite.Fixture, container, what string,
) (*corev1.Pod, *corev1.ContainerStateTerminated, error) {
	hasEnded := func(status *corev1.Pod) bool {
		return status == nil || pod.Container(status, container).State.Terminated != nil
	}
	last, ended, err := session.Wait(ctx, fixture, "the deleted Pod's "+what+" to end", session.Limits().Settling, hasEnded)
	if err != nil {
		return nil, nil, err
	}
	if !ended {
		return nil, nil, suite.Undecided(reports.OutOfTime, "the %s of the deleted Pod did not end within %s", what, session.Limits().Settling)
	}
	state := pod.Container(last, container).State.Terminated
	if state == nil {
		return nil, nil, suite.Undecided(reports.Lost, "the Pod was gone before the end of its %s was reported", what)
	}
	return last, state, nil
}

// The containers of the manifest term-notes.yaml.
var notingParents = []string{"first-parent", "second-parent"}

const noteReader = "observer"

// deleteNoted deletes the Pod of term-notes.yaml once each child has noted the TERM of its own parent. It returns the Pod as it was when
// the observer had ended.
func deleteNoted(ctx context.Context, session *suite.Session, judge suite.Judge) (*corev1.Pod, error) {
	if err := session.Running(ctx, notesFixture, append(slices.Clone(notingParents), noteReader)...); err != nil {
		return nil, err
	}
	tried, err := session.Exec(ctx, notesFixture, noteReader, "notes of the TERM that each child got from its parent", fmt.Sprintf(
		`for tenth in $(seq %d); do [ -s /notes/first-parent.tried ] && [ -s /notes/second-parent.tried ] && break; sleep 0.1; done; `+
			`cat /notes/first-parent.tried /notes/second-parent.tried`, tenths(session.Limits().Appearance)))
	if err != nil {
		return nil, err
	}
	judge.Precondition.Expect(tried[0].Output).To(gomega.Equal("child\nchild\n"), "the children do not note a TERM from their parents")
	last, state, err := endedByDeletion(ctx, session, notesFixture, noteReader, noteReader)
	if err != nil {
		return nil, err
	}
	exitCode := int(state.ExitCode)
	session.Record(notesFixture, reports.Evidence{
		Title: "who noted TERM", Where: "API", Command: "kubectl get pod", ExitCode: &exitCode, Output: state.Message,
	})
	return last, nil
}

// notes counts the notes that the observer of a deleted Pod left.
func notes(last *corev1.Pod) map[string]int {
	noted := map[string]int{}
	for line := range strings.Lines(pod.Container(last, noteReader).State.Terminated.Message) {
		noted[strings.TrimSpace(line)]++
	}
	return noted
}

// unnoted are the parents that have noted no TERM although the observer has written its notes.
func unnoted(last *corev1.Pod) []string {
	noted := notes(last)
	return slices.DeleteFunc(slices.Clone(notingParents), func(container string) bool {
		return pod.Container(last, noteReader).State.Terminated.ExitCode != 0 || noted[container+":parent"] > 0
	})
}

// judgeNotes judges the notes that the observer of a deleted Pod left, and how a parent ended that had noted nothing by then: one that
// gets its TERM late ends well, and one that gets none is killed.
func judgeNotes(judge suite.Judge, last, ends *corev1.Pod) error {
	ended := pod.Container(last, noteReader).State.Terminated
	noted := notes(last)
	if ended.ExitCode == 137 {
		return killedObserver(last, ended.FinishedAt.Time, noted[noteReader+":parent"] > 0)
	}
	judge.Claim.Expect(ended.ExitCode).To(gomega.BeZero(), "the observer has a handler for TERM alone and ended with %d", ended.ExitCode)
	// It ends after it has noted its own TERM.
	judge.Precondition.Expect(noted[noteReader+":parent"]).NotTo(gomega.BeZero(), "the observer's termination message was lost")
	for _, container := range append(slices.Clone(notingParents), noteReader) {
		judge.Claim.Expect(noted[container+":parent"]).To(gomega.BeNumerically("<=", 1), "the start process of %s must get TERM once", container)
	}
	for _, container := range notingParents {
		judge.Claim.Expect(noted[container+":child"]).To(gomega.BeZero(), "the child in container %s got TERM", container)
	}
	late := unnoted(last)
	for _, container := range late {
		if state := pod.Container(ends, container).State.Terminated; state != nil && state.ExitCode == 137 {
			return &suite.Violation{Reason: fmt.Sprintf("the start process of %s did not get TERM and was killed", container)}
		}
	}
	if len(late) > 0 {
		return suite.Undecided(reports.OutOfTime, "the start process of %s had not got TERM when the observer ended", strings.Join(late, ", nor that of "))
	}
	for _, container := range notingParents {
		judge.Precondition.Expect(noted[container+":ended"]).To(gomega.Equal(1), "the start process of %s was not seen to end", container)
	}
	return nil
}

// killedObserver says why the observer was killed before it had written its notes. The API gives as time of the deletion when the grace
// period is over; the clocks of the API and of the node may differ by a few seconds.
func killedObserver(last *corev1.Pod, at time.Time, hadTerm bool) error {
	deadline, grace := last.DeletionTimestamp, last.DeletionGracePeriodSeconds
	if deadline == nil || grace == nil {
		return suite.Undecided(reports.Killed, "the observer was killed before its Pod was deleted")
	}
	if *grace == 0 { // the kubelet deletes a Pod once more when its containers have ended
		return suite.Undecided(reports.Killed, "the observer was killed, and when the grace period was over is not known any more")
	}
	period := time.Duration(*grace) * time.Second
	switch left := deadline.Sub(at); {
	case left > period/2:
		return &suite.Violation{
			Reason: fmt.Sprintf("the observer was killed before it could write its notes, %s before its grace period was over", left),
		}
	case hadTerm:
		return suite.Undecided(reports.OutOfTime, "the containers did not end within the grace period of %s", period)
	}
	return &suite.Violation{Reason: "the observer did not get TERM and was killed when its grace period was over"}
}

// sleeper is the start process of the manifest start-process.yaml.
var sleeper = suite.Process{Container: "sleeper", Arguments: []string{"sleep", "1000070"}}

// checkProbes lets a probe run out of time twice, and looks until what it left is gone.
func checkProbes(ctx context.Context, session *suite.Session, judge suite.Judge) error {
	// The children that probes leave end by themselves after two seconds, so that there are always some. Those of the
	// first two probes must be gone when the fifth has begun.
	var children []string
	enough, err := session.Until(ctx, session.Limits().Settling, func() (bool, error) {
		looked, err := session.Exec(ctx, probeFixture, "probed", "the children that probes left", "cat /children")
		if err != nil {
			return false, err
		}
		if looked[0].ExitCode != 0 {
			return false, nil // the first probe has not begun
		}
		children = strings.Fields(looked[0].Output)
		return len(children) >= 5, nil
	})
	if err != nil {
		return err
	}
	if !enough {
		return suite.Undecided(reports.OutOfTime, "the probe ran %d times within %s, too few to judge", len(children), session.Limits().Settling)
	}
	var zombies []string
	_, err = session.Until(ctx, session.Limits().Absence, func() (bool, error) {
		snapshot, err := session.Processes(ctx, probeFixture, "probed", "processes after five probes")
		zombies = nil
		for _, each := range snapshot.Processes {
			if each.State == "Z" && slices.Contains(children[:2], fmt.Sprint(each.PID)) {
				zombies = append(zombies, fmt.Sprint(each.PID))
			}
		}
		return len(zombies) == 0, err
	})
	if err != nil {
		return err
	}
	judge.Claim.Expect(zombies).To(gomega.BeEmpty(), "zombies of probes that ran out of time are left: %s", strings.Join(zombies, ", "))
	return nil
}

// checkPromptDeletion deletes a Pod with an open exec, and one whose hook outlives the start process.
func checkPromptDeletion(ctx context.Context, session *suite.Session, judge suite.Judge) error {
	stream, err := session.Open(ctx, streamFixture, "sleeper", "exec sleep 1000071")
	if err != nil {
		return err
	}
	executed := suite.Process{Container: "sleeper", Arguments: []string{"sleep", "1000071"}}
	hooked := suite.Process{Container: "hooked", Arguments: []string{"sleep", "1000090"}}
	if _, err := session.Find(ctx, hookFixture, "hooked", "the start process that the hook ends", hooked); err != nil {
		return err
	}
	if _, err := session.Find(ctx, streamFixture, "sleeper", "the process of an open exec", executed); err != nil {
		return err
	}
	if early, err := stream.Ended(ctx, already); err != nil || early {
		return cmp.Or(err, suite.Undecided(reports.Lost, "the exec stream ended before its Pod was deleted"))
	}
	deleted := time.Now()
	for _, fixture := range []suite.Fixture{streamFixture, hookFixture} {
		if err := session.Delete(ctx, fixture); err != nil {
			return err
		}
	}
	promptly := session.Limits().PromptDeletion
	gone := func(status *corev1.Pod) bool { return status == nil }
	_, streamGone, err := session.Wait(ctx, streamFixture, "the Pod to be gone", promptly, gone)
	if err != nil {
		return err
	}
	_, hookGone, err := session.Wait(ctx, hookFixture, "the Pod to be gone", promptly, gone)
	if err != nil {
		return err
	}
	took := time.Since(deleted)
	if !streamGone || !hookGone {
		return overtaken(ctx, session, map[string]suite.Fixture{
			"the Pod with an open exec stream": streamFixture, "the Pod whose preStop hook outlives the start process": hookFixture,
		})
	}
	streamEnded, err := stream.Ended(ctx, session.Limits().StreamEnd)
	if err != nil {
		return err
	}
	session.Record(streamFixture, reports.Evidence{
		Title: "deletion", Where: "API", Command: "kubectl delete pod",
		Output: fmt.Sprintf("after %.1f s: Pod with an open exec gone: %t, its stream ended: %t, Pod with the hook gone: %t",
			took.Seconds(), streamGone, streamEnded, hookGone),
	})
	if streamEnded {
		return nil
	}
	// The API server may take its time to end a stream. One that nothing ends stays for hours.
	late, err := stream.Ended(ctx, session.Limits().Settling)
	if err == nil && late {
		err = suite.Undecided(reports.OutOfTime, "the exec stream ended later than %s after its Pod", session.Limits().StreamEnd)
	}
	if err != nil {
		return err
	}
	return &suite.Violation{Reason: fmt.Sprintf("the exec stream did not end with its Pod, nor in the %s after", session.Limits().Settling)}
}

// overtaken judges Pods that were not gone promptly. One that is still there when an ordinary Pod, deleted after it, is gone already
// accuses. A node or an API that is slow takes as long for the ordinary one.
func overtaken(ctx context.Context, session *suite.Session, deleted map[string]suite.Fixture) error {
	promptly := session.Limits().PromptDeletion
	gone := func(status *corev1.Pod) bool { return status == nil }
	if err := session.Running(ctx, ordinaryFixture, "sleeper"); err != nil {
		return err
	}
	if err := session.Delete(ctx, ordinaryFixture); err != nil {
		return err
	}
	_, reached, err := session.Wait(ctx, ordinaryFixture, "the Pod to be gone", promptly, gone)
	if err != nil {
		return err
	}
	if !reached {
		return suite.Undecided(reports.OutOfTime, "neither deleted Pods nor an ordinary one are gone within %s", promptly)
	}
	for _, what := range slices.Sorted(maps.Keys(deleted)) {
		if _, late, err := session.Wait(ctx, deleted[what], "the Pod to be gone", already, gone); err != nil {
			return err
		} else if !late {
			return &suite.Violation{Reason: fmt.Sprintf("%s was not gone within %s, unlike an ordinary one that was deleted later", what, promptly)}
		}
	}
	return suite.Undecided(reports.OutOfTime,
		"a deleted Pod was not gone within %s, and was before an ordinary one that was deleted later", promptly)
}

package suites

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"sharedpid.example/helpers/pod"
	"sharedpid.example/helpers/process"
	"sharedpid.example/reports"
)

var (
	killedScene       = Scene{Name: "killed-container", Manifest: "multi-process.yaml", Change: withoutProbes}
	stoppedScene      = Scene{Name: "stopped-container", Manifest: "multi-process.yaml"}
	termScene         = Scene{Name: "term", Manifest: "start-process.yaml", Change: withGracePeriod(10)}
	termUnsharedScene = Scene{Name: "term-unshared", Manifest: "start-process.yaml", Unshared: true, Change: withGracePeriod(2)} // is waited out
	probeScene        = Scene{Name: "timed-out-probe", Manifest: "timed-out-probe.yaml"}
	streamScene       = Scene{Name: "open-stream", Manifest: "start-process.yaml"}
	hookScene         = Scene{Name: "outliving-hook", Manifest: "outliving-hook.yaml"}
)

func withGracePeriod(seconds int64) func(*corev1.Pod) {
	return func(pod *corev1.Pod) { pod.Spec.TerminationGracePeriodSeconds = &seconds }
}

// withoutProbes is for a scene in which no probe stops anything: each probe is an exec.
func withoutProbes(pod *corev1.Pod) {
	for i := range pod.Spec.Containers {
		pod.Spec.Containers[i].LivenessProbe = nil
	}
}

const lifecyclePage = "https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/"

var lifecycleTraits = []Trait{
	{
		ID:        "lifecycle/killed-container-returns",
		Statement: "When a sibling kills a container's start process, that container alone MUST be restarted, in the same namespace.",
		Profile:   Core,
		Sources:   []string{lifecyclePage + "#restart-policy", kep, "https://github.com/kubernetes/kubernetes/issues/92214"},
		Scenes:    []Scene{killedScene, endsAloneScene},
		Slow:      true,
		Causes: []Cause{
			{"not restarted", "processes that the start process left behind keep the container alive", "look for them on the node, and at the runtime's kill with --all (kubernetes#92214)"},
			{"", "the runtime or the kubelet restarts the whole Pod", "look at the events of the Pod"},
		},
		Check: func(ctx context.Context, stage *Stage, g gomega.Gomega) error {
			if _, err := killedContainer(ctx, stage, g); err != nil {
				return err
			}
			return nginxEndsAlone(ctx, stage, g)
		},
	},
	{
		ID:        "lifecycle/leftovers-die-with-container",
		Statement: "When a container's start process is killed, its other processes MUST be gone by the time that the container runs again.",
		Profile:   Core,
		Sources: []string{
			"https://github.com/opencontainers/runtime-spec/blob/main/runtime.md#lifecycle", "https://github.com/opencontainers/runc/issues/4047",
			"https://github.com/containerd/containerd/issues/2744", "https://github.com/kata-containers/kata-containers/issues/3913",
		},
		Scenes: []Scene{killedScene},
		Slow:   true,
		Causes: []Cause{{"", "the runtime kills only the start process, and the namespace that would have killed the rest is the Pod's", "look at the runtime's kill with --all for containers without a pid namespace of their own"}},
		Check: func(ctx context.Context, stage *Stage, g gomega.Gomega) error {
			killed, err := killedContainer(ctx, stage, g)
			if err != nil {
				return err
			}
			judgeNothingLeft(g, killed.before, killed.after, stoppedProcesses...)
			return nil
		},
	},
	{
		ID:        "lifecycle/siblings-survive-stop",
		Statement: "When the kubelet stops one container, the processes of the others MUST live on, and none of the stopped one's.",
		Profile:   Core,
		Sources:   []string{lifecyclePage + "#container-probes", criSource, "https://github.com/moby/moby/issues/50523"},
		Scenes:    []Scene{stoppedScene},
		Slow:      true,
		Causes:    []Cause{{"", "the runtime kills every process of the namespace, not those of the container's cgroup", "look at how the runtime's kill finds the container's processes"}},
		Check: func(ctx context.Context, stage *Stage, g gomega.Gomega) error {
			before, err := stage.Await(ctx, stoppedScene, "neighbour", "processes before the stop", slices.Concat(stoppedProcesses, neighbourProcesses)...)
			if err != nil {
				return err
			}
			created, err := stage.Pod(ctx, stoppedScene, "stopped")
			if err != nil {
				return err
			}
			// The probe finds the file and the kubelet stops the container: the looking exec may die with it.
			_, _ = created.Look(ctx, "stopped", "touch /stop")
			after, last, err := awaitReturn(ctx, stage, stoppedScene, created, "stopped", "neighbour", stoppedProcesses...)
			if err != nil {
				return err
			}
			judgeReturn(g, "stopped", last, before, after, stoppedProcesses[0], neighbourProcesses...)
			judgeNothingLeft(g, before, after, stoppedProcesses...)
			return nil
		},
	},
	{
		ID:        "lifecycle/orphans-are-reaped",
		Statement: "A process whose parent ended MUST become a child of pause, and MUST NOT stay a zombie when it ends.",
		Profile:   Core,
		Sources:   []string{pidPage, pauseSourceCode, "https://github.com/kubernetes/kubernetes/issues/50865"},
		Scenes:    []Scene{fileModesScene, fileModesUnsharedScene},
		Causes: []Cause{
			{"control:", "the control's start process reaps children", "look at process 1 of the control"},
			{"zombie", "the sandbox's process does not reap: an old pause, or another program in its place", "look at sandbox_image in the runtime's configuration; pause reaps since 3.0 (kubernetes#50865)"},
			{"", "something else than process 1 adopts orphans", "look at the parent of the orphan in the evidence"},
		},
		Check: func(ctx context.Context, stage *Stage, g gomega.Gomega) error {
			parent, left, err := orphan(ctx, stage, fileModesScene, 5*time.Second)
			if err != nil {
				return err
			}
			g.Expect(parent).To(gomega.Equal("1"), "the orphan is a child of process %s, must be of process 1", parent)
			g.Expect(left).To(gomega.BeEmpty(), "the orphan stays a zombie: %s", left)
			_, left, err = orphan(ctx, stage, fileModesUnsharedScene, 2*time.Second)
			if err != nil {
				return err
			}
			g.Expect(left).To(gomega.Equal("Z"), "control: a zombie must stay where process 1 is a program that does not reap, it is in state %q", left)
			return nil
		},
	},
	{
		ID:        "lifecycle/term-kills-at-once",
		Statement: "A start process without a handler for TERM MUST end with 143 as soon as its Pod is deleted: it is not process 1, which would ignore TERM.",
		Profile:   Core,
		Sources:   []string{pidPage, lifecyclePage + "#pod-termination"},
		Scenes:    []Scene{termScene, termUnsharedScene},
		Slow:      true,
		Causes: []Cause{
			{"control:", "the control's start process is not process 1, or the runtime does not send TERM", "look at the control's evidence"},
			{"", "the start process is process 1 of a namespace of its own, or the runtime sends another signal than TERM", "look at /proc/1/cmdline of the container, and at STOPSIGNAL of the image"},
		},
		Check: func(ctx context.Context, stage *Stage, g gomega.Gomega) error {
			shared, err := terminated(ctx, stage, termScene)
			if err != nil {
				return err
			}
			g.Expect(shared.exitCode).To(gomega.BeEquivalentTo(143), "the start process ended with %d, must end with 143 (TERM) and not wait to be killed", shared.exitCode)
			unshared, err := terminated(ctx, stage, termUnsharedScene)
			if err != nil {
				return err
			}
			if unshared.exitCode == 143 && unshared.first {
				return unsupported("the kernel that the containers have ends process 1 by TERM without a handler, unlike pid_namespaces(7): being process 1 or not makes no difference to the start process")
			}
			g.Expect(unshared.exitCode).To(gomega.BeEquivalentTo(137), "control: without sharing, the start process must ignore TERM and be killed with 137, it ended with %d", unshared.exitCode)
			return nil
		},
	},
	{
		ID:        "lifecycle/probes-leave-no-zombies",
		Statement: "Exec probes that run out of time MUST NOT leave zombies.",
		Profile:   Full,
		Sources:   []string{"https://github.com/openshift/images/issues/27", "https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/", pauseSourceCode},
		Scenes:    []Scene{probeScene},
		Slow:      true,
		Causes:    []Cause{{"", "the sandbox's process does not reap what a killed probe leaves", "look at sandbox_image in the runtime's configuration"}},
		Check:     checkProbes,
	},
	{
		ID:        "lifecycle/deletion-is-prompt",
		Statement: "Deletion of a Pod MUST end its open exec streams, and MUST NOT wait for a preStop hook that has outlived the start process.",
		Profile:   Full,
		Sources:   []string{"https://github.com/kubernetes/kubernetes/issues/89233", "https://github.com/cri-o/cri-o/issues/9771", lifecyclePage + "#pod-termination"},
		Scenes:    []Scene{streamScene, hookScene},
		Slow:      true,
		Causes: []Cause{
			{"stream", "processes of the exec outlive the container and hold the stream open (kubernetes#89233)", "look on the node for what is left of the exec"},
			{"", "the runtime waits for the hook's process, which the namespace no longer kills (cri-o#9771)", "look at the kubelet's log about the hook"},
		},
		Check: checkPromptDeletion,
	},
}

// withProcesses looks until every one of these argument vectors is there once, since start processes take their
// time to start others.
func withProcesses(ctx context.Context, stage *Stage, scene Scene, container, title string, wanted ...[]string) (process.Snapshot, error) {
	var snapshot process.Snapshot
	err := poll(ctx, 10*time.Second, func() (bool, error) {
		err := stage.again(func() (err error) {
			snapshot, err = stage.Processes(ctx, scene, container, title)
			return err
		})
		return err == nil && !slices.ContainsFunc(wanted, func(arguments []string) bool { return len(snapshot.With(arguments...)) == 0 }), err
	})
	return snapshot, err
}

// What the containers of fixtures/multi-process.yaml run, each container's start process first.
var (
	stoppedProcesses   = [][]string{{"sleep", "1000060"}, {"sleep", "1000061"}, {"sleep", "1000062"}}
	neighbourProcesses = [][]string{{"sleep", "1000063"}, {"sleep", "1000064"}}
)

// returned is what a sibling saw before a container was ended and after it runs again, and the Pod's last status.
type returned struct {
	before, after process.Snapshot
	last          *corev1.Pod
}

// killedContainer kills a container that has several processes, once for all traits about it, and holds that it alone
// is restarted.
func killedContainer(ctx context.Context, stage *Stage, g gomega.Gomega) (returned, error) {
	killed, err := once(stage, "killed container", func(stage *Stage) (returned, error) {
		return killAndReturn(ctx, stage, killedScene, "stopped", "neighbour", stoppedProcesses, neighbourProcesses)
	})
	if err == nil {
		judgeReturn(g, "stopped", killed.last, killed.before, killed.after, stoppedProcesses[0], neighbourProcesses...)
	}
	return killed, err
}

// killAndReturn kills the start process of a container, the first of its processes, from a sibling and waits until the
// container runs again with all of them. The snapshots are the sibling's.
func killAndReturn(ctx context.Context, stage *Stage, scene Scene, container, sibling string, processes, siblings [][]string) (returned, error) {
	before, err := stage.Await(ctx, scene, sibling, "processes before the kill", slices.Concat(processes, siblings)...)
	if err != nil {
		return returned{}, err
	}
	target, err := one(before, processes[0]...)
	if err != nil {
		return returned{}, err
	}
	killed, err := stage.Look(ctx, scene, sibling, "SIGKILL to the start process", fmt.Sprintf("kill -KILL %d", target.PID))
	// A look that is killed has sent its signal: what kills it may be what the runtime does at the end of a container.
	if err != nil && !pod.LookKilled(err) {
		return returned{}, err
	}
	if err == nil && killed[0].ExitCode != 0 {
		return returned{}, refused(killed[0])
	}
	created, err := stage.Pod(ctx, scene)
	if err != nil {
		return returned{}, err
	}
	after, last, err := awaitReturn(ctx, stage, scene, created, container, sibling, processes...)
	return returned{before, after, last}, err
}

// awaitReturn waits until a container that was ended runs again, and looks from a sibling until the wanted processes are
// there. A look that fails because the sibling itself was restarted is an observation: it must not be.
func awaitReturn(ctx context.Context, stage *Stage, scene Scene, created *pod.Pod, container, sibling string, wanted ...[]string) (after process.Snapshot, last *corev1.Pod, err error) {
	if _, err = settled(ctx, stage, scene, created, func(status *corev1.Pod) bool { return restartedAll(status, container) }); err != nil {
		return after, created.Last(), err
	}
	after, err = withProcesses(ctx, stage, scene, sibling, "processes after the restart", wanted...)
	if err == nil {
		return after, created.Last(), nil
	}
	restarted := func(status *corev1.Pod) bool { return status != nil && pod.Container(status, sibling).RestartCount > 0 }
	if created.WaitOut(ctx, "whether the sibling is restarted", 5*time.Second, restarted) == nil {
		err = absent(fmt.Sprintf("container %s was restarted as well", sibling))
	}
	return after, created.Last(), err
}

// judgeReturn holds that one container was restarted and nothing else: process 1 and the survivors are the same
// processes as before.
func judgeReturn(g gomega.Gomega, container string, last *corev1.Pod, before, after process.Snapshot, returned []string, survivors ...[]string) {
	for _, status := range last.Status.ContainerStatuses {
		if status.Name == container {
			g.Expect(status.RestartCount).To(gomega.BeNumerically(">", 0), "container %s was not restarted within %s", container, settling)
		} else {
			g.Expect(status.RestartCount).To(gomega.BeZero(), "container %s was restarted as well", status.Name)
		}
	}
	old, _ := before.PID(1)
	now, found := after.PID(1)
	g.Expect(found && now.StartTime == old.StartTime).To(gomega.BeTrue(), "process 1 must be the same as before: the namespace must stay")
	known := identities(before.Processes)
	fresh := process.Snapshot{Processes: slices.DeleteFunc(slices.Clone(after.Processes), func(each process.Process) bool {
		return slices.Contains(known, identity{each.PID, each.StartTime})
	})}
	expectOne(g, fresh, "the restarted container's start process must be in the same namespace as its siblings", returned...)
	for _, arguments := range survivors {
		g.Expect(identities(after.With(arguments...))).To(gomega.Equal(identities(before.With(arguments...))), "process %q of a sibling must live on", arguments)
		g.Expect(before.With(arguments...)).NotTo(gomega.BeEmpty(), "process %q of a sibling must have been there", arguments)
	}
}

// judgeNothingLeft holds that none of the old processes still lives. A zombie has ended: whether it is reaped is the
// matter of lifecycle/orphans-are-reaped.
func judgeNothingLeft(g gomega.Gomega, before, after process.Snapshot, gone ...[]string) {
	now := identities(slices.DeleteFunc(slices.Clone(after.Processes), func(each process.Process) bool { return each.State == "Z" }))
	for _, arguments := range gone {
		old := before.With(arguments...)
		g.Expect(old).NotTo(gomega.BeEmpty(), "process %q must have been there", arguments)
		for _, each := range identities(old) {
			g.Expect(now).NotTo(gomega.ContainElement(each), "process %q of the ended container is still there", arguments)
		}
	}
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

// orphan starts a process whose parent ends at once, and then ends it. It returns which process adopted it, and its
// state once it has had the time to be reaped, empty when it is gone as it should be. All is done in one look, where
// waiting costs nothing.
func orphan(ctx context.Context, stage *Stage, scene Scene, patience time.Duration) (parent, left string, err error) {
	looked, err := stage.Look(ctx, scene, "owner", "an orphan: its state and parent, and its state after SIGKILL unless it is gone", fmt.Sprintf(
		`orphan=$(%s </dev/null >/dev/null 2>&1 & echo $!); grep -E '^(State|PPid):' /proc/$orphan/status; kill -KILL $orphan || exit 1; `+
			`for tenth in $(seq %d); do [ -d /proc/$orphan ] || exit 0; sleep 0.1; done; grep ^State: /proc/$orphan/status; true`,
		strings.Join(newSleep(), " "), patience/(100*time.Millisecond)))
	if err != nil {
		return "", "", err
	}
	if looked[0].ExitCode != 0 {
		return "", "", fmt.Errorf("the orphan could not be ended: %s", quote(looked[0].Output))
	}
	return parseOrphan(looked[0].Output)
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
	return "", "", fmt.Errorf("of the orphan two or three fields are to be seen, not %s", quote(output))
}

// ending is how a start process ended on the deletion of its Pod.
type ending struct {
	first    bool // it was process 1
	exitCode int32
}

// terminated deletes the Pod and returns how its start process ended, as the last status before the Pod is gone says.
func terminated(ctx context.Context, stage *Stage, scene Scene) (ending, error) {
	before, err := stage.Processes(ctx, scene, "sleeper", "processes before the deletion")
	if err != nil {
		return ending{}, err
	}
	created, err := stage.Pod(ctx, scene, "sleeper")
	if err != nil {
		return ending{}, err
	}
	deleted := time.Now()
	if err := created.Delete(ctx); err != nil {
		return ending{}, err
	}
	first, _ := before.PID(1)
	seen := ending{first: len(first.Arguments) > 0 && first.Arguments[0] == "sleep"}
	err = created.Wait(ctx, "the deleted Pod's container to end", settling, func(status *corev1.Pod) bool {
		return status == nil || pod.Container(status, "sleeper").State.Terminated != nil
	})
	if err != nil {
		return seen, err
	}
	last := pod.Container(created.Last(), "sleeper").State.Terminated
	if last == nil {
		return seen, checkError("the Pod was gone before its container's exit code was reported")
	}
	seen.exitCode = last.ExitCode
	exitCode := int(last.ExitCode)
	stage.Record(scene, reports.Evidence{
		Title: "how the start process ended", Where: "API", Command: "kubectl get pod", ExitCode: &exitCode,
		Output: fmt.Sprintf("seen %.1f s after the deletion", time.Since(deleted).Seconds()),
	})
	return seen, nil
}

// checkProbes lets a probe run out of time twice, and looks until what it left is gone.
func checkProbes(ctx context.Context, stage *Stage, g gomega.Gomega) error {
	// The children that probes leave end by themselves after two seconds, so that there are always some; those of
	// the first two probes must be gone when the fifth has begun.
	var children []string
	err := poll(ctx, settling, func() (bool, error) {
		observations, err := stage.Pod(ctx, probeScene, "probed")
		if err != nil {
			return false, err
		}
		looked, err := observations.Look(ctx, "probed", "cat /children")
		if err != nil {
			return false, err
		}
		children = strings.Fields(looked[0].Output)
		return len(children) >= 5, nil
	})
	if err != nil {
		return err
	}
	if len(children) < 5 {
		return fmt.Errorf("the probe ran %d times within %s, too few to judge", len(children), settling)
	}
	snapshot, err := stage.Processes(ctx, probeScene, "probed", "processes after five probes")
	if err != nil {
		return err
	}
	var zombies []string
	for _, each := range snapshot.Processes {
		if each.State == "Z" && slices.Contains(children[:2], fmt.Sprint(each.PID)) {
			zombies = append(zombies, fmt.Sprint(each.PID))
		}
	}
	g.Expect(zombies).To(gomega.BeEmpty(), "zombies of probes that ran out of time are left: %s", strings.Join(zombies, ", "))
	return nil
}

// promptly is what deletion may take at most; both grace periods are longer.
const promptly = 15 * time.Second

// checkPromptDeletion deletes a Pod with an open exec, and one whose hook outlives the start process.
func checkPromptDeletion(ctx context.Context, stage *Stage, g gomega.Gomega) error {
	open, err := stage.Pod(ctx, streamScene, "sleeper")
	if err != nil {
		return err
	}
	ended := make(chan time.Time, 1)
	go func() {
		// However the stream ends, it ends when the Pod goes.
		_, _ = open.Look(ctx, "sleeper", "exec sleep 1000071")
		ended <- time.Now()
	}()
	if _, err := stage.Find(ctx, streamScene, "sleeper", "the process of an open exec", "sleep", "1000071"); err != nil {
		return err
	}
	hooked, err := stage.Pod(ctx, hookScene, "hooked")
	if err != nil {
		return err
	}
	if _, err := stage.Find(ctx, hookScene, "hooked", "the start process that the hook ends", "sleep", "1000090"); err != nil {
		return err
	}
	deleted := time.Now()
	if err := open.Delete(ctx); err != nil {
		return err
	}
	if err := hooked.Delete(ctx); err != nil {
		return err
	}
	gone := func(deleted *pod.Pod) (bool, error) {
		err := deleted.Wait(ctx, "the Pod to be gone", promptly, func(status *corev1.Pod) bool { return status == nil })
		if err != nil && !pod.OutOfTime(err) {
			return false, err
		}
		return err == nil, nil
	}
	streamGone, err := gone(open)
	if err != nil {
		return err
	}
	hookGone, err := gone(hooked)
	if err != nil {
		return err
	}
	took := time.Since(deleted)
	var streamEnded bool
	select {
	case <-ended:
		streamEnded = true
	case <-time.After(5 * time.Second):
	case <-ctx.Done():
		return ctx.Err()
	}
	stage.Record(streamScene, reports.Evidence{
		Title: "deletion", Where: "API", Command: "kubectl delete pod",
		Output: fmt.Sprintf("after %.1f s: Pod with an open exec gone: %t, its stream ended: %t, Pod with the hook gone: %t", took.Seconds(), streamGone, streamEnded, hookGone),
	})
	g.Expect(streamGone).To(gomega.BeTrue(), "the Pod with an open exec stream was not gone within %s", promptly)
	g.Expect(streamEnded).To(gomega.BeTrue(), "the exec stream did not end with its Pod")
	g.Expect(hookGone).To(gomega.BeTrue(), "the Pod whose preStop hook outlives the start process was not gone within %s", promptly)
	return nil
}

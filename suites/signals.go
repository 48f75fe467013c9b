package suites

import (
	"context"
	"fmt"
	"path"
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
	reloadScene          = Scene{Name: "reload", Manifest: "share-process-namespace.yaml"}
	pauseScene           = Scene{Name: "pause-survives", Manifest: "share-process-namespace.yaml"}
	terminatedScene      = Scene{Name: "term-to-pause", Manifest: "share-process-namespace.yaml"}
	terminatedNeverScene = Scene{Name: "term-to-pause-never", Manifest: "share-process-namespace.yaml", Change: func(pod *corev1.Pod) {
		pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	}}
	endsAloneScene = Scene{Name: "ends-alone-unshared", Manifest: "share-process-namespace.yaml", Unshared: true}
)

const pauseSourceCode = "https://github.com/kubernetes/kubernetes/blob/master/build/pause/linux/pause.c"

var signalTraits = []Trait{
	{
		ID:        "signals/hup-needs-no-ptrace",
		Statement: "SIGHUP from a sibling MUST reload nginx without CAP_SYS_PTRACE, and without any capability where the uids are equal.",
		Profile:   Core,
		Article:   "The article's shell has CAP_SYS_PTRACE, and needs none for signals.",
		Sources:   []string{killSource, capSource},
		Scenes:    []Scene{accessScene},
		Causes:    []Cause{{"", "a seccomp profile or a security module refuses signals between containers", "look at Seccomp in /proc/self/status and at /proc/self/attr/current of the caller"}},
		Check: func(ctx context.Context, stage *Stage, g gomega.Gomega) error {
			// The matrix is about workers that a reload ends, so it comes first; how it ends is the matter of others.
			_, _ = accessOf(ctx, stage)
			for _, container := range []string{"root", "root-without-capabilities"} {
				before, after, err := reload(ctx, stage, g, accessScene, container)
				if err != nil {
					return err
				}
				judgeWorkersAreReplaced(g, before, after)
			}
			return nil
		},
	},
	{
		ID:        "signals/signal-needs-kill-or-uid",
		Statement: "A signal to a process of another uid MUST be refused with EPERM without CAP_KILL, to root as well, and MUST be allowed with CAP_KILL alone.",
		Profile:   Core,
		Sources:   []string{killSource, capSource},
		Scenes:    []Scene{accessScene},
		Causes: []Cause{
			{"must be EPERM", "the runtime gives containers CAP_KILL that drop it, or one uid to several", "compare CapEff and Uid in /proc/self/status with the securityContext"},
			{"", "the runtime strips CAP_KILL that the container asks for, or a seccomp profile refuses the signal", "compare CapEff in /proc/self/status with the securityContext"},
		},
		Check: checkAccess("signals to processes of another uid", func(accessMatrix) []accessClaim { return signalClaims }),
	},
	{
		ID:        "signals/pause-survives",
		Statement: "HUP, USR1, QUIT, STOP and KILL to process 1 from inside the Pod MUST NOT end or stop pause, nor restart any container.",
		Profile:   Core,
		Sources:   []string{pidPage, pauseSourceCode, killSource},
		Scenes:    []Scene{pauseScene, articleFalseScene},
		Slow:      true,
		Causes: []Cause{
			{"control:", "process 1 of an unshared Pod is not the container's own", "look at the process list of the control"},
			{"", "the sandbox's process handles signals that pause ignores", "look at sandbox_image in the runtime's configuration, and at SigCgt in /proc/1/status"},
		},
		Check: func(ctx context.Context, stage *Stage, g gomega.Gomega) error {
			survived, err := signalPause(ctx, stage)
			if err != nil {
				return err
			}
			g.Expect(survived).To(gomega.BeEmpty(), "process 1 did not survive its signals: %s", survived)
			before, err := stage.Processes(ctx, articleFalseScene, "nginx", "processes before SIGHUP to process 1")
			if err != nil {
				return err
			}
			if _, err := stage.Look(ctx, articleFalseScene, "nginx", "SIGHUP to process 1", "kill -HUP 1"); err != nil {
				return err
			}
			after, err := reloaded(ctx, stage, articleFalseScene, "nginx", "processes after SIGHUP to process 1", before)
			if err != nil {
				return err
			}
			g.Expect(workersReplaced(before, after)).To(gomega.BeTrue(), "control: without sharing, process 1 is nginx, and SIGHUP must reload it")
			return nil
		},
	},
	{
		ID:        "signals/term-to-pause-restarts-pod",
		Statement: "TERM to process 1 MUST end the Pod's sandbox: all containers end, and are restarted in a new namespace.",
		Profile:   Core,
		Sources:   []string{pauseSourceCode, pidPage, "https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/"},
		Scenes:    []Scene{terminatedScene, endsAloneScene},
		Slow:      true,
		Causes: []Cause{
			{"control:", "containers that do not share are restarted together", "look at the events of the control's Pod"},
			{"", "the sandbox's process ignores TERM, or the kubelet does not notice that the sandbox is gone", "look at SigCgt in /proc/1/status, and at the runtime's sandbox state with crictl pods"},
		},
		Check: func(ctx context.Context, stage *Stage, g gomega.Gomega) error {
			before, restarted, err := terminatePause(ctx, stage, terminatedScene, func(status *corev1.Pod) bool {
				return restartedAll(status, "nginx", "shell")
			})
			if err != nil {
				return err
			}
			g.Expect(restarted).To(gomega.BeTrue(), "the containers were not restarted within %s", settling)
			after, err := stage.Processes(ctx, terminatedScene, "shell", "processes after TERM to process 1")
			if err != nil {
				return err
			}
			judgeNewSandbox(g, before, after)
			return nginxEndsAlone(ctx, stage, g)
		},
	},
	{
		ID:        "signals/term-with-restart-never",
		Statement: "TERM to process 1 of a Pod with restartPolicy Never MUST end the Pod: no container is started again.",
		Profile:   Full,
		Sources:   []string{"https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-policy", pauseSourceCode},
		Scenes:    []Scene{terminatedNeverScene},
		Slow:      true,
		Causes:    []Cause{{"", "the kubelet makes a new sandbox although nothing is to be restarted", "look at the events of the Pod"}},
		Check: func(ctx context.Context, stage *Stage, g gomega.Gomega) error {
			var last *corev1.Pod
			_, ended, err := terminatePause(ctx, stage, terminatedNeverScene, func(status *corev1.Pod) bool {
				last = status
				return status.Status.Phase == corev1.PodSucceeded || status.Status.Phase == corev1.PodFailed
			})
			if err != nil {
				return err
			}
			g.Expect(ended).To(gomega.BeTrue(), "the Pod did not end within %s", settling)
			for _, status := range last.Status.ContainerStatuses {
				g.Expect(status.RestartCount).To(gomega.BeZero(), "container %s was started again", status.Name)
			}
			return nil
		},
	},
	{
		ID:         "signals/hup-respawns-workers",
		Statement:  "SIGHUP from a sibling container MUST make nginx replace all its workers while its master stays and goes on serving.",
		Profile:    Article,
		Documented: true,
		Article:    "A signal needs equal uids or CAP_KILL. It does not need the CAP_SYS_PTRACE that the article's shell has.",
		Sources: []string{
			"https://man7.org/linux/man-pages/man2/kill.2.html",
			"https://nginx.org/en/docs/control.html",
		},
		Scenes: []Scene{reloadScene, articleUnsharedScene},
		Check: func(ctx context.Context, stage *Stage, g gomega.Gomega) error {
			// What cannot be reached before says nothing afterwards.
			reached, err := stage.Look(ctx, reloadScene, "shell", "HTTP before SIGHUP", untilServed)
			if err != nil {
				return err
			}
			if reached[0].Output != servedByNginx {
				return fmt.Errorf("nginx cannot be reached before the signal: %s", quote(reached[0].Output))
			}
			before, after, err := reload(ctx, stage, g, reloadScene, "shell")
			if err != nil {
				return err
			}
			served, err := stage.Look(ctx, reloadScene, "shell", "HTTP after SIGHUP", "wget -q -O - http://127.0.0.1/")
			if err != nil {
				return err
			}
			judgeWorkersAreReplaced(g, before, after)
			g.Expect(served[0].Output).To(gomega.Equal(servedByNginx), "nginx must go on serving")
			unshared, err := stage.Processes(ctx, articleUnsharedScene, "shell", "processes seen from the shell")
			if err != nil {
				return err
			}
			judgeNginxIsNotVisible(g, unshared)
			return nil
		},
	},
}

// signalClaims are the cells of the access matrix that kill(2) promises between different uids.
var signalClaims = []accessClaim{
	{"EPERM", callerStranger, targetMaster, []string{"signal"}},
	{"EPERM", callerRootLessKill, targetWorker, []string{"signal"}},
	{"EPERM", callerRootBare, targetWorker, []string{"signal"}},
	{accessAllowed, callerRootKill, targetWorker, []string{"signal"}},
}

// servedByNginx is what the server of the article's Pod answers.
const servedByNginx = "served by nginx\n"

// untilServed asks nginx for its page until it listens, for at most five seconds.
const untilServed = "for tenth in $(seq 50); do wget -q -O - http://127.0.0.1/ 2>/dev/null && break; sleep 0.1; done"

// reload sends SIGHUP to the nginx master from a container, and looks until the workers are replaced.
func reload(ctx context.Context, stage *Stage, g gomega.Gomega, scene Scene, container string) (before, after process.Snapshot, err error) {
	title := "processes before SIGHUP from " + container
	if before, err = stage.Await(ctx, scene, container, title, []string{nginxMaster}); err != nil {
		return before, after, err
	}
	target, err := one(before, nginxMaster)
	if err != nil {
		return before, after, err
	}
	signalled, err := stage.Look(ctx, scene, container, "SIGHUP to the nginx master", fmt.Sprintf("kill -HUP %d", target.PID))
	if err != nil {
		return before, after, err
	}
	g.Expect(signalled[0].ExitCode).To(gomega.BeZero(), "SIGHUP was refused: %s", signalled[0].Output)
	after, err = reloaded(ctx, stage, scene, container, "processes after SIGHUP from "+container, before)
	return before, after, err
}

// reloaded looks until every worker of before is gone and there are as many new ones; nginx reloads in its own
// time. Only the last look is evidence.
func reloaded(ctx context.Context, stage *Stage, scene Scene, container, title string, before process.Snapshot) (process.Snapshot, error) {
	var after process.Snapshot
	err := poll(ctx, 10*time.Second, func() (bool, error) {
		err := stage.again(func() (err error) {
			after, err = stage.Processes(ctx, scene, container, title)
			return err
		})
		return err == nil && workersReplaced(before, after), err
	})
	return after, err
}

// settling is how long the kubelet may take to notice what happened to a Pod and act on it.
const settling = 60 * time.Second

// signalPause sends process 1 everything that must not end it, and returns what it did to the Pod, empty for nothing.
func signalPause(ctx context.Context, stage *Stage) (damage string, err error) {
	before, err := stage.Processes(ctx, pauseScene, "shell", "processes before the signals")
	if err != nil {
		return "", err
	}
	if err := signallable(before); err != nil {
		return "", err
	}
	signals := []string{"kill -HUP 1", "kill -USR1 1", "kill -QUIT 1", "kill -STOP 1", "kill -KILL 1"}
	signalled, err := stage.Look(ctx, pauseScene, "shell", "signals to process 1", signals...)
	if err == nil {
		for _, each := range signalled {
			if each.ExitCode != 0 {
				return "", refused(each)
			}
		}
		var after process.Snapshot
		if after, err = stage.Processes(ctx, pauseScene, "shell", "processes after the signals"); err == nil {
			return describeDamage(before, after), nil
		}
	}
	stage.Record(pauseScene, reports.Evidence{
		Title: "signals to process 1", Where: pauseScene.Name + stage.subject.suffix + "/shell", Command: strings.Join(signals, "; "), Output: err.Error(),
	})
	// The looking shell dies with its namespace: whether that is what happened, the kubelet will show.
	scene, podErr := stage.Pod(ctx, pauseScene)
	if podErr != nil {
		return "", podErr
	}
	waitErr := scene.WaitOut(ctx, "a restart after the signals", settling, func(status *corev1.Pod) bool {
		return status != nil && (pod.Container(status, "shell").RestartCount > 0 || pod.Container(status, "nginx").RestartCount > 0)
	})
	if waitErr == nil {
		return "the containers were restarted", nil
	}
	return "", err
}

// signallable says why process 1 is sent no signals, so that what they do is not seen: what is not a Pod's pause may be
// the node's own init. That it is pause is the matter of namespace/pause-is-pid-1.
func signallable(snapshot process.Snapshot) error {
	first, found := snapshot.PID(1)
	if !found || len(first.Arguments) == 0 || !slices.Contains(pauseNames, path.Base(first.Arguments[0])) {
		return fmt.Errorf("process 1 is %q and not the Pod's pause: no signal is sent to it", first.Arguments)
	}
	return nil
}

// refused says that a signal to process 1 was not sent: what it would do is not seen, and who may send it is the matter
// of other traits.
func refused(signal pod.Observation) error {
	return fmt.Errorf("%s was refused: %s", signal.Command, quote(signal.Output))
}

// describeDamage says how process 1 is another than before, empty when it is not.
func describeDamage(before, after process.Snapshot) string {
	old, _ := before.PID(1)
	now, found := after.PID(1)
	switch {
	case !found:
		return "there is no process 1 any more"
	case now.StartTime != old.StartTime:
		return "process 1 is another process"
	case now.State == "T" || now.State == "Z":
		return "process 1 is in state " + now.State
	case len(after.With(nginxMaster)) != 1 || len(before.With(nginxMaster)) != 1 || after.With(nginxMaster)[0].StartTime != before.With(nginxMaster)[0].StartTime:
		return "nginx was restarted"
	}
	return ""
}

// terminatePause sends TERM to process 1 and waits until the Pod is as wanted; being out of time is no error. It
// returns what there was before as well.
func terminatePause(ctx context.Context, stage *Stage, scene Scene, wanted func(*corev1.Pod) bool) (before process.Snapshot, reached bool, err error) {
	if before, err = stage.Processes(ctx, scene, "shell", "processes before TERM to process 1"); err != nil {
		return before, false, err
	}
	if err := signallable(before); err != nil {
		return before, false, err
	}
	created, err := stage.Pod(ctx, scene, "shell")
	if err != nil {
		return before, false, err
	}
	// The shell that sends the signal dies with its namespace, so that its exec may or may not end well.
	sent, err := created.Look(ctx, "shell", "kill -TERM 1")
	if err == nil && sent[0].ExitCode != 0 {
		return before, false, refused(sent[0])
	}
	reached, err = settled(ctx, stage, scene, created, wanted)
	return before, reached, err
}

// settled waits until the Pod is as wanted and records its state and events. Being out of time is no error: what
// is there then is judged.
func settled(ctx context.Context, stage *Stage, scene Scene, created *pod.Pod, wanted func(*corev1.Pod) bool) (bool, error) {
	err := created.WaitOut(ctx, "the kubelet to act", settling, func(status *corev1.Pod) bool { return status != nil && wanted(status) })
	stage.Record(scene, reports.Evidence{Title: "the Pod afterwards", Where: "API", Command: "kubectl get pod", Output: created.Describe()})
	if err != nil && !pod.OutOfTime(err) {
		return false, err
	}
	return err == nil, nil
}

// restartedAll tells whether all of the containers run again.
func restartedAll(status *corev1.Pod, containers ...string) bool {
	for _, name := range containers {
		if container := pod.Container(status, name); container.RestartCount == 0 || container.State.Running == nil {
			return false
		}
	}
	return true
}

// judgeNewSandbox compares the start times of processes, as numbers of pids and namespaces are used again.
func judgeNewSandbox(g gomega.Gomega, before, after process.Snapshot) {
	old, _ := before.PID(1)
	now, found := after.PID(1)
	g.Expect(found).To(gomega.BeTrue(), "process 1 is not visible")
	g.Expect(now.StartTime).NotTo(gomega.Equal(old.StartTime), "process 1 is still the same process")
	judgePauseIsFirst(g, after, "sh")
	for _, container := range startProcesses {
		started := expectOne(g, after, "container "+container.name+" must run again", container.arguments)
		g.Expect(started.StartTime).To(gomega.BeNumerically(">=", now.StartTime), "container %s is older than its namespace", container.name)
	}
}

// nginxEndsAlone is a control: without sharing, nginx that ends is restarted, and the shell is not.
func nginxEndsAlone(ctx context.Context, stage *Stage, g gomega.Gomega) error {
	alone, err := once(stage, "nginx ends alone", func(stage *Stage) (*corev1.Pod, error) {
		created, err := stage.Pod(ctx, endsAloneScene, "nginx", "shell")
		if err != nil {
			return nil, err
		}
		// The signal may end the look before it is answered.
		if sent, err := created.Look(ctx, "nginx", "kill -TERM 1"); err == nil && sent[0].ExitCode != 0 {
			return nil, refused(sent[0])
		}
		var last *corev1.Pod
		err = created.WaitOut(ctx, "nginx to be restarted", settling, func(status *corev1.Pod) bool {
			last = status
			return status != nil && restartedAll(status, "nginx")
		})
		return last, err
	})
	if err != nil {
		return fmt.Errorf("control: %w", err)
	}
	nginx, shell := pod.Container(alone, "nginx"), pod.Container(alone, "shell")
	stage.Record(endsAloneScene, reports.Evidence{
		Title: "nginx ended without sharing", Where: "API", Command: "kubectl get pod",
		Output: fmt.Sprintf("nginx %d restarts, shell %d restarts", nginx.RestartCount, shell.RestartCount),
	})
	g.Expect(shell.RestartCount).To(gomega.BeZero(), "control: without sharing, the shell is restarted with nginx")
	return nil
}

func workersReplaced(before, after process.Snapshot) bool {
	old, young := process.PIDs(before.With(nginxWorker)), process.PIDs(after.With(nginxWorker))
	for _, each := range after.Processes {
		// A worker that drains its connections has another title, but the same pid.
		if slices.Contains(old, each.PID) {
			return false
		}
	}
	return len(young) >= len(old)
}

func judgeWorkersAreReplaced(g gomega.Gomega, before, after process.Snapshot) {
	g.Expect(len(before.With(nginxWorker))).To(gomega.BeNumerically(">=", 2), "there must be workers to replace")
	g.Expect(process.PIDs(after.With(nginxMaster))).To(gomega.Equal(process.PIDs(before.With(nginxMaster))), "the master must keep its pid")
	g.Expect(workersReplaced(before, after)).To(gomega.BeTrue(), "every worker must be replaced within 10 s: before %v, after %v",
		process.PIDs(before.With(nginxWorker)), process.PIDs(after.With(nginxWorker)))
}

package suites

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"sharedpid.example/helpers/pod"
	"sharedpid.example/helpers/process"
	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
	"sharedpid.example/suites/access"
)

var (
	reloadFixture          = suite.Fixture{Name: "reload", Objects: manifest("share-process-namespace.yaml")}
	pauseFixture           = suite.Fixture{Name: "pause-survives", Objects: manifest("share-process-namespace.yaml"), Change: unconfine}
	terminatedFixture      = suite.Fixture{Name: "term-to-pause", Objects: manifest("share-process-namespace.yaml"), Change: unconfine}
	terminatedNeverFixture = suite.Fixture{
		Name: "term-to-pause-never", Objects: manifest("share-process-namespace.yaml"),
		Change: func(pod *corev1.Pod) {
			unconfine(pod)
			pod.Spec.RestartPolicy = corev1.RestartPolicyNever
		},
	}
	endsAloneFixture = suite.Fixture{Name: "ends-alone-unshared", Objects: manifest("share-process-namespace.yaml"), Unshared: true}
)

// unconfine asks for no AppArmor profile: the profile that runtimes give by default refuses signals to pause, which has none.
// signals/default-profile-reaches-pause tells where it does.
func unconfine(pod *corev1.Pod) {
	if pod.Spec.SecurityContext == nil {
		pod.Spec.SecurityContext = &corev1.PodSecurityContext{}
	}
	pod.Spec.SecurityContext.AppArmorProfile = &corev1.AppArmorProfile{Type: corev1.AppArmorProfileTypeUnconfined}
}

var signalTraits = []suite.Trait{
	{
		ID:        "signals/hup-needs-no-ptrace",
		Statement: "SIGHUP from a sibling MUST reload nginx without CAP_SYS_PTRACE, and without any capability where the uids are equal.",
		Profile:   suite.Core,
		Article:   "The article's shell has CAP_SYS_PTRACE, and needs none for signals.",
		Sources:   []string{killSource, capSource},
		Fixtures:  []suite.Fixture{accessFixture},
		Destroys:  []suite.Fixture{accessFixture}, // its workers, which the access matrix is about
		Causes: []suite.Cause{{
			Cause:    "a seccomp profile or a security module refuses signals between containers",
			NextStep: "look at Seccomp in /proc/self/status and at /proc/self/attr/current of the caller",
		}},
		Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
			for _, container := range []string{"root", "root-without-capabilities"} {
				before, after, err := reload(ctx, session, judge, accessFixture, container)
				if err != nil {
					return err
				}
				judgeWorkersAreReplaced(judge, before, after)
			}
			return nil
		},
	},
	{
		ID: "signals/signal-needs-kill-or-uid",
		Statement: "A signal to a process of another uid MUST be refused with EPERM without CAP_KILL, to root as well, and MUST be allowed " +
			"with CAP_KILL alone.",
		Profile: suite.Core,
		Sources: []string{killSource, capSource},
		Needs:   []suite.Need{accessMatrix},
		Causes: []suite.Cause{
			{
				Words:    "must be EPERM",
				Cause:    "the runtime gives containers CAP_KILL that drop it, or one uid to several",
				NextStep: "compare CapEff and Uid in /proc/self/status with the securityContext",
			},
			{
				Cause:    "the runtime strips CAP_KILL that the container asks for, or a seccomp profile refuses the signal",
				NextStep: "compare CapEff in /proc/self/status with the securityContext",
			},
		},
		Check: checkAccess("signals to processes of another uid", func(access.Matrix) []accessClaim { return signalClaims }),
	},
	{
		ID: "signals/default-profile-reaches-pause",
		Statement: "Under the profile that the runtime gives by default, root with CAP_KILL MUST be able to signal process 1, as the kernel's " +
			"rules allow.",
		Profile: suite.Core,
		Article: "AppArmor's default profiles refuse it: pause has no profile, and the containers may signal only what has theirs.",
		Sources: []string{
			killSource, "https://github.com/containerd/containerd/blob/v2.4.2/contrib/apparmor/template.go",
			"https://kubernetes.io/docs/tutorials/security/apparmor/",
		},
		Needs: []suite.Need{accessMatrix},
		Causes: []suite.Cause{{
			Cause:    "the runtime strips CAP_KILL, or a seccomp profile refuses the signal",
			NextStep: "compare CapEff and Seccomp in /proc/self/status of the container root with its securityContext",
		}},
		Check: checkAccess("signals to process 1", func(access.Matrix) []accessClaim {
			return []accessClaim{{access.Allowed, access.CallerRoot, access.TargetPause, []string{"signal"}}}
		}),
	},
	{
		ID: "signals/pause-survives",
		Statement: "Signals to process 1 from inside the Pod MUST NOT end or stop pause, nor restart any container: all but INT, TERM and " +
			"CHLD, which pause handles, and with KILL and STOP.",
		Profile:  suite.Core,
		Sources:  []string{pidPage, pauseSource, killSource, "https://man7.org/linux/man-pages/man7/signal.7.html"},
		Fixtures: []suite.Fixture{pauseFixture, articleFalseFixture},
		Destroys: []suite.Fixture{pauseFixture, articleFalseFixture},
		Slow:     true,
		Causes: []suite.Cause{
			{Control: true, Cause: "process 1 of an unshared Pod is not the container's own", NextStep: "look at the process list of the control"},
			{
				Cause:    "the sandbox's process handles signals that pause ignores",
				NextStep: "look at sandbox_image in the runtime's configuration, and at SigCgt in /proc/1/status",
			},
		},
		Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
			survived, err := signalPause(ctx, session)
			if err != nil {
				return err
			}
			judge.Claim.Expect(survived).To(gomega.BeEmpty(), "process 1 did not survive its signals: %s", survived)
			before, err := awaitWorkers(ctx, session, articleFalseFixture, "nginx", "processes before SIGHUP to process 1")
			if err != nil {
				return suite.ControlFailed(err)
			}
			if _, err := session.ExecOnce(ctx, articleFalseFixture, "nginx", "SIGHUP to process 1", "kill -HUP 1"); err != nil {
				return err
			}
			after, err := reloaded(ctx, session, articleFalseFixture, "nginx", "processes after SIGHUP to process 1", before)
			if err != nil {
				return err
			}
			judge.Control.Expect(workersReplaced(before, after)).To(gomega.BeTrue(),
				"without sharing, process 1 is nginx, and SIGHUP must reload it")
			return nil
		},
	},
	{
		ID:        "signals/term-to-pause-restarts-pod",
		Statement: "TERM to process 1 MUST end the Pod's sandbox: all containers end, and are restarted in a new namespace.",
		Profile:   suite.Core,
		Sources:   []string{pauseSource, pidPage, "https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/"},
		Fixtures:  []suite.Fixture{terminatedFixture},
		Needs:     []suite.Need{nginxEndsAlone},
		Destroys:  []suite.Fixture{terminatedFixture},
		Slow:      true,
		Causes: []suite.Cause{
			{Control: true, Cause: "containers that do not share are restarted together", NextStep: "look at the events of the control's Pod"},
			{
				Cause:    "the sandbox's process ignores TERM, or the kubelet does not notice that the sandbox is gone",
				NextStep: "look at SigCgt in /proc/1/status, and at the runtime's sandbox state with crictl pods",
			},
		},
		Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
			before, _, restarted, err := terminatePause(ctx, session, terminatedFixture, func(status *corev1.Pod) bool {
				return restartedAll(status, "nginx", "shell")
			})
			if err != nil {
				return err
			}
			judge.Claim.Expect(restarted).To(gomega.BeTrue(), "the containers were not restarted within %s", session.Limits().Settling)
			after, err := session.Await(ctx, terminatedFixture, "shell", "processes after TERM to process 1", master, shell)
			if err != nil {
				return err
			}
			judgeNewSandbox(judge, before, after)
			return controlEndsAlone(ctx, session, judge)
		},
	},
	{
		ID:        "signals/term-with-restart-never",
		Statement: "TERM to process 1 of a Pod with restartPolicy Never MUST end the Pod: no container is started again.",
		Profile:   suite.Full,
		Sources:   []string{"https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-policy", pauseSource},
		Fixtures:  []suite.Fixture{terminatedNeverFixture},
		Destroys:  []suite.Fixture{terminatedNeverFixture},
		Slow:      true,
		Causes: []suite.Cause{{
			Cause:    "the kubelet makes a new sandbox although nothing is to be restarted",
			NextStep: "look at the events of the Pod",
		}},
		Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
			_, last, ended, err := terminatePause(ctx, session, terminatedNeverFixture, func(status *corev1.Pod) bool {
				return status.Status.Phase == corev1.PodSucceeded || status.Status.Phase == corev1.PodFailed
			})
			if err != nil {
				return err
			}
			judge.Claim.Expect(ended).To(gomega.BeTrue(), "the Pod did not end within %s", session.Limits().Settling)
			for _, status := range last.Status.ContainerStatuses {
				judge.Claim.Expect(status.RestartCount).To(gomega.BeZero(), "container %s was started again", status.Name)
			}
			return nil
		},
	},
	{
		ID:         "signals/hup-respawns-workers",
		Statement:  "SIGHUP from a sibling container MUST make nginx replace all its workers while its master stays and goes on serving.",
		Profile:    suite.Article,
		Documented: true,
		Article:    "A signal needs equal uids or CAP_KILL. It does not need the CAP_SYS_PTRACE that the article's shell has.",
		Sources: []string{
			killSource,
			"https://nginx.org/en/docs/control.html",
		},
		Fixtures: []suite.Fixture{reloadFixture, articleUnsharedFixture},
		Destroys: []suite.Fixture{reloadFixture},
		Causes: []suite.Cause{
			blindControl,
			sharesUnasked,
			notVisible,
			{
				Words:    "was refused",
				Cause:    "a seccomp profile or a security module refuses signals between containers, or CAP_KILL is missing",
				NextStep: "look at Seccomp and CapEff in /proc/self/status and at /proc/self/attr/current of the shell",
			},
			{
				Words:    "must keep its pid",
				Cause:    "SIGHUP ended nginx, and its container was restarted",
				NextStep: "look at the events and at nginx's log in the diagnosis: who ended it, and with which exit code",
			},
			{
				Words:    "must go on serving",
				Cause:    "nginx replaced its workers, and the new ones do not answer",
				NextStep: "look at nginx's log in the diagnosis, and whether 127.0.0.1:80 of the Pod is filtered",
			},
		},
		Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
			// What cannot be reached before says nothing afterwards.
			reached, err := session.Exec(ctx, reloadFixture, "shell", "HTTP before SIGHUP", untilServed)
			if err != nil {
				return err
			}
			judge.Precondition.Expect(reached[0].Output).To(gomega.Equal(servedByNginx), "nginx cannot be reached before the signal")
			before, after, err := reload(ctx, session, judge, reloadFixture, "shell")
			if err != nil {
				return err
			}
			served, err := session.Exec(ctx, reloadFixture, "shell", "HTTP after SIGHUP", "wget -q -O - http://127.0.0.1/")
			if err != nil {
				return err
			}
			judgeWorkersAreReplaced(judge, before, after)
			judge.Claim.Expect(served[0].Output).To(gomega.Equal(servedByNginx), "nginx must go on serving")
			unshared, err := session.Processes(ctx, articleUnsharedFixture, "shell", "processes seen from the shell")
			if err != nil {
				return err
			}
			judgeNginxIsNotVisible(judge, unshared)
			return nil
		},
	},
	broadcastTrait,
}

// signalClaims are the cells of the access matrix that kill(2) promises between different uids.
var signalClaims = []accessClaim{
	{"EPERM", access.CallerStranger, access.TargetMaster, []string{"signal"}},
	{"EPERM", access.CallerRootLessKill, access.TargetWorker, []string{"signal"}},
	{"EPERM", access.CallerRootBare, access.TargetWorker, []string{"signal"}},
	{access.Allowed, access.CallerRootKill, access.TargetWorker, []string{"signal"}},
}

// servedByNginx is what the server of the article's Pod answers.
const servedByNginx = "served by nginx\n"

// untilServed asks nginx for its page until it listens, for at most five seconds.
const untilServed = "for tenth in $(seq 50); do wget -q -O - http://127.0.0.1/ 2>/dev/null && break; sleep 0.1; done"

// reload sends SIGHUP to the nginx master from a container, and looks until the workers are replaced.
func reload(
	ctx context.Context, session *suite.Session, judge suite.Judge, fixture suite.Fixture, container string,
) (before, after process.Snapshot, err error) {
	title := "processes before SIGHUP from " + container
	target, err := session.Find(ctx, fixture, container, "processes seen from "+container, master)
	if err != nil {
		return before, after, err
	}
	if before, err = awaitWorkers(ctx, session, fixture, container, title); err != nil {
		return before, after, err
	}
	signalled, err := session.ExecOnce(ctx, fixture, container, "SIGHUP to the nginx master", fmt.Sprintf("kill -HUP %d", target.PID))
	if err != nil {
		return before, after, err
	}
	if err := explainRefusal(ctx, session, fixture, container, target, "signal", signalled...); err != nil {
		return before, after, err
	}
	if signalled[0].ExitCode != 0 && !denied(signalled[0]) {
		return before, after, refused(signalled[0]) // the master is gone, or the shell could not ask
	}
	judge.Claim.Expect(signalled[0].ExitCode).To(gomega.BeZero(), "SIGHUP was refused: %s", signalled[0].Output)
	after, err = reloaded(ctx, session, fixture, container, "processes after SIGHUP from "+container, before)
	return before, after, err
}

// awaitWorkers looks until nginx has started its workers.
func awaitWorkers(ctx context.Context, session *suite.Session, fixture suite.Fixture, container, title string) (process.Snapshot, error) {
	var snapshot process.Snapshot
	started, err := session.Until(ctx, session.Limits().Appearance, func() (bool, error) {
		var err error
		snapshot, err = session.Processes(ctx, fixture, container, title)
		return err == nil && len(snapshot.With(nginxWorker)) >= 2, err
	})
	if err == nil && !started {
		err = suite.Undecided(reports.OutOfTime, "nginx did not start its workers within %s", session.Limits().Appearance)
	}
	return snapshot, err
}

// reloaded looks until every worker of before is gone and there are as many new ones: nginx reloads in its own time.
func reloaded(
	ctx context.Context, session *suite.Session, fixture suite.Fixture, container, title string, before process.Snapshot,
) (process.Snapshot, error) {
	var after process.Snapshot
	_, err := session.Until(ctx, session.Limits().Reload, func() (bool, error) {
		var err error
		after, err = session.Processes(ctx, fixture, container, title)
		return err == nil && workersReplaced(before, after), err
	})
	return after, err // the last look says what has become of the master, however long its workers take
}

// signalPause sends process 1 everything that must not end it, and returns what it did to the Pod, empty for nothing.
func signalPause(ctx context.Context, session *suite.Session) (damage string, err error) {
	if _, err := awaitWorkers(ctx, session, pauseFixture, "shell", "processes before nginx has started"); err != nil {
		return "", err
	}
	before, err := session.Processes(ctx, pauseFixture, "shell", "processes before the signals")
	if err != nil {
		return "", err
	}
	if err := signallable(before); err != nil {
		return "", err
	}
	command := survivedCommand()
	signalled, err := session.ExecOnce(ctx, pauseFixture, "shell", "signals to process 1", command)
	if err == nil {
		if signalled[0].ExitCode != 0 {
			return "", refusedAmong(signalled[0].Output)
		}
		var after process.Snapshot
		if after, err = session.Processes(ctx, pauseFixture, "shell", "processes after the signals"); err == nil {
			return describeDamage(before, after), nil
		}
	}
	session.Record(pauseFixture, reports.Evidence{
		Title: "signals to process 1", Where: pauseFixture.Name + "/shell", Command: command, Output: err.Error(),
	})
	// The shell that looks dies with its namespace. The kubelet shows whether that is what happened.
	anyRestarted := func(status *corev1.Pod) bool {
		return status != nil && (pod.Container(status, "shell").RestartCount > 0 || pod.Container(status, "nginx").RestartCount > 0)
	}
	_, restarted, waitErr := session.WaitTolerant(ctx, pauseFixture, "a restart after the signals", session.Limits().Settling, anyRestarted)
	if waitErr == nil && restarted {
		return "the containers were restarted", nil
	}
	return "", err
}

// notSurvived are the numbers of the signals that process 1 is not sent: INT, TERM and CHLD, for which pause has handlers, and two that C
// libraries keep for themselves.
var notSurvived = []int{2, 15, 17, 32, 33}

// survivedCommand sends process 1 every signal that must not end it. It fails when some were refused, with their numbers in its last line.
func survivedCommand() string {
	var numbers []string
	for number := 1; number <= 64; number++ {
		if !slices.Contains(notSurvived, number) {
			numbers = append(numbers, strconv.Itoa(number))
		}
	}
	return fmt.Sprintf("for number in %s; do kill -$number 1 || refused=\"$refused $number\"; done\n"+
		"[ -z \"$refused\" ] || { echo $refused; exit 1; }", strings.Join(numbers, " "))
}

// refusedAmong is the error of survivedCommand's failure: what the signals that were refused would do is not seen.
func refusedAmong(output string) error {
	lines := strings.Split(strings.TrimSpace(output), "\n")
	numbers := strings.Join(strings.Fields(lines[len(lines)-1]), ", ")
	return suite.Undecided(reports.Precondition, "signals %s to process 1 were refused: %s", numbers, quote(lines[0]))
}

// signallable says why process 1 is sent no signals, so that what they do is not seen: what is not a Pod's pause may be
// the node's own init. namespace/pause-is-pid-1 checks that it is pause.
func signallable(snapshot process.Snapshot) error {
	if err := isPause(snapshot); err != nil {
		return suite.Undecided(reports.Precondition, "no signal is sent to process 1: %v", err)
	}
	return nil
}

// refused says that a signal was not sent: what it would do is not seen, and who may send it is checked by other traits.
func refused(signal suite.ExecResult) error {
	return suite.Undecided(reports.Precondition, "%s was refused: %s", signal.Command, quote(signal.Output))
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
	case len(after.With(nginxMaster)) != 1 || len(before.With(nginxMaster)) != 1 ||
		after.With(nginxMaster)[0].StartTime != before.With(nginxMaster)[0].StartTime:
		return "nginx was restarted"
	}
	return ""
}

// terminatePause sends TERM to process 1 and waits until the Pod is as wanted. It returns what there was before, the Pod as
// last seen, and whether it came to be as wanted in time.
func terminatePause(
	ctx context.Context, session *suite.Session, fixture suite.Fixture, wanted func(*corev1.Pod) bool,
) (before process.Snapshot, last *corev1.Pod, reached bool, err error) {
	if err := session.Running(ctx, fixture, "shell", "nginx"); err != nil {
		return before, nil, false, err
	}
	if before, err = session.Processes(ctx, fixture, "shell", "processes before TERM to process 1"); err != nil {
		return before, nil, false, err
	}
	if err := signallable(before); err != nil {
		return before, nil, false, err
	}
	// The shell that sends the signal dies with its namespace, so that its exec may or may not end well.
	sent, err := session.ExecOnce(ctx, fixture, "shell", "TERM to process 1", "kill -TERM 1")
	if err == nil && sent[0].ExitCode != 0 {
		return before, nil, false, refused(sent[0])
	}
	unsent := err
	if last, reached, err = settled(ctx, session, fixture, wanted); err != nil || reached {
		return before, last, reached, err
	}
	if unsent != nil {
		return before, last, false, unsent // it may not have been sent
	}
	return before, last, false, firstIsUnchanged(ctx, session, fixture, before)
}

// firstIsUnchanged is an error unless process 1 is seen to be the same process as before: then TERM did nothing to it, and it is not
// the kubelet that takes long.
func firstIsUnchanged(ctx context.Context, session *suite.Session, fixture suite.Fixture, before process.Snapshot) error {
	after, err := session.Processes(ctx, fixture, "shell", "processes long after TERM to process 1")
	old, _ := before.PID(1)
	if now, found := after.PID(1); err == nil && (!found || now.StartTime != old.StartTime) {
		err = suite.Undecided(reports.OutOfTime, "TERM ended process 1, and the kubelet did not make of the Pod what it should within %s",
			session.Limits().Settling)
	}
	return err
}

// settled waits until the Pod is as wanted, and records its state. It returns the Pod as last seen, which is judged when
// the time is over.
func settled(ctx context.Context, session *suite.Session, fixture suite.Fixture, wanted func(*corev1.Pod) bool) (*corev1.Pod, bool, error) {
	last, reached, err := session.WaitTolerant(ctx, fixture, "the kubelet to act", session.Limits().Settling,
		func(status *corev1.Pod) bool { return status != nil && wanted(status) })
	session.Record(fixture,
		reports.Evidence{Title: "the Pod afterwards", Where: "API", Command: "kubectl get pod", Output: pod.Describe(last)})
	return last, reached, err
}

// settledInTime is settled with an error when the limit is over: late says what did not happen until then.
func settledInTime(
	ctx context.Context, session *suite.Session, fixture suite.Fixture, late string, wanted func(*corev1.Pod) bool,
) (*corev1.Pod, error) {
	last, reached, err := settled(ctx, session, fixture, wanted)
	if err == nil && !reached {
		err = suite.Undecided(reports.OutOfTime, "%s within %s: %s", late, session.Limits().Settling, pod.Describe(last))
	}
	return last, err
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
func judgeNewSandbox(judge suite.Judge, before, after process.Snapshot) {
	old, _ := before.PID(1)
	now, found := after.PID(1)
	judge.Precondition.Expect(found).To(gomega.BeTrue(), "process 1 is not visible")
	judge.Claim.Expect(now.StartTime).NotTo(gomega.Equal(old.StartTime), "process 1 is still the same process")
	judgePauseIsFirst(judge, after, "sh")
	for _, container := range startProcesses {
		started := expectOne(judge, after, "container "+container.Container+" must run again", container.Arguments...)
		judge.Claim.Expect(started.StartTime).To(gomega.BeNumerically(">=", now.StartTime),
			"container %s is older than its namespace", container.Container)
	}
}

// nginxEndsAlone is what becomes of a Pod that does not share when nginx ends: nginx is restarted.
var nginxEndsAlone = &suite.Probe[*corev1.Pod]{
	Name:     "nginx ends alone",
	Fixtures: []suite.Fixture{endsAloneFixture},
	Look: func(ctx context.Context, session *suite.Session) (*corev1.Pod, error) {
		return endNginx(ctx, session, endsAloneFixture)
	},
}

// endNginx ends nginx in a Pod that does not share, and returns the Pod once nginx runs again.
func endNginx(ctx context.Context, session *suite.Session, fixture suite.Fixture) (*corev1.Pod, error) {
	if err := session.Running(ctx, fixture, "nginx", "shell"); err != nil {
		return nil, err
	}
	// The signal may end the exec before it is answered.
	if sent, err := session.ExecOnce(ctx, fixture, "nginx", "TERM to nginx", "kill -TERM 1"); err == nil && sent[0].ExitCode != 0 {
		return nil, refused(sent[0])
	}
	last, restarted, err := session.WaitTolerant(ctx, fixture, "nginx to be restarted", session.Limits().Settling,
		func(status *corev1.Pod) bool { return status != nil && restartedAll(status, "nginx") })
	if err == nil && !restarted {
		err = suite.Undecided(reports.OutOfTime, "nginx was not restarted within %s", session.Limits().Settling)
	}
	if err == nil {
		session.Record(fixture, reports.Evidence{
			Title: "nginx ended without sharing", Where: "API", Command: "kubectl get pod",
			Output: fmt.Sprintf("nginx %d restarts, shell %d restarts",
				pod.Container(last, "nginx").RestartCount, pod.Container(last, "shell").RestartCount),
		})
	}
	return last, err
}

// controlEndsAlone is a control: without sharing, nginx that ends is restarted, and the shell is not.
func controlEndsAlone(ctx context.Context, session *suite.Session, judge suite.Judge) error {
	alone, err := nginxEndsAlone.Of(ctx, session)
	if err != nil {
		return suite.ControlFailed(err)
	}
	judge.Control.Expect(pod.Container(alone, "shell").RestartCount).To(gomega.BeZero(), "without sharing, the shell is restarted with nginx")
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

func judgeWorkersAreReplaced(judge suite.Judge, before, after process.Snapshot) {
	judge.Precondition.Expect(len(before.With(nginxWorker))).To(gomega.BeNumerically(">=", 2), "there must be workers to replace")
	judge.Claim.Expect(process.PIDs(after.With(nginxMaster))).To(gomega.Equal(process.PIDs(before.With(nginxMaster))),
		"the master must keep its pid")
	// The kernel has taken the signal, and the rest is nginx's: nothing tells a node that is slow from a signal that is lost.
	if !workersReplaced(before, after) {
		judge.Stop(suite.Undecided(reports.OutOfTime, "nginx did not replace every worker in time: before %v, after %v",
			process.PIDs(before.With(nginxWorker)), process.PIDs(after.With(nginxWorker))))
	}
}

package suites

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"sharedpid.example/helpers/pod"
	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
)

var (
	systemdFixture         = suite.Fixture{Name: "systemd", Objects: manifest("systemd-shared.yaml")}
	systemdUnsharedFixture = suite.Fixture{Name: "systemd-unshared", Objects: manifest("systemd-unshared.yaml"), Unshared: true}

	busyboxInitFixture         = suite.Fixture{Name: "busybox-init", Objects: manifest("busybox-init.yaml")}
	busyboxInitUnsharedFixture = suite.Fixture{Name: "busybox-init-unshared", Objects: manifest("busybox-init.yaml"), Unshared: true}
	tiniFixture                = suite.Fixture{Name: "tini", Objects: manifest("tini.yaml")}
	tiniUnsharedFixture        = suite.Fixture{Name: "tini-unshared", Objects: manifest("tini.yaml"), Unshared: true}
)

var initTraits = []suite.Trait{
	{
		ID:         "inits/systemd-refuses",
		Statement:  "A container whose start command is systemd MUST NOT come up: systemd exits with 1, is restarted, and its siblings run on.",
		Profile:    suite.Article,
		Documented: true,
		Article:    "\"Cannot start\" is loose: the container starts, systemd refuses and exits 1, and the kubelet restarts it.",
		Sources: []string{
			taskPage,
			"https://github.com/systemd/systemd/blob/v257/src/core/main.c",
		},
		Fixtures: []suite.Fixture{systemdFixture, systemdUnsharedFixture},
		Slow:     true,
		Causes: []suite.Cause{
			{
				Words:    "it still runs",
				Cause:    "the container has a process namespace of its own, in which systemd is process 1",
				NextStep: "look at /proc/1/cmdline of the container",
			},
			{
				Control:  true,
				Words:    "must be process 1",
				Cause:    "the control's container starts something else than systemd, or the runtime puts a process before it",
				NextStep: "look at /proc/1/cmdline of the control; with --image, check that the image starts what the suite's own does",
			},
			{
				Control:  true,
				Words:    "ends as process 1",
				Cause:    "the node lacks something that systemd needs and does not name: often instances of inotify, where several clusters share a machine",
				NextStep: "end other clusters on the machine, or raise the limit: sysctl fs.inotify.max_user_instances=512",
			},
			{
				Control:  true,
				Cause:    "systemd cannot boot in a container here at all, so that its refusal proves nothing",
				NextStep: "look at systemd's words in the control, and at the cgroups of the container",
			},
			{Words: "sibling", Cause: "the runtime ends siblings with the container that failed", NextStep: "look at the events of the Pod"},
			{
				Cause:    "a version of systemd that refuses in other words or with another exit code",
				NextStep: "compare its words with the list in suites/inits.go",
			},
		},
		Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
			refused, err := systemdRefusal(ctx, session)
			if err != nil {
				return err
			}
			judgeRefusal(judge, refused)
			return systemdBoots(ctx, session, judge)
		},
	},
	{
		ID:        "inits/pid1-only-init-refuses",
		Statement: "A container whose init insists on being process 1 MUST NOT come up: the init exits with a failure and says why.",
		Profile:   suite.Full,
		Article: "systemd is one of several: s6-overlay refuses in the words \"can only run as pid 1\", busybox's init in \"must be run " +
			"as PID 1\".",
		Sources: []string{
			"https://git.busybox.net/busybox/tree/init/init.c",
			"https://github.com/just-containers/s6-overlay/blob/master/README.md",
			"https://github.com/linuxserver/docker-openssh-server/issues/76",
		},
		Fixtures: []suite.Fixture{busyboxInitFixture, busyboxInitUnsharedFixture},
		Slow:     true,
		Causes: []suite.Cause{
			{Control: true, Cause: "busybox's init does not stay up as process 1 here", NextStep: "look at the control's evidence"},
			{
				Cause:    "the container has a process namespace of its own, in which the init is process 1",
				NextStep: "look at /proc/1/cmdline of the container",
			},
		},
		Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
			// A Pod that stays up is what is to be excluded, so its start is waited for as well.
			last, err := endedOrRunning(ctx, session, busyboxInitFixture, "busybox-init")
			if err != nil {
				return err
			}
			exitCode, words := -1, ""
			if ended := ended(last, "busybox-init"); ended != nil {
				exitCode = int(ended.ExitCode)
				if words, err = lastWords(ctx, session, busyboxInitFixture, "busybox-init"); err != nil {
					return err
				}
			}
			session.Record(busyboxInitFixture, reports.Evidence{
				Title: "the init's last words", Where: busyboxInitFixture.Name, Command: "kubectl logs", Output: words, ExitCode: &exitCode,
			})
			control, err := session.Processes(ctx, busyboxInitUnsharedFixture, "busybox-init", "the same init as process 1")
			if err != nil {
				return suite.ControlFailed(err)
			}
			if exitCode == -1 {
				if err := isUp(ctx, session, busyboxInitFixture, "busybox-init", "busybox"); err != nil {
					return err
				}
			}
			judge.Claim.Expect(exitCode).NotTo(gomega.Equal(-1), "the init must not come up; it still runs")
			// A busybox without an init, or with another one, is the image's matter.
			judge.Precondition.Expect(words).To(gomega.ContainSubstring("must be run as PID 1"), "the init's refusal is not known by its words")
			judge.Claim.Expect(exitCode).To(gomega.Equal(1), "the init must exit with 1")
			first, _ := control.PID(1)
			judge.Control.Expect(first.Arguments).To(gomega.HaveExactElements("busybox", "init"),
				"the init must run as process 1 of the unshared Pod")
			return nil
		},
	},
	{
		ID:        "inits/tini-warns",
		Statement: "tini MUST run as a start process and warn that it is not process 1, and MUST be silent as a child subreaper.",
		Profile:   suite.Full,
		Article:   "Not everything that likes to be process 1 cannot start: tini runs, and reaps as a subreaper.",
		Sources: []string{
			"https://github.com/krallin/tini/blob/master/README.md#subreaping",
			"https://man7.org/linux/man-pages/man2/PR_SET_CHILD_SUBREAPER.2const.html",
		},
		Fixtures: []suite.Fixture{tiniFixture, tiniUnsharedFixture},
		Causes: []suite.Cause{
			{Control: true, Cause: "tini is not process 1 of the unshared Pod", NextStep: "look at /proc/1/cmdline of the control's container"},
			{Cause: "tini is process 1 of a namespace of its own", NextStep: "look at /proc/1/cmdline of the container"},
		},
		Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
			const warning = "Tini is not running as PID 1"
			var warned map[string]seenTini
			_, err := session.Until(ctx, session.Limits().Appearance, func() (enough bool, err error) {
				warned, err = tiniWords(ctx, session, tiniFixture)
				return strings.Contains(warned["plain"].words, warning), err
			})
			if err != nil {
				return err
			}
			if warned["plain"].words == "" {
				// Its words may be late, or lost, where it has no reason to be silent.
				if err := isUp(ctx, session, tiniFixture, "plain", "tini-static"); err != nil {
					return err
				}
			}
			alone, err := tiniWords(ctx, session, tiniUnsharedFixture)
			if err != nil {
				return err
			}
			judge.Claim.Expect(warned["plain"].pid).NotTo(gomega.Equal(1), "tini is process 1")
			// A tini that is not process 1 and does not say so has other words, or was told to be silent.
			judge.Precondition.Expect(warned["plain"].words).To(gomega.ContainSubstring(warning), "tini is process %d and does not warn of it",
				warned["plain"].pid)
			judge.Claim.Expect(warned["subreaper"].words).NotTo(gomega.ContainSubstring(warning), "tini must be silent as a subreaper")
			for container, seen := range alone {
				judge.Control.Expect(seen.words).NotTo(gomega.ContainSubstring(warning), "tini warns as process 1 of container %s", container)
			}
			return nil
		},
	},
}

// endedOrRunning waits until a container has ended, and returns the Pod as last seen. Out of time, a container that runs has
// come up; one that does neither is undecided.
func endedOrRunning(ctx context.Context, session *suite.Session, fixture suite.Fixture, container string) (*corev1.Pod, error) {
	hasBegun := func(status *corev1.Pod) bool {
		return status != nil && (pod.Container(status, container).State.Running != nil || ended(status, container) != nil)
	}
	last, begun, err := session.WaitTolerant(ctx, fixture, "container "+container+" to start", session.Limits().Start, hasBegun)
	if err != nil {
		return last, err
	}
	if !begun {
		return last, suite.Undecided(reports.OutOfTime, "container %s has not started within %s", container, session.Limits().Start)
	}
	limit := session.Limits().Boot
	hasEnded := func(status *corev1.Pod) bool {
		return status != nil && (pod.Container(status, container).RestartCount > 0 || ended(status, container) != nil)
	}
	last, reached, err := session.WaitTolerant(ctx, fixture, "container "+container+" to end or to stay", limit, hasEnded)
	if err != nil {
		return last, err
	}
	if !reached && pod.Container(last, container).State.Running == nil {
		return last, suite.Undecided(reports.OutOfTime, "container %s has neither run nor ended within %s", container, limit)
	}
	// The runtime's own failure to start a container has an exit code as well, and is none of the container's.
	if state := ended(last, container); state != nil && slices.Contains([]string{"StartError", "ContainerCannotRun"}, state.Reason) {
		return last, suite.Undecided(reports.NotStarted, "container %s did not start: %s: %s", container, state.Reason, state.Message)
	}
	return last, nil
}

// isUp is an error unless a program is process 1 of a container: the API may say of one that has ended long ago that it still runs.
func isUp(ctx context.Context, session *suite.Session, fixture suite.Fixture, container, program string) error {
	looked, err := session.Exec(ctx, fixture, container, "whether "+program+" is process 1", "cat /proc/1/comm")
	if err == nil && looked[0].Answer() != program {
		err = suite.Undecided(reports.OutOfTime, "%s of container %s has not refused in time, and is not process 1: %s",
			program, container, quote(looked[0].Output))
	}
	return err
}

// ended is how a container last ended, nil when it never did.
func ended(status *corev1.Pod, container string) *corev1.ContainerStateTerminated {
	found := pod.Container(status, container)
	if found.State.Terminated != nil {
		return found.State.Terminated
	}
	return found.LastTerminationState.Terminated
}

// lastWords are what a container that is restarted again and again wrote before it ended. Between two restarts the kubelet
// may have removed the previous container already, and has the next one soon.
func lastWords(ctx context.Context, session *suite.Session, fixture suite.Fixture, container string) (string, error) {
	var words string
	var unread error
	reached, err := session.Until(ctx, session.Limits().Boot, func() (bool, error) {
		if words, unread = session.Logs(ctx, fixture, container, true); unread != nil || words == "" {
			words, unread = session.Logs(ctx, fixture, container, false)
		}
		return unread == nil && words != "", nil
	})
	if err == nil && !reached && unread != nil {
		err = unread
	}
	return words, err
}

// tiniChildren are what tini starts in the containers of the manifest tini.yaml.
var tiniChildren = []suite.Process{
	{Container: "plain", Arguments: []string{"sleep", "1000120"}},
	{Container: "subreaper", Arguments: []string{"sleep", "1000121"}},
}

// seenTini is tini as it was seen in a container.
type seenTini struct {
	pid   int
	words string // what it wrote
}

// tiniWords returns what tini wrote in each container, once its children run: they are started after the warning.
func tiniWords(ctx context.Context, session *suite.Session, fixture suite.Fixture) (map[string]seenTini, error) {
	seen := map[string]seenTini{}
	for _, child := range tiniChildren {
		started, err := session.Find(ctx, fixture, child.Container, "tini's child in container "+child.Container, child)
		if err != nil {
			return nil, err
		}
		words, err := session.Logs(ctx, fixture, child.Container, false)
		if err != nil {
			return nil, err
		}
		seen[child.Container] = seenTini{pid: started.PPID, words: words}
		session.Record(fixture, reports.Evidence{
			Title: "tini's words", Where: fixture.Name + "/" + child.Container, Command: "kubectl logs", Output: words,
		})
	}
	return seen, nil
}

// refusal is what was seen of a start process that will not run.
type refusal struct {
	exitCode        int32
	restarts        int32
	words           string // what it wrote
	siblingRestarts int32
	siblingRuns     bool
}

// systemdRefusal waits until the container has ended, or clearly runs, and reads its last words.
func systemdRefusal(ctx context.Context, session *suite.Session) (refusal, error) {
	if err := session.Running(ctx, systemdFixture, "sibling"); err != nil {
		return refusal{}, err
	}
	last, err := endedOrRunning(ctx, session, systemdFixture, "systemd")
	if err != nil {
		return refusal{}, err
	}
	seen := refusal{exitCode: -1}
	if ended(last, "systemd") == nil {
		if err := isUp(ctx, session, systemdFixture, "systemd", "systemd"); err != nil {
			return refusal{}, err
		}
	}
	if state := ended(last, "systemd"); state != nil {
		seen.exitCode = state.ExitCode
		// That it is restarted is a part of the statement, and takes the kubelet a moment.
		var restarted bool
		last, restarted, err = session.WaitTolerant(ctx, systemdFixture, "systemd to be restarted", session.Limits().Settling,
			func(status *corev1.Pod) bool {
				return status != nil && pod.Container(status, "systemd").RestartCount > 0
			})
		if err == nil && !restarted {
			err = suite.Undecided(reports.OutOfTime, "systemd was not restarted within %s", session.Limits().Settling)
		}
		if err != nil {
			return refusal{}, err
		}
		if seen.words, err = lastWords(ctx, session, systemdFixture, "systemd"); err != nil {
			return refusal{}, err
		}
	}
	status, sibling := pod.Container(last, "systemd"), pod.Container(last, "sibling")
	seen.restarts = status.RestartCount
	seen.siblingRestarts, seen.siblingRuns = sibling.RestartCount, sibling.State.Running != nil
	exitCode := int(seen.exitCode)
	session.Record(systemdFixture, reports.Evidence{
		Title: "systemd's last words", Where: systemdFixture.Name + "/systemd", Command: "kubectl logs --previous",
		Output: seen.words, ExitCode: &exitCode,
	}, reports.Evidence{
		Title: "restarts", Where: "API", Command: "kubectl get pod",
		Output: fmt.Sprintf("systemd %d restarts, sibling %d restarts, sibling running: %t", seen.restarts,
			seen.siblingRestarts, seen.siblingRuns),
	})
	return seen, nil
}

// knownRefusals are systemd's words when it is not process 1, by version: the text is no interface.
var knownRefusals = []string{
	"Couldn't find an alternative telinit implementation to spawn", // as /sbin/init, up to 257
	"user argument required to run as user manager",                // from 248
	"Trying to run as user instance",                               // up to 247
	"Can't run system mode unless PID 1",
}

func judgeRefusal(judge suite.Judge, seen refusal) {
	judge.Claim.Expect(seen.exitCode).NotTo(gomega.BeEquivalentTo(-1), "systemd must exit; it still runs")
	// The start command may end before systemd runs, and a version may refuse in other words: neither is the runtime's.
	known := slices.ContainsFunc(knownRefusals, func(words string) bool { return strings.Contains(seen.words, words) })
	judge.Precondition.Expect(known).To(gomega.BeTrue(), "systemd's refusal is not known by its words: %s", quote(seen.words))
	judge.Claim.Expect(seen.exitCode).To(gomega.BeEquivalentTo(1), "systemd must exit with 1")
	judge.Claim.Expect(seen.siblingRuns).To(gomega.BeTrue(), "the sibling must run on")
	judge.Claim.Expect(seen.siblingRestarts).To(gomega.BeZero(), "the sibling must not be restarted")
}

// systemdBoots is the control: the same image as process 1 of an unshared Pod.
func systemdBoots(ctx context.Context, session *suite.Session, judge suite.Judge) error {
	var state, first string
	_, err := session.Until(ctx, session.Limits().Boot, func() (bool, error) {
		results, err := session.Exec(ctx, systemdUnsharedFixture, "systemd", "the same image as process 1",
			"cat /proc/1/comm", "systemctl is-system-running")
		if err != nil {
			return false, err
		}
		first, state = strings.TrimSpace(results[0].Output), strings.TrimSpace(results[1].Output)
		return state == "running" || state == "degraded", nil
	})
	if err != nil {
		if last, statusErr := session.Status(ctx, systemdUnsharedFixture); statusErr == nil {
			err = cmp.Or(endOfSystemd(last), err)
		}
		return suite.ControlFailed(err)
	}
	judge.Control.Expect(first).To(gomega.Equal("systemd"), "systemd must be process 1 of the unshared Pod")
	judge.Control.Expect(state).To(gomega.BeElementOf("running", "degraded"), "the same image must boot as process 1")
	return nil
}

// endOfSystemd says how systemd ended as process 1 as well, nil when it did not: that is why it cannot be looked at.
func endOfSystemd(last *corev1.Pod) error {
	state := ended(last, "systemd")
	if state == nil {
		return nil
	}
	return suite.Undecided(reports.Control, "systemd ends as process 1 of a Pod that does not share as well, with exit code %d", state.ExitCode)
}

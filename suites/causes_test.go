package suites

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"sharedpid.example/helpers/process"
	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
	"sharedpid.example/suites/access"
)

// TestEachFailureOfTheArticleHasItsCause: for every way in which a claim or a control of the article's traits fails, what is said
// to lie behind it must fit, and a next step must follow.
func TestEachFailureOfTheArticleHasItsCause(t *testing.T) {
	shared := recorded(t)
	nobody := process.Snapshot{Self: shared.Self}
	invisible := func(judge suite.Judge) {
		judge.Stop(&suite.Violation{Reason: `process ["x"] of container owner is not visible from container tracer, and is from its own`})
	}
	nginxControls := map[string]func(suite.Judge){
		"do not ask for it share":         func(judge suite.Judge) { judgeNginxIsNotVisible(judge, shared) },
		"does not show its own start pro": func(judge suite.Judge) { judgeNginxIsNotVisible(judge, nobody) },
	}
	ownerControls := map[string]func(suite.Judge){
		"do not ask for it share":         func(judge suite.Judge) { judgeOwnerIsNotVisible(judge, alone(ownerSleep...), ownerSleep) },
		"does not show its own start pro": func(judge suite.Judge) { judgeOwnerIsNotVisible(judge, nobody, tracerSleep) },
	}
	nginxHas := suite.ExecResult{Output: "a file"}
	absent := suite.ExecResult{ExitCode: 1, Output: "cat: x: No such file or directory"}
	failures := map[string][]map[string]func(suite.Judge){
		"namespace/pause-is-pid-1": {{
			"own although the CRI asks": func(judge suite.Judge) { judgePauseIsFirst(judge, alone("sh"), "sh") },
			"not the sandbox's": func(judge suite.Judge) {
				judge.Stop(&suite.Violation{Reason: `process 1 is ["a"] of container nginx and not the Pod's pause`})
			},
			"the node's process namespace": func(judge suite.Judge) {
				judge.Stop(&suite.Violation{Reason: `process 1 is ["init"], which is not in the Pod's cgroup, and not the Pod's pause`})
			},
			"/proc of the container shows another": func(judge suite.Judge) {
				judge.Claim.Expect(1).To(gomega.Equal(2), "process 1 lives in another pid namespace than the container")
			},
			"do not ask for it share": func(judge suite.Judge) { judgeStartProcessIsFirst(judge, shared, "sh") },
		}},
		"visibility/shell-sees-nginx": {nginxControls, {
			"own although the CRI asks": invisible,
			"its workers, of another user": func(judge suite.Judge) {
				judgeNginxIsVisible(judge, without(shared, nginxWorker))
			},
			"tells another parent": func(judge suite.Judge) {
				judgeNginxIsVisible(judge, changed(shared, func(each *process.Process) {
					if slices.Equal(each.Arguments, []string{nginxWorker}) {
						each.PPID = 1
					}
				}))
			},
		}},
		"visibility/arguments-are-public": {ownerControls, {"mounted with hidepid": invisible}},
		"visibility/secrets-in-environ": {ownerControls, {
			"do not share a process namespace": invisible,
			"a security module, hidepid":       func(judge suite.Judge) { judgeCanaryIsRead(judge, observedDenied) },
			"does not have what the Pod sets":  func(judge suite.Judge) { judgeCanaryIsRead(judge, suite.ExecResult{}) },
		}},
		"signals/hup-respawns-workers": {nginxControls, {
			"do not share a process namespace": invisible,
			"refuses signals": func(judge suite.Judge) {
				judge.Claim.Expect(1).To(gomega.BeZero(), "SIGHUP was refused: %s", "Operation not permitted")
			},
			"its container was restarted": func(judge suite.Judge) { judgeWorkersAreReplaced(judge, shared, without(shared, nginxMaster)) },
			"the new ones do not answer": func(judge suite.Judge) {
				judge.Claim.Expect("").To(gomega.Equal(servedByNginx), "nginx must go on serving")
			},
		}},
		"filesystem/config-through-proc-root": {nginxControls, {
			"do not share a process namespace": invisible,
			"share a mount namespace":          func(judge suite.Judge) { judgeSameFile(judge, nginxHas, nginxHas, nginxHas, true) },
			"a security module, hidepid":       func(judge suite.Judge) { judgeSameFile(judge, nginxHas, observedDenied, absent, true) },
			"leads elsewhere": func(judge suite.Judge) {
				judgeSameFile(judge, nginxHas, suite.ExecResult{Output: "another"}, absent, true)
			},
		}},
		"filesystem/modes-still-hold": {{
			"do not share a process namespace": invisible,
			"a security module, hidepid":       func(judge suite.Judge) { judgeModesHold(judge, observedDenied, observedDenied, nginxHas) },
			"capabilities that pass over modes": func(judge suite.Judge) {
				judgeModesHold(judge, suite.ExecResult{Output: "canary-for-everyone"}, nginxHas, suite.ExecResult{Output: "-rw------- 1 0 0"})
			},
		}},
		"credentials/uid-mismatch-denies": {{
			"do not share a process namespace": invisible,
			"the visitor has capabilities": func(judge suite.Judge) {
				judgeDenials(judge, access.Hidepid{}, slices.Repeat([]suite.ExecResult{nginxHas}, len(guardedOperations)))
			},
		}},
		"inits/systemd-refuses": {{
			"in which systemd is process 1": func(judge suite.Judge) { judgeRefusal(judge, refusal{exitCode: -1}) },
			"another exit code": func(judge suite.Judge) {
				judgeRefusal(judge, refusal{exitCode: 2, restarts: 1, words: knownRefusals[0], siblingRuns: true})
			},
			"ends siblings": func(judge suite.Judge) {
				judgeRefusal(judge, refusal{exitCode: 1, restarts: 1, words: knownRefusals[0], siblingRuns: true, siblingRestarts: 1})
			},
			"something else than systemd": func(judge suite.Judge) {
				judge.Control.Expect("sh").To(gomega.Equal("systemd"), "systemd must be process 1 of the unshared Pod")
			},
			"instances of inotify": func(judge suite.Judge) {
				judge.Stop(endOfSystemd(&corev1.Pod{Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{
					Name: "systemd", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 255}},
				}}}}))
			},
			"cannot boot in a container": func(judge suite.Judge) {
				judge.Control.Expect("starting").To(gomega.Equal("running"), "the same image must boot as process 1")
			},
		}},
	}
	for _, trait := range Traits() {
		if trait.Profile != suite.Article {
			continue
		}
		if failures[trait.ID] == nil {
			t.Errorf("%s: no failure is tried", trait.ID)
		}
		told := map[string]bool{}
		for _, group := range failures[trait.ID] {
			for words, judging := range group {
				outcome := suite.Conclude(func(judge suite.Judge) error { judging(judge); return errors.New("no failure") })
				cause, nextStep := trait.Explain(outcome)
				seen := outcome.Verdict == reports.Nonconformant || outcome.Kind == reports.Control
				if !seen || !strings.Contains(cause, words) || nextStep == "" {
					t.Errorf("%s, %s %s: %q\n\thas the cause %q, want one with %q, and the next step %q", trait.ID, outcome.Verdict, outcome.Kind,
						outcome.Reason, cause, words, nextStep)
				}
				told[cause] = true
			}
		}
		for _, cause := range trait.Causes {
			if !told[cause.Cause] {
				t.Errorf("%s: nothing leads to the cause %q", trait.ID, cause.Cause)
			}
		}
	}
}

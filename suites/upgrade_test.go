package suites

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"sharedpid.example/helpers/process"
	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
)

func upgradeNothing(context.Context) error { return nil }

func TestUpgradeTraitsAreValid(t *testing.T) {
	if err := suite.Validate(UpgradeTraits(upgradeNothing)); err != nil {
		t.Error(err)
	}
}

// stood is a Pod that nothing happened to during an upgrade.
func stood(t *testing.T) outlived {
	one := process.Process{PID: 1, StartTime: 10, Arguments: []string{"/pause"}, Namespace: "pid:[7]"}
	two := process.Process{PID: 7, StartTime: 20, Arguments: pairProcesses[0].Arguments, Namespace: "pid:[7]"}
	look := func(self int) process.Snapshot {
		return process.Snapshot{Self: self, Processes: []process.Process{
			one, two, {PID: self, StartTime: 90 + uint64(self), Namespace: "pid:[7]"},
		}}
	}
	status := func() *corev1.Pod {
		return &corev1.Pod{Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{Name: "one", ContainerID: "containerd://1"}}}}
	}
	return outlived{
		fixture: "pair", pod: status(), podAfter: status(),
		before: map[string]process.Snapshot{"one": look(30), "other": look(31)},
		after:  map[string]process.Snapshot{"one": look(40), "other": look(41)},
	}
}

func TestJudgeLivesOn(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*outlived)
		want   reports.Verdict
	}{
		"nothing happened": {func(*outlived) {}, reports.Conformant},
		"somebody else's exec ended": {func(pod *outlived) {
			pod.before["one"] = with(pod.before["one"], process.Process{PID: 8, StartTime: 15})
		}, reports.Conformant},
		"a process ended": {func(pod *outlived) {
			pod.after["other"] = without(pod.after["other"], pairProcesses[0].Arguments...)
		}, reports.Nonconformant},
		"another process has its pid": {func(pod *outlived) {
			pod.after["one"] = changed(pod.after["one"], func(each *process.Process) {
				if each.PID == 7 {
					each.StartTime++
				}
			})
		}, reports.Nonconformant},
		"a container was restarted": {func(pod *outlived) {
			pod.podAfter.Status.ContainerStatuses[0].RestartCount = 1
		}, reports.Nonconformant},
		"a container is another one": {func(pod *outlived) {
			pod.podAfter.Status.ContainerStatuses[0].ContainerID = "containerd://2"
		}, reports.Nonconformant},
	} {
		t.Run(name, func(t *testing.T) {
			pod := stood(t)
			test.change(&pod)
			expectVerdict(t, test.want, func(judge suite.Judge) { judgeLivesOn(judge, pod) })
		})
	}
}

func TestJudgeExecJoins(t *testing.T) {
	inAnother := func(pids ...int) func(*process.Process) {
		return func(each *process.Process) {
			for _, pid := range pids {
				if each.PID == pid {
					each.Namespace = "pid:[8]"
				}
			}
		}
	}
	for name, test := range map[string]struct {
		change func(*outlived)
		want   reports.Verdict
	}{
		"nothing happened": {func(*outlived) {}, reports.Conformant},
		"an exec in another namespace": {func(pod *outlived) {
			pod.after["one"] = changed(pod.after["one"], inAnother(40))
		}, reports.Nonconformant},
		"another process 1": {func(pod *outlived) {
			pod.after["one"] = changed(pod.after["one"], func(each *process.Process) { each.StartTime++ })
		}, reports.Nonconformant},
		"a namespace that cannot be read": {func(pod *outlived) {
			pod.before["one"] = changed(pod.before["one"], func(each *process.Process) { each.Namespace = "" })
		}, reports.Inconclusive},
	} {
		t.Run(name, func(t *testing.T) {
			pod := stood(t)
			test.change(&pod)
			expectVerdict(t, test.want, func(judge suite.Judge) { judgeExecJoins(judge, pod) })
		})
	}
}

// judgeUpgrade judges the recording of an upgrade again.
func judgeUpgrade(t *testing.T, upgrade func(context.Context) error, change func(*reports.Look)) map[string]reports.Result {
	t.Helper()
	run := readRecording(t, "testdata/upgrade.json.gz")
	for i := range run.Looks {
		change(&run.Looks[i])
	}
	judged, err := suite.JudgeAgain(run, UpgradeTraits(upgrade))
	if err != nil {
		t.Fatal(err)
	}
	results := map[string]reports.Result{}
	for _, result := range judged.Results {
		results[strings.TrimPrefix(result.Trait, "upgrade/")] = result
	}
	return results
}

// TestRecordedUpgrade judges what was seen of Pods whose node was upgraded from the last version but one.
func TestRecordedUpgrade(t *testing.T) {
	if *recordUpgrade != "" {
		run, err := reports.Read(*recordUpgrade)
		if err != nil {
			t.Fatal(err)
		}
		packRecording(t, "testdata/upgrade.json.gz", run)
	}
	results := judgeUpgrade(t, upgradeNothing, func(*reports.Look) {})
	if len(results) != len(UpgradeTraits(upgradeNothing)) {
		t.Errorf("the recording has %d traits; run: make upgrade recordings", len(results))
	}
	for name, result := range results {
		if result.Verdict != reports.Conformant {
			t.Errorf("%s is %s: %s", name, result.Verdict, result.Reason)
		}
	}
}

func TestContainerThatAnUpgradeRestartsIsNonconformant(t *testing.T) {
	asked := 0
	results := judgeUpgrade(t, upgradeNothing, func(look *reports.Look) {
		if look.By != "upgrade #1" || !strings.HasPrefix(look.Question, "status outliving-pair") {
			return
		}
		if asked++; asked < 2 {
			return // before the upgrade
		}
		answerTo(t, "status outliving-pair", func(status *corev1.Pod) { status.Status.ContainerStatuses[0].RestartCount++ })(look)
	})
	if result := results["processes-live-on"]; result.Verdict != reports.Nonconformant || !strings.Contains(result.Reason, "outliving-pair") {
		t.Errorf("it is %s: %s", result.Verdict, result.Reason)
	}
	if result := results["exec-joins"]; result.Verdict != reports.Conformant {
		t.Errorf("the exec is %s: %s", result.Verdict, result.Reason)
	}
}

// TestUpgradeThatFailsAccusesNobody: and it is not tried again on a node that may be half upgraded.
func TestUpgradeThatFailsAccusesNobody(t *testing.T) {
	tried := 0
	results := judgeUpgrade(t, func(context.Context) error { tried++; return errors.New("no room") }, func(*reports.Look) {})
	for name, result := range results {
		if result.Verdict != reports.Inconclusive || !strings.Contains(result.Reason, "no room") {
			t.Errorf("%s is %s: %s", name, result.Verdict, result.Reason)
		}
	}
	if tried != 1 {
		t.Errorf("it was tried %d times", tried)
	}
}

func TestSignalThatIsRefusedAfterAnUpgradeIsNoPass(t *testing.T) {
	results := judgeUpgrade(t, upgradeNothing, func(look *reports.Look) {
		if look.By == "upgrade/signals-reach" && strings.Contains(look.Question, "kill -HUP") {
			content, err := json.Marshal([]map[string]any{{"exitCode": 1, "output": "sh: can't kill pid 7: Operation not permitted\n"}})
			if err != nil {
				t.Fatal(err)
			}
			look.Answer = content
		}
	})
	if verdict := results["signals-reach"].Verdict; verdict == reports.Conformant {
		t.Errorf("it is %s", verdict)
	}
}

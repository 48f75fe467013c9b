package suites

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sharedpid.example/helpers/process"
	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
)

// altered is what a healthy runtime showed with a change, and what it must then come to.
type altered struct {
	look    func(*reports.Look)
	verdict reports.Verdict
	kind    reports.Kind
}

func judgeAltered(t *testing.T, id string, cases map[string]altered) {
	t.Helper()
	judgeAlteredIn(t, "testdata/healthy.json.gz", id, cases)
}

func judgeAlteredIn(t *testing.T, recording, id string, cases map[string]altered) {
	t.Helper()
	for name, test := range cases {
		if outcome := alteredRecording(t, recording, id, test.look); outcome.Verdict != test.verdict || outcome.Kind != test.kind {
			t.Errorf("%s: %s, %s (%s); want %s, %s", name, outcome.Verdict, outcome.Kind, outcome.Reason, test.verdict, test.kind)
		}
	}
}

// statusOf changes the status of a container in a Pod.
func statusOf(seen *corev1.Pod, container string, change func(*corev1.ContainerStatus)) {
	for _, statuses := range [][]corev1.ContainerStatus{seen.Status.ContainerStatuses, seen.Status.InitContainerStatuses} {
		for i := range statuses {
			if statuses[i].Name == container {
				change(&statuses[i])
			}
		}
	}
}

// restartedNow is what the status of a container says that was started again after anything else.
func restartedNow(status *corev1.ContainerStatus) {
	status.RestartCount++
	status.State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(time.Now().AddDate(1, 0, 0))}}
}

func TestRestartRulesAreJudged(t *testing.T) {
	afterwards := func(change func(*waited)) func(*reports.Look) {
		return answerTo(t, "wait for the kubelet to act of restart-rules", change)
	}
	dropped := "restartPolicy of container ruled was sent as Never, Restart on exit codes In [137] and is unset"
	judgeAltered(t, "lifecycle/restart-rules-hold", map[string]altered{
		"as it was":             {func(*reports.Look) {}, reports.Conformant, ""},
		"not restarted in time": {afterwards(func(seen *waited) { seen.Reached = false }), reports.Inconclusive, reports.OutOfTime},
		"the killer is restarted": {afterwards(func(seen *waited) {
			statusOf(seen.Last, "killer", restartedNow)
		}), reports.Nonconformant, ""},
		"the killer was restarted before": {afterwards(func(seen *waited) {
			statusOf(seen.Last, "killer", func(status *corev1.ContainerStatus) { status.RestartCount = 1 })
		}), reports.Conformant, ""},
		"both are restarted": {afterwards(func(seen *waited) {
			statusOf(seen.Last, "unruled", func(status *corev1.ContainerStatus) { status.RestartCount = 1 })
		}), reports.Nonconformant, ""},
		"the other one runs again": {afterwards(func(seen *waited) {
			statusOf(seen.Last, "unruled", func(status *corev1.ContainerStatus) {
				status.State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
			})
		}), reports.Nonconformant, ""},
		"it ended otherwise": {afterwards(func(seen *waited) {
			statusOf(seen.Last, "unruled", func(status *corev1.ContainerStatus) { status.State.Terminated.ExitCode = 1 })
		}), reports.Nonconformant, ""},
		"a policy that changes them": {answerTo(t, "changes of restart-rules", func(changes *[]string) {
			*changes = []string{strings.Replace(dropped, "unset", "Always", 1)}
		}), reports.Conformant, ""}, // the engine itself says that the Pod was changed
		"an API without the rules": {answerTo(t, "changes of restart-rules", func(changes *[]string) { *changes = []string{dropped} }), reports.Unsupported, ""},
	})
}

func TestRestartAllIsJudged(t *testing.T) {
	judgeAltered(t, "lifecycle/restart-all-keeps-the-namespace", map[string]altered{
		"as it was": {func(*reports.Look) {}, reports.Conformant, ""},
		"not restarted in time": {
			answerTo(t, "wait for the kubelet to act of restart-all", func(seen *waited) { seen.Reached = false }), reports.Inconclusive, reports.OutOfTime,
		},
	})
	first, killer, started, leftover := process.Process{PID: 1, StartTime: 1}, process.Process{PID: 7, StartTime: 2, Arguments: allKiller.Arguments},
		process.Process{PID: 9, StartTime: 2, Arguments: allRuled.Arguments}, process.Process{PID: 11, StartTime: 2, Arguments: allLeftover.Arguments}
	zombie := func(each process.Process) process.Process { each.State = "Z"; return each }
	later := func(each process.Process) process.Process { each.PID, each.StartTime = each.PID+100, 50; return each }
	before := []process.Process{first, killer, started, leftover}
	for name, test := range map[string]struct {
		before, after []process.Process
		want          reports.Verdict
	}{
		"all are new":                   {before, []process.Process{first, later(killer), later(started), later(leftover)}, reports.Conformant},
		"process 1 is new":              {before, []process.Process{{PID: 1, StartTime: 50}, later(killer), later(started)}, reports.Nonconformant},
		"process 1 was not visible":     {before[1:], []process.Process{first, later(killer), later(started)}, reports.Inconclusive},
		"a start process is left":       {before, []process.Process{first, killer, later(killer), later(started)}, reports.Nonconformant},
		"a start process is not new":    {before, []process.Process{first, killer, later(started)}, reports.Nonconformant},
		"a start process is elsewhere":  {before, []process.Process{first, later(killer)}, reports.Nonconformant},
		"a leftover is left":            {before, []process.Process{first, later(killer), later(started), leftover, later(leftover)}, reports.Nonconformant},
		"a leftover is a zombie":        {before, []process.Process{first, later(killer), later(started), zombie(leftover)}, reports.Conformant},
		"a leftover was not there then": {before[:3], []process.Process{first, later(killer), later(started)}, reports.Inconclusive},
	} {
		t.Run(name, func(t *testing.T) {
			expectVerdict(t, test.want, func(judge suite.Judge) {
				judgeRestartAll(judge, process.Snapshot{Processes: test.before}, process.Snapshot{Processes: test.after})
			})
		})
	}
}

func TestEndedHelpersAreJudged(t *testing.T) {
	of := func(fixture string, change func(*corev1.Pod)) func(*reports.Look) {
		return answerTo(t, "wait for the kubelet to act of "+fixture, func(seen *waited) { change(seen.Last) })
	}
	exits := func(container string, code int32) func(*corev1.Pod) {
		return func(seen *corev1.Pod) {
			statusOf(seen, container, func(status *corev1.ContainerStatus) { status.State.Terminated.ExitCode = code })
		}
	}
	judgeAltered(t, helperTrait.ID, map[string]altered{
		"as it was":                     {func(*reports.Look) {}, reports.Conformant, ""},
		"TERM does not kill":            {of("helper/", exits("helper", 137)), reports.Nonconformant, ""},
		"a handler does not run":        {of("helper-willing/", exits("helper", 143)), reports.Nonconformant, ""},
		"a sidecar's code is no matter": {of("helper-sidecar/", exits("helper", 7)), reports.Conformant, ""},
		"a sidecar's code counts":       {of("helper-sidecar/", func(seen *corev1.Pod) { seen.Status.Phase = corev1.PodFailed }), reports.Nonconformant, ""},
		"no helper is found in time":    {of("helper/", exits("worker", 1)), reports.Inconclusive, reports.Precondition},
		"the control finds a helper":    {of("helper-unshared/", exits("worker", 0)), reports.Inconclusive, reports.Control},
		"a Pod that does not end": {
			answerTo(t, "wait for the kubelet to act of helper-willing/", func(seen *waited) { seen.Reached = false }), reports.Inconclusive, reports.OutOfTime,
		},
	})
}

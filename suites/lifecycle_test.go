package suites

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sharedpid.example/helpers/process"
	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
)

func restarts(counts map[string]int32) *corev1.Pod {
	var status corev1.Pod
	for name, count := range counts {
		status.Status.ContainerStatuses = append(status.Status.ContainerStatuses, corev1.ContainerStatus{Name: name, RestartCount: count})
	}
	return &status
}

func TestJudgeReturn(t *testing.T) {
	before := recorded(t)
	// nginx was killed and came back; the rest is as it was.
	after := changed(before, func(each *process.Process) {
		if slices.Contains([]string{nginxMaster, nginxWorker}, slices.Concat(each.Arguments, []string{""})[0]) {
			each.PID, each.StartTime = each.PID+100, each.StartTime+100
		}
	})
	once := restarts(map[string]int32{"nginx": 1, "shell": 0})
	judging := func(last *corev1.Pod, after process.Snapshot) func(suite.Judge) {
		return func(judge suite.Judge) {
			judgeReturn(judge, "nginx", returned{before: before, after: after, last: last}, []string{nginxMaster}, []string{"sh"})
		}
	}
	expectVerdict(t, reports.Conformant, judging(once, after))
	expectVerdict(t, reports.Nonconformant, judging(restarts(map[string]int32{"nginx": 0, "shell": 0}), after))
	expectVerdict(t, reports.Nonconformant, judging(restarts(map[string]int32{"nginx": 1, "shell": 1}), after))
	expectVerdict(t, reports.Nonconformant, judging(once, without(after, nginxMaster)))
	expectVerdict(t, reports.Nonconformant, judging(once, without(after, "sh")))
	// Another Pod's nginx appears meanwhile: which is which cannot be told.
	expectVerdict(t, reports.Inconclusive,
		judging(once, with(after, process.Process{PID: 900, StartTime: 9, Arguments: []string{nginxMaster}})))
	// The old one is still there and no new one came.
	expectVerdict(t, reports.Nonconformant, judging(once, before))
	expectVerdict(t, reports.Nonconformant, judging(once, changed(after, func(each *process.Process) {
		if each.PID == 1 {
			each.StartTime++ // a new sandbox
		}
	})))
}

func TestHidden(t *testing.T) {
	arguments := []string{"sleep", "1000060"}
	sibling := alone("/pause") // which looks at 999
	for name, test := range map[string]struct {
		own     process.Process
		sibling process.Snapshot
		want    bool
	}{
		"it is elsewhere":               {process.Process{PID: 1, StartTime: 950, Arguments: arguments}, sibling, true},
		"it was started after the look": {process.Process{PID: 9, StartTime: 1000, Arguments: arguments}, sibling, false},
		"it was not yet executed": {
			process.Process{PID: 9, StartTime: 950, Arguments: arguments},
			with(sibling, process.Process{PID: 9, StartTime: 950, Arguments: []string{"runc", "init"}}), false,
		},
		"its container does not show it": {process.Process{PID: 9, StartTime: 950}, sibling, false},
	} {
		if got := hidden(process.Snapshot{Processes: []process.Process{test.own}}, test.sibling, arguments); got != test.want {
			t.Errorf("%s: it is hidden: %t", name, got)
		}
	}
}

func TestJudgeNothingLeft(t *testing.T) {
	before := recorded(t)
	judging := func(after process.Snapshot) func(suite.Judge) {
		return func(judge suite.Judge) { judgeNothingLeft(judge, before, after, []string{nginxWorker}) }
	}
	expectVerdict(t, reports.Conformant, judging(without(before, nginxWorker)))
	expectVerdict(t, reports.Nonconformant, judging(before))
	// Another process may have the pid of one that is gone.
	expectVerdict(t, reports.Conformant, judging(changed(before, func(each *process.Process) { each.StartTime += 100 })))
	// A zombie lives no more.
	expectVerdict(t, reports.Conformant, judging(changed(before, func(each *process.Process) { each.State = "Z" })))
	// What was never there cannot be left.
	expectVerdict(t, reports.Inconclusive, func(judge suite.Judge) { judgeNothingLeft(judge, before, before, []string{"sleep", "1"}) })
}

func TestParseOrphan(t *testing.T) {
	for output, want := range map[string][2]string{
		"State:\tS (sleeping)\nPPid:\t1\n":                     {"1", ""},
		"State:\tR (running)\nPPid:\t17\nState:\tZ (zombie)\n": {"17", "Z"},
	} {
		if parent, left, err := parseOrphan(output); err != nil || parent != want[0] || left != want[1] {
			t.Errorf("%q: parent %q, left %q, %v; want %q", output, parent, left, err, want)
		}
	}
	for _, output := range []string{
		"",
		"State:\tS (sleeping)\n",
		"State:\tS\nPPid:\t1\nState:\tZ\nState:\tZ\n",
		"grep: /proc/7/status: No such file or directory\n",
	} {
		if parent, left, err := parseOrphan(output); err == nil {
			t.Errorf("%q was taken for parent %q, left %q", output, parent, left)
		}
	}
}

func TestJudgeOrphansAreReaped(t *testing.T) {
	for output, want := range map[string]reports.Verdict{
		"50 0\n": reports.Conformant, "50 1\n": reports.Nonconformant, "50 50\n": reports.Nonconformant,
		// The look sees no zombies even where they must be.
		"0 0\n": reports.Inconclusive, "49 0\n": reports.Inconclusive, "49 49\n": reports.Inconclusive,
		"": reports.Inconclusive, "50\n": reports.Inconclusive, "sh: can't fork\n50 0\n": reports.Inconclusive,
	} {
		outcome := suite.Conclude(func(judge suite.Judge) error { return judgeOrphansAreReaped(judge, output) })
		if outcome.Verdict != want {
			t.Errorf("%q is %s (%s), want %s", output, outcome.Verdict, outcome.Reason, want)
		}
	}
}

func TestJudgeSparedForMemory(t *testing.T) {
	for _, test := range []struct {
		first  int
		starts []int
		want   reports.Verdict
	}{
		{-998, []int{999, 1000}, reports.Conformant},
		{-998, []int{-997}, reports.Conformant},
		{0, []int{999}, reports.Conformant}, // a Pod that is not Guaranteed needs no lowered value
		{1000, []int{999}, reports.Nonconformant},
		{500, []int{999, 2}, reports.Nonconformant}, // one is lower
		{0, []int{-997, 999}, reports.Nonconformant},
		{-997, []int{-997}, reports.Nonconformant}, // values can be lowered
		{0, []int{0, 0}, reports.Unsupported},
		{200, []int{999, 200}, reports.Unsupported},
	} {
		expectVerdict(t, test.want, func(judge suite.Judge) { judgeSparedForMemory(judge, test.first, test.starts) })
	}
}

// healthyNotes is what the observer writes when only start processes got TERM, each once.
const healthyNotes = "first-parent:parent\nfirst-parent:ended\nsecond-parent:parent\nsecond-parent:ended\nobserver:parent\n"

func TestJudgeNotes(t *testing.T) {
	deleted := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	grace := int64(20)
	over := metav1.NewTime(deleted.Add(20 * time.Second))
	ended := func(exitCode int32, after time.Duration, notes string) *corev1.Pod {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: &over, DeletionGracePeriodSeconds: &grace},
			Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{
				Name: "observer", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
					ExitCode: exitCode, FinishedAt: metav1.NewTime(deleted.Add(after)), Message: notes,
				}},
			}}},
		}
	}
	notGiven := "second-parent:parent\nsecond-parent:ended\nobserver:parent\n"
	notEnded := "first-parent:parent\nsecond-parent:parent\nsecond-parent:ended\nobserver:parent\n"
	for name, test := range map[string]struct {
		last *corev1.Pod
		want reports.Verdict
	}{
		"healthy":                            {ended(0, 2*time.Second, healthyNotes), reports.Conformant},
		"a child got it":                     {ended(0, 2*time.Second, healthyNotes+"second-parent:child\n"), reports.Nonconformant},
		"a parent got it twice":              {ended(0, 2*time.Second, healthyNotes+"first-parent:parent\n"), reports.Nonconformant},
		"the observer got it twice":          {ended(0, 2*time.Second, healthyNotes+"observer:parent\n"), reports.Nonconformant},
		"a parent did not get it in time":    {ended(0, 12*time.Second, notGiven), reports.Inconclusive},
		"a parent did not end":               {ended(0, 12*time.Second, notEnded), reports.Inconclusive},
		"the message is lost":                {ended(0, 2*time.Second, ""), reports.Inconclusive},
		"another signal":                     {ended(130, time.Second, ""), reports.Nonconformant},
		"process 1 ended first":              {ended(137, 0, ""), reports.Nonconformant},
		"process 1 ended soon":               {ended(137, time.Second, "observer:parent\n"), reports.Nonconformant},
		"no TERM":                            {ended(137, 20*time.Second, ""), reports.Nonconformant},
		"too slow for the grace period":      {ended(137, 21*time.Second, "observer:parent\n"), reports.Inconclusive},
		"slow, and the node's clock is late": {ended(137, 17*time.Second, "observer:parent\n"), reports.Inconclusive},
	} {
		outcome := suite.Conclude(func(judge suite.Judge) error { return judgeNotes(judge, test.last, test.last) })
		if outcome.Verdict != test.want {
			t.Errorf("%s: verdict is %s (%s), want %s", name, outcome.Verdict, outcome.Reason, test.want)
		}
	}
	// How a parent ends that has noted nothing tells whether it got TERM at all.
	for exitCode, want := range map[int32]reports.Verdict{0: reports.Inconclusive, 137: reports.Nonconformant} {
		ends := &corev1.Pod{Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{
			Name: "first-parent", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: exitCode}},
		}}}}
		outcome := suite.Conclude(func(judge suite.Judge) error { return judgeNotes(judge, ended(0, 12*time.Second, notGiven), ends) })
		if outcome.Verdict != want {
			t.Errorf("a parent that noted nothing ends with %d: verdict is %s (%s), want %s", exitCode, outcome.Verdict, outcome.Reason, want)
		}
	}
	// One that got it late does not excuse the other.
	ends := &corev1.Pod{Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{
		{Name: "first-parent", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}},
		{Name: "second-parent", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 137}}},
	}}}
	outcome := suite.Conclude(func(judge suite.Judge) error {
		return judgeNotes(judge, ended(0, 12*time.Second, "observer:parent\n"), ends)
	})
	if outcome.Verdict != reports.Nonconformant || !strings.Contains(outcome.Reason, "second-parent") {
		t.Errorf("one was late and one was killed: verdict is %s (%s)", outcome.Verdict, outcome.Reason)
	}
	last := ended(137, 21*time.Second, "")
	last.DeletionGracePeriodSeconds = new(int64(0))
	outcome = suite.Conclude(func(judge suite.Judge) error { return judgeNotes(judge, last, last) })
	if outcome.Verdict != reports.Inconclusive || outcome.Kind != reports.Killed {
		t.Errorf("seen when the Pod was deleted once more: verdict is %s (%s)", outcome.Verdict, outcome.Kind)
	}
	killed := ended(137, 0, "")
	killed.DeletionTimestamp = nil
	outcome = suite.Conclude(func(judge suite.Judge) error { return judgeNotes(judge, killed, killed) })
	if outcome.Verdict != reports.Inconclusive || outcome.Kind != reports.Killed {
		t.Errorf("killed before the deletion: verdict is %s (%s)", outcome.Verdict, outcome.Kind)
	}
}

// TestNotingContainersAreThoseOfTheManifest holds the names in the notes to the manifest, which writes them.
func TestNotingContainersAreThoseOfTheManifest(t *testing.T) {
	objects, err := notesFixture.Objects()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, container := range objects[0].(*corev1.Pod).Spec.Containers {
		names = append(names, container.Name)
		if container.Name != noteReader && (len(container.Env) != 1 || container.Env[0].Value != container.Name) {
			t.Errorf("%s notes under the name %v", container.Name, container.Env)
		}
	}
	if want := append(slices.Clone(notingParents), noteReader); !slices.Equal(names, want) {
		t.Errorf("the containers are %v, want %v", names, want)
	}
}

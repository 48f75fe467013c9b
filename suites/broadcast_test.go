package suites

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"sharedpid.example/helpers/process"
	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
)

func TestBroadcastIsJudged(t *testing.T) {
	notes := func(change func(*execAnswer)) func(*reports.Look) {
		return answerTo(t, "touch sign", func(answers *[]execAnswer) { change(&(*answers)[0]) })
	}
	replaced := func(old, replacement string) func(*reports.Look) {
		return notes(func(answer *execAnswer) {
			if !strings.Contains(answer.Output, old) {
				t.Errorf("%q is not noted: %q", old, answer.Output)
			}
			answer.Output = strings.Replace(answer.Output, old, replacement, 1)
		})
	}
	judgeAltered(t, broadcastTrait.ID, map[string]altered{
		"as it was":                       {func(*reports.Look) {}, reports.Conformant, ""},
		"an equal is not reached":         {replaced("equal:TERM\n", ""), reports.Nonconformant, ""},
		"a stranger is reached":           {replaced("stranger:URG\n", "stranger:TERM\nstranger:URG\n"), reports.Nonconformant, ""},
		"the sender is reached":           {replaced("sender:alone 0\n", "sender:TERM\nsender:alone 0\n"), reports.Nonconformant, ""},
		"it is refused as a whole":        {replaced("sender:broadcast 0\n", "sender:broadcast 1\n"), reports.Nonconformant, ""},
		"the sender may signal nobody":    {replaced("sender:alone 0\n", "sender:alone 1\n"), reports.Inconclusive, reports.Precondition},
		"the sender is late":              {replaced("sender:alone 0\n", ""), reports.Inconclusive, reports.OutOfTime},
		"an equal is late":                {replaced("equal:URG\n", ""), reports.Inconclusive, reports.OutOfTime},
		"a stranger is late":              {replaced("stranger:URG\n", ""), reports.Inconclusive, reports.OutOfTime},
		"the stranger cannot signal self": {notes(func(answer *execAnswer) { *answer = execAnswer{1, "sh: can't kill pid 9\n"} }), reports.Inconclusive, reports.Precondition},
		"an equal that was restarted": {answerTo(t, "status broadcast/", func(seen *corev1.Pod) {
			statusOf(seen, "equal", func(status *corev1.ContainerStatus) { status.RestartCount = 1 })
		}), reports.Inconclusive, reports.Precondition},
		"all have one uid": {answerTo(t, "processes seen from broadcast/stranger", func(answer *snapshotAnswer) {
			answer.Output = strings.ReplaceAll(answer.Output, "Uid:\t4331\t4331\t4331\t4331", "Uid:\t4330\t4330\t4330\t4330")
		}), reports.Inconclusive, reports.Precondition},
		"pause is another one afterwards": {restartedMeanwhile(t, "broadcast/stranger"), reports.Nonconformant, ""},
	})
}

// TestBroadcastThatEndsItsPod takes the stranger's exec along.
func TestBroadcastThatEndsItsPod(t *testing.T) {
	for name, test := range map[string]struct {
		restarted, young bool // all containers, and process 1
		want             reports.Verdict
		kind             reports.Kind
	}{
		"with its namespace": {true, true, reports.Nonconformant, ""},
		"in one namespace":   {true, false, reports.Inconclusive, reports.Precondition},
		"for itself":         {false, false, reports.Inconclusive, reports.Killed},
	} {
		t.Run(name, func(t *testing.T) {
			outcome := judgedAfter(t, broadcastTrait.ID, func(looks []reports.Look) []reports.Look {
				at := slices.IndexFunc(looks, func(look reports.Look) bool { return strings.Contains(look.Question, "touch sign") })
				restart := answerOf(t, looks[at], "wait for a restart after the signal of broadcast/", waited{Reached: test.restarted})
				unanswered("touch sign", reports.Killed)(&looks[at])
				if test.young {
					young := restartedMeanwhile(t, "broadcast/stranger")
					for i := range looks {
						young(&looks[i])
					}
				}
				return slices.Insert(looks, at+1, restart)
			})
			if outcome.Verdict != test.want || outcome.Kind != test.kind {
				t.Errorf("%s, %s: %s; want %s, %s", outcome.Verdict, outcome.Kind, outcome.Reason, test.want, test.kind)
			}
		})
	}
}

func TestJudgePauseSpared(t *testing.T) {
	first := process.Snapshot{Processes: []process.Process{{PID: 1, StartTime: 5}}}
	later := changed(first, func(each *process.Process) { each.StartTime = 500 })
	for name, test := range map[string]struct {
		after process.Snapshot
		want  reports.Verdict
	}{
		"the same":    {first, reports.Conformant},
		"another one": {later, reports.Nonconformant},
		"not visible": {process.Snapshot{}, reports.Inconclusive},
	} {
		t.Run(name, func(t *testing.T) {
			expectVerdict(t, test.want, func(judge suite.Judge) { judgePauseSpared(judge, first, test.after) })
		})
	}
}

package suites

import (
	"strings"
	"testing"

	"sharedpid.example/helpers/process"
	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
)

func TestSamePIDsAreJudged(t *testing.T) {
	itself := func(fixture string, command int, output string) func(*reports.Look) {
		return answerTo(t, "exec "+fixture+"/owner: cat /scratch/pid", func(answers *[]execAnswer) { (*answers)[command].Output = output })
	}
	judgeAltered(t, pidsTrait.ID, map[string]altered{
		"as it was":               {func(*reports.Look) {}, reports.Conformant, ""},
		"a pid file of another":   {itself("siblings", 0, "1\n"), reports.Nonconformant, ""},
		"no pid file":             {itself("siblings", 0, "cat: can't open '/scratch/pid': No such file or directory\n"), reports.Inconclusive, reports.Precondition},
		"another self":            {itself("siblings", 1, "281 12\n"), reports.Nonconformant, ""},
		"no self":                 {itself("siblings", 1, "281 \n"), reports.Inconclusive, reports.Precondition},
		"the control has the pid": {itself("siblings-unshared", 0, "7\n"), reports.Inconclusive, reports.Control},
		"the control is not seen": {unanswered("exec siblings-unshared/owner: cat /scratch/pid", reports.NotStarted), reports.Inconclusive, reports.NotStarted},
		"two numbers in NSpid": {answerTo(t, "processes seen from siblings/tracer", func(answer *snapshotAnswer) {
			answer.Output = strings.ReplaceAll(answer.Output, "/status:NSpid:\t1\n", "/status:NSpid:\t1\t5\n")
		}), reports.Nonconformant, ""},
		"a kernel without NSpid": {answerTo(t, "processes seen from siblings/", func(answer *snapshotAnswer) {
			lines := strings.SplitAfter(answer.Output, "\n")
			answer.Output = ""
			for _, line := range lines {
				if !strings.Contains(line, "/status:NSpid:") {
					answer.Output += line
				}
			}
		}), reports.Unsupported, ""},
	})
}

func TestJudgeSamePIDs(t *testing.T) {
	var processes []process.Process
	for i, start := range siblingsStarts {
		pid := 7 + i
		processes = append(processes, process.Process{PID: pid, StartTime: uint64(50 + i), Arguments: start.Arguments, NamespacePIDs: []int{pid}})
	}
	here := process.Snapshot{Processes: processes}
	elsewhere := changed(here, func(each *process.Process) {
		if each.PID == 9 {
			each.PID, each.NamespacePIDs = 19, []int{19}
		}
	})
	restarted := changed(here, func(each *process.Process) { each.StartTime += 100 })
	itself := []suite.ExecResult{{Output: "7\n"}, {Output: "30 30\n"}}
	for name, test := range map[string]struct {
		there, last process.Snapshot
		want        reports.Verdict
	}{
		"the same":              {here, here, reports.Conformant},
		"another pid to others": {elsewhere, here, reports.Nonconformant},
		"restarted between":     {restarted, here, reports.Inconclusive},
		"restarted afterwards":  {here, restarted, reports.Inconclusive},
		"gone afterwards":       {here, without(here, ownerSleep...), reports.Inconclusive},
	} {
		t.Run(name, func(t *testing.T) {
			expectVerdict(t, test.want, func(judge suite.Judge) {
				if err := judgeSamePIDs(judge, samePIDs{[]process.Snapshot{here, test.there}, itself, test.last}); err != nil {
					judge.Stop(err)
				}
			})
		})
	}
}

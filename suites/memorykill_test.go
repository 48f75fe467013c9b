package suites

import (
	"encoding/json"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"sharedpid.example/helpers/process"
	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
)

// numbered is a snapshot of process 1 and of processes with the pids from 7 on, all started at a time.
func numbered(started uint64, arguments ...[]string) process.Snapshot {
	seen := process.Snapshot{Processes: []process.Process{{PID: 1, StartTime: 1}}}
	for i, each := range arguments {
		seen.Processes = append(seen.Processes, process.Process{PID: 7 + i, StartTime: started, Arguments: each})
	}
	return seen
}

// later is the snapshot with the processes of some arguments replaced by later ones.
func later(seen process.Snapshot, replaced ...[]string) process.Snapshot {
	gone := seen
	for _, arguments := range replaced {
		gone = without(gone, arguments...)
	}
	for _, each := range fresh(gone, seen).Processes {
		each.PID, each.StartTime = each.PID+100, each.StartTime+100
		gone = with(gone, each)
	}
	return gone
}

func TestJudgeMemoryKill(t *testing.T) {
	before := numbered(2, limitedProcesses[0], limitedProcesses[1], unlimitedProcesses[0], unlimitedProcesses[1])
	anew := later(before, limitedProcesses...)
	newFirst := changed(before, func(each *process.Process) {
		if each.PID == 1 {
			each.StartTime++
		}
	})
	last := func(limited, neighbour int32, reason string) *corev1.Pod {
		status := restarts(map[string]int32{"limited": limited, "neighbour": neighbour})
		statusOf(status, "limited", func(each *corev1.ContainerStatus) {
			each.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{Reason: reason, ExitCode: killedExitCode}
		})
		return status
	}
	for name, test := range map[string]struct {
		after    process.Snapshot
		last     *corev1.Pod
		asAWhole bool
		want     reports.Verdict
	}{
		"one process":                           {before, last(0, 0, ""), false, reports.Conformant},
		"one, the start process":                {anew, last(1, 0, reasonOOMKilled), false, reports.Conformant},
		"one, and the neighbour is new":         {later(before, unlimitedProcesses...), last(0, 1, ""), false, reports.Nonconformant},
		"one, and the neighbour was new before": {before, last(0, 1, ""), false, reports.Conformant},
		"one, and the neighbour's child is new": {later(before, unlimitedProcesses[1]), last(0, 0, ""), false, reports.Nonconformant},
		"one, and process 1 is new":             {newFirst, last(0, 0, ""), false, reports.Nonconformant},
		"the container":                         {anew, last(1, 0, reasonOOMKilled), true, reports.Conformant},
		"the container, for another reason":     {anew, last(1, 0, "Error"), true, reports.Inconclusive},
		"the container, and its child is left":  {later(before, limitedProcesses[0]), last(1, 0, reasonOOMKilled), true, reports.Nonconformant},
		"the container, and the neighbour":      {later(anew, unlimitedProcesses...), last(1, 1, reasonOOMKilled), true, reports.Nonconformant},
		"the container, and process 1 is new":   {newFirst, last(1, 0, reasonOOMKilled), true, reports.Nonconformant},
	} {
		t.Run(name, func(t *testing.T) {
			expectVerdict(t, test.want, func(judge suite.Judge) {
				judgeMemoryKill(judge, returned{before: before, after: test.after, last: test.last}, test.asAWhole)
			})
		})
	}
	expectVerdict(t, reports.Nonconformant, func(judge suite.Judge) {
		judgeMemoryKill(judge, returned{before: before, last: last(0, 1, ""), restarted: "neighbour"}, false)
	})
}

// eaten is how the process ended that wanted more memory than the container may have.
func eaten(t *testing.T, exitCode int, output string) func(*reports.Look) {
	return answerTo(t, eatCommand, func(answers *[]map[string]any) {
		(*answers)[0]["exitCode"], (*answers)[0]["output"] = exitCode, output
	})
}

// killedAsAWhole is what is seen where the kernel kills the container as a whole: the exec is gone, and the kubelet is waited for.
func killedAsAWhole(t *testing.T, reached bool, change func(*corev1.ContainerStatus)) func(*reports.Look) {
	waits := afterTheKill(t, reached, change)
	return func(look *reports.Look) {
		answerTo(t, groupKillCommand, func(answers *[]map[string]any) { (*answers)[0]["exitCode"], (*answers)[0]["output"] = 0, "1\n" })(look)
		unanswered(eatCommand, reports.Killed)(look)
		waits(look)
	}
}

// afterTheKill has the kubelet waited for after the kill, and not only asked.
func afterTheKill(t *testing.T, reached bool, change func(*corev1.ContainerStatus)) func(*reports.Look) {
	asked := 0
	return func(look *reports.Look) {
		question, found := strings.CutPrefix(look.Question, "status memory-limit")
		if !found {
			return
		}
		if asked++; asked == 1 {
			return // before the kill
		}
		seen := waited{Reached: reached, Last: &corev1.Pod{}}
		if err := json.Unmarshal(look.Answer, seen.Last); err != nil {
			t.Fatal(err)
		}
		statusOf(seen.Last, "limited", change)
		content, err := json.Marshal(seen)
		if err != nil {
			t.Fatal(err)
		}
		look.Question, look.Answer = "wait for the kubelet to act of memory-limit"+question, content
	}
}

func TestMemoryKillIsJudged(t *testing.T) {
	unchanged := func(*corev1.ContainerStatus) {}
	ended := func(reason string) func(*corev1.ContainerStatus) {
		return func(status *corev1.ContainerStatus) {
			status.RestartCount = 1
			status.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{Reason: reason, ExitCode: killedExitCode}
		}
	}
	both := func(changes ...func(*reports.Look)) func(*reports.Look) {
		return func(look *reports.Look) {
			for _, change := range changes {
				change(look)
			}
		}
	}
	judgeAltered(t, memoryTrait.ID, map[string]altered{
		"as it was":                  {func(*reports.Look) {}, reports.Conformant, ""},
		"a limit that does not hold": {eaten(t, 1, "tail: out of memory"), reports.Inconclusive, reports.Precondition},
		"no limit": {answerTo(t, groupKillCommand, func(answers *[]map[string]any) {
			(*answers)[1]["output"] = "cat: can't open '/sys/fs/cgroup/memory.max': No such file or directory\nmax\n"
		}), reports.Unsupported, ""},
		"a program that there is not":    {eaten(t, 127, "sh: tail: not found"), reports.Inconclusive, reports.Precondition},
		"the shell is killed":            {both(unanswered(eatCommand, reports.Killed), afterTheKill(t, false, unchanged)), reports.Conformant, ""},
		"the answer is lost":             {both(unanswered(eatCommand, reports.Lost), afterTheKill(t, false, unchanged)), reports.Inconclusive, reports.Lost},
		"the container is not restarted": {killedAsAWhole(t, false, unchanged), reports.Inconclusive, reports.OutOfTime},
		"it ended for another reason":    {killedAsAWhole(t, true, ended("Error")), reports.Inconclusive, reports.Precondition},
		"no process is new":              {killedAsAWhole(t, true, ended(reasonOOMKilled)), reports.Inconclusive, reports.Precondition},
		"it was not killed as a whole, which it is to be": {both(
			answerTo(t, groupKillCommand, func(answers *[]map[string]any) { (*answers)[0]["output"] = "1\n" }), afterTheKill(t, false, unchanged),
		), reports.Inconclusive, reports.OutOfTime},
		"a lost node": {unanswered("status memory-limit", reports.Lost), reports.Inconclusive, reports.Lost},
	})
}

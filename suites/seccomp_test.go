package suites

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
)

const unfilteredTrait = "credentials/unconfined-is-unfiltered"

// seccompSnapshot is what the tracer of the Pod sees of the processes with these arguments.
func seccompSnapshot(processes ...[]string) snapshotAnswer {
	var output strings.Builder
	output.WriteString("self 9\n")
	for i, arguments := range append(processes, []string{"sh", "-c", "look"}) {
		pid := 9 - len(processes) + i
		for _, line := range []string{"State:\tS", "PPid:\t0", "Uid:\t0\t0\t0\t0", "Gid:\t0\t0\t0\t0", "CapPrm:\t0", "CapEff:\t0"} {
			fmt.Fprintf(&output, "/proc/%d/status:%s\n", pid, line)
		}
		fmt.Fprintf(&output, "/proc/%d/stat:%d (x) S 0%s %d\n", pid, pid, strings.Repeat(" 0", 17), 100+pid)
		fmt.Fprintf(&output, "cmdline %d\n%s\nend\n", pid, hexadecimal(strings.Join(arguments, "\x00")+"\x00"))
	}
	output.WriteString("complete\n")
	return snapshotAnswer{Output: output.String(), Containers: map[string]string{}}
}

// TestUnfiltered judges what the tracer, process 7, shows beside the sibling, process 8.
func TestUnfiltered(t *testing.T) {
	const none, filter, open = "Seccomp:\t0\n", "Seccomp:\t2\n", ""
	command := "exec seccomp/tracer: grep Seccomp: /proc/self/status\ngrep Seccomp: /proc/7/status\n" +
		"grep Seccomp: /proc/8/status\ntrue </proc/8/mem"
	stored := func(profile corev1.SeccompProfileType) *corev1.Pod {
		return &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: "tracer", SecurityContext: &corev1.SecurityContext{SeccompProfile: &corev1.SeccompProfile{Type: profile}},
		}}}}
	}
	for name, test := range map[string]struct {
		exec, start, sibling, memory string
		profile                      corev1.SeccompProfileType
		node                         string // what the runtime itself has
		want                         reports.Verdict
	}{
		"no filter":                    {none, none, filter, open, "", "", reports.Conformant},
		"a filter on both":             {filter, filter, filter, open, "Unconfined", none, reports.Nonconformant},
		"a filter on exec":             {filter, none, filter, open, "Unconfined", none + none, reports.Nonconformant},
		"a filter on what runs":        {none, filter, filter, open, "Unconfined", none, reports.Nonconformant},
		"the runtime is filtered":      {filter, filter, filter, open, "Unconfined", none + filter, reports.Inconclusive},
		"nobody shows the runtime":     {filter, filter, filter, open, "Unconfined", "", reports.Inconclusive},
		"a policy sets a profile":      {filter, filter, filter, open, "RuntimeDefault", none, reports.Inconclusive},
		"no filter is ever to be seen": {none, none, none, open, "", "", reports.Unsupported},
		"the kernel has no seccomp":    {"", "", "", open, "", "", reports.Unsupported},
		"the line cannot be read":      {"grep: no such file\n", none, filter, open, "", "", reports.Inconclusive},
	} {
		t.Run(name, func(t *testing.T) {
			var answer []map[string]any
			for _, output := range []string{test.exec, test.start, test.sibling, test.memory} {
				exitCode := 0
				if !strings.HasPrefix(output, "Seccomp:") && len(answer) < 3 {
					exitCode = 1
				}
				answer = append(answer, map[string]any{"output": output, "exitCode": exitCode})
			}
			got := judgeLooks(t, unfilteredTrait,
				look(t, unfilteredTrait, "running seccomp/tracer, filtered", true),
				look(t, unfilteredTrait, "processes seen from seccomp/tracer", seccompSnapshot(unconfined.Arguments, filtered.Arguments)),
				look(t, unfilteredTrait, command, answer),
				look(t, unfilteredTrait, "status seccomp/", stored(test.profile)),
				look(t, unfilteredTrait, "exec host-pid/node: "+nodeFilters, []map[string]any{{"output": test.node}}))
			if got.Verdict != test.want {
				t.Errorf("%s (%s): %s, want %s", got.Verdict, got.Kind, got.Reason, test.want)
			}
			if strings.Contains(got.Reason, "recording") {
				t.Errorf("the check asks something else: %s", got.Reason)
			}
		})
	}
}

// TestJudgeUnfilteredLeavesCapabilitiesToOthers: memory that does not open is no filter's doing where there is none.
func TestJudgeUnfilteredLeavesCapabilitiesToOthers(t *testing.T) {
	outcome := suite.Conclude(func(judge suite.Judge) error {
		return judgeUnfiltered(judge, suite.ExecResult{Output: "Seccomp:\t2\n"}, observedDenied)
	})
	if outcome.Verdict != reports.Inconclusive || outcome.Kind != reports.Precondition {
		t.Errorf("%s (%s): %s", outcome.Verdict, outcome.Kind, outcome.Reason)
	}
}

func TestSeccompMode(t *testing.T) {
	for _, test := range []struct {
		line suite.ExecResult
		mode string
		want reports.Verdict
	}{
		{suite.ExecResult{Output: "Seccomp:\t0\n"}, "0", reports.Conformant},
		{suite.ExecResult{Output: "Seccomp:\t2\n"}, "2", reports.Conformant},
		{suite.ExecResult{ExitCode: 1}, "", reports.Unsupported},
		{suite.ExecResult{Output: "grep: /proc/7/status: No such file or directory\n", ExitCode: 2}, "", reports.Inconclusive},
		{suite.ExecResult{Output: "Seccomp:\n"}, "", reports.Inconclusive},
	} {
		outcome := suite.Conclude(func(suite.Judge) error {
			mode, err := seccompMode(test.line)
			if mode != test.mode {
				t.Errorf("%q: mode %q", test.line.Output, mode)
			}
			return err
		})
		if outcome.Verdict != test.want {
			t.Errorf("%q: %s (%s), want %s", test.line.Output, outcome.Verdict, outcome.Reason, test.want)
		}
	}
}

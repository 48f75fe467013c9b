package suites

import (
	"regexp"
	"strings"
	"testing"

	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
	"sharedpid.example/suites/access"
)

// answeredCalls changes what a container of the manifest system-calls.yaml was answered to all calls of a name.
func answeredCalls(t *testing.T, container, call, errno string) func(*reports.Look) {
	line := regexp.MustCompile(`("call":"` + call + `","pid":\d+,"errno":)\d+`)
	return programOutput(t, container, func(answer *execAnswer) { answer.Output = line.ReplaceAllString(answer.Output, "${1}"+errno) })
}

// execAnswer is the answer to one command of an exec.
type execAnswer struct {
	ExitCode int    `json:"exitCode"`
	Output   string `json:"output"`
}

// programOutput changes what the program printed in a container.
func programOutput(t *testing.T, container string, change func(*execAnswer)) func(*reports.Look) {
	return answerTo(t, "exec system-calls/"+container+": export", func(answers *[]execAnswer) { change(&(*answers)[1]) })
}

func TestSystemCallsAreJudged(t *testing.T) {
	for name, test := range map[string]struct {
		look    func(*reports.Look)
		verdict reports.Verdict
		kind    reports.Kind
	}{
		"as it was":                                {func(*reports.Look) {}, reports.Conformant, ""},
		"a stranger traces":                        {answeredCalls(t, "uid-1000", "ptrace", "0"), reports.Nonconformant, ""},
		"root without capabilities reads memory":   {answeredCalls(t, "root-without-capabilities", "process_vm_readv", "0"), reports.Nonconformant, ""},
		"a kernel without kcmp":                    {answeredCalls(t, "[a-z]*root", "kcmp", "38"), reports.Conformant, ""},
		"a process that is said not to be there":   {answeredCalls(t, "root", "setns", "3"), reports.Inconclusive, reports.Precondition},
		"a runtime that does not know CAP_PERFMON": {unanswered("exec system-calls/root-with-perfmon: export", reports.NotStarted), reports.Conformant, ""},
		"a folder that is read-only": {answerTo(t, "write /programs/system-calls", func(answer *execAnswer) {
			*answer = execAnswer{1, "sh: can't create /programs/system-calls.1: Read-only file system\n"}
		}), reports.Inconclusive, reports.Precondition},
		"a suite without the program": {unanswered("write /programs/system-calls", reports.Precondition), reports.Inconclusive, reports.Precondition},
		"a mount with noexec": {programOutput(t, "uid-1000", func(answer *execAnswer) {
			*answer = execAnswer{126, "sh: /programs/system-calls: Permission denied\n"}
		}), reports.Inconclusive, reports.Precondition},
		"an answer that is cut short": {programOutput(t, "uid-1000", func(answer *execAnswer) {
			answer.Output = answer.Output[:len(answer.Output)-10]
		}), reports.Inconclusive, reports.Lost},
		"an answer that is missing": {programOutput(t, "uid-1000", func(answer *execAnswer) {
			_, answer.Output, _ = strings.Cut(answer.Output, "\n")
		}), reports.Inconclusive, reports.Lost},
	} {
		if outcome := alteredRun(t, systemCallsTrait.ID, test.look); outcome.Verdict != test.verdict || outcome.Kind != test.kind {
			t.Errorf("%s: %s, %s (%s); want %s, %s", name, outcome.Verdict, outcome.Kind, outcome.Reason, test.verdict, test.kind)
		}
	}
}

// TestJudgeCalls judges refusals, after which the check looks for what a start process meets.
func TestJudgeCalls(t *testing.T) {
	root := "process of " + access.CallerRoot
	cell := func(caller, call, want, observed, narrowed string) reports.Access {
		return reports.Access{Caller: caller, Target: root, Operation: call, Want: want, Observed: observed, Narrowed: narrowed, Rule: "a rule"}
	}
	traced := cell(access.CallerTracer, "ptrace", access.Allowed, access.Allowed, "")
	for name, test := range map[string]struct {
		cells []reports.Access
		want  reports.Verdict
	}{
		"as the rules say": {[]reports.Access{traced, cell(access.CallerStranger, "ptrace", "EPERM", "EPERM", "")}, reports.Conformant},
		"a capability does not count": {
			[]reports.Access{traced, cell("root with CAP_SYS_NICE", "setpriority", access.Allowed, "EPERM", "")}, reports.Nonconformant,
		},
		"another errno":        {[]reports.Access{traced, cell(access.CallerStranger, "ptrace", "EPERM", "EACCES", "")}, reports.Nonconformant},
		"nobody traces":        {[]reports.Access{cell(access.CallerTracer, "ptrace", access.Allowed, "EPERM", "")}, reports.Inconclusive},
		"a filter of nobody's": {[]reports.Access{cell(access.CallerTracer, "ptrace", "EPERM", "EPERM", "seccomp")}, reports.Unsupported},
		"an unknown errno":     {[]reports.Access{traced, cell(access.CallerRoot, "kcmp", access.Allowed, "failed: errno 4095", "")}, reports.Inconclusive},
	} {
		var matrix access.CallMatrix
		matrix.Callers, matrix.Targets, matrix.Cells = []access.Party{{Name: access.CallerTracer}}, []access.Party{{Name: root}}, test.cells
		t.Run(name, func(t *testing.T) { expectVerdict(t, test.want, func(judge suite.Judge) { judgeCalls(judge, matrix) }) })
	}
}

package suites

import (
	"testing"

	"sharedpid.example/reports"
)

func TestDebuggedSiblingsAreJudged(t *testing.T) {
	permitted := func(command, exitCode int, output string) func(*reports.Look) {
		return metAttaching(t, "tracer", " debug ", command, exitCode, output)
	}
	stranger := func(command, exitCode int, output string) func(*reports.Look) {
		return metAttaching(t, "visitor", " debug ", command, exitCode, output)
	}
	both := func(first, second func(*reports.Look)) func(*reports.Look) {
		return func(look *reports.Look) { first(look); second(look) }
	}
	const (
		whole   = `{"threads":5,"stacks":5,"calls":["accept4","getsockopt","write"],"during":"7 4340","after":"7 4340","tracerPid":"0"}`
		refused = "ptrace: Operation not permitted\n"
	)
	judgeAltered(t, debuggedTrait.ID, map[string]altered{
		"as it was":             {func(*reports.Look) {}, reports.Conformant, ""},
		"debugged as one's own": {permitted(1, 0, whole), reports.Conformant, ""},
		"refused":               {permitted(1, 1, "ptrace: Function not implemented\n"), reports.Nonconformant, ""},
		"a thread that did not stop": {
			permitted(1, 0, `{"threads":0,"stacks":0,"calls":["getsockopt","write"],"during":"7 0","after":"7 0","tracerPid":"0"}`), reports.Nonconformant, "",
		},
		"a stack that could not be read": {
			permitted(1, 0, `{"threads":5,"stacks":4,"calls":["getsockopt","write"],"during":"7 0","after":"7 0","tracerPid":"0"}`), reports.Nonconformant, "",
		},
		"system calls that are not seen": {
			permitted(1, 0, `{"threads":5,"stacks":5,"calls":["write"],"during":"7 0","after":"7 0","tracerPid":"0"}`), reports.Nonconformant, "",
		},
		"silent while debugged": {
			permitted(1, 0, `{"threads":5,"stacks":5,"calls":["getsockopt","write"],"during":"","after":"7 0","tracerPid":"0"}`), reports.Nonconformant, "",
		},
		"silent afterwards": {
			permitted(1, 0, `{"threads":5,"stacks":5,"calls":["getsockopt","write"],"during":"7 0","after":"","tracerPid":"0"}`), reports.Nonconformant, "",
		},
		"not let go": {
			permitted(1, 0, `{"threads":5,"stacks":5,"calls":["getsockopt","write"],"during":"7 0","after":"7 0","tracerPid":"9"}`), reports.Nonconformant, "",
		},
		"half an answer": {permitted(1, 0, `{"threads":5,`), reports.Inconclusive, reports.Precondition},
		"memory ran out": {permitted(1, 1, "ptrace: Cannot allocate memory\n"), reports.Inconclusive, reports.Precondition},
		"answers too late": {
			permitted(1, 1, "read: Resource temporarily unavailable\n"), reports.Inconclusive, reports.Precondition,
		},
		"nor can one's own be":          {both(permitted(0, 1, refused), permitted(1, 1, refused)), reports.Inconclusive, reports.Precondition},
		"one's own is debugged in part": {permitted(0, 0, `{"threads":5,"stacks":0,"calls":["getsockopt","write"]}`), reports.Inconclusive, reports.Precondition},
		"Yama":                          {both(permitted(0, 1, refused), permitted(2, 0, "1\n")), reports.Unsupported, ""},
		"no program":                    {permitted(0, 126, "sh: /programs/system-calls: Permission denied\n"), reports.Inconclusive, reports.Precondition},
		"another uid debugs":            {stranger(2, 0, whole), reports.Nonconformant, ""},
		"another uid is refused oddly":  {stranger(2, 1, "ptrace: Input/output error\n"), reports.Inconclusive, reports.Precondition},
		"another uid sees no process":   {stranger(0, 1, "sh: can't open /proc/8/cmdline: no such file\n"), reports.Inconclusive, reports.Precondition},
		"a process that was restarted":  {restartedBetween(t, debuggedTrait.ID, "attach/tracer"), reports.Inconclusive, reports.Precondition},
	})
}

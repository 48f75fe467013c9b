package access

import (
	"testing"

	"golang.org/x/sys/unix"

	"sharedpid.example/helpers/systemcalls"
)

func callNamed(t *testing.T, name string) SystemCall {
	t.Helper()
	for _, call := range SystemCalls {
		if call.Name == name {
			return call
		}
	}
	t.Fatal(name)
	return SystemCall{}
}

// TestExpectedCall holds the rules to what was measured on kernel 6.18 with containerd 2.4 and runc 1.5.
func TestExpectedCall(t *testing.T) {
	root, stranger, bare := party("root", 0, defaultCapabilities), party("stranger", 1000, 0), party("bare", 0, 0)
	tracer := party("tracer", 0, defaultCapabilities|CapSysPtrace)
	nice, resource := party("nice", 0, defaultCapabilities|CapSysNice), party("resource", 0, defaultCapabilities|CapSysResource)
	admin, perfmon := party("admin", 0, defaultCapabilities|CapSysAdmin), party("perfmon", 0, defaultCapabilities|CapPerfmon)
	both := party("both", 0, defaultCapabilities|CapSysAdmin|CapSysPtrace)
	permitted := party("permitted", 0, defaultCapabilities)
	permitted.Effective = 0
	for _, test := range []struct {
		caller, target Party
		call, want     string
	}{
		{tracer, stranger, "ptrace", Allowed},
		{root, stranger, "ptrace", "EPERM"},
		{root, root, "process_vm_writev", Allowed},
		{bare, root, "process_vm_readv", "EPERM"},
		{permitted, root, "process_vm_readv", Allowed}, // of a caller that a system call names, what it is permitted counts
		{perfmon, stranger, "process_vm_readv", "EPERM"},
		{root, stranger, "pidfd_open", Allowed},
		{root, stranger, "pidfd_send_signal", Allowed},
		{bare, stranger, "pidfd_send_signal", "EPERM"},
		{tracer, stranger, "pidfd_getfd", Allowed},
		{stranger, root, "pidfd_getfd", "EPERM"},
		{tracer, root, "setns", "EPERM"},
		{admin, root, "setns", Allowed},
		{admin, stranger, "setns", "EPERM"},
		{both, stranger, "setns", Allowed},
		{root, root, "kcmp", Allowed},
		{root, tracer, "kcmp", "EPERM"},
		{root, stranger, "prlimit", "EPERM"},
		{resource, stranger, "prlimit", Allowed},
		{bare, root, "prlimit", Allowed},
		{nice, stranger, "sched_setaffinity", Allowed},
		{root, stranger, "sched_setaffinity", "EPERM"},
		{root, tracer, "setpriority", "EPERM"},
		{bare, root, "setpriority", "EPERM"},
		{permitted, root, "setpriority", Allowed},
		{stranger, stranger, "setpriority", Allowed},
		{root, stranger, "perf_event_open", "EACCES"},
		{perfmon, stranger, "perf_event_open", Allowed},
		{admin, stranger, "perf_event_open", Allowed},
		{root, root, "perf_event_open", Allowed},
	} {
		got, rule, narrowed := ExpectedCall(test.caller, test.target, callNamed(t, test.call), SystemPlatform{Paranoid: 2})
		if got != test.want || rule == "" || narrowed != "" {
			t.Errorf("%s on %s by %s is %s (%s, narrowed by %q), want %s", test.call, test.target.Name, test.caller.Name, got, rule, narrowed, test.want)
		}
	}
}

func TestExpectedCallIsNarrowed(t *testing.T) {
	stranger, tracer := party("stranger", 1000, 0), party("tracer", 0, CapSysPtrace)
	for name, test := range map[string]struct {
		caller         Party
		call           string
		platform       SystemPlatform
		want, narrowed string
	}{
		"Yama forbids to attach":             {stranger, "ptrace", SystemPlatform{Yama: 1}, "EPERM", "yama"},
		"Yama lets compare":                  {stranger, "kcmp", SystemPlatform{Yama: 2}, Allowed, ""},
		"Yama spares CAP_SYS_PTRACE":         {tracer, "pidfd_getfd", SystemPlatform{Yama: 2}, Allowed, ""},
		"Yama spares nobody":                 {tracer, "process_vm_readv", SystemPlatform{Yama: 3}, "EPERM", "yama"},
		"a distribution's paranoia":          {stranger, "perf_event_open", SystemPlatform{Paranoid: 3}, "EACCES", "perf_event_paranoid"},
		"a distribution's paranoia, PERFMON": {party("perfmon", 0, CapPerfmon), "perf_event_open", SystemPlatform{Paranoid: 4}, Allowed, ""},
	} {
		got, _, narrowed := ExpectedCall(test.caller, stranger, callNamed(t, test.call), test.platform)
		if got != test.want || narrowed != test.narrowed {
			t.Errorf("%s: %s, narrowed by %q; want %s, %q", name, got, narrowed, test.want, test.narrowed)
		}
	}
}

// TestPerfmonCountsInTheInitialUserNamespaceAlone as perfmon_capable() of the kernel has it.
func TestPerfmonCountsInTheInitialUserNamespaceAlone(t *testing.T) {
	caller, target := party("perfmon", 0, CapPerfmon), party("stranger", 1000, 0)
	caller.UserNamespace, target.UserNamespace = "user:[4026533000]", "user:[4026533000]"
	if got, _, _ := ExpectedCall(caller, target, callNamed(t, "perf_event_open"), SystemPlatform{}); got != "EACCES" {
		t.Errorf("it is %s", got)
	}
}

// TestWhatNarrowsCallsIsSeen: refusals beyond the rules are excused where there is something that refuses, and grants never are.
func TestWhatNarrowsCallsIsSeen(t *testing.T) {
	const refused, missing = int(unix.EPERM), int(unix.ENOSYS)
	confined := party("root", 0, defaultCapabilities)
	confined.Label = "cri-containerd.apparmor.d (enforce)"
	for name, test := range map[string]struct {
		caller   Party
		target   Party
		platform SystemPlatform
		errno    int
		narrowed string
		differs  bool
	}{
		"as the rules say":          {party("root", 0, defaultCapabilities), party("root", 0, 0), SystemPlatform{}, 0, "", false},
		"refused by nothing":        {party("root", 0, defaultCapabilities), party("root", 0, 0), SystemPlatform{}, refused, "", true},
		"refused by a filter":       {party("root", 0, defaultCapabilities), party("root", 0, 0), SystemPlatform{Filtered: true}, refused, "seccomp", false},
		"refused by AppArmor":       {confined, party("root", 0, 0), SystemPlatform{}, refused, "apparmor", false},
		"no such call":              {party("root", 0, defaultCapabilities), party("root", 0, 0), SystemPlatform{}, missing, "kernel", false},
		"hidden by a filter":        {party("root", 0, defaultCapabilities), party("root", 0, 0), SystemPlatform{Filtered: true}, missing, "seccomp", false},
		"granted against the rules": {confined, party("stranger", 1000, 0), SystemPlatform{Filtered: true}, 0, "", true},
		"the process is gone":       {party("root", 0, defaultCapabilities), party("root", 0, 0), SystemPlatform{}, int(unix.ESRCH), "", true},
		"no errno that anybody knows": {
			party("root", 0, defaultCapabilities), party("root", 0, 0), SystemPlatform{}, 4095, "", true,
		},
	} {
		test.target.PID = 7
		matrix := CallMatrix{Matrix{Targets: []Party{test.target}}}
		if err := matrix.Add(test.caller, test.platform, answersWith(t, test.caller, test.target, test.errno)); err != nil {
			t.Fatal(err)
		}
		cell := matrix.Cell(test.caller.Name, test.target.Name, "ptrace")
		if cell.Narrowed != test.narrowed || (cell.Observed != cell.Want) != test.differs || Decided(cell.Observed) == (test.errno == 4095) {
			t.Errorf("%s: %+v", name, cell)
		}
	}
}

// answersWith are those of the rules, but for ptrace(2).
func answersWith(t *testing.T, caller, target Party, ptrace int) []systemcalls.Answer {
	t.Helper()
	numbers := map[string]int{Allowed: 0, "EPERM": int(unix.EPERM), "EACCES": int(unix.EACCES)}
	var answers []systemcalls.Answer
	for _, call := range SystemCalls {
		want, _, _ := ExpectedCall(caller, target, call, SystemPlatform{})
		answer := systemcalls.Answer{Call: call.Name, PID: target.PID, Errno: numbers[want]}
		if call.Name == "ptrace" {
			answer.Errno = ptrace
		}
		answers = append(answers, answer)
	}
	return answers
}

func TestAnswersToOtherCallsAreRefused(t *testing.T) {
	caller, target := party("root", 0, 0), party("root", 0, 0)
	target.PID = 7
	for name, change := range map[string]func([]systemcalls.Answer) []systemcalls.Answer{
		"one too few":     func(answers []systemcalls.Answer) []systemcalls.Answer { return answers[1:] },
		"another process": func(answers []systemcalls.Answer) []systemcalls.Answer { answers[3].PID = 8; return answers },
		"another call":    func(answers []systemcalls.Answer) []systemcalls.Answer { answers[3].Call = "kill"; return answers },
	} {
		matrix := CallMatrix{Matrix{Targets: []Party{target}}}
		if err := matrix.Add(caller, SystemPlatform{}, change(answersWith(t, caller, target, 0))); err == nil || len(matrix.Cells) == len(SystemCalls) {
			t.Errorf("%s: %d cells, %v", name, len(matrix.Cells), err)
		}
	}
}

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
		"Yama forbids to attach":     {stranger, "ptrace", SystemPlatform{Yama: 1}, "EPERM", "yama"},
		"Yama lets compare":          {stranger, "kcmp", SystemPlatform{Yama: 2}, Allowed, ""},
		"Yama spares CAP_SYS_PTRACE": {tracer, "pidfd_getfd", SystemPlatform{Yama: 2}, Allowed, ""},
		"Yama spares nobody":         {tracer, "process_vm_readv", SystemPlatform{Yama: 3}, "EPERM", "yama"},
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
	const refused, missing = unix.EPERM, unix.ENOSYS
	root, stranger, perfmon := party("root", 0, defaultCapabilities), party("stranger", 1000, 0), party("perfmon", 0, CapPerfmon)
	confined := root
	confined.Label = "cri-containerd.apparmor.d (enforce)"
	filtered, distribution := SystemPlatform{Filtered: true}, SystemPlatform{Paranoid: 4}
	for name, test := range map[string]struct {
		caller, target Party
		platform       SystemPlatform
		call           string
		errno          unix.Errno
		narrowed       string
		differs        bool
	}{
		"as the rules say":                 {root, root, SystemPlatform{}, "ptrace", 0, "", false},
		"refused by nothing":               {root, root, SystemPlatform{}, "ptrace", refused, "", true},
		"refused by a filter":              {root, root, filtered, "ptrace", refused, "seccomp", false},
		"refused by AppArmor":              {confined, root, SystemPlatform{}, "ptrace", refused, "apparmor", false},
		"no such call":                     {root, root, SystemPlatform{}, "ptrace", missing, "kernel", false},
		"hidden by a filter":               {root, root, filtered, "ptrace", missing, "seccomp", false},
		"granted against the rules":        {confined, stranger, filtered, "ptrace", 0, "", true},
		"no pidfd for setns":               {root, root, filtered, "setns", unix.EINVAL, "kernel", false},
		"a distribution's paranoia":        {stranger, stranger, distribution, "perf_event_open", unix.EACCES, "perf_event_paranoid", false},
		"the same against CAP_PERFMON":     {perfmon, perfmon, distribution, "perf_event_open", unix.EACCES, "perf_event_paranoid", false},
		"CAP_SYS_ADMIN is spared":          {party("admin", 0, defaultCapabilities|CapSysAdmin), root, distribution, "perf_event_open", unix.EACCES, "", true},
		"paranoia is not the kernel's own": {stranger, stranger, SystemPlatform{Paranoid: 2}, "perf_event_open", unix.EACCES, "", true},
		"paranoia that does not refuse":    {stranger, stranger, distribution, "perf_event_open", 0, "", false},
		"paranoia that says another errno": {stranger, stranger, distribution, "perf_event_open", refused, "", true},
		"CAP_PERFMON before Linux 5.9":     {perfmon, stranger, SystemPlatform{}, "perf_event_open", unix.EACCES, "kernel", false},
		"no counters":                      {root, stranger, SystemPlatform{}, "perf_event_open", unix.ENODEV, "kernel", false},
	} {
		test.target.PID = 7
		matrix := CallMatrix{Matrix{Targets: []Party{test.target}}}
		if err := matrix.Add(test.caller, test.platform, answersWith(t, test.caller, test.target, test.call, test.errno)); err != nil {
			t.Fatal(err)
		}
		matrix.Settle()
		cell := matrix.Cell(test.caller.Name, test.target.Name, test.call)
		if cell.Narrowed != test.narrowed || (cell.Observed != cell.Want) != test.differs || !Decided(cell.Observed) {
			t.Errorf("%s: %+v", name, cell)
		}
	}
}

// TestWhatIsNoDecisionIsNone: a kernel that lacks memory, or a process that is gone, allows and refuses nothing.
func TestWhatIsNoDecisionIsNone(t *testing.T) {
	root, target := party("root", 0, 0), party("target", 0, 0)
	for _, errno := range []unix.Errno{unix.ESRCH, unix.EINTR, unix.ENOMEM, unix.EMFILE, unix.EAGAIN, unix.EINVAL, unix.EBUSY, 4095} {
		matrix := CallMatrix{Matrix{Targets: []Party{target}}}
		if err := matrix.Add(root, SystemPlatform{}, answersWith(t, root, target, "ptrace", errno)); err != nil {
			t.Fatal(err)
		}
		if cell := matrix.Cell("root", "target", "ptrace"); Decided(cell.Observed) {
			t.Errorf("%d: %+v", errno, cell)
		}
	}
}

// TestCallsThatTheKernelLacksAreRefusedFirst, as gVisor refuses kcmp(2) to who has no CAP_SYS_PTRACE.
func TestCallsThatTheKernelLacksAreRefusedFirst(t *testing.T) {
	tracer, root := party("tracer", 0, CapSysPtrace), party("root", 0, 0)
	matrix := CallMatrix{Matrix{Targets: []Party{root}}}
	for _, each := range []struct {
		caller Party
		errno  unix.Errno
	}{{tracer, unix.ENOSYS}, {root, unix.EPERM}} {
		if err := matrix.Add(each.caller, SystemPlatform{}, answersWith(t, each.caller, root, "kcmp", each.errno)); err != nil {
			t.Fatal(err)
		}
	}
	if before := matrix.Cell("root", "root", "kcmp"); before.Observed == before.Want {
		t.Errorf("alone it is no matter of the kernel's: %+v", before)
	}
	matrix.Settle()
	if cell := matrix.Cell("root", "root", "kcmp"); cell.Observed != cell.Want || cell.Narrowed != "kernel" {
		t.Errorf("%+v", cell)
	}
}

// TestCapabilitiesOutOfEffectCount where the target's must be included, and not for what CAP_SYS_PTRACE itself allows.
func TestCapabilitiesOutOfEffectCount(t *testing.T) {
	caller, tracer, stranger := party("caller", 0, CapSysPtrace), party("tracer", 0, CapSysPtrace), party("stranger", 1000, 0)
	caller.Effective = 0
	for _, test := range []struct {
		target Party
		want   string
	}{{tracer, Allowed}, {stranger, "EPERM"}} {
		if got, rule, _ := ExpectedCall(caller, test.target, callNamed(t, "ptrace"), SystemPlatform{}); got != test.want {
			t.Errorf("%s: %s (%s)", test.target.Name, got, rule)
		}
	}
}

// answersWith are those of the rules, but for one call.
func answersWith(t *testing.T, caller, target Party, name string, errno unix.Errno) []systemcalls.Answer {
	t.Helper()
	numbers := map[string]int{Allowed: 0, "EPERM": int(unix.EPERM), "EACCES": int(unix.EACCES)}
	var answers []systemcalls.Answer
	for _, call := range SystemCalls {
		want, _, _ := ExpectedCall(caller, target, call, SystemPlatform{})
		answer := systemcalls.Answer{Call: call.Name, PID: target.PID, Errno: numbers[want]}
		if call.Name == name {
			answer.Errno = int(errno)
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
		if err := matrix.Add(caller, SystemPlatform{}, change(answersWith(t, caller, target, "ptrace", 0))); err == nil || len(matrix.Cells) == len(SystemCalls) {
			t.Errorf("%s: %d cells, %v", name, len(matrix.Cells), err)
		}
	}
}

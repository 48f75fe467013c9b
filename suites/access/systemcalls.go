package access

import (
	"fmt"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"sharedpid.example/helpers/systemcalls"
	"sharedpid.example/reports"
)

// Capabilities of capabilities(7) that guard system calls alone.
const (
	CapSysNice     uint64 = 1 << unix.CAP_SYS_NICE
	CapSysResource uint64 = 1 << unix.CAP_SYS_RESOURCE
)

// SystemCall is a call on another process, by its number, and what the kernel asks of who makes it.
type SystemCall struct {
	Name  string // as its man page is called
	guard guard
	errno string // with which the kernel refuses it
	// unknown are the errnos, beside ENOSYS, of kernels that do not have what is asked for, from whomever.
	unknown []string
}

// guard is which of the kernel's checks guards a system call.
type guard int

const (
	guardNothing     guard = iota
	guardSignal            // kill(2)
	guardTraceRead         // PTRACE_MODE_READ_REALCREDS of ptrace(2)
	guardTraceAttach       // PTRACE_MODE_ATTACH_REALCREDS of ptrace(2)
	guardNamespace         // CAP_SYS_ADMIN beside guardTraceRead, see setns(2)
	guardLimits            // all uids and gids, or CAP_SYS_RESOURCE, see prlimit(2)
	guardNice              // uids and capabilities, or CAP_SYS_NICE, see sched_setaffinity(2) and setpriority(2)
	guardCounters          // CAP_PERFMON, or guardTraceRead where perf_event_paranoid lets users count, see perf_event_open(2)
)

// SystemCalls are what each caller makes on each target.
var SystemCalls = []SystemCall{
	{Name: "ptrace", guard: guardTraceAttach, errno: "EPERM"},
	{Name: "process_vm_readv", guard: guardTraceAttach, errno: "EPERM"},
	{Name: "process_vm_writev", guard: guardTraceAttach, errno: "EPERM"},
	{Name: "pidfd_open", guard: guardNothing},
	{Name: "pidfd_send_signal", guard: guardSignal, errno: "EPERM"},
	{Name: "pidfd_getfd", guard: guardTraceAttach, errno: "EPERM"},
	{Name: "setns", guard: guardNamespace, errno: "EPERM", unknown: []string{"EINVAL"}}, // takes a pidfd since Linux 5.8
	{Name: "kcmp", guard: guardTraceRead, errno: "EPERM"},
	{Name: "prlimit", guard: guardLimits, errno: "EPERM"},
	{Name: "sched_setaffinity", guard: guardNice, errno: "EPERM"},
	{Name: "setpriority", guard: guardNice, errno: "EPERM"},
	{Name: "perf_event_open", guard: guardCounters, errno: "EACCES", unknown: []string{"ENODEV", "ENOENT", "EOPNOTSUPP"}},
}

// SystemPlatform is what besides the credentials decides about system calls, as read in the caller's container.
type SystemPlatform struct {
	Yama     int  // kernel.yama.ptrace_scope, 0 where there is no Yama
	Filtered bool // a seccomp filter is on the caller
	Paranoid int  // kernel.perf_event_paranoid; distributions have levels above the kernel's own 2
}

// paranoidOfDistributions is the lowest perf_event_paranoid that means to the kernel itself what 2 means. Debian, Ubuntu and Android patch it
// to refuse everybody but CAP_SYS_ADMIN, in some versions CAP_PERFMON too.
const paranoidOfDistributions = 3

// ExpectedCall computes what a caller must meet from the kernel's rules and the credentials of both sides: "allowed" or an errno, the
// rule that decides, and what the platform forbids beyond the rules.
func ExpectedCall(caller, target Party, call SystemCall, platform SystemPlatform) (expected, rule, narrowed string) {
	allowed := false
	switch call.guard {
	case guardNothing:
		return Allowed, "any process may make it", ""
	case guardSignal:
		return expectedSignal(caller, target)
	case guardTraceRead:
		allowed, rule = caller.mayTrace(target)
	case guardTraceAttach:
		allowed, rule = caller.mayTrace(target)
		if allowed && (platform.Yama >= 3 || platform.Yama >= 1 && !caller.hasPtrace(target)) {
			return call.errno, fmt.Sprintf("Yama's ptrace_scope %d forbids to attach", platform.Yama), "yama"
		}
	case guardNamespace:
		if allowed, rule = caller.mayTrace(target); allowed {
			allowed, rule = caller.has(CapSysAdmin, "CAP_SYS_ADMIN", target)
		}
	case guardLimits:
		if allowed, rule = caller.has(CapSysResource, "CAP_SYS_RESOURCE", target); !allowed && caller.asReal().sameIDs(target) {
			allowed, rule = true, "equal uids and gids"
		}
	case guardNice:
		allowed, rule = niceAccess(caller, target)
	case guardCounters:
		if allowed, rule = caller.hasPerfmon(), "the caller has CAP_PERFMON or CAP_SYS_ADMIN"; !allowed {
			allowed, rule = caller.mayTrace(target)
		}
	}
	if !allowed {
		return call.errno, rule, ""
	}
	return Allowed, rule, ""
}

// niceAccess is the check of who may schedule another process. That capabilities count beside uids stands in no man page: it is
// cap_safe_nice() of the kernel's security/commoncap.c.
func niceAccess(caller, target Party) (allowed bool, rule string) {
	if allowed, rule = caller.has(CapSysNice, "CAP_SYS_NICE", target); allowed {
		return true, rule
	}
	switch {
	case caller.UIDs[1] != target.UIDs[0] && caller.UIDs[1] != target.UIDs[1]:
		return false, "other uid, and " + rule
	case target.Permitted&^caller.Permitted != 0:
		return false, "the target is permitted capabilities that the caller is not, and " + rule
	}
	return true, "equal uids, and the caller is permitted all capabilities of the target"
}

// has tells whether the caller has a capability that counts for a target.
func (party Party) has(capability uint64, name string, target Party) (bool, string) {
	if party.Effective&capability != 0 && party.sameUserNamespace(target) {
		return true, "the caller has " + name
	}
	return false, "the caller has no " + name
}

// mayTrace is the check of ptrace(2) by PTRACE_MODE_REALCREDS: by real ids, and by what the caller is permitted.
func (party Party) mayTrace(target Party) (allowed bool, rule string) {
	return ptraceAccessWith(party.Permitted, party.asReal(), target)
}

// asReal is the party with its real ids for those of the file system.
func (party Party) asReal() Party {
	party.UIDs[3], party.GIDs[3] = party.UIDs[0], party.GIDs[0]
	return party
}

// CallMatrix is what each caller met with each target and system call. Its cells' operations are the names of the calls.
type CallMatrix struct{ Matrix }

// Add judges by the rules what one caller was answered. The error says which answer there is not.
func (matrix *CallMatrix) Add(caller Party, platform SystemPlatform, answers []systemcalls.Answer) error {
	if want := len(matrix.Targets) * len(SystemCalls); len(answers) != want {
		return fmt.Errorf("%s was answered %d times, must be %d", caller.Name, len(answers), want)
	}
	matrix.Callers = append(matrix.Callers, caller)
	for i, answer := range answers {
		target, call := matrix.Targets[i/len(SystemCalls)], SystemCalls[i%len(SystemCalls)]
		if answer.Call != call.Name || answer.PID != target.PID {
			return fmt.Errorf("answer %d is about %s of process %d, must be about %s of %d", i+1, answer.Call, answer.PID, call.Name, target.PID)
		}
		cell := reports.Access{Caller: caller.Name, Target: target.Name, Operation: call.Name, Observed: call.observed(answer.Errno)}
		cell.Want, cell.Rule, cell.Narrowed = ExpectedCall(caller, target, call, platform)
		matrix.Cells = append(matrix.Cells, narrowedCall(cell, caller, target, call, platform))
	}
	return nil
}

// narrowedCall is the cell with what forbids more than the rules do, where that is there to be seen and only in refusing: a kernel without
// the call, a distribution's own rule, a seccomp filter, a security module.
func narrowedCall(cell reports.Access, caller, target Party, call SystemCall, platform SystemPlatform) reports.Access {
	narrow := func(by, rule string) {
		cell.Want, cell.Narrowed = cell.Observed, by
		cell.Rule += "; " + rule
	}
	traces, _ := caller.mayTrace(target)
	switch {
	case cell.Observed == cell.Want:
	case call.isUnknown(cell.Observed) && platform.Filtered && cell.Observed == "ENOSYS":
		narrow("seccomp", "the kernel that the container has knows no such call, or a seccomp filter hides it")
	case call.isUnknown(cell.Observed):
		narrow("kernel", "the kernel that the container has does not know what is asked for")
	case !Refused(cell.Observed):
	case platform.Filtered:
		narrow("seccomp", "a seccomp filter is on the caller")
	case call.guard == guardCounters && cell.Observed == call.errno && platform.Paranoid >= paranoidOfDistributions && !caller.hasInitial(CapSysAdmin):
		narrow("perf_event_paranoid", fmt.Sprintf("perf_event_paranoid is %d, by which distributions refuse more than the kernel does", platform.Paranoid))
	case call.guard == guardCounters && cell.Observed == call.errno && !traces:
		narrow("kernel", "before Linux 5.9 CAP_PERFMON does not spare the check of ptrace(2)")
	case call.guard != guardNothing:
		cell = narrowedByModule(cell, caller, target)
	}
	return cell
}

// Settle ends the filling. What the kernel is seen not to have may be refused to callers before they are told so: gVisor looks at their
// capabilities first.
func (matrix *CallMatrix) Settle() {
	for i, cell := range matrix.Cells {
		if cell.Observed != cell.Want && Refused(cell.Observed) && slices.ContainsFunc(matrix.Cells, func(other reports.Access) bool {
			return other.Operation == cell.Operation && other.Narrowed == "kernel" && !Refused(other.Observed)
		}) {
			matrix.Cells[i].Want, matrix.Cells[i].Narrowed = cell.Observed, "kernel"
			matrix.Cells[i].Rule += "; another caller shows that the kernel does not have the call"
		}
	}
}

// isUnknown tells whether an errno is one of kernels that do not have what the call asks for.
func (call SystemCall) isUnknown(errno string) bool {
	return errno == "ENOSYS" || slices.Contains(call.unknown, errno)
}

// observed is how a cell holds the errno of a call. What is neither a grant nor a refusal, nor the word of a kernel without the call, says
// nothing of who may make it: memory, descriptors or the process itself were lacking.
func (call SystemCall) observed(errno int) string {
	if errno == 0 {
		return Allowed
	}
	name := unix.ErrnoName(unix.Errno(errno))
	switch {
	case name == "":
		return failed + "errno " + strconv.Itoa(errno)
	case Refused(name) || call.isUnknown(name):
		return name
	}
	return failed + name
}

// Package access holds the kernel's rules of who may do what to another process, as functions of both sides' credentials:
// kill(2), the access mode check of ptrace(2), hidepid of proc(5), Yama, and what security modules narrow. It looks at nothing.
package access

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"sharedpid.example/helpers/process"
	"sharedpid.example/reports"
)

// Capabilities of capabilities(7), as bits of the sets in /proc/PID/status.
const (
	CapKill      uint64 = 1 << unix.CAP_KILL
	CapSysPtrace uint64 = 1 << unix.CAP_SYS_PTRACE
	CapSysAdmin  uint64 = 1 << unix.CAP_SYS_ADMIN
	CapPerfmon   uint64 = 1 << unix.CAP_PERFMON

	capDACOverride   uint64 = 1 << unix.CAP_DAC_OVERRIDE
	capDACReadSearch uint64 = 1 << unix.CAP_DAC_READ_SEARCH
)

// Allowed is what a cell of the matrix holds where nothing refuses.
const Allowed = reports.Allowed

// Operation is one thing that a process may want of another, and what the kernel asks for it.
type Operation struct {
	Name    string
	Command string // in a shell, with the pid for %d; it fails with the errno in its message
	// ownerOnly says that the mode of the file, or of the folder that it lies in, lets the file's owner only read it, see proc(5).
	ownerOnly bool
	check     check
	// memory says that newer kernels allow it to CAP_PERFMON and CAP_SYS_ADMIN as well: it reads what describes a process's memory.
	memory bool
}

// check is which of the kernel's checks guards an operation.
type check int

const (
	checkNothing      check = iota // world-readable
	checkSignal                    // kill(2)
	checkPtraceRead                // PTRACE_MODE_READ_FSCREDS of ptrace(2)
	checkPtraceAttach              // PTRACE_MODE_ATTACH_FSCREDS of ptrace(2)
)

// Operations are what each caller tries on each target.
var Operations = []Operation{
	// URG does nothing to who has no handler for it. Signal 0 would not do: AppArmor lets everybody ask whether a process exists.
	{Name: "signal", Command: "kill -URG %d", check: checkSignal},
	{Name: "cmdline", Command: "true </proc/%d/cmdline", check: checkNothing},
	{Name: "status", Command: "true </proc/%d/status", check: checkNothing},
	{Name: "environ", Command: "true </proc/%d/environ", ownerOnly: true, check: checkPtraceRead, memory: true},
	{Name: "cwd", Command: "true </proc/%d/cwd/", check: checkPtraceRead},
	{Name: "root", Command: "true </proc/%d/root/", check: checkPtraceRead},
	{Name: "exe", Command: "true </proc/%d/exe", check: checkPtraceRead},
	{Name: "fd", Command: "true </proc/%d/fd/0", ownerOnly: true, check: checkPtraceRead},
	{Name: "maps", Command: "true </proc/%d/maps", check: checkPtraceRead, memory: true},
	{Name: "mem", Command: "true </proc/%d/mem", ownerOnly: true, check: checkPtraceAttach},
	{Name: "ns", Command: "true </proc/%d/ns/pid", check: checkPtraceRead},
}

// Party is a process as the kernel judges it, when it asks and when it is asked for something.
type Party struct {
	Name string
	process.Process
	Owner         int    // uid that owns its files in /proc: its own while it is dumpable, otherwise root
	UserNamespace string // as readlink of ns/user gives it, empty when it could not be read
	Label         string // of AppArmor or SELinux, empty without one
	StartLabel    string // the same of the start process of the container in which it was executed, empty when that is not known
	Permissive    bool   // SELinux was seen to refuse it nothing, whatever its label
}

// Platform is what besides the credentials decides, as read in the caller's container.
type Platform struct {
	Yama    int // kernel.yama.ptrace_scope, 0 where there is no Yama
	Hidepid Hidepid
	// PerfmonReadsMemory says that the kernel lets CAP_PERFMON and CAP_SYS_ADMIN read the environment and the memory maps of
	// processes of any uid.
	PerfmonReadsMemory bool
}

// Hidepid is how /proc is mounted, see proc(5).
type Hidepid struct {
	Level string // "noaccess", "invisible" or "ptraceable", or their numbers; empty when nothing is hidden
	GID   int    // members of this group are exempt
}

// Expected computes what a caller must meet from the kernel's rules and the credentials of both sides: "allowed" or an errno,
// the rule that decides, and what the platform forbids beyond the rules.
func Expected(caller, target Party, operation Operation, platform Platform) (expected, rule, narrowed string) {
	if errno := platform.Hidepid.hides(caller, target); errno != "" && operation.check != checkSignal {
		return errno, "/proc is mounted with hidepid, and the caller has no ptrace access", "hidepid"
	}
	switch operation.check {
	case checkNothing:
		return Allowed, "any uid may read it", ""
	case checkSignal:
		return expectedSignal(caller, target)
	}
	if operation.ownerOnly && caller.UIDs[3] != target.Owner && caller.Effective&(capDACOverride|capDACReadSearch) == 0 {
		return "EACCES", "the file is its owner's only, and the caller has no CAP_DAC_OVERRIDE", ""
	}
	if operation.memory && platform.PerfmonReadsMemory && caller.hasPerfmon() {
		return Allowed, "the caller has CAP_PERFMON or CAP_SYS_ADMIN, and this kernel lets both read what describes memory", ""
	}
	allowed, rule := ptraceAccess(caller, target)
	if !allowed {
		return "EACCES", rule, ""
	}
	if operation.check == checkPtraceAttach && (platform.Yama >= 3 || platform.Yama >= 1 && !caller.hasPtrace(target)) {
		return "EACCES", fmt.Sprintf("Yama's ptrace_scope %d forbids to attach", platform.Yama), "yama"
	}
	return Allowed, rule, ""
}

// expectedSignal is the rule of kill(2).
func expectedSignal(caller, target Party) (expected, rule, narrowed string) {
	real, effective := caller.UIDs[0], caller.UIDs[1]
	switch {
	case real == target.UIDs[0] || real == target.UIDs[2] || effective == target.UIDs[0] || effective == target.UIDs[2]:
		return Allowed, "equal uids", ""
	case caller.Effective&CapKill != 0 && caller.sameUserNamespace(target):
		return Allowed, "the caller has CAP_KILL", ""
	}
	return "EPERM", "other uid, and the caller has no CAP_KILL", ""
}

// ptraceAccess is the check of ptrace(2) by PTRACE_MODE_FSCREDS, without the security modules.
func ptraceAccess(caller, target Party) (allowed bool, rule string) {
	return ptraceAccessWith(caller.Effective, caller, target)
}

// ptraceAccessWith takes the capabilities of the caller that must include the target's: of all that it has, some may be out of effect.
func ptraceAccessWith(capabilities uint64, caller, target Party) (allowed bool, rule string) {
	if caller.hasPtrace(target) {
		return true, "the caller has CAP_SYS_PTRACE"
	}
	if !caller.sameIDs(target) {
		return false, "other uid or gid, and the caller has no CAP_SYS_PTRACE"
	}
	if target.Owner != target.UID {
		return false, "the target is not dumpable, and the caller has no CAP_SYS_PTRACE"
	}
	if !caller.sameUserNamespace(target) || target.Permitted&^capabilities != 0 {
		return false, "the target has capabilities that the caller lacks"
	}
	return true, "equal uids and gids, dumpable, and the caller has all capabilities of the target"
}

// sameIDs tells whether all uids and gids of a target are the caller's file system uid and gid.
func (party Party) sameIDs(target Party) bool {
	for i := range 3 {
		if party.UIDs[3] != target.UIDs[i] || party.GIDs[3] != target.GIDs[i] {
			return false
		}
	}
	return true
}

// initialUserNamespace is the link of ns/user in the user namespace that the kernel starts with: its number is part of the
// kernel's interface.
const initialUserNamespace = "user:[4026531837]"

// hasPerfmon is perfmon_capable() of the kernel: either capability counts, in the initial user namespace alone.
func (party Party) hasPerfmon() bool { return party.hasInitial(CapPerfmon | CapSysAdmin) }

// hasInitial tells whether the party has one of the capabilities in the initial user namespace.
func (party Party) hasInitial(capabilities uint64) bool {
	return party.Effective&capabilities != 0 && (party.UserNamespace == "" || party.UserNamespace == initialUserNamespace)
}

// Permits tells whether the kernel's own rules allow a caller the operation of that name on a target, where no security module,
// Yama or hidepid narrows them. It panics when there is no such operation.
func Permits(caller, target Party, operation string) bool {
	at := slices.IndexFunc(Operations, func(each Operation) bool { return each.Name == operation })
	if at < 0 {
		panic("there is no operation " + operation)
	}
	expected, _, _ := Expected(caller, target, Operations[at], Platform{})
	return expected == Allowed
}

// perfmonReadsMemory tells whether the kernel has shown, to a caller with CAP_PERFMON or CAP_SYS_ADMIN, that it lets these read
// memory maps: those of the first target that ptrace(2) keeps from the caller were allowed. Every other cell is held to that.
func perfmonReadsMemory(caller Party, targets []Party, observed []string) bool {
	maps := slices.IndexFunc(Operations, func(operation Operation) bool { return operation.Name == "maps" })
	stranger := slices.IndexFunc(targets, func(target Party) bool {
		allowed, _ := ptraceAccess(caller, target)
		return !allowed
	})
	return caller.hasPerfmon() && stranger >= 0 && observed[stranger*len(Operations)+maps] == Allowed
}

func (party Party) hasPtrace(target Party) bool {
	return party.Effective&CapSysPtrace != 0 && party.sameUserNamespace(target)
}

// sameUserNamespace trusts the Pod's promise of one user namespace where a link could not be read.
func (party Party) sameUserNamespace(other Party) bool {
	return party.UserNamespace == "" || other.UserNamespace == "" || party.UserNamespace == other.UserNamespace
}

// hides returns the errno with which a process's folder in /proc is kept from the caller, empty when it is not.
func (hidden Hidepid) hides(caller, target Party) string {
	if hidden.Level == "" {
		return ""
	}
	exempt := caller.GIDs[3] == hidden.GID && hidden.Level != "4" && hidden.Level != "ptraceable"
	if allowed, _ := ptraceAccess(caller, target); exempt || allowed {
		return ""
	}
	if hidden.Level == "1" || hidden.Level == "noaccess" {
		return "EPERM"
	}
	return "ENOENT"
}

// ParseHidepid reads the options of the /proc mount from a line of /proc/self/mounts.
func ParseHidepid(options string) Hidepid {
	var hidden Hidepid
	for _, option := range strings.FieldsFunc(options, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' }) {
		key, value, _ := strings.Cut(option, "=")
		switch key {
		case "hidepid":
			if value != "0" && value != "off" {
				hidden.Level = value
			}
		case "gid":
			hidden.GID, _ = strconv.Atoi(value)
		}
	}
	return hidden
}

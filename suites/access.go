package suites

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"sharedpid.example/helpers/pod"
	"sharedpid.example/helpers/process"
	"sharedpid.example/reports"
)

// Capability numbers of capabilities(7), as bits of the sets in /proc/PID/status.
const (
	capDACOverride   = 1 << 1
	capDACReadSearch = 1 << 2
	capKill          = 1 << 5
	capSysPtrace     = 1 << 19
)

// accessAllowed is what a cell of the matrix holds where nothing refuses.
const accessAllowed = "allowed"

// accessOperation is one thing that a process may want of another, and what the kernel asks for it.
type accessOperation struct {
	name    string
	command string // in a shell, with the pid for %d; it fails with the errno in its message
	// mode and folder are how proc(5) protects the file besides: read by its owner only or by everyone, and
	// whether it lies in a folder that only the owner may search.
	ownerOnly bool
	check     accessCheck
}

// accessCheck is which of the kernel's checks guards an operation.
type accessCheck int

const (
	checkNothing      accessCheck = iota // world-readable
	checkSignal                          // kill(2)
	checkPtraceRead                      // PTRACE_MODE_READ_FSCREDS of ptrace(2)
	checkPtraceAttach                    // PTRACE_MODE_ATTACH_FSCREDS of ptrace(2)
)

var accessOperations = []accessOperation{
	{name: "signal", command: "kill -0 %d", check: checkSignal},
	{name: "cmdline", command: "true </proc/%d/cmdline", check: checkNothing},
	{name: "status", command: "true </proc/%d/status", check: checkNothing},
	{name: "environ", command: "true </proc/%d/environ", ownerOnly: true, check: checkPtraceRead},
	{name: "cwd", command: "true </proc/%d/cwd/", check: checkPtraceRead},
	{name: "root", command: "true </proc/%d/root/", check: checkPtraceRead},
	{name: "exe", command: "true </proc/%d/exe", check: checkPtraceRead},
	{name: "fd", command: "true </proc/%d/fd/0", ownerOnly: true, check: checkPtraceRead},
	{name: "maps", command: "true </proc/%d/maps", check: checkPtraceRead},
	{name: "mem", command: "true </proc/%d/mem", ownerOnly: true, check: checkPtraceAttach},
	{name: "ns", command: "true </proc/%d/ns/pid", check: checkPtraceRead},
}

// accessParty is a process as the kernel judges it, when it asks and when it is asked for something.
type accessParty struct {
	name string
	process.Process
	owner         int    // uid that owns its files in /proc: its own while it is dumpable, otherwise root
	userNamespace string // empty when it could not be read
	label         string // of AppArmor or SELinux, empty without one
}

// accessPlatform is what besides the credentials decides, as read in the caller's container.
type accessPlatform struct {
	yama    int // kernel.yama.ptrace_scope, 0 where there is no Yama
	hidepid hidepid
}

// hidepid is how /proc is mounted, see proc(5).
type hidepid struct {
	level string // "noaccess", "invisible" or "ptraceable", or their numbers; empty when nothing is hidden
	gid   int    // members of this group are exempt
}

// accessMatrix is every cell: what each caller may do to each target.
type accessMatrix struct {
	cells   []reports.Access
	callers []accessParty
	targets []accessParty
	unseen  absent // why there are no targets, empty when there are
}

// cell returns what one caller met with one target and one operation.
func (matrix accessMatrix) cell(caller, target, operation string) reports.Access {
	for _, cell := range matrix.cells {
		if cell.Caller == caller && cell.Target == target && cell.Operation == operation {
			return cell
		}
	}
	panic(fmt.Sprintf("the access matrix has no cell %s, %s, %s", caller, target, operation))
}

// expectedAccess computes a cell from the kernel's rules and the credentials of both sides: "allowed" or an errno,
// the rule that decides, and what the platform forbids beyond the rules.
func expectedAccess(caller, target accessParty, operation accessOperation, platform accessPlatform) (expected, rule, narrowed string) {
	if errno := platform.hidepid.hides(caller, target); errno != "" && operation.check != checkSignal {
		return errno, "/proc is mounted with hidepid, and the caller has no ptrace access", "hidepid"
	}
	switch operation.check {
	case checkNothing:
		return accessAllowed, "any uid may read it", ""
	case checkSignal:
		return expectedSignal(caller, target)
	}
	if operation.ownerOnly && caller.UIDs[3] != target.owner && caller.Effective&(capDACOverride|capDACReadSearch) == 0 {
		return "EACCES", "the file is its owner's only, and the caller has no CAP_DAC_OVERRIDE", ""
	}
	allowed, rule := ptraceAccess(caller, target)
	if !allowed {
		return "EACCES", rule, ""
	}
	if operation.check == checkPtraceAttach && (platform.yama >= 3 || platform.yama >= 1 && !caller.hasPtrace(target)) {
		return "EACCES", fmt.Sprintf("Yama's ptrace_scope %d forbids to attach", platform.yama), "yama"
	}
	return accessAllowed, rule, ""
}

// expectedSignal is the rule of kill(2).
func expectedSignal(caller, target accessParty) (expected, rule, narrowed string) {
	real, effective := caller.UIDs[0], caller.UIDs[1]
	switch {
	case real == target.UIDs[0] || real == target.UIDs[2] || effective == target.UIDs[0] || effective == target.UIDs[2]:
		return accessAllowed, "equal uids", ""
	case caller.Effective&capKill != 0 && caller.sameUserNamespace(target):
		return accessAllowed, "the caller has CAP_KILL", ""
	}
	return "EPERM", "other uid, and the caller has no CAP_KILL", ""
}

// ptraceAccess is the ptrace access mode check of ptrace(2), without the security modules.
func ptraceAccess(caller, target accessParty) (allowed bool, rule string) {
	if caller.hasPtrace(target) {
		return true, "the caller has CAP_SYS_PTRACE"
	}
	for i := range 3 {
		if caller.UIDs[3] != target.UIDs[i] || caller.GIDs[3] != target.GIDs[i] {
			return false, "other uid or gid, and the caller has no CAP_SYS_PTRACE"
		}
	}
	if target.owner != target.UID {
		return false, "the target is not dumpable, and the caller has no CAP_SYS_PTRACE"
	}
	if !caller.sameUserNamespace(target) || target.Permitted&^caller.Effective != 0 {
		return false, "the target has capabilities that the caller lacks"
	}
	return true, "equal uids and gids, dumpable, and the caller has all capabilities of the target"
}

func (party accessParty) hasPtrace(target accessParty) bool {
	return party.Effective&capSysPtrace != 0 && party.sameUserNamespace(target)
}

// sameUserNamespace trusts the Pod's promise of one user namespace where a link could not be read.
func (party accessParty) sameUserNamespace(other accessParty) bool {
	return party.userNamespace == "" || other.userNamespace == "" || party.userNamespace == other.userNamespace
}

// hides returns the errno with which a process's folder in /proc is kept from the caller, empty when it is not.
func (hidden hidepid) hides(caller, target accessParty) string {
	if hidden.level == "" {
		return ""
	}
	exempt := caller.GIDs[3] == hidden.gid && hidden.level != "4" && hidden.level != "ptraceable"
	if allowed, _ := ptraceAccess(caller, target); exempt || allowed {
		return ""
	}
	if hidden.level == "1" || hidden.level == "noaccess" {
		return "EPERM"
	}
	return "ENOENT"
}

// parseHidepid reads the options of the /proc mount from a line of /proc/self/mounts.
func parseHidepid(options string) hidepid {
	var hidden hidepid
	for _, option := range strings.FieldsFunc(options, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' }) {
		key, value, _ := strings.Cut(option, "=")
		switch key {
		case "hidepid":
			if value != "0" && value != "off" {
				hidden.level = value
			}
		case "gid":
			hidden.gid, _ = strconv.Atoi(value)
		}
	}
	return hidden
}

// accessScript tries every operation on every target in one shell: a line for each, with the exit code and the words.
func accessScript(targets []accessParty) string {
	var script strings.Builder
	script.WriteString(`try() { words=$(eval "$2" 2>&1); echo "$1 $? $words"; }` + "\n")
	for _, target := range targets {
		for _, operation := range accessOperations {
			fmt.Fprintf(&script, "try %s '%s'\n", operation.name, fmt.Sprintf(operation.command, target.PID))
		}
	}
	return script.String()
}

// parseAccess reads what accessScript printed for so many targets: "allowed" or an errno, target by target.
func parseAccess(output string, targets int) ([]string, error) {
	if targets == 0 {
		return nil, nil
	}
	lines := strings.Split(strings.TrimSuffix(output, "\n"), "\n")
	if len(lines) != targets*len(accessOperations) {
		return nil, fmt.Errorf("the access look has %d lines, want %d", len(lines), targets*len(accessOperations))
	}
	observed := make([]string, len(lines))
	for i, line := range lines {
		fields := strings.SplitN(line, " ", 3)
		operation := accessOperations[i%len(accessOperations)].name
		if len(fields) < 2 || fields[0] != operation {
			return nil, fmt.Errorf("line %d of the access look is %q, want one about %s", i+1, line, operation)
		}
		switch {
		case fields[1] == "0":
			observed[i] = accessAllowed
		case len(fields) == 3 && pod.Errno(fields[2]) != "":
			observed[i] = pod.Errno(fields[2])
		default:
			// A failure without a known errno is kept in its own words: it equals no expectation.
			observed[i] = "failed: " + strings.Join(fields[1:], " ")
		}
	}
	return observed, nil
}

// accessCallers are the containers of fixtures/access-matrix.yaml that look at others.
var accessCallers = []struct{ container, name string }{
	{"tracer", callerTracer},
	{"root", callerRoot},
	{"root-less-kill", callerRootLessKill},
	{"root-without-capabilities", callerRootBare},
	{"root-with-kill-only", callerRootKill},
	{"uid-1000", callerStranger},
	{"uid-1000-with-ptrace", callerInert},
	{"worker-uid", "the worker's uid"},
}

const (
	callerTracer       = "root with CAP_SYS_PTRACE"
	callerRoot         = "root"
	callerRootLessKill = "root without CAP_KILL"
	callerRootBare     = "root without capabilities"
	callerRootKill     = "root with CAP_KILL only"
	callerStranger     = "uid 1000"
	callerInert        = "uid 1000 with CAP_SYS_PTRACE added"

	targetMaster = "nginx master"
	targetWorker = "nginx worker"
	targetTracer = "process with CAP_SYS_PTRACE"
	targetPause  = "pause"
)

// lookAtAccess fills the matrix: one exec finds the targets, one for each caller tries everything, and one shows
// that the targets are still the same processes.
func lookAtAccess(ctx context.Context, stage *Stage) (accessMatrix, error) {
	var matrix accessMatrix
	snapshot, err := stage.seek(ctx, accessScene, func() (process.Snapshot, error) { return stage.snapshot(ctx, accessScene, "tracer") },
		[]string{nginxMaster}, []string{"sleep", "1000010"})
	if reason := absent(""); errors.As(err, &reason) {
		// The callers' own credentials can be looked at all the same.
		matrix.unseen = reason
	} else if err != nil {
		return matrix, err
	} else if matrix.targets, err = accessTargets(ctx, stage, snapshot); err != nil {
		return matrix, err
	}
	for _, caller := range accessCallers {
		if err := matrix.lookAs(ctx, stage, caller.container, caller.name); err != nil {
			return matrix, err
		}
	}
	after, err := stage.snapshot(ctx, accessScene, "tracer")
	if err != nil {
		return matrix, err
	}
	for _, target := range matrix.targets {
		if still, found := after.PID(target.PID); !found || still.StartTime != target.StartTime {
			return matrix, fmt.Errorf("%s, process %d, ended while it was looked at", target.name, target.PID)
		}
	}
	return matrix, nil
}

// accessTargets picks the four targets and reads, as the tracer, what of them no snapshot holds.
func accessTargets(ctx context.Context, stage *Stage, snapshot process.Snapshot) ([]accessParty, error) {
	master, err := one(snapshot, nginxMaster)
	if err != nil {
		return nil, err
	}
	tracer, err := one(snapshot, "sleep", "1000010")
	if err != nil {
		return nil, err
	}
	workers := snapshot.With(nginxWorker)
	first, found := snapshot.PID(1)
	if len(workers) == 0 || !found {
		return nil, absent("the nginx workers or process 1 are not visible")
	}
	targets := []accessParty{
		{name: targetMaster, Process: master}, {name: targetWorker, Process: workers[0]},
		{name: targetTracer, Process: tracer}, {name: targetPause, Process: first},
	}
	scene, err := stage.Pod(ctx, accessScene, "tracer")
	if err != nil {
		return nil, err
	}
	var questions []string
	for _, target := range targets {
		questions = append(questions, fmt.Sprintf("stat -c %%u /proc/%d/environ", target.PID),
			fmt.Sprintf("readlink /proc/%d/ns/user", target.PID), fmt.Sprintf("cat /proc/%d/attr/current", target.PID))
	}
	facts, err := scene.Look(ctx, "tracer", questions...)
	if err != nil {
		return nil, err
	}
	for i := range targets {
		of := facts[3*i:]
		if targets[i].owner, err = strconv.Atoi(strings.TrimSpace(of[0].Output)); err != nil {
			return nil, fmt.Errorf("owner of /proc/%d/environ: %s", targets[i].PID, of[0].Output)
		}
		targets[i].userNamespace, targets[i].label = answer(of[1]), answer(of[2])
	}
	return targets, nil
}

// answer is what a command printed, empty when it failed.
func answer(observation pod.Observation) string {
	if observation.ExitCode != 0 {
		return ""
	}
	return strings.Trim(observation.Output, "\x00\n ")
}

// lookAs adds one caller's cells.
func (matrix *accessMatrix) lookAs(ctx context.Context, stage *Stage, container, name string) error {
	scene, err := stage.Pod(ctx, accessScene, container)
	if err != nil {
		return err
	}
	looked, err := scene.Look(ctx, container, process.Script, accessScript(matrix.targets), "grep -E '^[^ ]+ /proc ' /proc/self/mounts",
		"cat /proc/sys/kernel/yama/ptrace_scope", "readlink /proc/self/ns/user", "cat /proc/self/attr/current")
	if err != nil {
		return err
	}
	snapshot, err := process.Parse(looked[0].Output)
	if err != nil {
		return fmt.Errorf("container %s: %w", container, err)
	}
	self, found := snapshot.PID(snapshot.Self)
	if !found {
		return fmt.Errorf("container %s: the look does not see itself", container)
	}
	observed, err := parseAccess(looked[1].Output, len(matrix.targets))
	if err != nil {
		return fmt.Errorf("container %s: %w", container, err)
	}
	caller := accessParty{name: name, Process: self, userNamespace: answer(looked[4]), label: answer(looked[5])}
	platform := accessPlatform{hidepid: parseHidepid(answer(looked[2]))}
	platform.yama, _ = strconv.Atoi(answer(looked[3]))
	matrix.callers = append(matrix.callers, caller)
	matrix.add(caller, platform, observed)
	return nil
}

// add judges each observation of one caller by the rules.
func (matrix *accessMatrix) add(caller accessParty, platform accessPlatform, observed []string) {
	for i, target := range matrix.targets {
		for j, operation := range accessOperations {
			cell := reports.Access{
				Caller: caller.name, Target: target.name, Operation: operation.name,
				Observed: observed[i*len(accessOperations)+j],
			}
			cell.Expected, cell.Rule, cell.Narrowed = expectedAccess(caller, target, operation, platform)
			// A security module may forbid more than the rules: it is believed where it is on, and only in refusing.
			refused := cell.Observed == "EACCES" || cell.Observed == "EPERM"
			if module := securityModule(caller.label); module != "" && cell.Expected == accessAllowed && refused && operation.check != checkNothing {
				cell.Expected, cell.Narrowed = cell.Observed, module
				cell.Rule += fmt.Sprintf("; %s confines the caller (%s)", module, caller.label)
			}
			matrix.cells = append(matrix.cells, cell)
		}
	}
}

// securityModule names the module that a label in /proc/PID/attr/current is of, empty when it confines nothing.
func securityModule(label string) string {
	switch {
	case label == "" || label == "unconfined" || strings.HasSuffix(label, "(complain)"):
		return ""
	case strings.Count(label, ":") >= 3:
		return "selinux"
	}
	return "apparmor"
}

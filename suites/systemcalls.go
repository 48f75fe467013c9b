package suites

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/onsi/gomega"

	"sharedpid.example/helpers/process"
	"sharedpid.example/helpers/suite"
	"sharedpid.example/helpers/systemcalls"
	"sharedpid.example/reports"
	"sharedpid.example/suites/access"
)

// callsFixture has callers that differ in uid and capabilities, which all may execute what one of them is given.
var callsFixture = suite.Fixture{Name: "system-calls", Objects: manifest("system-calls.yaml")}

// callsProgram is where containers find the program that does what no shell can do.
const callsProgram = "/programs/system-calls"

// Names of targets of system calls, beside those of the access matrix.
const (
	targetRoot     = "process of " + access.CallerRoot
	targetStranger = "process of " + access.CallerStranger
)

// callers are the containers of the manifest system-calls.yaml by their start processes, of which the first one may look at all others.
var callers = []struct {
	start        suite.Process
	name, target string // when it asks, and when it is asked; no target where empty
}{
	{suite.Process{Container: "tracer", Arguments: []string{"sleep", "1000240"}}, access.CallerTracer, access.TargetTracer},
	{suite.Process{Container: "root", Arguments: []string{"sleep", "1000241"}}, access.CallerRoot, targetRoot},
	{suite.Process{Container: "root-without-capabilities", Arguments: []string{"sleep", "1000242"}}, access.CallerRootBare, ""},
	{suite.Process{Container: "root-with-perfmon", Arguments: []string{"sleep", "1000243"}}, access.CallerPerfmon, ""},
	{suite.Process{Container: "root-with-sys-admin", Arguments: []string{"sleep", "1000244"}}, access.CallerAdmin, ""},
	{suite.Process{Container: "root-with-sys-nice", Arguments: []string{"sleep", "1000245"}}, "root with CAP_SYS_NICE", ""},
	{suite.Process{Container: "uid-1000", Arguments: []string{"sleep", "1000246"}}, access.CallerStranger, targetStranger},
}

var systemCallsTrait = suite.Trait{
	ID: "credentials/system-calls-by-rules",
	Statement: "What debuggers, profilers and supervisors do to processes of other containers, from ptrace(2) to perf_event_open(2), MUST be " +
		"allowed and refused as the kernel's rules say for uids, gids, capabilities and dumpability.",
	Profile: suite.Full,
	Sources: []string{
		ptraceSource, "https://man7.org/linux/man-pages/man2/process_vm_readv.2.html", "https://man7.org/linux/man-pages/man2/pidfd_open.2.html",
		"https://man7.org/linux/man-pages/man2/pidfd_getfd.2.html", "https://man7.org/linux/man-pages/man2/setns.2.html",
		"https://man7.org/linux/man-pages/man2/kcmp.2.html", "https://man7.org/linux/man-pages/man2/prlimit.2.html",
		"https://man7.org/linux/man-pages/man2/sched_setaffinity.2.html", "https://man7.org/linux/man-pages/man2/setpriority.2.html",
		"https://man7.org/linux/man-pages/man2/perf_event_open.2.html",
	},
	Fixtures: []suite.Fixture{callsFixture, startLooksFixture},
	Causes: []suite.Cause{
		notVisible,
		{
			Cause:    "the runtime's kernel has rules of its own, or something narrows them that the suite does not detect",
			NextStep: "look at the cell's rule in the report, at Seccomp in /proc/self/status and at the node's security modules",
		},
	},
	Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
		var starts []suite.Process
		for _, each := range callers {
			if each.name != access.CallerPerfmon { // may not start, and is no target
				starts = append(starts, each.start)
			}
		}
		seen, err := session.Await(ctx, callsFixture, "tracer", "processes seen from the tracer", starts...)
		if err != nil {
			return err
		}
		if err := carryProgram(ctx, session, callsFixture, "tracer"); err != nil {
			return err
		}
		matrix, err := callMatrix(ctx, session, seen)
		if err != nil {
			return err
		}
		recordCredentials(session, callsFixture, slices.Concat(matrix.Callers, matrix.Targets)...)
		recordAccess(session, callsFixture, "who may make which system call", matrix.Cells...)
		if err := sameProcesses(ctx, session, callsFixture, matrix.Targets); err != nil {
			return err
		}
		if err := cellsRefusedToExecAlone(ctx, session, matrix.Cells); err != nil {
			return err
		}
		judgeCalls(judge, matrix)
		return nil
	},
}

// callMatrix makes every call as each caller on each target.
func callMatrix(ctx context.Context, session *suite.Session, seen process.Snapshot) (access.CallMatrix, error) {
	var matrix access.CallMatrix
	for _, each := range callers {
		if each.target != "" {
			matrix.Targets = append(matrix.Targets, access.Party{Name: each.target, Process: seen.With(each.start.Arguments...)[0]})
		}
	}
	first, found := seen.PID(1)
	if !found {
		return matrix, suite.Undecided(reports.Precondition, "process 1 is not visible")
	}
	matrix.Targets = append(matrix.Targets, access.Party{Name: access.TargetPause, Process: first})
	if err := describeTargets(ctx, session, callsFixture, "tracer", matrix.Targets); err != nil {
		return matrix, err
	}
	for _, each := range callers {
		err := callAs(ctx, session, &matrix, each.start.Container, each.name)
		switch {
		case err == nil:
		case each.name == access.CallerPerfmon && refusedToStart(err): // see lookedMatrix.WithoutPerfmon
			session.Record(callsFixture, reports.Evidence{Title: "a caller that does not start", Where: callsFixture.Name, Output: err.Error()})
		default:
			return matrix, err
		}
	}
	matrix.Settle()
	return matrix, nil
}

// callAs adds one caller's cells.
func callAs(ctx context.Context, session *suite.Session, matrix *access.CallMatrix, container, name string) error {
	command := callsProgram
	for _, target := range matrix.Targets {
		command += " " + strconv.Itoa(target.PID)
	}
	looked, err := session.Read(ctx, callsFixture, container, process.Script, command, "grep Seccomp: /proc/self/status",
		"cat /proc/sys/kernel/yama/ptrace_scope", "cat /proc/sys/kernel/perf_event_paranoid", "readlink /proc/self/ns/user",
		"cat /proc/self/attr/current", access.LabelsCommand)
	if err != nil {
		return err
	}
	snapshot, self, err := parseCaller(container, looked[0].Output)
	if err != nil {
		return err
	}
	if looked[1].ExitCode != 0 {
		return suite.Undecided(reports.Precondition, "container %s: the program that makes the calls cannot be executed: %s", container,
			quote(looked[1].Output))
	}
	answers, err := systemcalls.Parse(looked[1].Output)
	if err != nil {
		return suite.Undecided(reports.Lost, "container %s: %v", container, err)
	}
	mode, _ := seccompMode(looked[2]) // a kernel without seccomp filters nothing
	platform := access.SystemPlatform{Filtered: mode != "" && mode != unfilteredMode}
	platform.Yama, _ = strconv.Atoi(looked[3].Answer())     // there is no such file without Yama
	platform.Paranoid, _ = strconv.Atoi(looked[4].Answer()) // nor where the kernel cannot count
	caller := access.Party{
		Name: name, Process: self, UserNamespace: looked[5].Answer(), Label: looked[6].Answer(),
		StartLabel: access.StartLabel(snapshot, access.ParseLabels(looked[7].Output)),
	}
	alone := access.CallMatrix{Matrix: access.Matrix{Targets: matrix.Targets}}
	if err := alone.Add(caller, platform, answers); err == nil {
		if caller.Permissive, err = seenPermissive(ctx, session, callsFixture, container, alone.Cells); err != nil {
			return err
		}
	}
	if err := matrix.Add(caller, platform, answers); err != nil {
		return suite.Undecided(reports.Lost, "container %s: %v", container, err)
	}
	return nil
}

// judgeCalls holds the cells to their rules. That root with CAP_SYS_PTRACE traces root's process is the control: without it, refusals would
// prove nothing.
func judgeCalls(judge suite.Judge, matrix access.CallMatrix) {
	cell := matrix.Cell(access.CallerTracer, targetRoot, "ptrace")
	if err := excuseCell(matrix.Matrix, cell); err != nil {
		judge.Stop(err)
	}
	if cell.Narrowed != "" {
		judge.Stop(&suite.Unsupported{Reason: fmt.Sprintf("ptrace on the %s by %s is %s: %s", targetRoot, access.CallerTracer, cell.Observed, cell.Rule)})
	}
	judge.Control.Expect(cell.Observed).To(gomega.Equal(access.Allowed), "ptrace on the %s by %s is %s, must be allowed (%s)",
		targetRoot, access.CallerTracer, cell.Observed, cell.Rule)
	judgeAccess(judge, matrix.Cells)
}

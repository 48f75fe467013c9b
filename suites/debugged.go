package suites

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/onsi/gomega"

	"sharedpid.example/helpers/suite"
	"sharedpid.example/helpers/systemcalls"
	"sharedpid.example/suites/access"
)

// debuggedTrait is what debuggers and tracers of system calls rest on.
var debuggedTrait = suite.Trait{
	ID: "credentials/debugged-sibling-goes-on",
	Statement: "A sibling of the same uid MUST be able to do to a process what debuggers do: stop all its threads, read their registers and stacks, " +
		"and follow its system calls. Let go, the process MUST go on. A sibling of another uid MUST be denied it.",
	Profile:  suite.Full,
	Sources:  []string{ptraceSource, "https://man7.org/linux/man-pages/man2/process_vm_readv.2.html"},
	Fixtures: []suite.Fixture{attachFixture},
	Needs:    []suite.Need{servedOwner},
	Causes:   []suite.Cause{notVisible, visitorAllowed, narrowedDebugger},
	Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
		target, err := attachTarget(ctx, session)
		if err != nil {
			return err
		}
		// The owner of the socket is a child of the start process, whose container it is.
		served, err := session.Await(ctx, attachFixture, "tracer", "processes seen from the tracer", suite.Process{Container: "owner", Arguments: ownerServes})
		if err != nil {
			return err
		}
		server, socket := served.With(ownerServes...)[0], rootOf(target)+attachFolder+"/socket"
		debug := fmt.Sprintf("%s debug %d %s", callsProgram, server.PID, socket)
		var met debuggedSibling
		met.permitted, err = session.ExecOnce(ctx, attachFixture, "tracer", "a process of one's own container debugged, and the sibling's",
			debugOwn(tenths(session.Limits().Appearance)), debug, "cat /proc/sys/kernel/yama/ptrace_scope")
		if err != nil {
			return err
		}
		if met.permitted[0].ExitCode == 0 {
			if err := explainRefusal(ctx, session, attachFixture, "tracer", server, "root", met.permitted[1]); err != nil {
				return err
			}
		}
		met.stranger, err = session.ExecOnce(ctx, attachFixture, "visitor", "the sibling's process debugged by another uid",
			visibleTo(server), ownProc, debug)
		if err != nil {
			return err
		}
		if err := sameProcesses(ctx, session, attachFixture, []access.Party{
			{Name: "the owner's process", Process: target}, {Name: "the process that serves", Process: server},
		}); err != nil {
			return err
		}
		judgeDebugged(judge, met)
		return nil
	},
}

// ownerServes are the arguments of the process to attach to.
var ownerServes = []string{callsProgram, "serve", attachFolder}

var narrowedDebugger = suite.Cause{
	Cause:    "the runtime's kernel does not let a tracer do all that ptrace(2) says, or does it to processes of its own container alone",
	NextStep: "compare the two first commands in the evidence: the same is done to a process of the tracer's own container",
}

// debugOwn debugs a process of one's own container: who may not do that is kept from it by something that has nothing to do with sharing.
func debugOwn(tenths int) string {
	return fmt.Sprintf("folder=/programs/served.$$\n%[1]s serve $folder </dev/null >/dev/null 2>&1 & server=$!\n"+
		"for tenth in $(seq %[2]d); do %[1]s connect $folder/socket >/dev/null 2>&1 && break; sleep 0.1; done\n"+
		"%[1]s debug $server $folder/socket; code=$?\nkill -9 $server; rm -r $folder; exit $code", callsProgram, tenths)
}

// debuggedSibling is what two siblings met when they debugged.
type debuggedSibling struct {
	permitted []suite.ExecResult // a process of one's own container, the sibling's, and Yama's scope
	stranger  []suite.ExecResult // visibleTo, ownProc, and the sibling's
}

// undebugged says what of debugging was not seen, empty for nothing.
func undebugged(seen systemcalls.Debugged) string {
	for _, call := range []string{"getsockopt", "write"} {
		if !slices.Contains(seen.Calls, call) {
			return fmt.Sprintf("of its system calls the debugger sees %s, and not %s", seen.Calls, call)
		}
	}
	switch {
	case seen.Threads == 0:
		return "no thread has stopped"
	case seen.Stacks != seen.Threads:
		return fmt.Sprintf("of %d threads the stacks of %d could be read", seen.Threads, seen.Stacks)
	case seen.During == "" || seen.After == "":
		return "it does not answer any more"
	case seen.TracerPID != "0":
		return "it still has the tracer " + seen.TracerPID
	}
	return ""
}

func judgeDebugged(judge suite.Judge, met debuggedSibling) {
	judgeRun(judge, met.permitted[:2]...)
	judgeRun(judge, met.stranger...)
	own, sibling := met.permitted[0], met.permitted[1]
	if scope, err := strconv.Atoi(met.permitted[2].Answer()); own.ExitCode != 0 && err == nil && scope > 0 {
		judge.Stop(&suite.Unsupported{Reason: fmt.Sprintf("Yama's ptrace_scope is %d: who has no CAP_SYS_PTRACE debugs its own children alone", scope)})
	}
	judge.Precondition.Expect(own.ExitCode).To(gomega.BeZero(), "not even a process of one's own container can be debugged: %s", quote(own.Output))
	control, err := systemcalls.ParseDebugged(own.Output)
	judge.Precondition.Expect(err).NotTo(gomega.HaveOccurred())
	judge.Precondition.Expect(undebugged(control)).To(gomega.BeEmpty(), "a process of one's own container was not debugged as debuggers do")

	judgeEnough(judge, sibling)
	judge.Claim.Expect(sibling.ExitCode).To(gomega.BeZero(), "the sibling's process must be debugged as one's own: %s", quote(sibling.Output))
	debugged, err := systemcalls.ParseDebugged(sibling.Output)
	judge.Precondition.Expect(err).NotTo(gomega.HaveOccurred())
	judge.Claim.Expect(undebugged(debugged)).To(gomega.BeEmpty(), "the sibling's process must be debugged as one's own")
	judgeDenied(judge, met.stranger, "EPERM")
}

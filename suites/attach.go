package suites

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/onsi/gomega"

	"sharedpid.example/helpers/process"
	"sharedpid.example/helpers/suite"
	"sharedpid.example/helpers/systemcalls"
	"sharedpid.example/reports"
	"sharedpid.example/suites/access"
)

// attachFixture has a process to attach to, a sibling of its uid and one of another.
var attachFixture = suite.Fixture{Name: "attach", Objects: manifest("attach.yaml"), Stable: true}

// attachOwner is the process of the manifest attach.yaml to attach to.
var attachOwner = suite.Process{Container: "owner", Arguments: []string{"sleep", "1000280"}}

// attachFolder is what the owner offers to who attaches to it, on a volume that it alone mounts.
const attachFolder = "/offered/attach"

// visitorAllowed is why a visitor of another uid was not denied.
var visitorAllowed = suite.Cause{
	Words:    "must be denied",
	Cause:    "the visitor has capabilities or a uid that its securityContext does not give it",
	NextStep: "compare Uid and CapEff in /proc/self/status of the container with its securityContext",
}

// attachTrait is what the attach protocols of the JVM and of .NET rest on: the sockets lie in /tmp of the container that is attached to.
var attachTrait = suite.Trait{
	ID: "filesystem/attach-through-proc-root",
	Statement: "A permitted sibling MUST reach the Unix sockets and FIFOs of another container through /proc/PID/root, known there by the pid and " +
		"uid that it has itself, MUST NOT find them at its own path, and a sibling of another uid MUST be denied them.",
	Profile: suite.Full,
	Sources: []string{
		rootPage, ptraceSource, "https://man7.org/linux/man-pages/man7/unix.7.html", "https://man7.org/linux/man-pages/man7/fifo.7.html",
		"https://github.com/openjdk/jdk/pull/19055", "https://github.com/dotnet/diagnostics/issues/1528",
	},
	Fixtures: []suite.Fixture{attachFixture},
	Needs:    []suite.Need{servedOwner},
	Causes: []suite.Cause{
		notVisible,
		{
			Words:    "knows the sibling as",
			Cause:    "the containers' processes are in different process or user namespaces",
			NextStep: "compare /proc/self/ns/pid and /proc/self/uid_map of both containers",
		},
		{
			Words:    "own path",
			Cause:    "the containers share a mount namespace, or a volume that one of them does not mount",
			NextStep: "look at /proc/self/mounts of both containers",
		},
		visitorAllowed, narrowedRoot,
	},
	Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
		target, err := attachTarget(ctx, session)
		if err != nil {
			return err
		}
		socket, fifo := rootOf(target)+attachFolder+"/socket", rootOf(target)+attachFolder+"/fifo"
		var met attached
		met.permitted, err = session.ExecOnce(ctx, attachFixture, "tracer", "the sibling's socket and FIFO, through /proc and at their own path",
			callsProgram+" connect "+socket, writeInto(fifo, "tracer"), "ls -d "+attachFolder+"/socket", "ls -d "+attachFolder+"/fifo")
		if err != nil {
			return err
		}
		if err := explainRefusal(ctx, session, attachFixture, "tracer", target, "root", met.permitted[:2]...); err != nil {
			return err
		}
		met.stranger, err = session.ExecOnce(ctx, attachFixture, "visitor", "the sibling's process, socket and FIFO, by another uid",
			visibleTo(target), ownProc, callsProgram+" connect "+socket, writeInto(fifo, "visitor"))
		if err != nil {
			return err
		}
		// What the owner writes after the others comes out of the FIFO after what they have written.
		met.owner, err = session.ExecOnce(ctx, attachFixture, "owner", "the owner's own socket, and what came through its FIFO",
			callsProgram+" connect "+attachFolder+"/socket",
			fmt.Sprintf("%s\nfor tenth in $(seq %d); do grep -q owner %[3]s && break; sleep 0.1; done; cat %[3]s",
				writeInto(attachFolder+"/fifo", "owner"), tenths(session.Limits().Absence), attachFolder+"/received"))
		if err != nil {
			return err
		}
		if err := sameProcesses(ctx, session, attachFixture, []access.Party{{Name: "the owner's process", Process: target}}); err != nil {
			return err
		}
		judgeAttached(judge, met)
		return nil
	},
}

// watchTrait is what reloaders rest on.
var watchTrait = suite.Trait{
	ID: "filesystem/watch-through-proc-root",
	Statement: "A permitted sibling that watches a file of another container through /proc/PID/root MUST be told of the changes that the other one " +
		"makes to it, and a sibling of another uid MUST be denied the watch.",
	Profile:  suite.Full,
	Sources:  []string{rootPage, ptraceSource, "https://man7.org/linux/man-pages/man7/inotify.7.html"},
	Fixtures: []suite.Fixture{attachFixture},
	Needs:    []suite.Need{servedOwner},
	Causes: []suite.Cause{
		notVisible,
		{
			Words:    "was not told",
			Cause:    "the runtime's kernel tells of changes only who has the file from the same mount",
			NextStep: "compare stat of the file through /proc/PID/root with the one in the container itself: device and inode must be equal",
		},
		visitorAllowed, narrowedRoot,
	},
	Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
		target, err := attachTarget(ctx, session)
		if err != nil {
			return err
		}
		root := rootOf(target) + attachFolder
		permitted, err := session.ExecOnce(ctx, attachFixture, "tracer", "a watch of the sibling's file, and of one of its own",
			fmt.Sprintf("%s watch %s/received %[2]s/fifo %d", callsProgram, root, int(session.Limits().Appearance.Seconds())),
			watchNothing(callsProgram))
		if err != nil {
			return err
		}
		if err := explainRefusal(ctx, session, attachFixture, "tracer", target, "root", permitted[0]); err != nil {
			return err
		}
		stranger, err := session.Exec(ctx, attachFixture, "visitor", "the sibling's process, a watch of its file, and of one of its own",
			visibleTo(target), ownProc, watchNothing(root+"/received"), watchNothing(callsProgram))
		if err != nil {
			return err
		}
		if err := sameProcesses(ctx, session, attachFixture, []access.Party{{Name: "the owner's process", Process: target}}); err != nil {
			return err
		}
		judgeWatched(judge, permitted, stranger)
		return nil
	},
}

// narrowedRoot is the cause of what a permitted sibling does not reach.
var narrowedRoot = suite.Cause{
	Cause:    "a security module or a seccomp profile narrows what the ptrace access check permits, or /proc/PID/root leads elsewhere",
	NextStep: "look at /proc/self/attr/current and Seccomp in /proc/self/status of the tracer, and at ls -l /proc/PID/root/offered/attach",
}

// servedOwner starts a process in the owner's container that others may attach to.
var servedOwner = &suite.Probe[suite.ExecResult]{
	Name: "a process to attach to", Fixtures: []suite.Fixture{attachFixture},
	Look: func(ctx context.Context, session *suite.Session) (suite.ExecResult, error) {
		if err := carryProgram(ctx, session, attachFixture, "owner"); err != nil {
			return suite.ExecResult{}, err
		}
		served, err := session.ExecOnce(ctx, attachFixture, "owner", "a process to attach to", fmt.Sprintf(
			"%[1]s serve %[2]s </dev/null >/offered/words 2>&1 &\nfor tenth in $(seq %[3]d); do %[1]s connect %[2]s/socket 2>/dev/null && exit 0; sleep 0.1; done\n"+
				"cat /offered/words; exit 1", callsProgram, attachFolder, tenths(session.Limits().Appearance)))
		if err != nil {
			return suite.ExecResult{}, err
		}
		if served[0].ExitCode != 0 {
			return served[0], suite.Undecided(reports.Precondition, "the owner cannot offer anything to attach to: %s", quote(served[0].Output))
		}
		return served[0], nil
	},
}

// attachTarget is the owner's start process, through which others reach what the owner offers.
func attachTarget(ctx context.Context, session *suite.Session) (process.Process, error) {
	target, err := session.Find(ctx, attachFixture, "tracer", "processes seen from the tracer", attachOwner)
	if err == nil {
		_, err = servedOwner.Of(ctx, session)
	}
	return target, err
}

// carryProgram puts the program that does what no shell can do where the containers of a fixture find it.
func carryProgram(ctx context.Context, session *suite.Session, fixture suite.Fixture, container string) error {
	written, err := session.WriteProgram(ctx, fixture, container, callsProgram, func(ctx context.Context) ([]byte, error) {
		return systemcalls.Program(ctx, session.Target().Architecture)
	})
	if err == nil && written.ExitCode != 0 {
		err = suite.Undecided(reports.Precondition, "the program that makes the calls cannot be brought in: %s", quote(written.Output))
	}
	return err
}

// writeInto writes a line into a FIFO, which must be there. A shell that opens it for reading as well does not wait for a reader.
func writeInto(fifo, line string) string { return fmt.Sprintf("echo %s 1<>%s", line, fifo) }

// watchNothing watches a file that nobody is asked to change.
func watchNothing(file string) string {
	return fmt.Sprintf("%s watch %s /dev/null 0", callsProgram, file)
}

// unchanged is what the program prints of a file that it could watch, and that has not changed.
const unchanged = "not changed\n"

// attached is what the siblings of a process, and its own container, met when they attached to it.
type attached struct {
	permitted []suite.ExecResult // its socket and FIFO through /proc, and both at their own path
	stranger  []suite.ExecResult // visibleTo, ownProc, then its socket and FIFO through /proc
	owner     []suite.ExecResult // its socket, and what came through its FIFO
}

// peers are the two lines of who has connected: the pid and uid that it has, and those that the socket's owner knows it by.
var peers = regexp.MustCompile(`^(\d+ \d+)\n(\d+ \d+)\n$`)

// lacking tells whether a program did not do what it was to do for want of something that nobody promises.
var lacking = regexp.MustCompile(`Too many open files|No space left on device|Cannot allocate memory|Resource temporarily unavailable`)

func judgeEnough(judge suite.Judge, results ...suite.ExecResult) {
	for _, each := range results {
		judge.Precondition.Expect(each.ExitCode != 0 && lacking.MatchString(each.Output)).To(gomega.BeFalse(), "%s failed: %s", each.Command, quote(each.Output))
	}
}

func judgeAttached(judge suite.Judge, met attached) {
	judgeRun(judge, met.permitted...)
	judgeRun(judge, met.stranger...)
	judgeRun(judge, met.owner...)
	judgeEnough(judge, met.permitted...)
	// The socket and the FIFO are served to their owner, after everybody else: whoever was not served was not let in.
	judge.Precondition.Expect(met.owner[0].Output).To(gomega.MatchRegexp(peers.String()), "the owner does not reach its own socket")
	received := strings.Split(met.owner[1].Output, "\n")
	judge.Precondition.Expect(received).To(gomega.ContainElement("owner"), "the owner does not get its own line through its FIFO: %s", quote(met.owner[1].Output))

	judge.Claim.Expect(met.permitted[0].ExitCode).To(gomega.BeZero(), "the permitted sibling must reach the socket: %s", quote(met.permitted[0].Output))
	lines := peers.FindStringSubmatch(met.permitted[0].Output)
	judge.Claim.Expect(lines).NotTo(gomega.BeNil(), "the socket must say who has connected, it says %s", quote(met.permitted[0].Output))
	judge.Claim.Expect(lines[2]).To(gomega.Equal(lines[1]), "the owner knows the sibling as %q, pid and uid, which is %q to itself", lines[2], lines[1])
	judge.Claim.Expect(met.permitted[1].ExitCode).To(gomega.BeZero(), "the permitted sibling must open the FIFO: %s", quote(met.permitted[1].Output))
	judge.Claim.Expect(received).To(gomega.ContainElement("tracer"), "what the permitted sibling writes into the FIFO must come out of it")
	for _, own := range met.permitted[2:] {
		judge.Claim.Expect(own.Errno()).To(gomega.Equal("ENOENT"), "at its own path the sibling must find nothing: %s", own.Command)
	}
	judgeDenied(judge, met.stranger, "EACCES")
	judge.Claim.Expect(received).NotTo(gomega.ContainElement("visitor"), "what another uid writes into the FIFO came out of it")
}

// visibleTo succeeds for who sees a process, whatever its uid.
func visibleTo(target process.Process) string {
	return fmt.Sprintf("true </proc/%d/cmdline", target.PID)
}

// ownProc shows how /proc is mounted.
const ownProc = "grep -E '^[^ ]+ /proc ' /proc/self/mounts"

// judgeDenied takes what a sibling of another uid met: visibleTo, ownProc, and what must be denied with an errno. The tracer shows that the
// process is there where hidepid hides it.
func judgeDenied(judge suite.Judge, met []suite.ExecResult, errno string) {
	hidden := access.ParseHidepid(met[1].Output).Level != ""
	judge.Precondition.Expect(met[0].ExitCode == 0 || hidden).To(gomega.BeTrue(), "another uid must see the process: %s", quote(met[0].Output))
	judgeEnough(judge, met[2:]...)
	for _, each := range met[2:] {
		judge.Claim.Expect(each.ExitCode).NotTo(gomega.BeZero(), "%s by another uid must be denied, it gave %s", each.Command, quote(each.Output))
		denied := each.Errno() == errno || hidden && (each.Errno() == "ENOENT" || each.Errno() == "EPERM")
		judge.Precondition.Expect(denied).To(gomega.BeTrue(), "%s by another uid was not denied with %s: %s", each.Command, errno, quote(each.Output))
	}
}

// judgeWatched takes a watch of the sibling's file and of one of one's own, and what a stranger met: visibleTo, ownProc, and the same two.
func judgeWatched(judge suite.Judge, permitted, stranger []suite.ExecResult) {
	judgeRun(judge, permitted...)
	judgeRun(judge, stranger...)
	for _, own := range []suite.ExecResult{permitted[1], stranger[3]} {
		judge.Precondition.Expect(own.Output).To(gomega.Equal(unchanged), "no file can be watched: %s", own.Command)
	}
	judgeEnough(judge, permitted[0])
	judge.Claim.Expect(permitted[0].ExitCode).To(gomega.BeZero(), "the permitted sibling must be able to watch the file: %s", quote(permitted[0].Output))
	if permitted[0].Output == unchanged {
		judge.Stop(suite.Undecided(reports.OutOfTime, "the owner did not change the file in time"))
	}
	judge.Claim.Expect(permitted[0].Output).To(gomega.Equal("told\n"), "the permitted sibling was not told of a change that it sees: %s", quote(permitted[0].Output))
	judgeDenied(judge, stranger[:3], "EACCES")
}

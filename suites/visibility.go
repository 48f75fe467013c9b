package suites

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"

	"github.com/onsi/gomega"

	"sharedpid.example/helpers/process"
)

// canary is the secret in the environment of the owner, from fixtures/siblings.yaml.
const canary = "canary-in-the-environment"

var visibilityTraits = []suite.Trait{
	{
		ID:        "visibility/nginx-sees-shell",
		Statement: "Visibility MUST be mutual: a container sees the processes of another under the same pids as that one does.",
		Profile:   suite.Core,
		Sources:   []string{taskPage, pidPage},
		Fixtures:  []suite.Fixture{articleFixture, articleUnsharedFixture},
		Causes:    []suite.Cause{blindControl, sharesUnasked, ownNamespaces},
		Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
			fromNginx, err := session.Processes(ctx, articleFixture, "nginx", "processes seen from nginx")
			if err != nil {
				return err
			}
			fromShell, err := session.Processes(ctx, articleFixture, "shell", "processes seen from the shell")
			if err != nil {
				return err
			}
			judgeMutual(judge, fromNginx, fromShell)
			unshared, err := session.Processes(ctx, articleUnsharedFixture, "nginx", "processes seen from nginx")
			if err != nil {
				return err
			}
			judge.Control.Expect(unshared.With(nginxMaster)).NotTo(gomega.BeEmpty(), "nginx must see itself")
			judge.Control.Expect(unshared.With("sh")).To(gomega.BeEmpty(), "without sharing, the shell must not be visible")
			return nil
		},
	},
	{
		ID:        "visibility/exec-is-visible",
		Statement: "A process that is started in one container by exec MUST be visible in the others.",
		Profile:   suite.Core,
		Sources:   []string{criSource, taskPage},
		Fixtures:  []suite.Fixture{pairFixture, pairUnsharedFixture},
		Causes: []suite.Cause{
			blindControl,
			sharesUnasked,
			{
				Cause:    "the runtime starts exec in a process namespace other than the container's",
				NextStep: "compare /proc/self/ns/pid of an exec with that of the container's start process",
			},
		},
		Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
			shared, err := execSeenFromOther(ctx, session, pairFixture)
			if err != nil {
				return err
			}
			unshared, err := execSeenFromOther(ctx, session, pairUnsharedFixture)
			if err != nil {
				return err
			}
			judge.Claim.Expect(shared).To(gomega.BeTrue(), "a process that exec started in one container is not visible in the other")
			judge.Control.Expect(unshared).To(gomega.BeFalse(), "without sharing, a process that exec started is visible in the other container")
			return nil
		},
	},
	{
		ID:         "visibility/shell-sees-nginx",
		Statement:  "The processes of one container MUST be visible to another, with their arguments.",
		Profile:    suite.Article,
		Documented: true,
		Article:    "Worker pids and their number depend on the node: only the sets of processes are compared.",
		Sources:    []string{taskPage},
		Fixtures:   []suite.Fixture{articleFixture, articleUnsharedFixture},
		Causes: []suite.Cause{
			blindControl,
			sharesUnasked,
			{
				Words:    "two nginx workers",
				Cause:    "the master is seen and its workers, of another user, are not: /proc is mounted with hidepid, or nginx has ended them",
				NextStep: "look at /proc/self/mounts of the shell and at nginx's log in the diagnosis",
			},
			{
				Words:    "is not the master's child",
				Cause:    "the runtime's kernel tells another parent from a sibling than from the container itself",
				NextStep: "compare PPid in /proc/PID/status as the shell and as nginx read it",
			},
			ownNamespaces,
		},
		Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
			shared, err := session.Await(ctx, articleFixture, "shell", "processes seen from the shell", master, shell)
			if err != nil {
				return err
			}
			judgeNginxIsVisible(judge, shared)
			unshared, err := session.Processes(ctx, articleUnsharedFixture, "shell", "processes seen from the shell")
			if err != nil {
				return err
			}
			judgeNginxIsNotVisible(judge, unshared)
			return nil
		},
	},
	{
		ID:         "visibility/arguments-are-public",
		Statement:  "The arguments of every process in the Pod MUST be readable by any uid.",
		Profile:    suite.Article,
		Documented: true,
		Article:    "UNIX permissions do not guard arguments: any uid reads them. A secret does not belong there.",
		Sources:    []string{"https://man7.org/linux/man-pages/man5/proc_pid_cmdline.5.html"},
		Fixtures:   []suite.Fixture{siblingsFixture, siblingsUnsharedFixture},
		Causes: []suite.Cause{
			blindControl,
			sharesUnasked,
			{
				Cause:    "the containers do not share a process namespace, or /proc is mounted with hidepid",
				NextStep: "look at /proc/self/mounts of the visitor and at namespace/one-namespace",
			},
		},
		Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
			// The snapshot reads every cmdline as the visitor, uid 1000 without capabilities.
			seen, err := session.Await(ctx, siblingsFixture, "visitor", "arguments read by uid 1000", owner)
			if absent := (*suite.Violation)(nil); errors.As(err, &absent) {
				return stillHidden(ctx, session, seen, absent)
			}
			if err != nil {
				return err
			}
			judgeArgumentsArePublic(judge, seen)
			unshared, err := session.Processes(ctx, siblingsUnsharedFixture, "visitor", "processes seen from the visitor")
			if err != nil {
				return err
			}
			judgeOwnerIsNotVisible(judge, unshared, visitorSleep)
			return nil
		},
	},
	{
		ID:         "visibility/secrets-in-environ",
		Statement:  "A secret in the environment of a process MUST be readable by a sibling container that the ptrace access check permits.",
		Profile:    suite.Article,
		Documented: true,
		Article: "What guards an environment is the ptrace access check: uids, capabilities, dumpability, user namespaces and security " +
			"modules, not UNIX permissions alone. Newer kernels let CAP_PERFMON and CAP_SYS_ADMIN pass it. " +
			"From nginx itself nothing is read: it overwrites its environment with its process title.",
		Sources: []string{
			"https://man7.org/linux/man-pages/man5/proc_pid_environ.5.html",
			"https://man7.org/linux/man-pages/man2/ptrace.2.html",
		},
		Fixtures: []suite.Fixture{siblingsFixture, siblingsUnsharedFixture},
		Causes: []suite.Cause{
			blindControl,
			sharesUnasked,
			notVisible,
			{
				Words:    `errno ""`,
				Cause:    "the environment was read and does not have what the Pod sets: the runtime passes on another one",
				NextStep: "compare it with what kubectl exec of env in the container itself prints, and with process.env in its config.json",
			},
			{
				Cause: "a security module, hidepid or a seccomp profile narrows what the ptrace access check permits, or the tracer has " +
					"fewer capabilities than the process",
				NextStep: "look at /proc/self/attr/current, at Seccomp in /proc/self/status and at /proc/self/mounts of the caller",
			},
		},
		Check: checkCanary(siblingsFixture, siblingsUnsharedFixture),
	},
	{
		ID: "visibility/start-process-sees-what-exec-sees",
		Statement: "What a container's start process meets in a sibling's process, its environment, its root directory and signals, MUST be " +
			"what a process that exec starts in the same container meets.",
		Profile:  suite.Core,
		Article:  "The article looks by exec. A sidecar's own process is what uses the shared namespace.",
		Sources:  []string{criSource, ptraceSource, "https://github.com/containerd/containerd/issues/12886"},
		Fixtures: []suite.Fixture{startLooksFixture, startLooksUnsharedFixture},
		Causes: []suite.Cause{
			blindControl,
			sharesUnasked,
			{
				Words:    "is not visible",
				Cause:    ownNamespaces.Cause,
				NextStep: ownNamespaces.NextStep,
			},
			{
				Cause:    "the runtime starts exec with other credentials, or in other namespaces, than the container's start process",
				NextStep: "compare Uid, CapEff and Seccomp in /proc/PID/status, and the links in /proc/PID/ns, of both",
			},
		},
		Check: checkStartProcess,
	},
	envFilesTrait,
}

// executed is what exec starts in a container of the smallest Pod.
var executed = []string{"sleep", "1000030"}

// execSeenFromOther starts a process in one container of the smallest Pod, tells whether the other one sees it, and ends it.
func execSeenFromOther(ctx context.Context, session *suite.Session, fixture suite.Fixture) (bool, error) {
	started, err := session.ExecOnce(ctx, fixture, one.Container, "a process started by exec",
		strings.Join(executed, " ")+" </dev/null >/dev/null 2>&1 & echo $!")
	if err != nil {
		return false, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(started[0].Output))
	if err != nil {
		return false, suite.Undecided(reports.Lost, "the pid of a background process: %v", err)
	}
	seen, err := session.ProcessesNow(ctx, fixture, other.Container, "processes seen from the other container")
	if err != nil {
		return false, err
	}
	// That it runs where it was started is what makes its absence elsewhere an observation.
	ended, err := session.ExecOnce(ctx, fixture, one.Container, "the process ended again", fmt.Sprintf("kill -KILL %d", pid))
	if err != nil {
		return false, err
	}
	if ended[0].ExitCode != 0 {
		return false, suite.Undecided(reports.Precondition,
			"process %d, started by exec, could not be ended again, so that it may have ended before: %s", pid, quote(ended[0].Output))
	}
	return showsExecuted(seen, pid), nil
}

// showsExecuted tells whether a snapshot has the process that exec started. Until its execve(2) it is a fork of the shell, whose
// arguments hold the command.
func showsExecuted(seen process.Snapshot, pid int) bool {
	found, visible := seen.PID(pid)
	return visible && strings.Contains(strings.Join(found.Arguments, " "), strings.Join(executed, " "))
}

// judgeMutual compares how two containers see each other's start processes.
func judgeMutual(judge suite.Judge, fromNginx, fromShell process.Snapshot) {
	judge.Precondition.Expect(fromNginx.With(master.Arguments...)).NotTo(gomega.BeEmpty(), "nginx does not see its own start process")
	judge.Precondition.Expect(fromShell.With(shell.Arguments...)).NotTo(gomega.BeEmpty(), "the shell does not see its own start process")
	for _, started := range startProcesses {
		one := expectOne(judge, fromNginx, "nginx must see the start process of container "+started.Container, started.Arguments...)
		other := expectOne(judge, fromShell, "the shell must see the start process of container "+started.Container, started.Arguments...)
		judge.Claim.Expect(one.PID).To(gomega.Equal(other.PID),
			"the containers see the start process of %s under different pids", started.Container)
		judge.Claim.Expect(one.StartTime).To(gomega.Equal(other.StartTime),
			"what the containers see as the start process of %s are different processes", started.Container)
	}
}

func judgeNginxIsVisible(judge suite.Judge, snapshot process.Snapshot) {
	judge.Precondition.Expect(snapshot.With("sh")).NotTo(gomega.BeEmpty(), "the shell does not see itself")
	master := expectOne(judge, snapshot, "the shell must see the nginx master", nginxMaster)
	workers := snapshot.With(nginxWorker)
	judge.Claim.Expect(len(workers)).To(gomega.BeNumerically(">=", 2), "the shell must see at least two nginx workers")
	for _, worker := range workers {
		judge.Claim.Expect(worker.PPID).To(gomega.Equal(master.PID), "worker %d is not the master's child", worker.PID)
	}
}

func judgeNginxIsNotVisible(judge suite.Judge, snapshot process.Snapshot) {
	judge.Control.Expect(snapshot.With("sh")).NotTo(gomega.BeEmpty(), "the shell must see itself")
	judge.Control.Expect(snapshot.With(nginxMaster)).To(gomega.BeEmpty(), "without sharing, nginx must not be visible")
	judge.Control.Expect(snapshot.With(nginxWorker)).To(gomega.BeEmpty(), "without sharing, nginx must not be visible")
}

func judgeArgumentsArePublic(judge suite.Judge, snapshot process.Snapshot) {
	self, _ := snapshot.PID(snapshot.Self)
	judge.Precondition.Expect(self.UID).To(gomega.Equal(1000), "the look must be made as uid 1000")
	owner := expectOne(judge, snapshot, "uid 1000 must read the arguments of root's process", ownerSleep...)
	judge.Precondition.Expect(owner.UID).To(gomega.Equal(0), "the process looked at must be root's")
}

// stillHidden asks, after a look from which the owner's process was absent, whether the owner still has the process that it had then.
func stillHidden(ctx context.Context, session *suite.Session, look process.Snapshot, absent *suite.Violation) error {
	own, err := session.ProcessesNow(ctx, siblingsFixture, owner.Container, "whether the process that is not visible is still the same")
	if err != nil {
		return err
	}
	return livedThrough(look, own, absent)
}

// livedThrough returns the violation that a look does not show the owner's process if the owner shows, afterwards, one that was started
// before that look. Otherwise the process may have ended, or have been replaced, in between.
func livedThrough(look, own process.Snapshot, absent *suite.Violation) error {
	self, found := look.PID(look.Self)
	for _, each := range own.With(ownerSleep...) {
		if found && each.StartTime < self.StartTime {
			return absent
		}
	}
	return suite.Undecided(reports.Precondition, "the owner's process ended or was replaced while it was looked for: %s", absent.Reason)
}

// checkCanary is the check of a trait whose canary is in the environment of the owner, and is read by the tracer.
func checkCanary(fixture, unsharedFixture suite.Fixture) func(context.Context, *suite.Session, suite.Judge) error {
	return func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
		target, err := session.Find(ctx, fixture, "tracer", "processes seen from the tracer", owner)
		if err != nil {
			return err
		}
		environ, err := session.Exec(ctx, fixture, "tracer", "the canary in the sibling's environment", canaryOf(target))
		if err != nil {
			return err
		}
		if err := explainRefusal(ctx, session, fixture, "tracer", target, "environ", environ...); err != nil {
			return err
		}
		if !hasCanary(environ[0]) {
			if err := canaryIsThere(ctx, session, judge, fixture, target); err != nil {
				return err
			}
		}
		judgeCanaryIsRead(judge, environ[0])
		unshared, err := session.Processes(ctx, unsharedFixture, "tracer", "processes seen from the tracer")
		if err != nil {
			return err
		}
		judgeOwnerIsNotVisible(judge, unshared, tracerSleep)
		return nil
	}
}

// canaryOf prints the canary in the environment of a process.
func canaryOf(target process.Process) string {
	return fmt.Sprintf("tr '\\0' '\\n' </proc/%d/environ | grep ^CANARY=", target.PID)
}

func hasCanary(environ suite.ExecResult) bool { return environ.Output == "CANARY="+canary+"\n" }

// canaryIsThere holds, when a sibling has not read the canary, that the owner itself has it and is still the same process.
func canaryIsThere(
	ctx context.Context, session *suite.Session, judge suite.Judge, fixture suite.Fixture, target process.Process,
) error {
	had, err := session.Exec(ctx, fixture, owner.Container, "the canary in the owner's own container",
		canaryOf(target), "echo $CANARY")
	if err != nil {
		return err
	}
	after, err := session.ProcessesNow(ctx, fixture, "tracer", "processes afterwards")
	if err != nil {
		return err
	}
	judgeCanaryIsThere(judge, had[0], had[1], target, after)
	return nil
}

// judgeCanaryIsThere takes what the owner's container shows of the process's environment, and of that of an exec: an exec that is
// denied the one has the container's own environment as well.
func judgeCanaryIsThere(judge suite.Judge, environ, executed suite.ExecResult, target process.Process, after process.Snapshot) {
	has := hasCanary(environ) || denied(environ) && executed.Output == canary+"\n"
	judge.Precondition.Expect(has).To(gomega.BeTrue(), "the owner itself does not have the canary: %s", quote(environ.Output))
	still, found := after.PID(target.PID)
	judge.Precondition.Expect(found && still.StartTime == target.StartTime).To(gomega.BeTrue(),
		"the process that was looked at ended meanwhile")
}

func judgeCanaryIsRead(judge suite.Judge, environ suite.ExecResult) {
	if environ.ExitCode != 0 && environ.Output != "" {
		judge.Precondition.Expect(environ.Errno()).NotTo(gomega.BeEmpty(), "the environment was not read: %s", quote(environ.Output))
	}
	judge.Claim.Expect(hasCanary(environ)).To(gomega.BeTrue(), "the canary must be read, errno %q: %s", environ.Errno(),
		quote(environ.Output))
}

func judgeOwnerIsNotVisible(judge suite.Judge, snapshot process.Snapshot, own []string) {
	judge.Control.Expect(snapshot.With(own...)).NotTo(gomega.BeEmpty(), "the container must see its own start process")
	judge.Control.Expect(snapshot.With(ownerSleep...)).To(gomega.BeEmpty(), "without sharing, the sibling's process must not be visible")
}

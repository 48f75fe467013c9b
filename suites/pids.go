package suites

import (
	"context"
	"fmt"

	"github.com/onsi/gomega"

	"sharedpid.example/helpers/process"
	"sharedpid.example/helpers/suite"
)

// siblingsStarts are the start processes of the manifest siblings.yaml.
var siblingsStarts = []suite.Process{
	owner, sealed, {Container: "visitor", Arguments: visitorSleep}, {Container: "tracer", Arguments: tracerSleep},
}

// pidsSeenFrom are containers of root, to whom hidepid hides nothing.
var pidsSeenFrom = []string{"owner", "tracer"}

var pidsTrait = suite.Trait{
	ID: "namespace/pids-are-the-same-for-all",
	Statement: "A process MUST have one pid, the same for itself, for its own container and for every sibling: the one that it writes into a pid " +
		"file, and the only one in NSpid of /proc/PID/status.",
	Profile: suite.Full,
	Sources: []string{
		pidPage, "https://man7.org/linux/man-pages/man5/proc_pid_status.5.html", "https://man7.org/linux/man-pages/man2/getpid.2.html",
		"https://github.com/openjdk/jdk/pull/19055",
	},
	Fixtures: []suite.Fixture{siblingsFixture, siblingsUnsharedFixture},
	Causes: []suite.Cause{
		{Control: true, Cause: sharesUnasked.Cause, NextStep: sharesUnasked.NextStep},
		notVisible,
		{
			Words:    "NSpid",
			Cause:    "the containers are in namespaces of their own below the Pod's, or /proc shows a namespace above it",
			NextStep: "compare readlink /proc/self/ns/pid of the containers, and look at the mounts of type proc in their config.json on the node",
		},
		{
			Cause:    "/proc of a container shows another process namespace than the one that the container is in",
			NextStep: "look at the mounts of type proc in the containers' config.json on the node, and at /proc/self/mounts of the container",
		},
	},
	Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
		var seen samePIDs
		for _, from := range pidsSeenFrom {
			snapshot, err := session.Await(ctx, siblingsFixture, from, "processes seen from "+from, siblingsStarts...)
			if err != nil {
				return err
			}
			seen.snapshots = append(seen.snapshots, snapshot)
		}
		var err error
		if seen.itself, err = ownPIDs(ctx, session, siblingsFixture); err != nil {
			return err
		}
		// The file may be of a later run of the container than the snapshots.
		if seen.last, err = session.ProcessesNow(ctx, siblingsFixture, "tracer", "processes afterwards"); err != nil {
			return err
		}
		if err := judgeSamePIDs(judge, seen); err != nil {
			return err
		}
		alone, err := ownPIDs(ctx, session, siblingsUnsharedFixture)
		if err != nil {
			return suite.ControlFailed(err)
		}
		unshared, err := session.Processes(ctx, siblingsUnsharedFixture, "tracer", "processes seen from the tracer")
		if err != nil {
			return suite.ControlFailed(err)
		}
		judgeOtherPIDs(judge, alone, unshared)
		return nil
	},
}

// samePIDs is what is known of the pids of a Pod's processes.
type samePIDs struct {
	snapshots []process.Snapshot // from each container of pidsSeenFrom
	itself    []suite.ExecResult // of ownPIDs
	last      process.Snapshot   // from a sibling, afterwards
}

// ownPIDs reads, in the owner's container, the pid that its start process has by getpid(2), and two of a shell: by getpid(2) and of /proc/self.
func ownPIDs(ctx context.Context, session *suite.Session, fixture suite.Fixture) ([]suite.ExecResult, error) {
	return session.Exec(ctx, fixture, owner.Container, "pids that processes of the owner have for themselves",
		"cat /scratch/pid", "sh -c 'read -r self rest </proc/self/stat; echo $$ $self'")
}

func judgeSamePIDs(judge suite.Judge, seen samePIDs) error {
	judgeRun(judge, seen.itself...)
	numbered := false
	for i, snapshot := range seen.snapshots {
		from := pidsSeenFrom[i]
		for _, start := range siblingsStarts {
			first, here := seen.snapshots[0].With(start.Arguments...)[0], snapshot.With(start.Arguments...)[0]
			judge.Precondition.Expect(here.StartTime).To(gomega.Equal(first.StartTime), "the process of container %s ended meanwhile", start.Container)
			judge.Claim.Expect(here.PID).To(gomega.Equal(first.PID), "the process of container %s is %d to container %s, and %d to container %s",
				start.Container, here.PID, from, first.PID, pidsSeenFrom[0])
		}
		for _, each := range snapshot.Processes {
			if len(each.NamespacePIDs) > 0 {
				numbered = true
				judge.Claim.Expect(each.NamespacePIDs).To(gomega.Equal([]int{each.PID}), "NSpid of process %d, seen from container %s, must be its pid alone",
					each.PID, from)
			}
		}
	}
	last := seen.last.With(ownerSleep...)
	first := seen.snapshots[0].With(ownerSleep...)[0]
	judge.Precondition.Expect(len(last) == 1 && last[0].StartTime == first.StartTime).To(gomega.BeTrue(), "the owner's process ended meanwhile")
	var written, byItself, bySelf int
	_, err := fmt.Sscan(seen.itself[0].Output, &written)
	judge.Precondition.Expect(err).NotTo(gomega.HaveOccurred(), "the owner has no pid file: %s", quote(seen.itself[0].Output))
	judge.Claim.Expect(written).To(gomega.Equal(last[0].PID), "the owner's process has written pid %d into its file, and is %d to siblings", written, last[0].PID)
	_, err = fmt.Sscan(seen.itself[1].Output, &byItself, &bySelf)
	judge.Precondition.Expect(err).NotTo(gomega.HaveOccurred(), "a shell does not tell its pid: %s", quote(seen.itself[1].Output))
	judge.Claim.Expect(bySelf).To(gomega.Equal(byItself), "/proc/self is process %d to one that is %d by getpid(2)", bySelf, byItself)
	if !numbered {
		return &suite.Unsupported{Reason: "the kernel that the containers have tells no NSpid in /proc/PID/status; the pids are the same for all"}
	}
	return nil
}

// judgeOtherPIDs holds that without sharing the pid in the owner's file is another process to a sibling.
func judgeOtherPIDs(judge suite.Judge, itself []suite.ExecResult, unshared process.Snapshot) {
	judge.Control.Expect(itself[0].Output).To(gomega.Equal("1\n"), "without sharing, the owner's start process must be process 1 to itself")
	first, _ := unshared.PID(1)
	judge.Control.Expect(first.Arguments).To(gomega.Equal(tracerSleep), "without sharing, process 1 must be another one to a sibling")
}

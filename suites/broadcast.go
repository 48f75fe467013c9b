package suites

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"sharedpid.example/helpers/process"
	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
)

// broadcastFixture has a container that sends TERM to all that it may signal, and two that note what they get.
var broadcastFixture = suite.Fixture{Name: "broadcast", Objects: manifest("broadcast.yaml")}

// strangerUID is that of the container stranger.
const strangerUID = 4331

var broadcastTrait = suite.Trait{
	ID: "signals/broadcast-spares-pause",
	Statement: "A signal to all, kill(-1), MUST reach the processes of siblings that the sender may signal, and MUST NOT reach process 1, whatever " +
		"its uid, nor the sender itself, nor processes of another uid.",
	Profile:  suite.Full,
	Sources:  []string{killSource, pidPage},
	Fixtures: []suite.Fixture{broadcastFixture},
	Destroys: []suite.Fixture{broadcastFixture},
	Causes: []suite.Cause{
		{
			Words:    "process 1",
			Cause:    "the runtime's kernel does not spare process 1 of a namespace, or the sandbox's process is not process 1 of the Pod's namespace",
			NextStep: "compare readlink /proc/self/ns/pid of the containers with the sandbox's, and look at the events of the Pod",
		},
		{
			Words:    "another uid",
			Cause:    "the runtime gives containers one uid, or CAP_KILL to a user other than root",
			NextStep: "compare Uid and CapEff in /proc/self/status of the containers with their securityContext",
		},
		{
			Cause:    "the containers do not share a process namespace, or the runtime's kernel keeps signals to all within a container",
			NextStep: "compare readlink /proc/self/ns/pid of the containers",
		},
	},
	Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
		if err := session.Running(ctx, broadcastFixture, "sender", "equal", "stranger"); err != nil {
			return err
		}
		before, err := session.Processes(ctx, broadcastFixture, "stranger", "processes before the signal")
		if err != nil {
			return err
		}
		self, _ := before.PID(before.Self)
		judge.Precondition.Expect(self.UID).To(gomega.Equal(strangerUID), "the stranger must have a uid of its own")
		// In the node's namespace it would reach the node's processes.
		if err := signallable(before); err != nil {
			return err
		}
		notes, err := session.ExecOnce(ctx, broadcastFixture, "stranger", "what was noted of a signal to all", broadcastCommand(session))
		if err != nil {
			if err = endedTogether(ctx, session, err); err != nil {
				return err
			}
		}
		after, err := session.Processes(ctx, broadcastFixture, "stranger", "processes after the signal")
		if err != nil {
			return err
		}
		judgePauseSpared(judge, before, after)
		judge.Precondition.Expect(notes).NotTo(gomega.BeEmpty(), "the notes of the signal are lost")
		// A process that was replaced meanwhile may have noted nothing.
		status, err := session.Status(ctx, broadcastFixture)
		if err != nil {
			return err
		}
		for _, container := range status.Status.ContainerStatuses {
			judge.Precondition.Expect(container.RestartCount).To(gomega.BeZero(), "container %s was restarted meanwhile", container.Name)
		}
		return judgeBroadcast(judge, notes[0])
	},
}

// broadcastCommand gives the sign, signals the stranger once everything is sent, and prints what was noted once all have handled that. It is
// run by the stranger, whom the sender may not signal.
func broadcastCommand(session *suite.Session) string {
	return fmt.Sprintf(`cd /notes
touch sign
for tenth in $(seq %[1]d); do grep -qs alone sender && break; sleep 0.1; done
kill -URG "$(cat stranger.pid)" || exit 1
for tenth in $(seq %[1]d); do grep -qs URG equal && grep -qs URG stranger && break; sleep 0.1; done
grep -s . sender equal stranger /dev/null; true`, tenths(session.Limits().Absence))
}

// endedTogether is nil when an exec that was lost was lost with its namespace: all containers were restarted. Otherwise it is the exec's error.
func endedTogether(ctx context.Context, session *suite.Session, lost error) error {
	_, restarted, err := session.WaitTolerant(ctx, broadcastFixture, "a restart after the signal", session.Limits().Settling,
		func(status *corev1.Pod) bool {
			return status != nil && restartedAll(status, "sender", "equal", "stranger")
		})
	if err == nil && restarted {
		return nil
	}
	return lost
}

func judgePauseSpared(judge suite.Judge, before, after process.Snapshot) {
	old, _ := before.PID(1)
	now, found := after.PID(1)
	judge.Precondition.Expect(found).To(gomega.BeTrue(), "process 1 is not visible")
	judge.Claim.Expect(now.StartTime).To(gomega.Equal(old.StartTime), "process 1 is another process than before a signal to all")
}

// judgeBroadcast judges what was noted. The signal to one process alone is the control: who has handled that has handled the one before.
func judgeBroadcast(judge suite.Judge, notes suite.ExecResult) error {
	judge.Precondition.Expect(notes.ExitCode).To(gomega.BeZero(), "the stranger cannot signal itself: %s", quote(notes.Output))
	noted := strings.Split(strings.TrimSpace(notes.Output), "\n")
	if !slices.ContainsFunc(noted, func(line string) bool { return strings.HasPrefix(line, "sender:alone ") }) {
		return suite.Undecided(reports.OutOfTime, "the sender did not send its signals in time: %s", quote(notes.Output))
	}
	judge.Precondition.Expect(noted).To(gomega.ContainElement("sender:alone 0"), "the sender may not signal a process of its uid")
	for _, receiver := range []string{"equal", "stranger"} {
		if !slices.Contains(noted, receiver+":URG") {
			return suite.Undecided(reports.OutOfTime, "container %s did not handle a signal to it alone in time: %s", receiver, quote(notes.Output))
		}
	}
	judge.Claim.Expect(noted).To(gomega.ContainElement("equal:TERM"), "the signal to all did not reach a process of the sender's uid, a signal to it alone did")
	judge.Claim.Expect(noted).NotTo(gomega.ContainElement("stranger:TERM"), "the signal to all reached a process of another uid")
	judge.Claim.Expect(noted).NotTo(gomega.ContainElement("sender:TERM"), "the signal to all reached the sender itself")
	judge.Claim.Expect(noted).To(gomega.ContainElement("sender:broadcast 0"), "the signal to all is said to have failed")
	return nil
}

package suites

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"sharedpid.example/helpers/process"
	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
	"sharedpid.example/suites/access"
)

// accessCallers are the containers of the manifest access-matrix.yaml that look at others.
var accessCallers = []struct{ container, name string }{
	{"tracer", access.CallerTracer},
	{"root", access.CallerRoot},
	{"root-less-kill", access.CallerRootLessKill},
	{"root-without-capabilities", access.CallerRootBare},
	{"root-with-kill-only", access.CallerRootKill},
	{"root-with-perfmon", access.CallerPerfmon},
	{"root-with-sys-admin", access.CallerAdmin},
	{"uid-1000", access.CallerStranger},
	{"uid-1000-with-ptrace", access.CallerInert},
	{"worker-uid", access.CallerWorker},
}

// accessTracer is the process with CAP_SYS_PTRACE that is a target as well.
var accessTracer = suite.Process{Container: "tracer", Arguments: []string{"sleep", "1000010"}}

// workerUID is that of nobody, whom the nginx.conf of the manifest access-matrix.yaml names, as in its container worker-uid.
const workerUID = 65534

// lookedMatrix is the access matrix, or the credentials of its callers alone.
type lookedMatrix struct {
	access.Matrix
	Unseen string           // why there are no targets, empty when there are
	absent *suite.Violation // the same as the verdict of traits that are about the targets
}

// accessMatrix fills the matrix: one look finds the targets, one for each caller tries everything, and one shows that the
// targets are still the same processes.
var accessMatrix = &suite.Probe[lookedMatrix]{Name: "access matrix", Fixtures: []suite.Fixture{accessFixture}, Look: lookAtAccess}

// seenMatrix is the matrix for those who are about its targets: these must be visible.
func seenMatrix(ctx context.Context, session *suite.Session) (access.Matrix, error) {
	looked, err := accessMatrix.Of(ctx, session)
	if err == nil && looked.absent != nil {
		err = looked.absent
	}
	return looked.Matrix, err
}

func lookAtAccess(ctx context.Context, session *suite.Session) (lookedMatrix, error) {
	var looked lookedMatrix
	snapshot, err := session.Await(ctx, accessFixture, "tracer", "processes seen from the tracer", master, accessTracer)
	if err == nil {
		snapshot, err = awaitWorkers(ctx, session, accessFixture, "tracer", "processes seen from the tracer")
	}
	if errors.As(err, &looked.absent) {
		looked.Unseen = err.Error() // the callers' own credentials can be looked at all the same
	} else if err != nil {
		return looked, err
	} else if looked.Targets, err = accessTargets(ctx, session, snapshot); err != nil {
		return looked, err
	}
	for _, caller := range accessCallers {
		if err := lookAs(ctx, session, &looked.Matrix, caller.container, caller.name); err != nil {
			return looked, err
		}
	}
	after, err := session.Processes(ctx, accessFixture, "tracer", "processes afterwards")
	if err != nil {
		return looked, err
	}
	for _, target := range looked.Targets {
		if still, found := after.PID(target.PID); !found || still.StartTime != target.StartTime {
			return looked, suite.Undecided(reports.Precondition, "%s, process %d, ended while it was looked at", target.Name, target.PID)
		}
	}
	for _, cell := range looked.Cells {
		if cell.Want == access.Allowed && access.Refused(cell.Observed) {
			return looked, refusedToExecAlone(ctx, session, fmt.Sprintf("%s of the %s by %s is %s",
				cell.Operation, cell.Target, cell.Caller, cell.Observed))
		}
	}
	return looked, nil
}

// accessTargets picks the four targets and reads, as the tracer, what of them no snapshot holds.
func accessTargets(ctx context.Context, session *suite.Session, snapshot process.Snapshot) ([]access.Party, error) {
	first, found := snapshot.PID(1)
	if !found {
		return nil, suite.Undecided(reports.Precondition, "process 1 is not visible")
	}
	targets := []access.Party{
		{Name: access.TargetMaster, Process: snapshot.With(master.Arguments...)[0]},
		{Name: access.TargetWorker, Process: snapshot.With(nginxWorker)[0]},
		{Name: access.TargetTracer, Process: snapshot.With(accessTracer.Arguments...)[0]},
		{Name: access.TargetPause, Process: first},
	}
	// The uid is of the configuration, which nginx heeds as root. Runtimes have no part in it.
	if worker := targets[1]; targets[0].UID == 0 && worker.UID != workerUID {
		return nil, suite.Undecided(reports.Precondition,
			"the nginx worker has uid %d and not %d: nginx did not read /etc/nginx/nginx.conf", worker.UID, workerUID)
	}
	var questions []string
	for _, target := range targets {
		questions = append(questions, fmt.Sprintf("stat -c %%u /proc/%d/environ", target.PID),
			fmt.Sprintf("readlink /proc/%d/ns/user", target.PID), fmt.Sprintf("cat /proc/%d/attr/current", target.PID))
	}
	facts, err := session.Read(ctx, accessFixture, "tracer", questions...)
	if err != nil {
		return nil, err
	}
	for i := range targets {
		of := facts[3*i:]
		if targets[i].Owner, err = strconv.Atoi(strings.TrimSpace(of[0].Output)); err != nil {
			return nil, suite.Undecided(reports.Precondition, "the owner of /proc/%d/environ cannot be read: %s",
				targets[i].PID, quote(of[0].Output))
		}
		targets[i].UserNamespace, targets[i].Label = of[1].Answer(), of[2].Answer()
	}
	return targets, nil
}

// parseCaller reads what process.Script printed in a container, and which process printed it.
func parseCaller(container, output string) (process.Snapshot, process.Process, error) {
	snapshot, err := process.Parse(output)
	if err != nil {
		return snapshot, process.Process{}, suite.Undecided(reports.Lost, "container %s: %v", container, err)
	}
	self, found := snapshot.PID(snapshot.Self)
	if !found {
		return snapshot, self, suite.Undecided(reports.Precondition, "container %s: the look does not see itself", container)
	}
	return snapshot, self, nil
}

// lookAs adds one caller's cells.
func lookAs(ctx context.Context, session *suite.Session, matrix *access.Matrix, container, name string) error {
	looked, err := session.Read(ctx, accessFixture, container, process.Script, access.Script(matrix.Targets),
		"grep -E '^[^ ]+ /proc ' /proc/self/mounts",
		"cat /proc/sys/kernel/yama/ptrace_scope", "readlink /proc/self/ns/user", "cat /proc/self/attr/current",
		access.LabelsCommand)
	if err != nil {
		return err
	}
	snapshot, self, err := parseCaller(container, looked[0].Output)
	if err != nil {
		return err
	}
	observed, err := access.Parse(looked[1].Output, len(matrix.Targets))
	if err != nil {
		return suite.Undecided(reports.Lost, "container %s: %v", container, err)
	}
	platform := access.Platform{Hidepid: access.ParseHidepid(looked[2].Answer())}
	platform.Yama, _ = strconv.Atoi(looked[3].Answer()) // there is no such file without Yama
	matrix.Add(access.Party{
		Name: name, Process: self, UserNamespace: looked[4].Answer(), Label: looked[5].Answer(),
		StartLabel: access.StartLabel(snapshot, access.ParseLabels(looked[6].Output)),
	}, platform, observed)
	return nil
}

// recordAccess keeps cells of the matrix as evidence.
func recordAccess(session *suite.Session, title string, cells ...reports.Access) {
	session.Record(accessFixture, reports.Evidence{Title: title, Where: accessFixture.Name, Access: cells})
}

// recordCredentials keeps who the callers are as evidence.
func recordCredentials(session *suite.Session, callers []access.Party) {
	var text strings.Builder
	for _, caller := range callers {
		fmt.Fprintf(&text, "%s: uid %d, gid %d, CapEff %016x\n", caller.Name, caller.UID, caller.GID, caller.Effective)
	}
	session.Record(accessFixture, reports.Evidence{
		Title: "credentials of the callers", Where: accessFixture.Name, Command: "cat /proc/self/status", Output: text.String(),
	})
}

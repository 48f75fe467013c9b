package suites

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	// WithoutPerfmon is why there is no caller with CAP_PERFMON, which runtimes before Linux 5.8 do not know; empty when there is one.
	WithoutPerfmon string
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
		err := lookAs(ctx, session, accessFixture, &looked.Matrix, caller.container, caller.name)
		switch {
		case err == nil:
		case caller.name == access.CallerPerfmon && refusedToStart(err):
			looked.WithoutPerfmon = err.Error()
		default:
			return looked, err
		}
	}
	if err := sameProcesses(ctx, session, accessFixture, looked.Targets); err != nil {
		return looked, err
	}
	return looked, cellsRefusedToExecAlone(ctx, session, looked.Cells)
}

// cellsRefusedToExecAlone is refusedToExecAlone for the first cell that is refused against its rule, nil without one.
func cellsRefusedToExecAlone(ctx context.Context, session *suite.Session, cells []reports.Access) error {
	for _, cell := range cells {
		if cell.Want == access.Allowed && access.Refused(cell.Observed) {
			return refusedToExecAlone(ctx, session, fmt.Sprintf("%s of the %s by %s is %s", cell.Operation, cell.Target, cell.Caller, cell.Observed))
		}
	}
	return nil
}

// sameProcesses shows that targets are still the same processes: what is no more refuses nothing.
func sameProcesses(ctx context.Context, session *suite.Session, fixture suite.Fixture, targets []access.Party) error {
	after, err := session.ProcessesNow(ctx, fixture, "tracer", "processes afterwards")
	if err != nil {
		return err
	}
	for _, target := range targets {
		if still, found := after.PID(target.PID); !found || still.StartTime != target.StartTime {
			return suite.Undecided(reports.Precondition, "%s, process %d, ended while it was looked at", target.Name, target.PID)
		}
	}
	return nil
}

// accessTargets picks the four targets.
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
	return targets, describeTargets(ctx, session, accessFixture, "tracer", targets)
}

// describeTargets reads, as a container that may look at them all, what of targets no snapshot holds.
func describeTargets(ctx context.Context, session *suite.Session, fixture suite.Fixture, container string, targets []access.Party) error {
	var questions []string
	for _, target := range targets {
		questions = append(questions, fmt.Sprintf("stat -c %%u /proc/%d/environ", target.PID),
			fmt.Sprintf("readlink /proc/%d/ns/user", target.PID), fmt.Sprintf("cat /proc/%d/attr/current", target.PID))
	}
	facts, err := session.Read(ctx, fixture, container, questions...)
	if err != nil {
		return err
	}
	for i := range targets {
		of := facts[3*i:]
		if targets[i].Owner, err = strconv.Atoi(strings.TrimSpace(of[0].Output)); err != nil {
			return suite.Undecided(reports.Precondition, "the owner of /proc/%d/environ cannot be read: %s",
				targets[i].PID, quote(of[0].Output))
		}
		targets[i].UserNamespace, targets[i].Label = of[1].Answer(), of[2].Answer()
	}
	return nil
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
func lookAs(
	ctx context.Context, session *suite.Session, fixture suite.Fixture, matrix *access.Matrix, container, name string,
) error {
	looked, err := session.Read(ctx, fixture, container, process.Script, access.Script(matrix.Targets),
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
	caller := access.Party{
		Name: name, Process: self, UserNamespace: looked[4].Answer(), Label: looked[5].Answer(),
		StartLabel: access.StartLabel(snapshot, access.ParseLabels(looked[6].Output)),
	}
	alone := access.Matrix{Targets: matrix.Targets}
	alone.Add(caller, platform, observed)
	if caller.Permissive, err = seenPermissive(ctx, session, fixture, container, alone.Cells); err != nil {
		return err
	}
	matrix.Add(caller, platform, observed)
	return nil
}

// seenPermissive tells whether SELinux was seen to refuse a container nothing. That is asked only where its label is believed to explain a
// cell of what the container met.
func seenPermissive(ctx context.Context, session *suite.Session, fixture suite.Fixture, container string, cells []reports.Access) (bool, error) {
	if !slices.ContainsFunc(cells, func(cell reports.Access) bool { return cell.Narrowed == access.SELinux }) {
		return false, nil
	}
	return permissive(ctx, session, fixture, container)
}

// recordAccess keeps cells of the matrix as evidence.
func recordAccess(session *suite.Session, fixture suite.Fixture, title string, cells ...reports.Access) {
	session.Record(fixture, reports.Evidence{Title: title, Where: fixture.Name, Access: cells})
}

// recordCredentials keeps who asks, and who is asked, as evidence.
func recordCredentials(session *suite.Session, fixture suite.Fixture, parties ...access.Party) {
	var text strings.Builder
	for _, party := range parties {
		fmt.Fprintf(&text, "%s: uid %d, gid %d, CapEff %016x", party.Name, party.UID, party.GID, party.Effective)
		if party.Label != "" {
			fmt.Fprintf(&text, ", label %s", party.Label)
		}
		text.WriteString("\n")
	}
	session.Record(fixture, reports.Evidence{
		Title: "credentials", Where: fixture.Name, Command: "cat /proc/PID/status /proc/PID/attr/current", Output: text.String(),
	})
}

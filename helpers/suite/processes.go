package suite

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"time"

	"sharedpid.example/helpers/process"
	"sharedpid.example/reports"
)

// Processes takes a snapshot from inside a container of the fixture and records it under the title. Of a stable fixture it
// is the one that another trait took already, once the Pod has settled.
func (session *Session) Processes(ctx context.Context, fixture Fixture, container, title string) (process.Snapshot, error) {
	return session.processes(ctx, fixture, container, title, time.Time{})
}

// ProcessesNow is Processes with a snapshot that was begun after the call.
func (session *Session) ProcessesNow(ctx context.Context, fixture Fixture, container, title string) (process.Snapshot, error) {
	return session.processes(ctx, fixture, container, title, time.Now())
}

func (session *Session) processes(
	ctx context.Context, fixture Fixture, container, title string, after time.Time,
) (process.Snapshot, error) {
	look := func(session *Session) (process.Snapshot, error) { return session.snapshot(ctx, fixture, container) }
	var looked process.Snapshot
	var err error
	if fixture.Stable {
		name := "processes seen from " + session.where(fixture, container)
		looked, err = shared(ctx, session, name, after, func(session *Session) (process.Snapshot, error) {
			return session.settledSnapshot(ctx, fixture, container)
		})
	} else {
		looked, err = look(session)
	}
	if err != nil {
		return process.Snapshot{}, err
	}
	session.Record(fixture, reports.Evidence{
		Title: title, Where: session.where(fixture, container), Command: "ps", Processes: rows(looked),
	})
	return looked, nil
}

// keptSnapshot is the answer to a look at all processes.
type keptSnapshot struct {
	Output keptOutput `json:"output"` // of process.Script
	// Containers are the names of the Pod's containers by the ids that the runtime gave them.
	Containers map[string]string `json:"containers"`
}

// snapshot looks at all processes from inside a container.
func (session *Session) snapshot(ctx context.Context, fixture Fixture, container string) (process.Snapshot, error) {
	kept, err := ask(session, "processes seen from "+session.where(fixture, container), func() (keptSnapshot, error) {
		running, err := session.pod(ctx, fixture, container)
		if err != nil {
			return keptSnapshot{}, err
		}
		results, err := running.Exec(ctx, container, session.limits.Exec, process.Script)
		if err != nil {
			return keptSnapshot{}, err
		}
		return keptSnapshot{keptOutput(results[0].Output), running.ContainerIDs()}, nil
	})
	if err != nil {
		return process.Snapshot{}, err
	}
	snapshot, err := process.Parse(string(kept.Output))
	if err != nil {
		return process.Snapshot{}, Undecided(reports.Lost, "container %s: %v", container, err)
	}
	snapshot.Owners = snapshot.Containers(container, kept.Containers)
	return snapshot, nil
}

// settledSnapshot looks once all containers of the Pod run, and again while a process is still on its way to its last
// execve(2) or has not started all that it starts. A Pod that does not settle in time cannot be judged.
func (session *Session) settledSnapshot(ctx context.Context, fixture Fixture, container string) (process.Snapshot, error) {
	status, err := session.Status(ctx, fixture)
	if err != nil {
		return process.Snapshot{}, err
	}
	var names []string
	for _, each := range status.Spec.Containers {
		names = append(names, each.Name)
	}
	if err := session.Running(ctx, fixture, names...); err != nil {
		return process.Snapshot{}, err
	}
	var looked process.Snapshot
	settled, err := session.Until(ctx, session.limits.Appearance, func() (bool, error) {
		looked, err = session.snapshot(ctx, fixture, container)
		return err == nil && !starting(looked) && (fixture.Settled == nil || fixture.Settled(looked)), err
	})
	if err == nil && !settled {
		err = Undecided(reports.OutOfTime, "the processes of Pod %s did not settle within %s", fixture.Name, session.limits.Appearance)
	}
	return looked, err
}

// ociRuntime is how an OCI runtime whose init has arguments of its own calls itself: by its name, which forks and versions extend, or
// as the program that is running.
var ociRuntime = regexp.MustCompile(`^(.*[/-])?(runc|crun|youki)([.-][^/]*)?$|^/proc/self/exe$`)

// starting tells whether a process is the init of an OCI runtime that has not become the container's yet: runc and its
// kin start as "runc init". In the node's namespace, whose process 1 is foreign, those of other Pods come and go for as long as anybody
// looks: there only those count that are in a container of the Pod.
func starting(snapshot process.Snapshot) bool {
	everybodys := snapshot.First() == process.HolderForeign
	for _, each := range snapshot.Processes {
		if everybodys && snapshot.Owners[each.PID] == "" {
			continue
		}
		if len(each.Arguments) == 2 && each.Arguments[1] == "init" && ociRuntime.MatchString(each.Arguments[0]) {
			return true
		}
	}
	return false
}

// Find returns the one process that is wanted, as Await sees it.
func (session *Session) Find(ctx context.Context, fixture Fixture, container, title string, wanted Process) (process.Process, error) {
	snapshot, err := session.Await(ctx, fixture, container, title, wanted)
	if err != nil {
		return process.Process{}, err
	}
	return snapshot.With(wanted.Arguments...)[0], nil
}

// Await looks from inside a container until there is exactly one of each process that is wanted. One that is not seen
// although the container that it is in shows it at the same time is a Violation. One that its own container does not show
// either is Inconclusive, as is one that is there several times: processes of other Pods are visible then.
func (session *Session) Await(ctx context.Context, fixture Fixture, container, title string, wanted ...Process) (process.Snapshot, error) {
	containers := []string{container}
	for _, each := range wanted {
		if !slices.Contains(containers, each.Container) {
			containers = append(containers, each.Container)
		}
	}
	if err := session.Running(ctx, fixture, containers...); err != nil {
		return process.Snapshot{}, err
	}
	var snapshot process.Snapshot
	var after time.Time // the kept snapshot of a stable fixture may be older than the process
	start := time.Now()
	_, err := session.Until(ctx, session.limits.Absence, func() (bool, error) {
		var err error
		snapshot, err = session.processes(ctx, fixture, container, title, after)
		after = time.Now()
		missing, several := count(snapshot, wanted)
		return err == nil && missing == nil && (several == nil || time.Since(start) > session.limits.Ambiguity), err
	})
	if err != nil {
		return snapshot, err
	}
	missing, several := count(snapshot, wanted)
	switch {
	case missing != nil:
		return snapshot, session.absent(ctx, fixture, container, title, *missing)
	case several != nil:
		return snapshot, Undecided(reports.Ambiguous, "the Pod has one process %q to look at, %d are visible",
			several.Arguments, len(snapshot.With(several.Arguments...)))
	}
	return snapshot, nil
}

// count returns the first process that is wanted and not there, and the first that is there several times.
func count(snapshot process.Snapshot, wanted []Process) (missing, several *Process) {
	for i, each := range wanted {
		switch found := len(snapshot.With(each.Arguments...)); {
		case found == 0 && missing == nil:
			missing = &wanted[i]
		case found > 1 && several == nil:
			several = &wanted[i]
		}
	}
	return missing, several
}

// absent is the error of a process that is not seen from a container. The container that it is in is the positive control,
// and the look that accuses is made after it.
func (session *Session) absent(ctx context.Context, fixture Fixture, from, title string, wanted Process) error {
	if wanted.Container != from {
		own, err := session.ProcessesNow(ctx, fixture, wanted.Container,
			fmt.Sprintf("whether container %s itself shows %q", wanted.Container, wanted.Arguments))
		if err != nil {
			return err
		}
		last, err := session.ProcessesNow(ctx, fixture, from, title+", once more")
		if err != nil {
			return err
		}
		switch {
		case len(last.With(wanted.Arguments...)) > 0:
			return Undecided(reports.OutOfTime, "process %q of container %s appeared late: not within %s",
				wanted.Arguments, wanted.Container, session.limits.Absence)
		case len(own.With(wanted.Arguments...)) > 0:
			violation := &Violation{fmt.Sprintf("process %q of container %s is not visible from container %s, and is from its own",
				wanted.Arguments, wanted.Container, from)}
			if fixture.Unshared {
				return ControlFailed(violation)
			}
			return violation
		}
	}
	return Undecided(reports.Precondition, "container %s runs no process %q that could be looked at: its image may start another one",
		wanted.Container, wanted.Arguments)
}

// rows are a snapshot's processes for a reader: without the look's own, and with the containers whose they are.
func rows(looked process.Snapshot) []reports.Process {
	var listed []reports.Process
	for _, each := range looked.WithoutLook() {
		row := reports.Process{
			PID: each.PID, PPID: each.PPID, UID: each.UID, State: each.State, Container: looked.Owners[each.PID], Arguments: each.Arguments,
		}
		if row.PID == 1 && looked.First() == process.HolderPod {
			row.Container = "pause"
		}
		if row.Arguments == nil {
			row.Arguments = []string{}
		}
		listed = append(listed, row)
	}
	return listed
}

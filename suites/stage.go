package suites

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"sharedpid/helpers/pod"
	"sharedpid/helpers/process"
	"sharedpid/reports"
)

// Stage is where a trait's check finds the Pods of one subject and leaves what it saw.
type Stage struct {
	scenes  *scenes
	subject subject
	result  *reports.Result
}

// Pod returns the Pod of a scene once the named containers run.
func (stage *Stage) Pod(ctx context.Context, scene Scene, containers ...string) (*pod.Pod, error) {
	created, err := stage.scenes.start(ctx, scene, stage.subject)()
	if err != nil {
		return nil, err
	}
	return created, created.WaitRunning(ctx, containers...)
}

// once makes a look that several traits of one subject rest on, the first time that it is asked for.
func once[T any](stage *Stage, name string, look func() (T, error)) (T, error) {
	made, _ := stage.scenes.looks.LoadOrStore(name+stage.subject.suffix, sync.OnceValues(look))
	return made.(func() (T, error))()
}

// unsupported is the error of a check that has found out that the platform cannot have its trait.
type unsupported string

func (reason unsupported) Error() string { return string(reason) }

// Record keeps evidence: of the control when the Pod is a scene's that does not share.
func (stage *Stage) Record(scene Scene, evidence ...reports.Evidence) {
	if scene.Unshared {
		stage.result.Control = append(stage.result.Control, evidence...)
	} else {
		stage.result.Evidence = append(stage.result.Evidence, evidence...)
	}
}

// Processes takes a snapshot from inside a container and records it under the title.
func (stage *Stage) Processes(ctx context.Context, scene Scene, container, title string) (process.Snapshot, error) {
	looked, err := stage.Pod(ctx, scene, container)
	if err != nil {
		return process.Snapshot{}, err
	}
	observations, err := looked.Look(ctx, container, process.Script)
	if err != nil {
		return process.Snapshot{}, err
	}
	snapshot, err := process.Parse(observations[0].Output)
	if err != nil {
		return process.Snapshot{}, fmt.Errorf("container %s: %w", container, err)
	}
	stage.Record(scene, reports.Evidence{
		Title: title, Where: looked.Name + "/" + container, Command: "ps", Processes: rows(snapshot),
	})
	return snapshot, nil
}

// Find looks from inside a container until the one process with these arguments is there: a start process may
// still be on its way to its last execve(2). The last look is evidence.
func (stage *Stage) Find(ctx context.Context, scene Scene, container, title string, arguments ...string) (process.Process, error) {
	var found process.Process
	var missing error
	err := poll(ctx, 10*time.Second, func() (bool, error) {
		var snapshot process.Snapshot
		err := stage.again(func() (err error) {
			snapshot, err = stage.Processes(ctx, scene, container, title)
			return err
		})
		if err != nil {
			return false, err
		}
		found, missing = one(snapshot, arguments...)
		return missing == nil, nil
	})
	return found, errors.Join(err, missing)
}

// again makes a look of which only the last one is kept as evidence, when it is made several times under the
// same title.
func (stage *Stage) again(look func() error) error {
	evidence, control := len(stage.result.Evidence), len(stage.result.Control)
	err := look()
	stage.result.Evidence = replaceLast(stage.result.Evidence, evidence)
	stage.result.Control = replaceLast(stage.result.Control, control)
	return err
}

// replaceLast drops what stands before the new evidence and has its title.
func replaceLast(all []reports.Evidence, kept int) []reports.Evidence {
	if kept == 0 || len(all) == kept {
		return all
	}
	if previous := all[kept-1]; previous.Title == all[kept].Title && previous.Where == all[kept].Where {
		return slices.Delete(all, kept-1, kept)
	}
	return all
}

// Look runs commands in a container in one exec and records what each showed under the title.
func (stage *Stage) Look(ctx context.Context, scene Scene, container, title string, commands ...string) ([]pod.Observation, error) {
	looked, err := stage.Pod(ctx, scene, container)
	if err != nil {
		return nil, err
	}
	observations, err := looked.Look(ctx, container, commands...)
	for _, observation := range observations {
		stage.Record(scene, reports.Evidence{
			Title: title, Where: looked.Name + "/" + container, Command: observation.Command,
			Output: observation.Output, ExitCode: &observation.ExitCode, Errno: observation.Errno(),
		})
	}
	return observations, err
}

// rows are a snapshot's processes for a reader: without the look's own helpers.
func rows(snapshot process.Snapshot) []reports.Process {
	var listed []reports.Process
	for _, each := range snapshot.Processes {
		if each.PID == snapshot.Self || each.PPID == snapshot.Self {
			continue
		}
		row := reports.Process{PID: each.PID, PPID: each.PPID, UID: each.UID, State: each.State, Arguments: each.Arguments}
		if row.Arguments == nil {
			row.Arguments = []string{}
		}
		listed = append(listed, row)
	}
	return listed
}

// pause waits until it makes sense to look again.
func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(100 * time.Millisecond):
		return nil
	}
}

// poll looks until look says that it has seen enough or the time is over; being out of time is no error, since
// the last look is then judged.
func poll(ctx context.Context, timeout time.Duration, look func() (enough bool, err error)) error {
	deadline := time.Now().Add(timeout)
	for {
		enough, err := look()
		if err != nil || enough || time.Now().After(deadline) {
			return err
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

// nginxMaster is the argument vector that nginx gives its master, see its setproctitle.
const nginxMaster = "nginx: master process nginx -g daemon off;"

// nginxWorker is that of its workers.
const nginxWorker = "nginx: worker process"

// one returns the one process with these arguments. Its absence is an error: what is looked at is not there, and
// whether it must be visible is another trait's matter.
func one(snapshot process.Snapshot, arguments ...string) (process.Process, error) {
	found := snapshot.With(arguments...)
	if len(found) != 1 {
		return process.Process{}, fmt.Errorf("want one process %q to look at, found %d", arguments, len(found))
	}
	return found[0], nil
}

// quote shortens text for a one-line reason.
func quote(text string) string {
	const longest = 160
	text = strings.TrimSpace(text)
	if len(text) > longest {
		text = text[:longest] + "..."
	}
	return fmt.Sprintf("%q", text)
}

package suites

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/onsi/gomega"

	"sharedpid.example/helpers/pod"
	"sharedpid.example/helpers/process"
	"sharedpid.example/reports"
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

// once makes a look that several traits of one subject rest on, the first time that it is asked for. What the look
// records is evidence of each of them.
func once[T any](stage *Stage, name string, look func(*Stage) (T, error)) (T, error) {
	type made struct {
		value  T
		err    error
		result reports.Result
	}
	kept, _ := stage.scenes.looks.LoadOrStore(name+stage.subject.suffix, sync.OnceValue(func() *made {
		looked := &made{}
		looked.value, looked.err = look(&Stage{scenes: stage.scenes, subject: stage.subject, result: &looked.result})
		return looked
	}))
	looked := kept.(func() *made)()
	stage.result.Evidence = append(stage.result.Evidence, looked.result.Evidence...)
	stage.result.Control = append(stage.result.Control, looked.result.Control...)
	return looked.value, looked.err
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

// Processes takes a snapshot from inside a container and records it under the title. In a scene that is still it is
// the one that another trait took already.
func (stage *Stage) Processes(ctx context.Context, scene Scene, container, title string) (process.Snapshot, error) {
	return stage.processes(ctx, scene, container, title, time.Time{})
}

// processes is Processes with, in a scene that is still, a snapshot that was begun after a time.
func (stage *Stage) processes(ctx context.Context, scene Scene, container, title string, after time.Time) (process.Snapshot, error) {
	var snapshot process.Snapshot
	var err error
	if scene.Still {
		kept, _ := stage.scenes.looks.LoadOrStore("processes/"+scene.Name+stage.subject.suffix+"/"+container, &keptSnapshot{})
		snapshot, err = kept.(*keptSnapshot).get(after, func() (process.Snapshot, error) { return stage.settledSnapshot(ctx, scene, container) })
	} else {
		snapshot, err = stage.snapshot(ctx, scene, container)
	}
	if err != nil {
		return snapshot, err
	}
	looked, err := stage.Pod(ctx, scene)
	if err != nil {
		return snapshot, err
	}
	stage.Record(scene, reports.Evidence{
		Title: title, Where: scene.Name + stage.subject.suffix + "/" + container, Command: "ps",
		Processes: rows(snapshot, snapshot.Containers(container, looked.ContainerIDs())),
	})
	return snapshot, nil
}

// snapshot looks at all processes from inside a container.
func (stage *Stage) snapshot(ctx context.Context, scene Scene, container string) (process.Snapshot, error) {
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
	return snapshot, nil
}

// settledSnapshot looks once all containers of the Pod run, and again while one is still on its way to its start
// process or nginx to its workers.
func (stage *Stage) settledSnapshot(ctx context.Context, scene Scene, container string) (process.Snapshot, error) {
	created, err := stage.Pod(ctx, scene)
	if err != nil {
		return process.Snapshot{}, err
	}
	var names []string
	for _, each := range created.Last().Spec.Containers {
		names = append(names, each.Name)
	}
	if err := created.WaitRunning(ctx, names...); err != nil {
		return process.Snapshot{}, err
	}
	var snapshot process.Snapshot
	err = poll(ctx, 10*time.Second, func() (bool, error) {
		snapshot, err = stage.snapshot(ctx, scene, container)
		return err == nil && settledProcesses(snapshot), err
	})
	return snapshot, err
}

// settledProcesses tells whether no process is about to become or to start another one: runc's init, and nginx that
// has no workers yet.
func settledProcesses(snapshot process.Snapshot) bool {
	for _, each := range snapshot.Processes {
		starting := len(each.Arguments) == 2 && each.Arguments[1] == "init" && each.PID != 1
		young := slices.Equal(each.Arguments, []string{nginxMaster}) && len(snapshot.With(nginxWorker)) < 2
		if starting || young || len(each.Arguments) > 0 && strings.HasPrefix(each.Arguments[0], "nginx -g") {
			return false
		}
	}
	return true
}

// keptSnapshot is the last good snapshot from one container of a scene that is still.
type keptSnapshot struct {
	mutex    sync.Mutex
	begun    time.Time // when the snapshot was asked for
	snapshot *process.Snapshot
}

// get returns the kept snapshot, or takes one when there is none that was begun after a time: what several traits look
// for at the same time, they look for together.
func (kept *keptSnapshot) get(after time.Time, take func() (process.Snapshot, error)) (process.Snapshot, error) {
	kept.mutex.Lock()
	defer kept.mutex.Unlock()
	if kept.snapshot != nil && kept.begun.After(after) {
		return *kept.snapshot, nil
	}
	begun := time.Now()
	taken, err := take()
	if err == nil {
		kept.snapshot, kept.begun = &taken, begun
	}
	return taken, err
}

// Find returns the one process with these arguments, as Await sees it.
func (stage *Stage) Find(ctx context.Context, scene Scene, container, title string, arguments ...string) (process.Process, error) {
	snapshot, err := stage.Await(ctx, scene, container, title, arguments)
	if err != nil {
		return process.Process{}, err
	}
	return one(snapshot, arguments...)
}

// Await looks from inside a container until there is exactly one process of each argument vector: a start process may
// still be on its way to its last execve(2). The last look is evidence. A process that does not appear although all
// containers of the Pod run is a deviation: a sibling must see it.
func (stage *Stage) Await(ctx context.Context, scene Scene, container, title string, wanted ...[]string) (process.Snapshot, error) {
	var last time.Time // the kept look of a still scene may be older than the process
	return stage.seek(ctx, scene, func() (snapshot process.Snapshot, err error) {
		err = stage.again(func() error {
			snapshot, err = stage.processes(ctx, scene, container, title, last)
			return err
		})
		last = time.Now()
		return snapshot, err
	}, wanted...)
}

// How long a process may stay out of sight while its container runs, and how long a second one of the same arguments
// may be there: a process that forks is two for a moment.
const (
	absencePatience   = 5 * time.Second
	ambiguityPatience = 2 * time.Second
)

// seek takes snapshots until there is exactly one process of each argument vector, or the patience is over.
func (stage *Stage) seek(ctx context.Context, scene Scene, take func() (process.Snapshot, error), wanted ...[]string) (process.Snapshot, error) {
	var snapshot process.Snapshot
	var missing error
	start := time.Now()
	err := poll(ctx, absencePatience, func() (bool, error) {
		var err error
		if snapshot, err = take(); err != nil {
			return false, err
		}
		missing = nil
		for _, arguments := range wanted {
			if _, err := one(snapshot, arguments...); missing == nil {
				missing = err
			}
		}
		several := ambiguous("")
		return missing == nil || errors.As(missing, &several) && time.Since(start) > ambiguityPatience, nil
	})
	if err != nil || missing == nil {
		return snapshot, err
	}
	if reason := absent(""); errors.As(missing, &reason) {
		looked, err := stage.Pod(ctx, scene)
		if err != nil {
			return snapshot, err
		}
		status, err := looked.Status(ctx)
		if err != nil {
			return snapshot, err
		}
		for _, container := range status.Status.ContainerStatuses {
			if container.State.Running == nil {
				return snapshot, fmt.Errorf("%s, and container %s does not run", reason, container.Name)
			}
		}
	}
	return snapshot, missing
}

// absent is the error of a check that needs a process which a sibling must see and does not. It is an observation:
// the trait does not hold.
type absent string

func (reason absent) Error() string { return string(reason) }

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
	stage.recordLook(scene, container, title, observations)
	return observations, err
}

func (stage *Stage) recordLook(scene Scene, container, title string, observations []pod.Observation) {
	for _, observation := range observations {
		stage.Record(scene, reports.Evidence{
			Title: title, Where: scene.Name + stage.subject.suffix + "/" + container, Command: observation.Command,
			Output: observation.Output, ExitCode: &observation.ExitCode, Errno: observation.Errno(),
		})
	}
}

// rows are a snapshot's processes for a reader: without the look's own, and with the containers they are of.
func rows(snapshot process.Snapshot, containers map[int]string) []reports.Process {
	var listed []reports.Process
	for _, each := range snapshot.WithoutLook() {
		row := reports.Process{
			PID: each.PID, PPID: each.PPID, UID: each.UID, State: each.State, Container: containers[each.PID], Arguments: each.Arguments,
		}
		if row.Container == "" && row.PID == 1 && slices.Equal(row.Arguments, []string{"/pause"}) {
			row.Container = "pause"
		}
		if row.Arguments == nil {
			row.Arguments = []string{}
		}
		listed = append(listed, row)
	}
	return listed
}

// The first and the longest pause between two looks: what takes long is not looked at more often than it is worth,
// since a look costs the node as much as a container's start.
const (
	shortestPause = 100 * time.Millisecond
	longestPause  = time.Second
)

// pause waits until it makes sense to look again.
func pause(ctx context.Context, length time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(length):
		return nil
	}
}

// poll looks until look says that it has seen enough or the time is over; being out of time is no error, since
// the last look is then judged.
func poll(ctx context.Context, timeout time.Duration, look func() (enough bool, err error)) error {
	deadline := time.Now().Add(timeout)
	for length := shortestPause; ; length = min(length*3/2, longestPause) {
		enough, err := look()
		if err != nil || enough || time.Now().After(deadline) {
			return err
		}
		if err := pause(ctx, length); err != nil {
			return err
		}
	}
}

// nginxMaster is the argument vector that nginx gives its master, see its setproctitle.
const nginxMaster = "nginx: master process nginx -g daemon off;"

// nginxWorker is that of its workers.
const nginxWorker = "nginx: worker process"

// one returns the one process with these arguments. None is absent; several are processes of other Pods, among which
// the Pod's own cannot be told.
func one(snapshot process.Snapshot, arguments ...string) (process.Process, error) {
	found := snapshot.With(arguments...)
	switch len(found) {
	case 0:
		return process.Process{}, absent(fmt.Sprintf("process %q of the Pod is not visible", arguments))
	case 1:
		return found[0], nil
	}
	return process.Process{}, ambiguous(fmt.Sprintf("the Pod has one process %q to look at, %d are visible", arguments, len(found)))
}

// ambiguous is the error of a check that sees other Pods' processes beside the one that it is to look at. Which is which
// cannot be told: the trait is undecided, and others are about what should not be visible.
type ambiguous string

func (reason ambiguous) Error() string { return string(reason) }

// expectOne is one within an assertion: none fails with the message, and several leave the trait undecided.
func expectOne(g gomega.Gomega, snapshot process.Snapshot, message string, arguments ...string) process.Process {
	g.Expect(snapshot.With(arguments...)).NotTo(gomega.BeEmpty(), message)
	found, err := one(snapshot, arguments...)
	if reason := ambiguous(""); errors.As(err, &reason) {
		panic(reason)
	}
	return found
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

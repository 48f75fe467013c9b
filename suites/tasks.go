package suites

import (
	"slices"

	"sharedpid.example/fixtures/manifests"
	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
	"sharedpid.example/suites/access"
)

// What the container needs that does something to another one's process.
const (
	needsNothing = "nothing"
	needsUser    = "the uid and gid of the process, and its capabilities"
	needsPtrace  = "root, and CAP_SYS_PTRACE added"
	needsPerfmon = "root, and CAP_PERFMON added"
	needsKill    = "root, with CAP_KILL as runtimes give it"
)

// tasks are what people share a process namespace for, and what it lets a container do to its neighbours. The Pod of a way is one of its
// trait's, by the name of its file in fixtures/manifests.
var tasks = []reports.Task{
	{Name: "see", Question: "Does a container see the processes of the others?", Ways: []reports.Way{
		{Needs: needsNothing, Trait: "visibility/shell-sees-nginx", Pod: "share-process-namespace"},
	}},
	{Name: "reload", Question: "Can a sidecar make a server reload its configuration by a signal?", Ways: []reports.Way{
		{Needs: "the uid of the server's main process", Trait: "signals/hup-needs-no-ptrace", Pod: "access-matrix"},
	}},
	{Name: "read", Question: "Can a container read the files of another one through /proc/PID/root?", Ways: []reports.Way{
		accessWay(needsUser, access.CallerWorker, access.TargetWorker, "root"),
		accessWay(needsPtrace, access.CallerTracer, access.TargetWorker, "root"),
	}},
	{Name: "trace", Question: "Can a container attach a debugger to a process of another one?", Ways: []reports.Way{
		{Needs: needsUser, Trait: debuggedTrait.ID, Pod: "attach"}, callWay(needsPtrace, access.CallerTracer, "ptrace"),
	}},
	{Name: "attach", Question: "Can a container reach the socket by which a JVM or .NET process of another one is attached to?", Ways: []reports.Way{
		{Needs: needsUser, Trait: attachTrait.ID, Pod: "attach"},
	}},
	{Name: "watch", Question: "Is a container told of changes to the files of another one?", Ways: []reports.Way{
		{Needs: needsUser, Trait: watchTrait.ID, Pod: "attach"},
	}},
	{Name: "profile", Question: "Can a container count what the processors do for a process of another one?", Ways: []reports.Way{
		callWay(needsUser, access.CallerStranger, "perf_event_open"), callWay(needsPerfmon, access.CallerPerfmon, "perf_event_open"),
	}},
	{Name: "debug", Question: "Can a container that kubectl debug adds look into processes of another user than the Pod's?", Ways: []reports.Way{
		debugWay("--profile=sysadmin, where the Pod names a user", "sysadmin"),
		debugWay("runAsUser 0 and CAP_SYS_PTRACE, with --custom", tracingDebugger),
	}},
	{Name: "end", Question: "Can a container end a process of another one?", Ways: []reports.Way{
		accessWay("the uid of the process", access.CallerWorker, access.TargetWorker, "signal"),
		accessWay(needsKill, access.CallerRootKill, access.TargetWorker, "signal"),
	}},
	{Name: "restart", Question: "Does a container come back alone when a sibling has ended its start process?", Ways: []reports.Way{
		{Needs: needsNothing, Trait: "lifecycle/killed-container-returns", Pod: "multi-process"},
	}},
	{Name: "finish", Question: "Can a worker end a helper that would run forever, so that the Pod has succeeded?", Ways: []reports.Way{
		{Needs: "root, with CAP_KILL as runtimes give it, and a helper that exits 0 on TERM", Trait: helperTrait.ID, Pod: "worker-and-helper"},
	}},
	{Name: "reap", Question: "Are processes reaped whose parents have ended?", Ways: []reports.Way{
		{Needs: needsNothing, Trait: "lifecycle/orphans-are-reaped", Pod: "file-modes"},
	}},
	{Name: "spy", Risk: true, Question: "Can a container read the secrets in the environment of another one?", Ways: []reports.Way{
		accessWay(needsUser, access.CallerWorker, access.TargetWorker, "environ"),
		accessWay(needsPerfmon, access.CallerPerfmon, access.TargetWorker, "environ"),
		accessWay(needsPtrace, access.CallerTracer, access.TargetWorker, "environ"),
	}},
	{Name: "tamper", Risk: true, Question: "Can a container write into the memory of another one's process?", Ways: []reports.Way{
		callWay(needsUser, access.CallerStranger, "process_vm_writev"), callWay(needsPtrace, access.CallerTracer, "process_vm_writev"),
	}},
	{Name: "take along", Risk: true, Question: "Can a container end the whole Pod by a signal to its process 1?", Ways: []reports.Way{
		accessWay("a uid of its own", access.CallerStranger, access.TargetPause, "signal"),
		{Needs: needsKill, Trait: "signals/term-to-pause-restarts-pod", Pod: "share-process-namespace"},
	}},
}

func accessWay(needs, caller, target, operation string) reports.Way {
	return reports.Way{
		Needs: needs, Trait: "credentials/access-matrix", Cell: &reports.Cell{Caller: caller, Target: target, Operation: operation},
		Pod: "access-matrix",
	}
}

// callWay is about a system call on a process of uid 1000.
func callWay(needs, caller, call string) reports.Way {
	return reports.Way{
		Needs: needs, Trait: systemCallsTrait.ID, Pod: "system-calls",
		Cell: &reports.Cell{Caller: caller, Target: targetStranger, Operation: call},
	}
}

// debugWay is about what a debugger reads of a process of another uid. Its Pod is file-modes.yaml with a user for the whole of it.
func debugWay(needs, caller string) reports.Way {
	return reports.Way{Needs: needs, Trait: debuggerTrait.ID, Cell: &reports.Cell{
		Caller: caller, Target: "process of another uid", Operation: "environ",
	}}
}

// Tasks are the tasks that some of the traits answer, and the manifests of their Pods; nil when there are none.
func Tasks(traits []suite.Trait) *reports.Tasks {
	answered := &reports.Tasks{Manifests: map[string]string{}}
	for _, task := range tasks {
		task.Ways = slices.DeleteFunc(slices.Clone(task.Ways), func(way reports.Way) bool {
			return !slices.ContainsFunc(traits, func(trait suite.Trait) bool { return trait.ID == way.Trait })
		})
		if len(task.Ways) > 0 {
			answered.Questions = append(answered.Questions, task)
		}
		for _, way := range task.Ways {
			if way.Pod == "" {
				continue
			}
			text, err := manifests.Text(way.Pod + ".yaml")
			if err != nil {
				panic(err) // a file of the suite's own
			}
			answered.Manifests[way.Pod] = text
		}
	}
	if len(answered.Questions) == 0 {
		return nil
	}
	return answered
}

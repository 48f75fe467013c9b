package suites

import (
	"context"

	"sharedpid.example/helpers/suite"
)

var unhealthyFixture = suite.Fixture{Name: "unhealthy-container", Objects: manifest("multi-process.yaml")}

// stopsInARow is how often the container is stopped. Before the third restart the kubelet would wait for 10 seconds, and longer before each
// further one.
const stopsInARow = 2

var livenessTrait = suite.Trait{
	ID: "lifecycle/liveness-restarts-in-a-row",
	Statement: "When its liveness probe has one container restarted again and again, process 1 and the processes of its siblings MUST stay the " +
		"same, its start process MUST be a new one each time, and no process of an earlier run MAY be left.",
	Profile: suite.Full,
	Sources: []string{
		lifecyclePage + "#container-probes", lifecyclePage + "#restart-policy", criSource, "https://github.com/moby/moby/issues/50523",
	},
	Fixtures: []suite.Fixture{unhealthyFixture},
	Destroys: []suite.Fixture{unhealthyFixture},
	Slow:     true,
	Causes: []suite.Cause{
		{
			Words:    "is still there",
			Cause:    "the runtime kills only start processes, and the namespace that would have killed the rest is the Pod's",
			NextStep: "look at the runtime's kill with --all for containers without a pid namespace of their own",
		},
		{
			Cause:    "the runtime kills every process of the namespace, not those of the container's cgroup, or the kubelet makes a new sandbox",
			NextStep: "look at how the runtime's kill finds the container's processes, and at the events of the Pod for SandboxChanged",
		},
	},
	Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
		var seen returned
		var err error
		seen.after, err = session.Await(ctx, unhealthyFixture, "neighbour", "processes before the first stop", multiProcess...)
		if err != nil {
			return err
		}
		var runs []returned
		if seen.last, err = session.Status(ctx, unhealthyFixture); err != nil {
			return err
		}
		for range stopsInARow {
			seen.before = seen.after
			if err := stopByProbe(ctx, session, unhealthyFixture, &seen, "stopped", "neighbour", stoppedProcesses...); err != nil {
				return err
			}
			runs = append(runs, seen)
			judgeLastRestart(judge, runs)
		}
		return nil
	},
}

// judgeLastRestart judges the last restart in a row: nothing is left of any earlier run.
func judgeLastRestart(judge suite.Judge, runs []returned) {
	last := runs[len(runs)-1]
	judgeReturn(judge, "stopped", last, stoppedProcesses[0], neighbourProcesses...)
	for _, run := range runs {
		judgeNothingLeft(judge, run.before, last.after, stoppedProcesses...)
	}
}

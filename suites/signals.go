package suites

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/onsi/gomega"

	"sharedpid/helpers/pod"
	"sharedpid/helpers/process"
)

var reloadScene = Scene{Name: "reload", Manifest: "share-process-namespace.yaml"}

var signalTraits = []Trait{
	{
		ID:         "signals/hup-respawns-workers",
		Statement:  "SIGHUP from a sibling container MUST make nginx replace all its workers while its master stays and goes on serving.",
		Profile:    Article,
		Documented: true,
		Article:    "A signal needs equal uids or CAP_KILL. It does not need the CAP_SYS_PTRACE that the article's shell has.",
		Sources: []string{
			"https://man7.org/linux/man-pages/man2/kill.2.html",
			"https://nginx.org/en/docs/control.html",
		},
		Scenes: []Scene{reloadScene, articleUnsharedScene},
		Check: func(ctx context.Context, stage *Stage, g gomega.Gomega) error {
			before, err := stage.Processes(ctx, reloadScene, "shell", "processes before SIGHUP")
			if err != nil {
				return err
			}
			target, err := one(before, nginxMaster)
			if err != nil {
				return err
			}
			signalled, err := stage.Look(ctx, reloadScene, "shell", "SIGHUP to the nginx master", fmt.Sprintf("kill -HUP %d", target.PID))
			if err != nil {
				return err
			}
			g.Expect(signalled[0].ExitCode).To(gomega.BeZero(), "SIGHUP was refused: %s", signalled[0].Output)
			after, err := reloaded(ctx, stage, before)
			if err != nil {
				return err
			}
			served, err := stage.Look(ctx, reloadScene, "shell", "HTTP after SIGHUP", "wget -q -O - http://127.0.0.1/")
			if err != nil {
				return err
			}
			judgeWorkersAreReplaced(g, before, after, served[0])
			unshared, err := stage.Processes(ctx, articleUnsharedScene, "shell", "processes seen from the shell")
			if err != nil {
				return err
			}
			judgeNginxIsNotVisible(g, unshared)
			return nil
		},
	},
}

// reloaded looks until every worker of before is gone and there are as many new ones; nginx reloads in its own
// time. Only the last look is evidence.
func reloaded(ctx context.Context, stage *Stage, before process.Snapshot) (process.Snapshot, error) {
	var after process.Snapshot
	evidence := len(stage.result.Evidence)
	err := poll(ctx, 10*time.Second, func() (bool, error) {
		stage.result.Evidence = stage.result.Evidence[:evidence]
		var err error
		after, err = stage.Processes(ctx, reloadScene, "shell", "processes after SIGHUP")
		return err == nil && workersReplaced(before, after), err
	})
	return after, err
}

func workersReplaced(before, after process.Snapshot) bool {
	old, young := process.PIDs(before.With(nginxWorker)), process.PIDs(after.With(nginxWorker))
	for _, each := range after.Processes {
		// A worker that drains its connections has another title, but the same pid.
		if slices.Contains(old, each.PID) {
			return false
		}
	}
	return len(young) >= len(old)
}

func judgeWorkersAreReplaced(g gomega.Gomega, before, after process.Snapshot, served pod.Observation) {
	g.Expect(len(before.With(nginxWorker))).To(gomega.BeNumerically(">=", 2), "there must be workers to replace")
	g.Expect(process.PIDs(after.With(nginxMaster))).To(gomega.Equal(process.PIDs(before.With(nginxMaster))), "the master must keep its pid")
	g.Expect(workersReplaced(before, after)).To(gomega.BeTrue(), "every worker must be replaced within 10 s: before %v, after %v",
		process.PIDs(before.With(nginxWorker)), process.PIDs(after.With(nginxWorker)))
	g.Expect(served.Output).To(gomega.Equal("served by nginx\n"), "nginx must go on serving")
}

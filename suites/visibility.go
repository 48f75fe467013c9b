package suites

import (
	"context"
	"fmt"

	"github.com/onsi/gomega"

	"sharedpid/helpers/pod"
	"sharedpid/helpers/process"
)

// canary is the secret in the environment of the owner, from fixtures/uid-mismatch.yaml.
const canary = "canary-in-the-environment"

var visibilityTraits = []Trait{
	{
		ID:         "visibility/shell-sees-nginx",
		Statement:  "The processes of one container MUST be visible to another, with their arguments.",
		Profile:    Article,
		Documented: true,
		Article:    "Worker pids and their number depend on the node: only the sets of processes are compared.",
		Sources:    []string{"https://kubernetes.io/docs/tasks/configure-pod-container/share-process-namespace/"},
		Scenes:     []Scene{articleScene, articleUnsharedScene},
		Check: func(ctx context.Context, stage *Stage, g gomega.Gomega) error {
			shared, err := stage.Processes(ctx, articleScene, "shell", "processes seen from the shell")
			if err != nil {
				return err
			}
			judgeNginxIsVisible(g, shared)
			unshared, err := stage.Processes(ctx, articleUnsharedScene, "shell", "processes seen from the shell")
			if err != nil {
				return err
			}
			judgeNginxIsNotVisible(g, unshared)
			return nil
		},
	},
	{
		ID:         "visibility/arguments-are-public",
		Statement:  "The arguments of every process in the Pod MUST be readable by any uid.",
		Profile:    Article,
		Documented: true,
		Article:    "UNIX permissions do not guard arguments: any uid reads them. A secret does not belong there.",
		Sources:    []string{"https://man7.org/linux/man-pages/man5/proc_pid_cmdline.5.html"},
		Scenes:     []Scene{uidMismatchScene, uidMismatchUnsharedScene},
		Check: func(ctx context.Context, stage *Stage, g gomega.Gomega) error {
			// The snapshot reads every cmdline as the visitor, uid 1000 without capabilities.
			seen, err := stage.Processes(ctx, uidMismatchScene, "visitor", "arguments read by uid 1000")
			if err != nil {
				return err
			}
			judgeArgumentsArePublic(g, seen)
			unshared, err := stage.Processes(ctx, uidMismatchUnsharedScene, "visitor", "processes seen from the visitor")
			if err != nil {
				return err
			}
			judgeOwnerIsNotVisible(g, unshared, visitorSleep)
			return nil
		},
	},
	{
		ID:         "visibility/secrets-in-environ",
		Statement:  "A secret in the environment of a process MUST be readable by a sibling container that the ptrace access check permits.",
		Profile:    Article,
		Documented: true,
		Article:    "What guards an environment is the ptrace access check: uids, capabilities, dumpability, user namespaces and security modules, not UNIX permissions alone. From nginx itself nothing is read: it overwrites its environment with its process title.",
		Sources: []string{
			"https://man7.org/linux/man-pages/man5/proc_pid_environ.5.html",
			"https://man7.org/linux/man-pages/man2/ptrace.2.html",
		},
		Scenes: []Scene{uidMismatchScene, uidMismatchUnsharedScene},
		Check: func(ctx context.Context, stage *Stage, g gomega.Gomega) error {
			shared, err := stage.Processes(ctx, uidMismatchScene, "tracer", "processes seen from the tracer")
			if err != nil {
				return err
			}
			owner, err := one(shared, ownerSleep...)
			if err != nil {
				return err
			}
			environ, err := stage.Look(ctx, uidMismatchScene, "tracer", "the canary in the sibling's environment",
				fmt.Sprintf("tr '\\0' '\\n' </proc/%d/environ | grep ^CANARY=", owner.PID))
			if err != nil {
				return err
			}
			judgeCanaryIsRead(g, environ[0])
			unshared, err := stage.Processes(ctx, uidMismatchUnsharedScene, "tracer", "processes seen from the tracer")
			if err != nil {
				return err
			}
			judgeOwnerIsNotVisible(g, unshared, tracerSleep)
			return nil
		},
	},
}

func judgeNginxIsVisible(g gomega.Gomega, snapshot process.Snapshot) {
	masters, workers := snapshot.With(nginxMaster), snapshot.With(nginxWorker)
	g.Expect(masters).To(gomega.HaveLen(1), "the shell must see one nginx master")
	g.Expect(len(workers)).To(gomega.BeNumerically(">=", 2), "the shell must see at least two nginx workers")
	for _, worker := range workers {
		g.Expect(worker.PPID).To(gomega.Equal(masters[0].PID), "worker %d is not the master's child", worker.PID)
	}
	g.Expect(snapshot.With("sh")).NotTo(gomega.BeEmpty(), "the shell must see itself")
}

func judgeNginxIsNotVisible(g gomega.Gomega, snapshot process.Snapshot) {
	g.Expect(snapshot.With("sh")).NotTo(gomega.BeEmpty(), "control: the shell must see itself")
	g.Expect(snapshot.With(nginxMaster)).To(gomega.BeEmpty(), "control: without sharing, nginx must not be visible")
	g.Expect(snapshot.With(nginxWorker)).To(gomega.BeEmpty(), "control: without sharing, nginx must not be visible")
}

func judgeArgumentsArePublic(g gomega.Gomega, snapshot process.Snapshot) {
	self, _ := snapshot.PID(snapshot.Self)
	g.Expect(self.UID).To(gomega.Equal(1000), "the look must be made as uid 1000")
	owner := snapshot.With(ownerSleep...)
	g.Expect(owner).To(gomega.HaveLen(1), "uid 1000 must read the arguments of root's process")
	g.Expect(owner[0].UID).To(gomega.Equal(0), "the process looked at must be root's")
}

func judgeCanaryIsRead(g gomega.Gomega, environ pod.Observation) {
	g.Expect(environ.Output).To(gomega.Equal("CANARY="+canary+"\n"), "the canary must be read, errno %q", environ.Errno())
}

// The start processes of the containers that look at the owner.
var (
	visitorSleep = []string{"sleep", "1000001"}
	tracerSleep  = []string{"sleep", "1000002"}
)

func judgeOwnerIsNotVisible(g gomega.Gomega, snapshot process.Snapshot, own []string) {
	g.Expect(snapshot.With(own...)).NotTo(gomega.BeEmpty(), "control: the container must see its own start process")
	g.Expect(snapshot.With(ownerSleep...)).To(gomega.BeEmpty(), "control: without sharing, the sibling's process must not be visible")
}

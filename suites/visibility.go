package suites

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/onsi/gomega"

	"sharedpid.example/helpers/pod"
	"sharedpid.example/helpers/process"
)

// canary is the secret in the environment of the owner, from fixtures/siblings.yaml.
const canary = "canary-in-the-environment"

var visibilityTraits = []Trait{
	{
		ID:        "visibility/nginx-sees-shell",
		Statement: "Visibility MUST be mutual: a container sees the processes of another under the same pids as that one does.",
		Profile:   Core,
		Sources:   []string{taskPage, pidPage},
		Scenes:    []Scene{articleScene, articleUnsharedScene},
		Causes:    notShared,
		Check: func(ctx context.Context, stage *Stage, g gomega.Gomega) error {
			fromNginx, err := stage.Processes(ctx, articleScene, "nginx", "processes seen from nginx")
			if err != nil {
				return err
			}
			fromShell, err := stage.Processes(ctx, articleScene, "shell", "processes seen from the shell")
			if err != nil {
				return err
			}
			judgeMutual(g, fromNginx, fromShell)
			unshared, err := stage.Processes(ctx, articleUnsharedScene, "nginx", "processes seen from nginx")
			if err != nil {
				return err
			}
			g.Expect(unshared.With(nginxMaster)).NotTo(gomega.BeEmpty(), "control: nginx must see itself")
			g.Expect(unshared.With("sh")).To(gomega.BeEmpty(), "control: without sharing, the shell must not be visible")
			return nil
		},
	},
	{
		ID:        "visibility/exec-is-visible",
		Statement: "A process that is started in one container by exec MUST be visible in the others.",
		Profile:   Core,
		Sources:   []string{criSource, taskPage},
		Scenes:    []Scene{articleScene, articleUnsharedScene},
		Causes: []Cause{
			{"control:", notShared[0].Cause, notShared[0].NextStep},
			{"", "the runtime starts exec in a process namespace other than the container's", "compare /proc/self/ns/pid of an exec with that of the container's start process"},
		},
		Check: func(ctx context.Context, stage *Stage, g gomega.Gomega) error {
			shared, err := execSeenFromNginx(ctx, stage, articleScene)
			if err != nil {
				return err
			}
			unshared, err := execSeenFromNginx(ctx, stage, articleUnsharedScene)
			if err != nil {
				return err
			}
			g.Expect(shared).To(gomega.BeTrue(), "a process that exec started in the shell is not visible in nginx")
			g.Expect(unshared).To(gomega.BeFalse(), "control: without sharing, a process that exec started is visible in the other container")
			return nil
		},
	},
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
		Scenes:     []Scene{siblingsScene, siblingsUnsharedScene},
		Check: func(ctx context.Context, stage *Stage, g gomega.Gomega) error {
			// The snapshot reads every cmdline as the visitor, uid 1000 without capabilities.
			seen, err := stage.Processes(ctx, siblingsScene, "visitor", "arguments read by uid 1000")
			if err != nil {
				return err
			}
			judgeArgumentsArePublic(g, seen)
			unshared, err := stage.Processes(ctx, siblingsUnsharedScene, "visitor", "processes seen from the visitor")
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
		Scenes: []Scene{siblingsScene, siblingsUnsharedScene},
		Check: func(ctx context.Context, stage *Stage, g gomega.Gomega) error {
			owner, err := stage.Find(ctx, siblingsScene, "tracer", "processes seen from the tracer", ownerSleep...)
			if err != nil {
				return err
			}
			environ, err := stage.Look(ctx, siblingsScene, "tracer", "the canary in the sibling's environment",
				fmt.Sprintf("tr '\\0' '\\n' </proc/%d/environ | grep ^CANARY=", owner.PID))
			if err != nil {
				return err
			}
			judgeCanaryIsRead(g, environ[0])
			unshared, err := stage.Processes(ctx, siblingsUnsharedScene, "tracer", "processes seen from the tracer")
			if err != nil {
				return err
			}
			judgeOwnerIsNotVisible(g, unshared, tracerSleep)
			return nil
		},
	},
}

// executed is what exec starts in the shell of the article's Pod.
var executed = []string{"sleep", "1000030"}

// execSeenFromNginx starts a process in the shell's container, tells whether nginx's container sees it, and ends it.
func execSeenFromNginx(ctx context.Context, stage *Stage, scene Scene) (bool, error) {
	started, err := stage.Look(ctx, scene, "shell", "a process started by exec", strings.Join(executed, " ")+" </dev/null >/dev/null 2>&1 & echo $!")
	if err != nil {
		return false, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(started[0].Output))
	if err != nil {
		return false, fmt.Errorf("pid of a background process: %w", err)
	}
	seen, err := stage.processes(ctx, scene, "nginx", "processes seen from nginx", time.Now())
	if err != nil {
		return false, err
	}
	// That it runs where it was started is what makes its absence elsewhere an observation.
	ended, err := stage.Look(ctx, scene, "shell", "the process ended again", fmt.Sprintf("kill -KILL %d", pid))
	if err != nil {
		return false, err
	}
	if ended[0].ExitCode != 0 {
		return false, fmt.Errorf("process %d, started by exec, did not live long enough to be seen: %s", pid, ended[0].Output)
	}
	return slices.ContainsFunc(seen.With(executed...), func(each process.Process) bool { return each.PID == pid }), nil
}

// judgeMutual compares how two containers see each other's start processes.
func judgeMutual(g gomega.Gomega, fromNginx, fromShell process.Snapshot) {
	for _, container := range startProcesses {
		one := expectOne(g, fromNginx, "nginx must see the start process of container "+container.name, container.arguments)
		other := expectOne(g, fromShell, "the shell must see the start process of container "+container.name, container.arguments)
		g.Expect(one.PID).To(gomega.Equal(other.PID), "the containers see the start process of %s under different pids", container.name)
		g.Expect(one.StartTime).To(gomega.Equal(other.StartTime), "what the containers see as the start process of %s are different processes", container.name)
	}
}

func judgeNginxIsVisible(g gomega.Gomega, snapshot process.Snapshot) {
	master := expectOne(g, snapshot, "the shell must see the nginx master", nginxMaster)
	workers := snapshot.With(nginxWorker)
	g.Expect(len(workers)).To(gomega.BeNumerically(">=", 2), "the shell must see at least two nginx workers")
	for _, worker := range workers {
		g.Expect(worker.PPID).To(gomega.Equal(master.PID), "worker %d is not the master's child", worker.PID)
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
	g.Expect(self.UID).To(gomega.Equal(1000), "control: the look must be made as uid 1000")
	owner := expectOne(g, snapshot, "uid 1000 must read the arguments of root's process", ownerSleep...)
	g.Expect(owner.UID).To(gomega.Equal(0), "control: the process looked at must be root's")
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

package suites

import (
	"context"
	"path"

	"github.com/onsi/gomega"

	"sharedpid/helpers/process"
)

var namespaceTraits = []Trait{
	{
		ID:         "namespace/pause-is-pid-1",
		Statement:  "Process 1 of every container MUST be the Pod's pause, and no container's start process.",
		Profile:    Article,
		Documented: true,
		Article:    "The pause process runs as uid 65535 since pause 3.10, no longer as root.",
		Sources: []string{
			"https://kubernetes.io/docs/tasks/configure-pod-container/share-process-namespace/",
			"https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/495-pod-pid-namespace",
			"https://man7.org/linux/man-pages/man7/pid_namespaces.7.html",
		},
		Scenes: []Scene{articleScene, articleUnsharedScene},
		Check: func(ctx context.Context, stage *Stage, g gomega.Gomega) error {
			for _, container := range startProcesses {
				shared, err := stage.Processes(ctx, articleScene, container.name, "processes seen from "+container.name)
				if err != nil {
					return err
				}
				judgePauseIsFirst(g, shared, container.arguments)
				unshared, err := stage.Processes(ctx, articleUnsharedScene, container.name, "processes seen from "+container.name)
				if err != nil {
					return err
				}
				judgeStartProcessIsFirst(g, unshared, container.arguments)
			}
			return nil
		},
	},
}

// startProcesses are the containers of the article's Pod and what each starts.
var startProcesses = []struct{ name, arguments string }{
	{"nginx", nginxMaster},
	{"shell", "sh"},
}

// pauseNames are what runtimes call the process that holds a Pod's namespaces: Kubernetes' own pause, and
// OpenShift's.
var pauseNames = []string{"pause", "pod"}

func judgePauseIsFirst(g gomega.Gomega, snapshot process.Snapshot, startProcess string) {
	first, found := snapshot.PID(1)
	g.Expect(found).To(gomega.BeTrue(), "process 1 is not visible")
	g.Expect(first.Arguments).NotTo(gomega.BeEmpty(), "process 1 has no arguments")
	g.Expect(pauseNames).To(gomega.ContainElement(path.Base(first.Arguments[0])),
		"process 1 is %q and not the Pod's pause", first.Arguments)
	started := snapshot.With(startProcess)
	g.Expect(started).NotTo(gomega.BeEmpty(), "the container's start process %q is not visible", startProcess)
	g.Expect(process.PIDs(started)).NotTo(gomega.ContainElement(1))
	// A process may be called pause and hold another namespace: the look itself must be in that of process 1.
	self, found := snapshot.PID(snapshot.Self)
	g.Expect(found).To(gomega.BeTrue(), "the look does not see itself")
	if first.Namespace != "" {
		g.Expect(self.Namespace).To(gomega.Equal(first.Namespace), "process 1 lives in another pid namespace than the container")
	}
}

func judgeStartProcessIsFirst(g gomega.Gomega, snapshot process.Snapshot, startProcess string) {
	first, _ := snapshot.PID(1)
	g.Expect(first.Arguments).To(gomega.Equal([]string{startProcess}),
		"control: without sharing, process 1 must be the container's own start process")
}

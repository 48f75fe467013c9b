package suites

import (
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"sharedpid.example/helpers/pod"
	"sharedpid.example/helpers/process"
)

var (
	articleFalseScene = Scene{Name: "article-false", Manifest: "share-process-namespace.yaml", Unshared: true, Change: func(pod *corev1.Pod) {
		pod.Spec.ShareProcessNamespace = new(bool)
	}}
	// The node's own runtime shows the node's own processes, whatever runtime is looked at.
	hostPIDScene = Scene{Name: "host-pid", Manifest: "host-pid.yaml", Unshared: true, Change: func(pod *corev1.Pod) {
		pod.Spec.RuntimeClassName = nil
	}}
	podUserScene = Scene{Name: "pod-user", Manifest: "file-modes.yaml", Change: func(pod *corev1.Pod) {
		user := int64(podUser)
		pod.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: &user, RunAsGroup: &user}
	}}
)

// podUser is the Pod-level runAsUser of podUserScene.
const podUser = 4321

const (
	taskPage = "https://kubernetes.io/docs/tasks/configure-pod-container/share-process-namespace/"
	kep      = "https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/495-pod-pid-namespace"
	pidPage  = "https://man7.org/linux/man-pages/man7/pid_namespaces.7.html"
)

// notShared are the causes of traits that need the namespace to be shared at all.
var notShared = []Cause{
	{"control:", "Pods that do not ask for it share a namespace all the same", "look at the namespace option that the kubelet sends, and at the runtime's handling of mode CONTAINER"},
	{"", "the runtime gives each container a namespace of its own although the CRI asks for mode POD, or an admission plugin unsets the field", "look at .spec.shareProcessNamespace of the Pod, then at the pid namespace in the containers' config.json on the node"},
}

var namespaceTraits = []Trait{
	{
		ID:         "namespace/pause-is-pid-1",
		Statement:  "Process 1 of every container MUST be the Pod's pause, and no container's start process.",
		Profile:    Article,
		Documented: true,
		Article:    "The pause process runs as uid 65535 since pause 3.10, no longer as root.",
		Sources:    []string{taskPage, kep, pidPage},
		Scenes:     []Scene{articleScene, articleUnsharedScene},
		Causes:     notShared,
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
	{
		ID:        "namespace/one-namespace",
		Statement: "All containers of the Pod MUST be in one process namespace.",
		Profile:   Core,
		Sources:   []string{kep, criSource, pidPage},
		Scenes:    []Scene{articleScene, articleUnsharedScene},
		Causes:    notShared,
		Check: func(ctx context.Context, stage *Stage, g gomega.Gomega) error {
			shared, err := namespacesOf(ctx, stage, articleScene, "nginx", "shell")
			if err != nil {
				return err
			}
			g.Expect(shared[0]["pid"]).To(gomega.Equal(shared[1]["pid"]), "the containers are in different pid namespaces")
			unshared, err := namespacesOf(ctx, stage, articleUnsharedScene, "nginx", "shell")
			if err != nil {
				return err
			}
			g.Expect(unshared[0]["pid"]).NotTo(gomega.Equal(unshared[1]["pid"]), "control: without sharing, the containers must be in different pid namespaces")
			return nil
		},
	},
	{
		ID:        "namespace/only-pids-shared",
		Statement: "Of the containers' namespaces, sharing MUST change the pid namespace alone: mount namespaces differ, and network, IPC and UTS namespaces are one, as in any Pod.",
		Profile:   Core,
		Sources:   []string{kep, "https://kubernetes.io/docs/concepts/workloads/pods/#pod-networking", "https://man7.org/linux/man-pages/man7/namespaces.7.html"},
		Scenes:    []Scene{articleScene, articleUnsharedScene},
		Causes:    []Cause{{"", "the runtime joins or unshares more namespaces than the CRI asks for", "compare the namespaces in the containers' config.json on the node"}},
		Check: func(ctx context.Context, stage *Stage, g gomega.Gomega) error {
			for _, scene := range []Scene{articleScene, articleUnsharedScene} {
				found, err := namespacesOf(ctx, stage, scene, "nginx", "shell")
				if err != nil {
					return err
				}
				judgeOnlyPIDsShared(g, found[0], found[1])
			}
			return nil
		},
	},
	{
		ID:        "namespace/pods-apart",
		Statement: "Two Pods that each share a process namespace MUST be in different ones, and MUST NOT see each other's processes.",
		Profile:   Core,
		Sources:   []string{kep, pidPage, "https://man7.org/linux/man-pages/man7/namespaces.7.html"},
		Scenes:    []Scene{articleScene, siblingsScene},
		Causes:    []Cause{{"", "Pods are in the node's process namespace, or in one of several Pods", "compare /proc/self/ns/pid of both Pods with the node's"}},
		Check: func(ctx context.Context, stage *Stage, g gomega.Gomega) error {
			one, err := stage.Processes(ctx, articleScene, "shell", "processes of one Pod")
			if err != nil {
				return err
			}
			other, err := stage.Processes(ctx, siblingsScene, "tracer", "processes of another Pod")
			if err != nil {
				return err
			}
			oneKernel := true
			if ownNamespace(one) == ownNamespace(other) {
				if oneKernel, err = haveOneKernel(ctx, stage); err != nil {
					return err
				}
			}
			judgePodsApart(g, one, other, oneKernel)
			return nil
		},
	},
	{
		ID:        "namespace/not-the-node",
		Statement: "The Pod's process namespace MUST NOT be the node's: no process outside the Pod is visible in it.",
		Profile:   Core,
		Sources:   []string{kep, pidPage, taskPage},
		Scenes:    []Scene{articleScene, hostPIDScene},
		Causes:    []Cause{{"", "the runtime puts the containers into the node's process namespace", "look at the pid namespace in the containers' config.json on the node"}},
		Check: func(ctx context.Context, stage *Stage, g gomega.Gomega) error {
			// A node has too many processes for a snapshot.
			node, err := stage.Look(ctx, hostPIDScene, "node", "kubelets seen by a Pod in the node's namespace", "grep -lx kubelet /proc/[0-9]*/comm")
			if err != nil {
				return err
			}
			if !strings.Contains(node[0].Output, "/comm") { // an exit code other than 0 may come from processes that ended meanwhile
				return errNoKubelet
			}
			shared, err := stage.Processes(ctx, articleScene, "shell", "processes seen from the shell")
			if err != nil {
				return err
			}
			g.Expect(programs(shared, "kubelet")).To(gomega.BeEmpty(), "the node's kubelet is visible")
			g.Expect(shared.With("sleep", "1000020")).To(gomega.BeEmpty(), "a process of another Pod in the node's namespace is visible")
			g.Expect(shared.With("sh")).NotTo(gomega.BeEmpty(), "the shell does not see itself")
			return nil
		},
	},
	{
		ID:        "namespace/default-is-off",
		Statement: "Without the field, and with the field set to false, containers MUST be isolated from each other, and the API MUST NOT set the field by itself.",
		Profile:   Core,
		Sources:   []string{kep, "https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#PodSpec"},
		Scenes:    []Scene{articleUnsharedScene, articleFalseScene, articleScene},
		Causes: []Cause{
			{"control:", notShared[1].Cause, notShared[1].NextStep},
			{"must be unset", "an admission plugin sets the field", "look at the cluster's mutating webhooks and policies"},
			{"", "the runtime shares the namespace of Pods that do not ask for it", "look at the namespace option that the kubelet sends, and at the runtime's handling of mode CONTAINER"},
		},
		Check: func(ctx context.Context, stage *Stage, g gomega.Gomega) error {
			created, err := stage.Pod(ctx, articleUnsharedScene)
			if err != nil {
				return err
			}
			status, err := created.Status(ctx)
			if err != nil {
				return err
			}
			g.Expect(status.Spec.ShareProcessNamespace).To(gomega.BeNil(), "the field must be unset where the manifest has none")
			for _, scene := range []Scene{articleUnsharedScene, articleFalseScene} {
				for _, container := range startProcesses {
					isolated, err := stage.Processes(ctx, scene, container.name, "processes seen from "+container.name+" of Pod "+scene.Name)
					if err != nil {
						return err
					}
					judgeIsolated(g, isolated, container.arguments)
				}
			}
			shared, err := stage.Processes(ctx, articleScene, "shell", "processes of a Pod that shares")
			if err != nil {
				return err
			}
			g.Expect(shared.With(nginxMaster)).NotTo(gomega.BeEmpty(), "control: a Pod that shares must see its sibling, or isolation proves nothing")
			return nil
		},
	},
	{
		ID:        "namespace/parentless-start-process",
		Statement: "The containers' start processes MUST have no parent in the Pod: pause is process 1, and not their parent.",
		Profile:   Full,
		Sources:   []string{pidPage, kep},
		Scenes:    []Scene{articleScene, articleUnsharedScene},
		Causes:    []Cause{{"", "the runtime starts containers as children of the sandbox's process", "look at PPid in /proc/PID/status of the start processes"}},
		Check: func(ctx context.Context, stage *Stage, g gomega.Gomega) error {
			shared, err := stage.Processes(ctx, articleScene, "shell", "processes seen from the shell")
			if err != nil {
				return err
			}
			unshared, err := stage.Processes(ctx, articleUnsharedScene, "shell", "processes seen from the shell")
			if err != nil {
				return err
			}
			judgeParentless(g, shared, unshared)
			return nil
		},
	},
	{
		ID:        "namespace/pause-user",
		Statement: "The pause process MUST run as the user of its image, 65535, or as the Pod-level runAsUser where there is one.",
		Profile:   Full,
		Sources:   []string{"https://github.com/kubernetes/kubernetes/blob/master/build/pause/Dockerfile", criSource},
		Scenes:    []Scene{articleScene, podUserScene},
		Causes: []Cause{
			{"65535", "the node's sandbox image is an old or another pause that runs as another user", "look at sandbox_image in the runtime's configuration"},
			{"", "the runtime does not give the sandbox the Pod-level user", "look at the user in the sandbox's config.json on the node"},
		},
		Check: func(ctx context.Context, stage *Stage, g gomega.Gomega) error {
			plain, err := stage.Processes(ctx, articleScene, "shell", "a Pod without runAsUser")
			if err != nil {
				return err
			}
			asUser, err := stage.Processes(ctx, podUserScene, "visitor", "a Pod with runAsUser 4321")
			if err != nil {
				return err
			}
			first, _ := plain.PID(1)
			g.Expect(first.UID).To(gomega.Equal(65535), "pause runs as uid %d, must be 65535", first.UID)
			first, _ = asUser.PID(1)
			g.Expect(first.UID).To(gomega.Equal(podUser), "pause runs as uid %d, must be the Pod-level runAsUser", first.UID)
			return nil
		},
	},
}

// errNoKubelet says that the control of not-the-node cannot tell the node's processes from others.
const errNoKubelet = checkError("control: a Pod with hostPID sees no kubelet, so that not to see one proves nothing")

// checkError is a constant reason why something could not be looked at.
type checkError string

func (reason checkError) Error() string { return string(reason) }

// namespacesOf returns the ids of the namespaces that each container is in, by type, as namespaces(7) names them.
func namespacesOf(ctx context.Context, stage *Stage, scene Scene, containers ...string) ([]map[string]string, error) {
	types := []string{"pid", "mnt", "net", "ipc", "uts"}
	var all []map[string]string
	for _, container := range containers {
		var commands []string
		for _, each := range types {
			commands = append(commands, "readlink /proc/self/ns/"+each)
		}
		observations, err := once(stage, "namespaces/"+scene.Name+"/"+container, func(stage *Stage) ([]pod.Observation, error) {
			return stage.Look(ctx, scene, container, "namespaces of "+container, commands...)
		})
		if err != nil {
			return nil, err
		}
		found := map[string]string{}
		for i, observation := range observations {
			if found[types[i]] = answer(observation); found[types[i]] == "" {
				return nil, checkError("container " + container + " cannot read the id of its own " + types[i] + " namespace")
			}
		}
		all = append(all, found)
	}
	return all, nil
}

func judgeOnlyPIDsShared(g gomega.Gomega, one, other map[string]string) {
	g.Expect(one["mnt"]).NotTo(gomega.Equal(other["mnt"]), "the containers share a mount namespace")
	for _, each := range []string{"net", "ipc", "uts"} {
		g.Expect(one[each]).To(gomega.Equal(other[each]), "the containers are in different %s namespaces", each)
	}
}

func judgePodsApart(g gomega.Gomega, article, other process.Snapshot, oneKernel bool) {
	g.Expect(article.With(ownerSleep...)).To(gomega.BeEmpty(), "a process of the other Pod is visible")
	g.Expect(other.With(nginxMaster)).To(gomega.BeEmpty(), "a process of the one Pod is visible in the other")
	g.Expect(article.With("sh")).NotTo(gomega.BeEmpty(), "a container of the one Pod does not see itself")
	g.Expect(other.With(tracerSleep...)).NotTo(gomega.BeEmpty(), "a container of the other Pod does not see itself")
	g.Expect(ownNamespace(article)).NotTo(gomega.BeEmpty(), "the look cannot tell its own namespace")
	if oneKernel {
		g.Expect(ownNamespace(article)).NotTo(gomega.Equal(ownNamespace(other)), "both Pods are in one namespace")
	}
}

// ownNamespace is the number of the namespace that a snapshot was taken in.
func ownNamespace(snapshot process.Snapshot) string {
	self, _ := snapshot.PID(snapshot.Self)
	return self.Namespace
}

// haveOneKernel tells whether two Pods run on one kernel. Under a runtime that gives each Pod a kernel of its own, equal
// numbers are no equal namespaces: namespaces(7) promises that only within one kernel.
func haveOneKernel(ctx context.Context, stage *Stage) (bool, error) {
	const boot = "cat /proc/sys/kernel/random/boot_id"
	one, err := stage.Look(ctx, articleScene, "shell", "kernel of one Pod", boot)
	if err != nil {
		return false, err
	}
	other, err := stage.Look(ctx, siblingsScene, "tracer", "kernel of another Pod", boot)
	if err != nil {
		return false, err
	}
	if one[0].ExitCode != 0 || other[0].ExitCode != 0 {
		return false, fmt.Errorf("whether both Pods have one kernel cannot be read: %s", quote(one[0].Output+other[0].Output))
	}
	return one[0].Output == other[0].Output, nil
}

// programs returns the processes that run a program of that name.
func programs(snapshot process.Snapshot, name string) []process.Process {
	var found []process.Process
	for _, each := range snapshot.Processes {
		if len(each.Arguments) > 0 && path.Base(strings.SplitN(each.Arguments[0], " ", 2)[0]) == name {
			found = append(found, each)
		}
	}
	return found
}

func judgeIsolated(g gomega.Gomega, snapshot process.Snapshot, startProcess string) {
	first, _ := snapshot.PID(1)
	g.Expect(first.Arguments).To(gomega.Equal([]string{startProcess}), "process 1 must be the container's own start process")
	for _, container := range startProcesses {
		if container.arguments != startProcess {
			g.Expect(snapshot.With(container.arguments)).To(gomega.BeEmpty(), "the process of container %s is visible", container.name)
		}
	}
}

func judgeParentless(g gomega.Gomega, shared, unshared process.Snapshot) {
	for _, container := range startProcesses {
		started := expectOne(g, shared, "the start process of container "+container.name+" must be visible", container.arguments)
		g.Expect(started.PPID).To(gomega.BeZero(), "the start process of container %s has parent %d", container.name, started.PPID)
		g.Expect(started.PID).NotTo(gomega.Equal(1), "the start process of container %s is process 1", container.name)
	}
	first, _ := unshared.PID(1)
	g.Expect(first.Arguments).To(gomega.Equal([]string{"sh"}), "control: without sharing, process 1 must be the start process")
	g.Expect(first.PPID).To(gomega.BeZero(), "control: process 1 has a parent")
}

// startProcesses are the containers of the article's Pod and what each starts.
var startProcesses = []struct{ name, arguments string }{
	{"nginx", nginxMaster},
	{"shell", "sh"},
}

// pauseNames are what runtimes call the process that holds a Pod's namespaces: Kubernetes' own pause, and
// OpenShift's.
var pauseNames = []string{"pause", "pod"}

func judgePauseIsFirst(g gomega.Gomega, snapshot process.Snapshot, startProcess ...string) {
	first, found := snapshot.PID(1)
	g.Expect(found).To(gomega.BeTrue(), "process 1 is not visible")
	g.Expect(first.Arguments).NotTo(gomega.BeEmpty(), "process 1 has no arguments")
	g.Expect(pauseNames).To(gomega.ContainElement(path.Base(first.Arguments[0])),
		"process 1 is %q and not the Pod's pause", first.Arguments)
	started := snapshot.With(startProcess...)
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

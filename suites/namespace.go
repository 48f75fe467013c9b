package suites

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"sharedpid.example/helpers/process"
)

var (
	articleFalseFixture = suite.Fixture{
		Name: "article-false", Objects: manifest("share-process-namespace.yaml"), Unshared: true,
		Change: func(pod *corev1.Pod) { pod.Spec.ShareProcessNamespace = new(bool) },
	}
	// The node's own runtime shows the node's own processes, whatever runtime is looked at.
	hostPIDFixture = suite.Fixture{Name: "host-pid", Objects: manifest("host-pid.yaml"), Unshared: true, Change: func(pod *corev1.Pod) {
		pod.Spec.RuntimeClassName = nil
	}}
	podUserFixture = suite.Fixture{Name: "pod-user", Objects: manifest("file-modes.yaml"), Change: func(pod *corev1.Pod) {
		user := int64(podUser)
		pod.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: &user, RunAsGroup: &user}
	}}
)

// podUser is the Pod-level runAsUser of podUserFixture.
const podUser = 4321

var namespaceTraits = []suite.Trait{
	{
		ID:         "namespace/pause-is-pid-1",
		Statement:  "Process 1 of every container MUST be the Pod's pause, and no container's start process.",
		Profile:    suite.Article,
		Documented: true,
		Article:    "The pause process runs as uid 65535 since pause 3.5, no longer as root.",
		Sources:    []string{taskPage, kep, pidPage},
		Fixtures:   []suite.Fixture{articleFixture, articleUnsharedFixture},
		Causes: []suite.Cause{
			sharesUnasked,
			{
				Words:    "which is not in the Pod's cgroup",
				Cause:    "the containers are in the node's process namespace, or in another Pod's",
				NextStep: "compare readlink /proc/self/ns/pid of the container with that of the node's process 1",
			},
			{
				Words:    "another pid namespace",
				Cause:    "/proc of the container shows another process namespace than the one that the container is in",
				NextStep: "look at the mounts of type proc in the containers' config.json on the node, and at /proc/self/mounts of the container",
			},
			{
				Words:    "of container",
				Cause:    "the runtime makes one container's start process the first of the shared namespace, and not the sandbox's",
				NextStep: "look at the pid namespace in the config.json of the sandbox and of the containers on the node: all must name one",
			},
			ownNamespaces,
		},
		Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
			for _, container := range startProcesses {
				shared, err := session.Processes(ctx, articleFixture, container.Container, "processes seen from "+container.Container)
				if err != nil {
					return err
				}
				judgePauseIsFirst(judge, shared, container.Arguments...)
				unshared, err := session.Processes(ctx, articleUnsharedFixture, container.Container, "processes seen from "+container.Container)
				if err != nil {
					return err
				}
				judgeStartProcessIsFirst(judge, unshared, container.Arguments...)
			}
			return nil
		},
	},
	{
		ID:        startTrait,
		Statement: "The containers of a Pod that shares MUST start where those of the same Pod without the field do.",
		Profile:   suite.Core,
		Sources:   []string{kep, criSource},
		Fixtures:  []suite.Fixture{pairFixture, pairUnsharedFixture},
		Causes: []suite.Cause{{
			Cause:    "the runtime, or its policy, refuses containers that join the Pod's PID namespace",
			NextStep: "look at the runtime's own words, and at its policy: a generated one may fix what the Pod's namespaces are",
		}},
		Check: checkStart,
	},
	{
		ID:        "namespace/one-namespace",
		Statement: "All containers of the Pod MUST be in one process namespace.",
		Profile:   suite.Core,
		Sources:   []string{kep, criSource, pidPage},
		Needs:     []suite.Need{pairNamespaces, pairUnsharedNamespaces},
		Causes:    []suite.Cause{sharesUnasked, ownNamespaces},
		Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
			shared, err := pairNamespaces.Of(ctx, session)
			if err != nil {
				return err
			}
			judge.Claim.Expect(shared[0]["pid"]).To(gomega.Equal(shared[1]["pid"]), "the containers are in different pid namespaces")
			unshared, err := pairUnsharedNamespaces.Of(ctx, session)
			if err != nil {
				return err
			}
			judge.Control.Expect(unshared[0]["pid"]).NotTo(gomega.Equal(unshared[1]["pid"]),
				"without sharing, the containers must be in different pid namespaces")
			return nil
		},
	},
	{
		ID: "namespace/only-pids-shared",
		Statement: "Of the containers' namespaces, sharing MUST change the pid namespace alone: mount namespaces differ, network and IPC " +
			"namespaces are one, as in any Pod, and UTS namespaces are one where they are without sharing.",
		Profile: suite.Core,
		Sources: []string{
			kep,
			"https://kubernetes.io/docs/concepts/workloads/pods/#pod-networking",
			// Of UTS namespaces the CRI says nothing: containerd gives a Pod one, Docker each container its own with the Pod's host name.
			criSource,
			"https://man7.org/linux/man-pages/man7/namespaces.7.html",
		},
		Needs: []suite.Need{pairNamespaces, pairUnsharedNamespaces},
		Causes: []suite.Cause{{
			Cause:    "the runtime joins or unshares more namespaces than the CRI asks for",
			NextStep: "compare the namespaces in the containers' config.json on the node",
		}},
		Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
			shared, err := pairNamespaces.Of(ctx, session)
			if err != nil {
				return err
			}
			judgeOnlyPIDsShared(judge.Claim, shared[0], shared[1])
			unshared, err := pairUnsharedNamespaces.Of(ctx, session)
			if err != nil {
				return suite.ControlFailed(err)
			}
			judgeOnlyPIDsShared(judge.Control, unshared[0], unshared[1])
			judge.Claim.Expect(shared[0]["uts"] == shared[1]["uts"]).To(gomega.Equal(unshared[0]["uts"] == unshared[1]["uts"]),
				"sharing changes whether the containers are in one UTS namespace: %s and %s, without sharing %s and %s",
				shared[0]["uts"], shared[1]["uts"], unshared[0]["uts"], unshared[1]["uts"])
			return nil
		},
	},
	{
		ID:        "namespace/pods-apart",
		Statement: "Two Pods that each share a process namespace MUST be in different ones, and MUST NOT see each other's processes.",
		Profile:   suite.Core,
		Sources:   []string{kep, pidPage, "https://man7.org/linux/man-pages/man7/namespaces.7.html"},
		Fixtures:  []suite.Fixture{pairFixture, siblingsFixture},
		Causes: []suite.Cause{{
			Cause:    "Pods are in the node's process namespace, or in one of several Pods",
			NextStep: "compare /proc/self/ns/pid of both Pods with the node's",
		}},
		Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
			pair, err := session.Processes(ctx, pairFixture, one.Container, "processes of one Pod")
			if err != nil {
				return err
			}
			siblings, err := session.Processes(ctx, siblingsFixture, "tracer", "processes of another Pod")
			if err != nil {
				return err
			}
			oneKernel := true
			if ownNamespace(pair) == ownNamespace(siblings) {
				if oneKernel, err = haveOneKernel(ctx, session); err != nil {
					return err
				}
			}
			judgePodsApart(judge, pair, siblings, oneKernel)
			return nil
		},
	},
	{
		ID:        "namespace/not-the-node",
		Statement: "The Pod's process namespace MUST NOT be the node's: no process outside the Pod is visible in it.",
		Profile:   suite.Core,
		Sources:   []string{kep, pidPage, taskPage},
		Fixtures:  []suite.Fixture{articleFixture, hostPIDFixture},
		Causes: []suite.Cause{{
			Cause:    "the runtime puts the containers into the node's process namespace",
			NextStep: "look at the pid namespace in the containers' config.json on the node",
		}},
		Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
			// Its own process is known by its arguments: distributions call their kubelets differently, and a node has too many
			// processes for a snapshot. In the node's namespace that process has a parent; in any of a Pod it has none.
			node, err := session.Exec(ctx, hostPIDFixture, "node", "the parent of a process of another Pod, seen in the node's namespace",
				"for file in $(grep -l '^sleep.1000020' /proc/[0-9]*/cmdline 2>/dev/null); do grep PPid: ${file%cmdline}status; done")
			if err != nil {
				return err
			}
			parent := strings.Fields(node[0].Output)
			judge.Control.Expect(len(parent) >= 2 && parent[1] != "0").To(gomega.BeTrue(),
				"a Pod with hostPID is not in the node's namespace, so that not to see its process from elsewhere proves nothing: %q", parent)
			shared, err := session.Processes(ctx, articleFixture, "shell", "processes seen from the shell")
			if err != nil {
				return err
			}
			judge.Precondition.Expect(shared.With(shell.Arguments...)).NotTo(gomega.BeEmpty(), "the shell does not see itself")
			judge.Claim.Expect(shared.With("sleep", "1000020")).To(gomega.BeEmpty(), "a process of another Pod in the node's namespace is visible")
			return nil
		},
	},
	{
		ID: "namespace/default-is-off",
		Statement: "Without the field, and with the field set to false, containers MUST be isolated from each other, and the API MUST NOT " +
			"set the field by itself.",
		Profile:  suite.Core,
		Sources:  []string{kep, "https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#PodSpec"},
		Fixtures: []suite.Fixture{articleUnsharedFixture, articleFixture},
		Needs:    []suite.Need{turnedOffProcesses},
		Causes: []suite.Cause{
			{Control: true, Cause: ownNamespaces.Cause, NextStep: ownNamespaces.NextStep},
			{Words: "must be unset", Cause: "an admission plugin sets the field", NextStep: "look at the cluster's mutating webhooks and policies"},
			{
				Cause:    "the runtime shares the namespace of Pods that do not ask for it",
				NextStep: "look at the namespace option that the kubelet sends, and at the runtime's handling of mode CONTAINER",
			},
		},
		Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
			status, err := session.Status(ctx, articleUnsharedFixture)
			if err != nil {
				return err
			}
			judge.Claim.Expect(status.Spec.ShareProcessNamespace).To(gomega.BeNil(), "the field must be unset where the manifest has none")
			for _, container := range startProcesses {
				isolated, err := session.Processes(ctx, articleUnsharedFixture, container.Container,
					"processes seen from "+container.Container+" without the field")
				if err != nil {
					return err
				}
				judgeIsolated(judge, isolated, container.Arguments...)
			}
			turnedOff, err := turnedOffProcesses.Of(ctx, session)
			if err != nil {
				return err
			}
			for i, container := range startProcesses {
				judgeIsolated(judge, turnedOff[i], container.Arguments...)
			}
			shared, err := session.Processes(ctx, articleFixture, "shell", "processes of a Pod that shares")
			if err != nil {
				return err
			}
			judge.Control.Expect(shared.With(nginxMaster)).NotTo(gomega.BeEmpty(),
				"a Pod that shares must see its sibling, or isolation proves nothing")
			return nil
		},
	},
	{
		ID:        "namespace/parentless-start-process",
		Statement: "The containers' start processes MUST have no parent in the Pod: pause is process 1, and not their parent.",
		Profile:   suite.Full,
		Sources:   []string{pidPage, kep},
		Fixtures:  []suite.Fixture{articleFixture, articleUnsharedFixture},
		Causes: []suite.Cause{{
			Cause:    "the runtime starts containers as children of the sandbox's process",
			NextStep: "look at PPid in /proc/PID/status of the start processes",
		}},
		Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
			shared, err := session.Await(ctx, articleFixture, "shell", "processes seen from the shell", startProcesses...)
			if err != nil {
				return err
			}
			unshared, err := session.Processes(ctx, articleUnsharedFixture, "shell", "processes seen from the shell")
			if err != nil {
				return err
			}
			judgeParentless(judge, shared, unshared)
			return nil
		},
	},
	{
		ID:        "namespace/pause-user",
		Statement: "The pause process MUST run as the user of its image, 65535, or as the Pod-level runAsUser where there is one.",
		Profile:   suite.Full,
		Sources:   []string{"https://github.com/kubernetes/kubernetes/blob/v1.37.2/build/pause/Dockerfile", criSource},
		Fixtures:  []suite.Fixture{articleFixture, podUserFixture},
		Causes: []suite.Cause{
			{
				Words:    "65535",
				Cause:    "the node's sandbox image is an old or another pause that runs as another user",
				NextStep: "look at sandbox_image in the runtime's configuration",
			},
			{
				Cause:    "the runtime does not give the sandbox the Pod-level user",
				NextStep: "look at the user in the sandbox's config.json on the node",
			},
		},
		Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
			plain, err := session.Processes(ctx, articleFixture, "shell", "a Pod without runAsUser")
			if err != nil {
				return err
			}
			asUser, err := session.Processes(ctx, podUserFixture, "visitor", "a Pod with runAsUser 4321")
			if err != nil {
				return err
			}
			for _, snapshot := range []process.Snapshot{plain, asUser} {
				if err := isPause(snapshot); err != nil {
					return err
				}
			}
			first, _ := plain.PID(1)
			judge.Claim.Expect(first.UID).To(gomega.Equal(65535), "pause runs as uid %d, must be 65535", first.UID)
			first, _ = asUser.PID(1)
			judge.Claim.Expect(first.UID).To(gomega.Equal(podUser), "pause runs as uid %d, must be the Pod-level runAsUser", first.UID)
			return nil
		},
	},
	unmaskedProcTrait,
	pidsTrait,
}

// namespaceTypes are what of namespaces(7) containers are compared by.
var namespaceTypes = []string{"pid", "mnt", "net", "ipc", "uts"}

// The namespaces that the containers of the smallest Pod are in, with sharing and without.
var (
	pairNamespaces         = namespacesOf(pairFixture, one.Container, other.Container)
	pairUnsharedNamespaces = namespacesOf(pairUnsharedFixture, one.Container, other.Container)
)

// namespacesOf is a look at the ids of the namespaces that each container is in, by type.
func namespacesOf(fixture suite.Fixture, containers ...string) *suite.Probe[[]map[string]string] {
	look := func(ctx context.Context, session *suite.Session) ([]map[string]string, error) {
		var commands []string
		for _, each := range namespaceTypes {
			commands = append(commands, "readlink /proc/self/ns/"+each)
		}
		var all []map[string]string
		for _, container := range containers {
			results, err := session.Exec(ctx, fixture, container, "namespaces of "+container, commands...)
			if err != nil {
				return nil, err
			}
			found := map[string]string{}
			for i, each := range namespaceTypes {
				if found[each] = results[i].Answer(); found[each] == "" {
					return nil, suite.Undecided(reports.Precondition, "container %s cannot read the id of its own %s namespace", container, each)
				}
			}
			all = append(all, found)
		}
		return all, nil
	}
	return &suite.Probe[[]map[string]string]{Name: "namespaces of " + fixture.Name, Fixtures: []suite.Fixture{fixture}, Look: look}
}

// turnedOffProcesses are what nginx and the shell see where the field is false: signals/pause-survives reloads this nginx.
var turnedOffProcesses = &suite.Probe[[]process.Snapshot]{
	Name:     "processes with the field set to false",
	Fixtures: []suite.Fixture{articleFalseFixture},
	Look: func(ctx context.Context, session *suite.Session) ([]process.Snapshot, error) {
		var all []process.Snapshot
		for _, container := range startProcesses {
			title := "processes seen from " + container.Container + " with the field set to false"
			snapshot, err := session.Await(ctx, articleFalseFixture, container.Container, title, container)
			if err != nil {
				return nil, err
			}
			all = append(all, snapshot)
		}
		return all, nil
	},
}

// judgeOnlyPIDsShared asserts through what it is given: of the Pod that does not share nobody can be accused.
func judgeOnlyPIDsShared(assert gomega.Gomega, one, other map[string]string) {
	assert.Expect(one["mnt"]).NotTo(gomega.Equal(other["mnt"]), "the containers share a mount namespace")
	for _, each := range []string{"net", "ipc"} {
		assert.Expect(one[each]).To(gomega.Equal(other[each]), "the containers are in different %s namespaces", each)
	}
}

func judgePodsApart(judge suite.Judge, pair, siblings process.Snapshot, oneKernel bool) {
	judge.Precondition.Expect(pair.With(one.Arguments...)).NotTo(gomega.BeEmpty(), "a container of the one Pod does not see itself")
	judge.Precondition.Expect(siblings.With(tracerSleep...)).NotTo(gomega.BeEmpty(), "a container of the other Pod does not see itself")
	for _, snapshot := range []process.Snapshot{pair, siblings} {
		judge.Precondition.Expect(ownNamespace(snapshot)).NotTo(gomega.BeEmpty(), "the look cannot tell its own namespace")
	}
	judge.Claim.Expect(pair.With(ownerSleep...)).To(gomega.BeEmpty(), "a process of the other Pod is visible")
	judge.Claim.Expect(siblings.With(one.Arguments...)).To(gomega.BeEmpty(), "a process of the one Pod is visible in the other")
	if oneKernel {
		judge.Claim.Expect(ownNamespace(pair)).NotTo(gomega.Equal(ownNamespace(siblings)), "both Pods are in one namespace")
	}
}

// ownNamespace is the number of the namespace that a snapshot was taken in.
func ownNamespace(snapshot process.Snapshot) string {
	self, _ := snapshot.PID(snapshot.Self)
	return self.Namespace
}

// haveOneKernel tells whether two Pods run on one kernel. Under a runtime that gives each Pod a kernel of its own, equal
// numbers are no equal namespaces: namespaces(7) promises that only within one kernel.
func haveOneKernel(ctx context.Context, session *suite.Session) (bool, error) {
	const boot = "cat /proc/sys/kernel/random/boot_id"
	pair, err := session.Exec(ctx, pairFixture, one.Container, "kernel of one Pod", boot)
	if err != nil {
		return false, err
	}
	siblings, err := session.Exec(ctx, siblingsFixture, "tracer", "kernel of another Pod", boot)
	if err != nil {
		return false, err
	}
	if pair[0].ExitCode != 0 || siblings[0].ExitCode != 0 {
		return false, suite.Undecided(reports.Precondition,
			"whether both Pods have one kernel cannot be read: %s", quote(pair[0].Output+siblings[0].Output))
	}
	return pair[0].Output == siblings[0].Output, nil
}

func judgeIsolated(judge suite.Judge, snapshot process.Snapshot, startProcess ...string) {
	judge.Precondition.Expect(snapshot.With(startProcess...)).NotTo(gomega.BeEmpty(), "the container does not see its own start process")
	first, _ := snapshot.PID(1)
	judge.Claim.Expect(first.Arguments).To(gomega.Equal(startProcess), "process 1 must be the container's own start process")
	for _, container := range startProcesses {
		if !slices.Equal(container.Arguments, startProcess) {
			judge.Claim.Expect(snapshot.With(container.Arguments...)).To(gomega.BeEmpty(),
				"the process of container %s is visible", container.Container)
		}
	}
}

func judgeParentless(judge suite.Judge, shared, unshared process.Snapshot) {
	for _, container := range startProcesses {
		started := expectOne(judge, shared, "the start process of container "+container.Container+" must be visible", container.Arguments...)
		judge.Claim.Expect(started.PPID).To(gomega.BeZero(), "the start process of container %s has parent %d", container.Container, started.PPID)
		judge.Claim.Expect(started.PID).NotTo(gomega.Equal(1), "the start process of container %s is process 1", container.Container)
	}
	first, _ := unshared.PID(1)
	judge.Control.Expect(first.Arguments).To(gomega.Equal([]string{"sh"}), "without sharing, process 1 must be the start process")
	judge.Control.Expect(first.PPID).To(gomega.BeZero(), "process 1 has a parent")
}

// pauseNames are what runtimes call the process that holds a Pod's namespaces: Kubernetes' own pause, and OpenShift's. A name
// is believed only where cgroups do not tell whose process 1 is.
var pauseNames = []string{"pause", "pod"}

// isPause tells whether process 1 is the Pod's pause, by what it is: it lies in the Pod's cgroup and in none of its containers'.
// The error says why it is not, or that nobody can tell.
func isPause(snapshot process.Snapshot) error {
	first, found := snapshot.PID(1)
	named := found && len(first.Arguments) > 0 && slices.Contains(pauseNames, path.Base(first.Arguments[0]))
	switch holder := snapshot.First(); {
	case !found:
		return suite.Undecided(reports.Precondition, "process 1 is not visible")
	case holder == process.HolderContainer:
		return &suite.Violation{
			Reason: fmt.Sprintf("process 1 is %q of container %s and not the Pod's pause", first.Arguments, snapshot.Owners[1]),
		}
	case holder == process.HolderForeign:
		return &suite.Violation{
			Reason: fmt.Sprintf("process 1 is %q, which is not in the Pod's cgroup, and not the Pod's pause", first.Arguments),
		}
	case holder == process.HolderUnknown && !named:
		return suite.Undecided(reports.Precondition, "process 1 is %q, and cgroups do not tell whether that is the Pod's pause", first.Arguments)
	}
	return nil
}

func judgePauseIsFirst(judge suite.Judge, snapshot process.Snapshot, startProcess ...string) {
	judge.Precondition.Expect(snapshot.With(startProcess...)).NotTo(gomega.BeEmpty(),
		"the container does not see its own start process %q", startProcess)
	judge.Claim.Expect(process.PIDs(snapshot.With(startProcess...))).NotTo(gomega.ContainElement(1),
		"process 1 is the container's start process")
	if err := isPause(snapshot); err != nil {
		judge.Stop(err)
	}
	// A process may be the Pod's and hold another namespace: the look itself must be in that of process 1.
	first, _ := snapshot.PID(1)
	self, found := snapshot.PID(snapshot.Self)
	judge.Precondition.Expect(found).To(gomega.BeTrue(), "the look does not see itself")
	if first.Namespace != "" {
		judge.Claim.Expect(self.Namespace).To(gomega.Equal(first.Namespace),
			"process 1 lives in another pid namespace than the container")
	}
}

func judgeStartProcessIsFirst(judge suite.Judge, snapshot process.Snapshot, startProcess ...string) {
	first, _ := snapshot.PID(1)
	judge.Control.Expect(first.Arguments).To(gomega.Equal(startProcess),
		"without sharing, process 1 must be the container's own start process")
}

package suites

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"sharedpid.example/helpers/process"
	"sharedpid.example/reports"
)

var (
	initContainersScene         = Scene{Name: "init-containers", Manifest: "init-containers.yaml"}
	initContainersUnsharedScene = Scene{Name: "init-containers-unshared", Manifest: "init-containers.yaml", Unshared: true}
)

var joinerTraits = []Trait{
	{
		ID:        "joiners/init-container-shares",
		Statement: "An init container MUST be in the Pod's shared process namespace, with pause as process 1.",
		Profile:   Core,
		Sources:   []string{kep, "https://kubernetes.io/docs/concepts/workloads/pods/init-containers/"},
		Scenes:    []Scene{initContainersScene, initContainersUnsharedScene},
		Causes: []Cause{
			{"control:", notShared[0].Cause, notShared[0].NextStep},
			{"", "the runtime gives init containers a namespace of their own, or makes a new sandbox after them", "compare the pid namespaces in the containers' config.json on the node"},
		},
		Check: func(ctx context.Context, stage *Stage, g gomega.Gomega) error {
			shared, err := sharedInitContainer(ctx, stage)
			if err != nil {
				return err
			}
			unshared, err := initContainerPlace(ctx, stage, initContainersUnsharedScene)
			if err != nil {
				return err
			}
			judgeInitContainer(g, shared.place, unshared, shared.after)
			return nil
		},
	},
	{
		ID:        "joiners/sidecar-shares",
		Statement: "A restartable init container MUST be in the Pod's shared process namespace, and MUST stay in it with the others across a restart of one of them.",
		Profile:   Core,
		Sources:   []string{"https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/", kep},
		Scenes:    []Scene{initContainersScene, initContainersUnsharedScene},
		Slow:      true,
		Causes: []Cause{
			{"control:", notShared[0].Cause, notShared[0].NextStep},
			{"", "the runtime joins restarted or init containers to another namespace than the sandbox's", "compare the pid namespaces in the containers' config.json on the node, before and after the restart"},
		},
		Check: func(ctx context.Context, stage *Stage, g gomega.Gomega) error {
			// What the init container saw is compared with the Pod as it is before anything is killed.
			_, _ = sharedInitContainer(ctx, stage)
			if _, err := stage.Pod(ctx, initContainersScene, "sidecar", "worker"); err != nil {
				return err
			}
			killed, err := killAndReturn(ctx, stage, initContainersScene, "worker", "sidecar", [][]string{workerSleep}, [][]string{sidecarSleep})
			if err != nil {
				return err
			}
			judgeReturn(g, "worker", killed.last, killed.before, killed.after, workerSleep, sidecarSleep)
			unshared, err := stage.Processes(ctx, initContainersUnsharedScene, "sidecar", "processes seen from the sidecar")
			if err != nil {
				return err
			}
			first, _ := unshared.PID(1)
			g.Expect(first.Arguments).To(gomega.Equal(sidecarSleep), "control: without sharing, the sidecar must be process 1 of its own namespace")
			g.Expect(unshared.With(workerSleep...)).To(gomega.BeEmpty(), "control: without sharing, the worker must not be visible")
			return nil
		},
	},
	{
		ID:        "joiners/ephemeral-joins",
		Statement: "An ephemeral container MUST join the Pod's shared process namespace, with a target container and without one; in a Pod that does not share, it MUST join its target's.",
		Profile:   Core,
		Sources: []string{
			"https://kubernetes.io/docs/tasks/debug/debug-application/debug-running-pod/#ephemeral-container",
			"https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/277-ephemeral-containers",
			"https://github.com/kubernetes/kubernetes/issues/98362",
		},
		Scenes: []Scene{fileModesScene, fileModesUnsharedScene},
		Slow:   true,
		Causes: []Cause{
			{"its target", "the runtime does not support the process namespace target of ephemeral containers", "look at the namespace mode TARGET in the CRI, and at the runtime's handling of it (k3s#3381)"},
			{"control:", notShared[0].Cause, notShared[0].NextStep},
			{"", "the runtime starts ephemeral containers in a namespace of their own", "compare the pid namespaces in the containers' config.json on the node"},
		},
		Check: func(ctx context.Context, stage *Stage, g gomega.Gomega) error {
			joined, alone := newDebuggers(), newDebuggers()
			shared, err := attach(ctx, stage, fileModesScene, joined)
			if err != nil {
				return err
			}
			unshared, err := attach(ctx, stage, fileModesUnsharedScene, alone)
			if err != nil {
				return err
			}
			for i, container := range joined {
				judgePauseIsFirst(g, shared[i], container.Command...)
				expectOne(g, shared[i], "ephemeral container "+container.Name+" must see the owner", ownerSleep...)
				expectOne(g, shared[i], "ephemeral container "+container.Name+" must see the visitor", visitorSleep...)
			}
			judgeDebuggers(g, alone[0].Command, unshared[0], unshared[1])
			return nil
		},
	},
}

// The start processes of fixtures/init-containers.yaml that stay.
var (
	sidecarSleep = []string{"sleep", "1000110"}
	workerSleep  = []string{"sleep", "1000111"}
)

// initContainer is where the init container of a Pod that shares found itself, and what there is after it.
type initContainer struct {
	place place
	after process.Snapshot
}

// sharedInitContainer looks once for all traits: one of them kills a container of the Pod afterwards.
func sharedInitContainer(ctx context.Context, stage *Stage) (initContainer, error) {
	return once(stage, "init container", func(stage *Stage) (looked initContainer, err error) {
		if looked.place, err = initContainerPlace(ctx, stage, initContainersScene); err != nil {
			return looked, err
		}
		looked.after, err = stage.Processes(ctx, initContainersScene, "sidecar", "processes after the init container")
		return looked, err
	})
}

// place is where an init container finds itself.
type place struct {
	startTime string // of process 1, in clock ticks after boot
	first     string // arguments of process 1
}

// initContainerPlace reads what the init container wrote.
func initContainerPlace(ctx context.Context, stage *Stage, scene Scene) (place, error) {
	created, err := stage.Pod(ctx, scene, "sidecar")
	if err != nil {
		return place{}, err
	}
	words, err := created.Logs(ctx, "first", false)
	if err != nil {
		return place{}, err
	}
	stage.Record(scene, reports.Evidence{
		Title: "what the init container saw: start time and arguments of process 1, pid namespace", Where: scene.Name + "/first",
		Command: "kubectl logs", Output: words,
	})
	lines := strings.Split(words, "\n")
	if len(lines) < 3 {
		return place{}, fmt.Errorf("the init container wrote %d lines, want 3: %s", len(lines), quote(words))
	}
	return place{startTime: lines[0], first: strings.TrimSpace(lines[1])}, nil
}

func judgeInitContainer(g gomega.Gomega, shared, unshared place, after process.Snapshot) {
	first, found := after.PID(1)
	g.Expect(found).To(gomega.BeTrue(), "process 1 is not visible")
	g.Expect(pauseNames).To(gomega.ContainElement(baseName(shared.first)), "process 1 of the init container is %q and not the Pod's pause", shared.first)
	// Numbers of namespaces are used again; the start time of their first process is not.
	g.Expect(shared.startTime).To(gomega.Equal(fmt.Sprint(first.StartTime)), "the init container was in another namespace than the container after it")
	g.Expect(unshared.first).To(gomega.HavePrefix("sh -c"), "control: without sharing, the init container must be process 1 itself")
}

// baseName is the name of the program that a command line begins with.
func baseName(commandLine string) string {
	program, _, _ := strings.Cut(commandLine, " ")
	return program[strings.LastIndex(program, "/")+1:]
}

// newDebuggers returns two ephemeral containers, one without a target and one with, that start processes of arguments of
// their own.
func newDebuggers() []corev1.EphemeralContainer {
	var all []corev1.EphemeralContainer
	for _, each := range []struct{ name, target string }{{"untargeted", ""}, {"targeted", "owner"}} {
		all = append(all, corev1.EphemeralContainer{TargetContainerName: each.target, EphemeralContainerCommon: corev1.EphemeralContainerCommon{
			Name: each.name, Command: newSleep(), ImagePullPolicy: corev1.PullIfNotPresent,
			TerminationMessagePolicy: corev1.TerminationMessageReadFile,
		}})
	}
	return all
}

// newSleep returns the arguments of a process that is found by them among those of other Pods as well.
func newSleep() []string { return []string{"sleep", fmt.Sprint(1_100_000 + rand.IntN(800_000))} }

// attach adds the ephemeral containers to a Pod and returns what each sees.
func attach(ctx context.Context, stage *Stage, scene Scene, containers []corev1.EphemeralContainer) ([]process.Snapshot, error) {
	created, err := stage.Pod(ctx, scene, "owner", "visitor")
	if err != nil {
		return nil, err
	}
	for i := range containers {
		containers[i].Image = stage.scenes.image("busybox:1.37.0")
	}
	if err := created.AddEphemeral(ctx, containers...); err != nil {
		return nil, err
	}
	var all []process.Snapshot
	for _, container := range containers {
		seen, err := stage.Await(ctx, scene, container.Name, "processes seen from ephemeral container "+container.Name, container.Command)
		if err != nil {
			return nil, err
		}
		all = append(all, seen)
	}
	return all, nil
}

// judgeDebuggers takes the start process of the ephemeral container without a target, and what it and the one with a
// target see in a Pod that does not share.
func judgeDebuggers(g gomega.Gomega, own []string, untargeted, targeted process.Snapshot) {
	first, _ := untargeted.PID(1)
	g.Expect(first.Arguments).To(gomega.Equal(own), "control: without sharing and without a target, the ephemeral container must be isolated")
	first, _ = targeted.PID(1)
	g.Expect(first.Arguments).To(gomega.Equal(ownerSleep), "without sharing, an ephemeral container must see its target as process 1")
	g.Expect(targeted.With(visitorSleep...)).To(gomega.BeEmpty(), "without sharing, an ephemeral container must not see others than its target")
}

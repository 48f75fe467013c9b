package suites

import (
	"context"
	"fmt"
	"strings"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"sharedpid.example/helpers/process"
	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
)

var (
	initContainersFixture         = suite.Fixture{Name: "init-containers", Objects: manifest("init-containers.yaml")}
	initContainersUnsharedFixture = suite.Fixture{Name: "init-containers-unshared", Objects: manifest("init-containers.yaml"), Unshared: true}
)

var joinerTraits = []suite.Trait{
	{
		ID:        "joiners/init-container-shares",
		Statement: "An init container MUST be in the Pod's shared process namespace, with pause as process 1.",
		Profile:   suite.Core,
		Sources:   []string{kep, "https://kubernetes.io/docs/concepts/workloads/pods/init-containers/"},
		Fixtures:  []suite.Fixture{initContainersUnsharedFixture},
		Needs:     []suite.Need{sharedInitContainer},
		Causes: []suite.Cause{
			sharesUnasked,
			{
				Cause:    "the runtime gives init containers a namespace of their own, or makes a new sandbox after them",
				NextStep: "compare the pid namespaces in the containers' config.json on the node",
			},
		},
		Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
			shared, err := sharedInitContainer.Of(ctx, session)
			if err != nil {
				return err
			}
			unshared, err := initContainerPlace(ctx, session, initContainersUnsharedFixture)
			if err != nil {
				return err
			}
			judgeInitContainer(judge, shared.place, unshared, shared.after)
			return nil
		},
	},
	{
		ID: "joiners/sidecar-shares",
		Statement: "A restartable init container MUST be in the Pod's shared process namespace, and MUST stay in it with the others across " +
			"a restart of one of them.",
		Profile:  suite.Core,
		Sources:  []string{"https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/", kep},
		Fixtures: []suite.Fixture{initContainersFixture, initContainersUnsharedFixture},
		Destroys: []suite.Fixture{initContainersFixture}, // its worker
		Slow:     true,
		Causes: []suite.Cause{
			sharesUnasked,
			{
				Cause:    "the runtime joins restarted or init containers to another namespace than the sandbox's",
				NextStep: "compare the pid namespaces in the containers' config.json on the node, before and after the restart",
			},
		},
		Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
			killed, err := killAndReturn(ctx, session, initContainersFixture, "sidecar", worker, worker, sidecar)
			if err != nil {
				return err
			}
			judgeReturn(judge, "worker", killed, worker.Arguments, sidecar.Arguments)
			unshared, err := session.Processes(ctx, initContainersUnsharedFixture, "sidecar", "processes seen from the sidecar")
			if err != nil {
				return err
			}
			first, _ := unshared.PID(1)
			judge.Control.Expect(first.Arguments).To(gomega.Equal(sidecar.Arguments),
				"without sharing, the sidecar must be process 1 of its own namespace")
			judge.Control.Expect(unshared.With(worker.Arguments...)).To(gomega.BeEmpty(), "without sharing, the worker must not be visible")
			return nil
		},
	},
	{
		ID: "joiners/ephemeral-joins",
		Statement: "An ephemeral container MUST join the Pod's shared process namespace, with a target container and without one; in a Pod " +
			"that does not share, it MUST join its target's.",
		Profile: suite.Core,
		Sources: []string{
			"https://kubernetes.io/docs/tasks/debug/debug-application/debug-running-pod/#ephemeral-container",
			"https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/277-ephemeral-containers",
			"https://github.com/kubernetes/kubernetes/issues/98362",
		},
		Fixtures: []suite.Fixture{fileModesFixture, fileModesUnsharedFixture},
		Slow:     true,
		Causes: []suite.Cause{
			{
				Words:    "its target",
				Cause:    "the runtime does not support the process namespace target of ephemeral containers",
				NextStep: "look at the namespace mode TARGET in the CRI, and at the runtime's handling of it (k3s#3381)",
			},
			sharesUnasked,
			{
				Cause:    "the runtime starts ephemeral containers in a namespace of their own",
				NextStep: "compare the pid namespaces in the containers' config.json on the node",
			},
		},
		Rights: []suite.Right{{Resource: "pods/ephemeralcontainers", Verbs: []string{"update"}, Why: "to add ephemeral containers"}},
		Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
			joined, alone := newDebuggers(session, "joined"), newDebuggers(session, "alone")
			shared, err := attach(ctx, session, fileModesFixture, joined)
			if err != nil {
				return err
			}
			unshared, err := attach(ctx, session, fileModesUnsharedFixture, alone)
			if err != nil {
				return err
			}
			for i, container := range joined {
				judgePauseIsFirst(judge, shared[i], container.Command...)
				expectOne(judge, shared[i], "ephemeral container "+container.Name+" must see the owner", ownerSleep...)
				expectOne(judge, shared[i], "ephemeral container "+container.Name+" must see the visitor", visitorSleep...)
			}
			judgeDebuggers(judge, alone[0].Command, unshared[0], unshared[1])
			return nil
		},
	},
	debuggerTrait,
}

// The start processes of the manifest init-containers.yaml that stay.
var (
	sidecar = suite.Process{Container: "sidecar", Arguments: []string{"sleep", "1000110"}}
	worker  = suite.Process{Container: "worker", Arguments: []string{"sleep", "1000111"}}
)

// initContainer is where the init container of a Pod that shares found itself, and what there is after it.
type initContainer struct {
	place place
	after process.Snapshot
}

// sharedInitContainer is looked at before joiners/sidecar-shares kills a container of the Pod.
var sharedInitContainer = &suite.Probe[initContainer]{
	Name:     "init container",
	Fixtures: []suite.Fixture{initContainersFixture},
	Look: func(ctx context.Context, session *suite.Session) (looked initContainer, err error) {
		if looked.place, err = initContainerPlace(ctx, session, initContainersFixture); err != nil {
			return looked, err
		}
		looked.after, err = session.Processes(ctx, initContainersFixture, "sidecar", "processes after the init container")
		return looked, err
	},
}

// place is where an init container finds itself.
type place struct {
	startTime string // of process 1, in clock ticks after boot
	first     string // arguments of process 1
}

// initContainerPlace reads what the init container wrote.
func initContainerPlace(ctx context.Context, session *suite.Session, fixture suite.Fixture) (place, error) {
	if err := session.Running(ctx, fixture, "sidecar"); err != nil {
		return place{}, err
	}
	words, err := session.Logs(ctx, fixture, "first", false)
	if err != nil {
		return place{}, err
	}
	session.Record(fixture, reports.Evidence{
		Title: "what the init container saw: start time and arguments of process 1, pid namespace", Where: fixture.Name + "/first",
		Command: "kubectl logs", Output: words,
	})
	lines := strings.Split(words, "\n")
	if len(lines) < 3 {
		return place{}, suite.Undecided(reports.Lost, "the init container wrote %d lines, want 3: %s", len(lines), quote(words))
	}
	return place{startTime: lines[0], first: strings.TrimSpace(lines[1])}, nil
}

func judgeInitContainer(judge suite.Judge, shared, unshared place, after process.Snapshot) {
	first, found := after.PID(1)
	judge.Precondition.Expect(found).To(gomega.BeTrue(), "process 1 is not visible")
	if err := isPause(after); err != nil {
		judge.Stop(err)
	}
	// Numbers of namespaces are used again; the start time of their first process is not.
	judge.Claim.Expect(shared.startTime).To(gomega.Equal(fmt.Sprint(first.StartTime)),
		"the init container was in another namespace than the container after it")
	judge.Control.Expect(unshared.first).To(gomega.HavePrefix("sh -c"), "without sharing, the init container must be process 1 itself")
}

// newDebuggers returns two ephemeral containers, one without a target and one with, that start processes of arguments of
// their own.
func newDebuggers(session *suite.Session, names string) []corev1.EphemeralContainer {
	var all []corev1.EphemeralContainer
	for _, each := range []struct{ name, target string }{{"untargeted", ""}, {"targeted", "owner"}} {
		all = append(all, corev1.EphemeralContainer{TargetContainerName: each.target, EphemeralContainerCommon: corev1.EphemeralContainerCommon{
			Name: each.name, Image: "busybox:1.37.0", Command: newSleep(session, names+" "+each.name), ImagePullPolicy: corev1.PullIfNotPresent,
			TerminationMessagePolicy: corev1.TerminationMessageReadFile,
		}})
	}
	return all
}

// newSleep returns the arguments of a process that is found by them among those of other Pods as well.
func newSleep(session *suite.Session, name string) []string {
	return []string{"sleep", fmt.Sprint(1_100_000 + session.Number(name, 800_000))}
}

// attach adds the ephemeral containers to a Pod and returns what each sees.
func attach(
	ctx context.Context, session *suite.Session, fixture suite.Fixture, containers []corev1.EphemeralContainer,
) ([]process.Snapshot, error) {
	if err := session.Running(ctx, fixture, "owner", "visitor"); err != nil {
		return nil, err
	}
	if err := session.Attach(ctx, fixture, containers...); err != nil {
		return nil, err
	}
	var all []process.Snapshot
	for _, container := range containers {
		own := suite.Process{Container: container.Name, Arguments: container.Command}
		seen, err := session.Await(ctx, fixture, container.Name, "processes seen from ephemeral container "+container.Name, own)
		if err != nil {
			return nil, err
		}
		all = append(all, seen)
	}
	return all, nil
}

// judgeDebuggers takes the start process of the ephemeral container without a target, and what it and the one with a
// target see in a Pod that does not share.
func judgeDebuggers(judge suite.Judge, own []string, untargeted, targeted process.Snapshot) {
	first, _ := untargeted.PID(1)
	judge.Control.Expect(first.Arguments).To(gomega.Equal(own),
		"without sharing and without a target, the ephemeral container must be isolated")
	first, _ = targeted.PID(1)
	judge.Claim.Expect(first.Arguments).To(gomega.Equal(ownerSleep),
		"without sharing, an ephemeral container must see its target as process 1")
	judge.Claim.Expect(targeted.With(visitorSleep...)).To(gomega.BeEmpty(),
		"without sharing, an ephemeral container must not see others than its target")
}

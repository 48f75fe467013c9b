package suites

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"sharedpid.example/helpers/process"
	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
)

// Pods that run while the programs of their node are replaced.
var (
	outlivingArticle  = suite.Fixture{Name: "outliving-article", Objects: manifest("share-process-namespace.yaml")}
	outlivingSiblings = suite.Fixture{Name: "outliving-siblings", Objects: manifest("siblings.yaml")}
	outlivingPair     = suite.Fixture{Name: "outliving-pair", Objects: manifest("pair.yaml")}
)

// pairProcesses are the start processes of the manifest pair.yaml.
var pairProcesses = []suite.Process{
	{Container: "one", Arguments: []string{"sleep", "1000140"}}, {Container: "other", Arguments: []string{"sleep", "1000141"}},
}

// outliving are the Pods with their start processes.
var outliving = []struct {
	fixture suite.Fixture
	starts  []suite.Process
}{
	{outlivingArticle, startProcesses},
	{outlivingSiblings, []suite.Process{owner, {Container: "visitor", Arguments: visitorSleep}}},
	{outlivingPair, pairProcesses},
}

// outlived is one Pod before and after the programs of its node were replaced, as each of some containers sees it.
type outlived struct {
	fixture       string
	before, after map[string]process.Snapshot // by container
	pod, podAfter *corev1.Pod
}

// Sources of what becomes of Pods when the programs of a node are replaced.
const (
	upgradePage = "https://kubernetes.io/docs/tasks/administer-cluster/kubeadm/upgrading-linux-nodes/"
	skewPage    = "https://kubernetes.io/releases/version-skew-policy/#kubelet"
	opsPage     = "https://github.com/containerd/containerd/blob/main/docs/ops.md#systemd"
	updateRunc  = "https://github.com/opencontainers/runtime-spec/blob/main/runtime.md#state"
)

// notDrained is what lies behind any failure that has no nearer cause.
var notDrained = suite.Cause{
	Cause: "the new programs cannot go on with what the old ones left; of a kubelet's minor version that is not promised without a drain",
	NextStep: "look at the logs of containerd and of the kubelet after the upgrade, and at what each of the three programs changed; " +
		"upgrade one of them alone",
}

// UpgradeTraits returns the traits of Pods that run while the programs of their node are replaced, which upgrade does. It is called once,
// when all Pods have been looked at.
func UpgradeTraits(upgrade func(context.Context) error) []suite.Trait {
	outlive := upgradeProbe(upgrade)
	trait := func(name, statement string, sources []string, destroyed []suite.Fixture,
		check func(context.Context, *suite.Session, suite.Judge, []outlived) error) suite.Trait {
		return suite.Trait{
			ID: "upgrade/" + name, Statement: statement, Profile: suite.Full, Sources: sources, Needs: []suite.Need{outlive},
			Fixtures: destroyed, Destroys: destroyed, Slow: true, Causes: []suite.Cause{notDrained},
			Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
				looked, err := outlive.Of(ctx, session)
				if err != nil {
					return err
				}
				return check(ctx, session, judge, looked)
			},
		}
	}
	return []suite.Trait{
		trait("processes-live-on", "All processes of a Pod that shares MUST live on, and no container of it be restarted, "+
			"while the kubelet, the container runtime and the OCI runtime of its node are replaced.",
			[]string{opsPage, skewPage}, nil,
			func(_ context.Context, _ *suite.Session, judge suite.Judge, looked []outlived) error {
				for _, each := range looked {
					judgeLivesOn(judge, each)
				}
				return nil
			}),
		trait("exec-joins", "An exec into a Pod that is older than the programs of its node MUST run in the Pod's shared process namespace.",
			[]string{criSource, updateRunc}, nil,
			func(_ context.Context, _ *suite.Session, judge suite.Judge, looked []outlived) error {
				for _, each := range looked {
					judgeExecJoins(judge, each)
				}
				return nil
			}),
		trait("signals-reach", "In such a Pod, SIGHUP from a sibling container MUST make nginx replace all its workers.",
			[]string{killSource, upgradePage}, []suite.Fixture{outlivingArticle},
			func(ctx context.Context, session *suite.Session, judge suite.Judge, _ []outlived) error {
				before, after, err := reload(ctx, session, judge, outlivingArticle, "shell")
				if err != nil {
					return err
				}
				judgeWorkersAreReplaced(judge, before, after)
				return nil
			}),
		trait("killed-container-returns",
			"In such a Pod, a container whose start process is killed MUST be restarted alone, in the same namespace.",
			[]string{lifecyclePage + "#restart-policy", kep}, []suite.Fixture{outlivingPair},
			func(ctx context.Context, session *suite.Session, judge suite.Judge, _ []outlived) error {
				killed, err := killAndReturn(ctx, session, outlivingPair, "other", pairProcesses[0], pairProcesses...)
				if err != nil {
					return err
				}
				judgeReturn(judge, "one", killed, pairProcesses[0].Arguments, pairProcesses[1].Arguments)
				return nil
			}),
		trait("ephemeral-joins", "An ephemeral container that is added to such a Pod MUST join its shared process namespace.",
			[]string{"https://kubernetes.io/docs/tasks/debug/debug-application/debug-running-pod/#ephemeral-container"},
			[]suite.Fixture{outlivingSiblings},
			func(ctx context.Context, session *suite.Session, judge suite.Judge, _ []outlived) error {
				containers := newDebuggers(session, "joined")
				seen, err := attach(ctx, session, outlivingSiblings, containers)
				if err != nil {
					return err
				}
				for i, container := range containers {
					judgePauseIsFirst(judge, seen[i], container.Command...)
					expectOne(judge, seen[i], "ephemeral container "+container.Name+" must see the owner", ownerSleep...)
				}
				return nil
			}),
	}
}

// upgradeProbe looks at the Pods, has the programs of their node replaced, and looks again. It does so once: a second attempt would
// take the upgraded node for the old one, and fails as the first did.
func upgradeProbe(upgrade func(context.Context) error) *suite.Probe[[]outlived] {
	var mutex sync.Mutex // guards what follows
	var begun bool
	var failed error = suite.Undecided(reports.Precondition, "the programs of a node are replaced once, and another target had its turn")
	probe := &suite.Probe[[]outlived]{Name: "upgrade"}
	for _, each := range outliving {
		probe.Fixtures = append(probe.Fixtures, each.fixture)
	}
	probe.Look = func(ctx context.Context, session *suite.Session) (looked []outlived, err error) {
		mutex.Lock()
		defer mutex.Unlock()
		if begun {
			return nil, failed
		}
		for _, each := range outliving {
			before, status, err := standing(ctx, session, each.fixture, each.starts, "before the upgrade")
			if err != nil {
				return nil, err
			}
			looked = append(looked, outlived{fixture: each.fixture.Name, before: before, pod: status})
		}
		begun = true
		defer func() {
			if err != nil {
				failed = err
			}
		}()
		if err := upgrade(ctx); err != nil {
			return nil, suite.Undecided(suite.KindOf(err), "the programs of the node were not replaced: %v", err)
		}
		for i, each := range outliving {
			if err := answersAgain(ctx, session, each.fixture, each.starts[0].Container); err != nil {
				return nil, err
			}
			looked[i].after, looked[i].podAfter, err = standing(ctx, session, each.fixture, each.starts, "after the upgrade")
			if err != nil {
				return nil, err
			}
		}
		return looked, nil
	}
	return probe
}

// answersAgain waits until an exec into a container goes through: a kubelet that has just started does not know its Pods yet.
func answersAgain(ctx context.Context, session *suite.Session, fixture suite.Fixture, container string) error {
	var last error
	_, err := session.Until(ctx, session.Limits().Settling, func() (bool, error) {
		_, last = session.Read(ctx, fixture, container, "true")
		return last == nil, nil
	})
	return cmp.Or(err, last)
}

// standing looks at a Pod from each container that has one of the start processes.
func standing(
	ctx context.Context, session *suite.Session, fixture suite.Fixture, starts []suite.Process, when string,
) (map[string]process.Snapshot, *corev1.Pod, error) {
	seen := map[string]process.Snapshot{}
	for _, start := range starts {
		from := start.Container
		snapshot, err := session.Await(ctx, fixture, from, "processes seen from "+from+" "+when, starts...)
		if err != nil {
			return nil, nil, err
		}
		if slices.ContainsFunc(starts, func(each suite.Process) bool { return each.Container == master.Container }) {
			if snapshot, err = awaitWorkers(ctx, session, fixture, from, "processes seen from "+from+" "+when); err != nil {
				return nil, nil, err
			}
		}
		seen[from] = snapshot
	}
	status, err := session.Status(ctx, fixture)
	return seen, status, err
}

// judgeLivesOn holds that the Pod's containers are the same, and that each process which a container saw before is there.
func judgeLivesOn(judge suite.Judge, pod outlived) {
	restarts := func(status corev1.ContainerStatus) string {
		return fmt.Sprintf("%s restarts %d", status.ContainerID, status.RestartCount)
	}
	then := map[string]string{}
	for _, status := range pod.pod.Status.ContainerStatuses {
		then[status.Name] = restarts(status)
	}
	for _, status := range pod.podAfter.Status.ContainerStatuses {
		judge.Claim.Expect(restarts(status)).To(gomega.Equal(then[status.Name]),
			"container %s of Pod %s must be the same as before the upgrade", status.Name, pod.fixture)
	}
	lasting := lastingProcesses(pod.before)
	for container, after := range pod.after {
		now := identities(after.Processes)
		for _, each := range lasting {
			judge.Claim.Expect(now).To(gomega.ContainElement(identity{each.PID, each.StartTime}),
				"process %d %q of Pod %s must live on, as container %s sees it", each.PID, strings.Join(each.Arguments, " "), pod.fixture, container)
		}
	}
}

// lastingProcesses are those that every look saw: an exec of somebody else is in one at most.
func lastingProcesses(looks map[string]process.Snapshot) []process.Process {
	var lasting []process.Process
	for _, first := range looks {
		lasting = slices.DeleteFunc(first.WithoutLook(), func(each process.Process) bool {
			for _, other := range looks {
				if !slices.Contains(identities(other.WithoutLook()), identity{each.PID, each.StartTime}) {
					return true
				}
			}
			return false
		})
		break
	}
	return lasting
}

// judgeExecJoins holds that the execs after the upgrade have the process 1 and the namespace of those before.
func judgeExecJoins(judge suite.Judge, pod outlived) {
	for container, after := range pod.after {
		before := pod.before[container]
		old, _ := before.PID(1)
		now, found := after.PID(1)
		judge.Claim.Expect(found && now.StartTime == old.StartTime).To(gomega.BeTrue(),
			"an exec into container %s of Pod %s has another process 1 than before the upgrade", container, pod.fixture)
		was, _ := before.PID(before.Self)
		is, _ := after.PID(after.Self)
		judge.Precondition.Expect(was.Namespace).NotTo(gomega.BeEmpty(), "the namespace of an exec cannot be read")
		judge.Claim.Expect(is.Namespace).To(gomega.Equal(was.Namespace),
			"an exec into container %s of Pod %s runs in another namespace than before the upgrade", container, pod.fixture)
	}
}

package suites

import (
	"context"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"sharedpid.example/helpers/pod"
	"sharedpid.example/helpers/suite"
)

// A worker that ends its helper, and the ways that helpers end.
var (
	helperFixture         = suite.Fixture{Name: "helper", Objects: manifest("worker-and-helper.yaml")}
	helperWillingFixture  = suite.Fixture{Name: "helper-willing", Objects: manifest("worker-and-helper.yaml"), Change: endWillingly}
	helperSidecarFixture  = suite.Fixture{Name: "helper-sidecar", Objects: manifest("worker-and-helper.yaml"), Change: beSidecar}
	helperUnsharedFixture = suite.Fixture{Name: "helper-unshared", Objects: manifest("worker-and-helper.yaml"), Unshared: true}
)

// endWillingly gives the helper a handler for TERM that exits with 0, and a child as the sign that it has it.
func endWillingly(pod *corev1.Pod) {
	pod.Spec.Containers[0].Command = []string{"sh", "-c", `trap 'kill $!; exit 0' TERM; sleep 1000272 & wait`}
	pod.Spec.Containers[1].Env = []corev1.EnvVar{{Name: "HELPER", Value: "sh -c trap"}, {Name: "SIGN", Value: "sleep 1000272"}}
}

// beSidecar makes the helper a sidecar, which the kubelet ends when the worker is done.
func beSidecar(pod *corev1.Pod) {
	helper := pod.Spec.Containers[0]
	helper.RestartPolicy = new(corev1.ContainerRestartPolicyAlways)
	pod.Spec.InitContainers, pod.Spec.Containers = []corev1.Container{helper}, pod.Spec.Containers[1:]
	pod.Spec.Containers[0].Command = []string{"true"}
}

var helperTrait = suite.Trait{
	ID: "lifecycle/worker-ends-helper",
	Statement: "A worker MUST be able to end its helper by TERM: the Pod of a helper that exits 0 has succeeded, that of one that TERM kills has " +
		"failed; a Pod whose helper is a sidecar has succeeded when its worker has.",
	Profile: suite.Full,
	Sources: []string{
		lifecyclePage + "#pod-phase", "https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/#jobs-with-sidecar-containers",
		"https://github.com/GoogleCloudPlatform/cloud-sql-proxy/issues/262",
	},
	Fixtures: []suite.Fixture{helperFixture, helperWillingFixture, helperSidecarFixture, helperUnsharedFixture},
	Slow:     true,
	Causes: []suite.Cause{sharesUnasked, {
		Cause:    "the kubelet counts exit codes otherwise, or the signal reached another process",
		NextStep: "look at the exit codes of both containers in the status of the Pod",
	}},
	Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
		for _, each := range endedHelpers {
			ended, err := helperEnded(ctx, session, each.fixture)
			if err != nil {
				return err
			}
			judgeEndedHelper(judge, each, ended)
		}
		alone, err := settledInTime(ctx, session, helperUnsharedFixture, "the worker did not end", func(status *corev1.Pod) bool {
			return pod.Container(status, "worker").State.Terminated != nil
		})
		if err != nil {
			return suite.ControlFailed(err)
		}
		judgeUnendedHelper(judge, alone)
		return nil
	},
}

// helperEnded waits until a Pod has ended, or its worker found no helper.
func helperEnded(ctx context.Context, session *suite.Session, fixture suite.Fixture) (*corev1.Pod, error) {
	return settledInTime(ctx, session, fixture, "Pod "+fixture.Name+" did not end", func(status *corev1.Pod) bool {
		worker := pod.Container(status, "worker").State.Terminated
		return status.Status.Phase == corev1.PodSucceeded || status.Status.Phase == corev1.PodFailed || worker != nil && worker.ExitCode != 0
	})
}

// endedHelper is how a Pod and its helper must end once the worker is done.
type endedHelper struct {
	fixture  suite.Fixture
	phase    corev1.PodPhase
	exitCode int32 // of the helper, any for a sidecar
}

var endedHelpers = []endedHelper{
	{helperFixture, corev1.PodFailed, termExitCode},
	{helperWillingFixture, corev1.PodSucceeded, 0},
	{helperSidecarFixture, corev1.PodSucceeded, anyExitCode},
}

const termExitCode = 143 // 128 and SIGTERM

// anyExitCode stands for an exit code that is no matter.
const anyExitCode = -1

func judgeEndedHelper(judge suite.Judge, want endedHelper, ended *corev1.Pod) {
	judge.Precondition.Expect(ended.Status.Reason).To(gomega.BeEmpty(), "Pod %s was ended by something else", want.fixture.Name)
	worker := pod.Container(ended, "worker").State.Terminated
	judge.Precondition.Expect(worker).NotTo(gomega.BeNil(), "Pod %s ended without a word of its worker", want.fixture.Name)
	judge.Precondition.Expect(worker.ExitCode).To(gomega.BeZero(), "the worker of Pod %s found no helper in time, it ended with %d",
		want.fixture.Name, worker.ExitCode)
	helper := pod.Container(ended, "helper").State.Terminated
	judge.Claim.Expect(helper).NotTo(gomega.BeNil(), "the helper of Pod %s did not end", want.fixture.Name)
	judge.Precondition.Expect(helper.Reason).NotTo(gomega.Equal(reasonOOMKilled), "the helper of Pod %s ran out of memory", want.fixture.Name)
	if want.exitCode != anyExitCode {
		judge.Claim.Expect(helper.ExitCode).To(gomega.Equal(want.exitCode), "the helper of Pod %s ended with %d, must end with %d",
			want.fixture.Name, helper.ExitCode, want.exitCode)
	}
	judge.Claim.Expect(ended.Status.Phase).To(gomega.Equal(want.phase), "Pod %s has %s, must have %s", want.fixture.Name, ended.Status.Phase, want.phase)
}

// judgeUnendedHelper holds that the helper of a Pod that does not share is out of the worker's reach.
func judgeUnendedHelper(judge suite.Judge, last *corev1.Pod) {
	judge.Control.Expect(pod.Container(last, "worker").State.Terminated.ExitCode).To(gomega.BeEquivalentTo(1), "without sharing the worker found a helper")
	judge.Control.Expect(pod.Container(last, "helper").State.Running).NotTo(gomega.BeNil(), "without sharing the helper must run on")
}

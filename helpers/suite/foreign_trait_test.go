package suite_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"sharedpid.example/helpers/process"
	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
)

// What another module brings: Pods, a probe of them, and a trait that rests on it. Nothing of it needs more than is exported.
var (
	pairFixture = suite.Fixture{
		Name: "foreign-pair", Objects: pair, Stable: true,
		Settled: func(snapshot process.Snapshot) bool { return len(snapshot.Processes) > 0 },
	}
	pairUnsharedFixture = suite.Fixture{
		Name: "foreign-pair-unshared", Objects: pair, Unshared: true, Stable: true,
		Change: func(pod *corev1.Pod) { metav1.SetMetaDataLabel(&pod.ObjectMeta, "foreign", "yes") },
	}

	// visible is how many start processes of the Pod the left container sees, with sharing and without.
	visible = &suite.Probe[[2]int]{
		Name: "visible start processes", Fixtures: []suite.Fixture{pairFixture, pairUnsharedFixture},
		Look: func(ctx context.Context, session *suite.Session) ([2]int, error) {
			shared, err := session.Await(ctx, pairFixture, "left", "with sharing", startOf("left"), startOf("right"))
			if err != nil {
				return [2]int{}, err
			}
			unshared, err := session.Await(ctx, pairUnsharedFixture, "left", "without sharing", startOf("left"))
			if err != nil {
				return [2]int{}, suite.ControlFailed(err)
			}
			return [2]int{startProcesses(shared), startProcesses(unshared)}, nil
		},
	}

	foreignTrait = suite.Trait{
		ID: "foreign/start-processes-visible", Profile: suite.Core, Sources: []string{"https://example.com/foreign"},
		Statement: "A container of a Pod that shares MUST see the start processes of all containers.",
		Needs:     []suite.Need{visible},
		Fixtures:  []suite.Fixture{pairFixture},
		Requires: []suite.Requirement{{Name: "a kernel", Missing: func(ctx context.Context, session *suite.Session) (string, error) {
			node, err := session.Node(ctx)
			if err == nil && node.Status.NodeInfo.KernelVersion == "" {
				return "the node names no kernel", nil
			}
			return "", err
		}}},
		Causes: []suite.Cause{{Cause: "the runtime ignores the namespace option", NextStep: "look at its configuration"}},
		Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
			seen, err := visible.Of(ctx, session)
			if err != nil {
				return err
			}
			answers, err := session.Exec(ctx, pairFixture, "left", "what the foreign command says", "foreign command")
			if err != nil {
				return err
			}
			judge.Precondition.Expect(answers[0].ExitCode).To(gomega.Equal(0), "the foreign command works")
			judge.Control.Expect(seen[1]).To(gomega.Equal(1), "without sharing a container sees its own")
			judge.Claim.Expect(seen[0]).To(gomega.Equal(2), "with sharing a container sees both")
			judge.Claim.Expect(answers[0].Answer()).To(gomega.Equal("yes"), "the foreign command says yes")
			return nil
		},
	}
)

func pair() ([]runtime.Object, error) {
	share := true
	pod := &corev1.Pod{Spec: corev1.PodSpec{ShareProcessNamespace: &share}}
	for _, name := range []string{"left", "right"} {
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{
			Name: name, Image: "foreign:1", Command: startOf(name).Arguments,
		})
	}
	return []runtime.Object{pod}, nil
}

func startOf(container string) suite.Process {
	return suite.Process{Container: container, Arguments: []string{"foreign", container}}
}

func startProcesses(snapshot process.Snapshot) int {
	return len(snapshot.With(startOf("left").Arguments...)) + len(snapshot.With(startOf("right").Arguments...))
}

// TestAForeignTraitIsSelectedRunAndJudgedAgain like those of this project.
func TestAForeignTraitIsSelectedRunAndJudgedAgain(t *testing.T) {
	traits, err := suite.Select([]suite.Trait{foreignTrait}, suite.Full, []string{"foreign/*"})
	if err != nil {
		t.Fatal(err)
	}
	if err := suite.Validate(traits); err != nil {
		t.Fatal(err)
	}
	if !foreignTrait.Controlled() || foreignTrait.Group() != "foreign" {
		t.Error("the trait has a control and a group")
	}
	for answer, want := range map[string]reports.Verdict{"yes": reports.Conformant, "no": reports.Nonconformant} {
		synctest.Test(t, func(t *testing.T) {
			options := suite.OnFakeCluster(t, suite.Options{Traits: traits}, map[string]string{"foreign command": answer}, "a", "b")
			run, err := suite.Run(t.Context(), options)
			if err != nil || len(run.Results) != 2 {
				t.Fatalf("%v: %+v", err, run)
			}
			judged, err := suite.JudgeAgain(run, traits)
			if err != nil {
				t.Fatal(err)
			}
			for _, result := range append(run.Results, judged.Results...) {
				if result.Verdict != want || len(result.Evidence) != 2 || len(result.Control) != 1 ||
					(result.Cause != "") != (answer == "no") {
					t.Errorf("with the answer %s the result is %+v", answer, result)
				}
			}
		})
	}
}

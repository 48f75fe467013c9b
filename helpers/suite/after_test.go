package suite

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sharedpid.example/reports"
)

// TestThePodsOfWhatFailedAreLeft, and no others; the report says how to look at them.
func TestThePodsOfWhatFailedAreLeft(t *testing.T) {
	for name, kept := range map[string]bool{"kept": true, "not asked for": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cluster := newCluster(t, newNode("a"))
				good, bad := newFixture("good", "one"), newFixture("bad", "one")
				wrong := newTrait("group/wrong", func(ctx context.Context, session *Session, _ Judge) error {
					if err := session.Running(ctx, bad, "one"); err != nil {
						return err
					}
					return &Violation{"wrong"}
				}, bad)
				var paused []string
				run := cluster.mustRun(t, Options{
					Traits: []Trait{wrong, newTrait("group/right", runs(good, "one"), good)}, KeepFailed: kept, Kubectl: "kubectl --context c",
					Failed: func(_ context.Context, result reports.Result) { paused = append(paused, result.Trait) },
				})
				namespace := "sharedpid-" + run.ID
				pods, err := cluster.api.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{})
				if err != nil {
					t.Fatal(err)
				}
				_, gone := cluster.api.CoreV1().Namespaces().Get(t.Context(), namespace, metav1.GetOptions{})
				if (gone == nil) != kept {
					t.Errorf("the namespace: %v", gone)
				}
				if kept && (len(pods.Items) != 1 || pods.Items[0].Name != "bad") {
					t.Errorf("%d Pods are left: %v", len(pods.Items), pods.Items)
				}
				line := ""
				if kept {
					line = "kubectl --context c --namespace " + namespace + " describe pods bad"
				}
				results := byTrait(run)
				if results["group/wrong"].Kept != line || results["group/right"].Kept != "" {
					t.Errorf("%q and %q", results["group/wrong"].Kept, results["group/right"].Kept)
				}
				if !slices.Equal(paused, []string{"group/wrong"}) {
					t.Errorf("what failed is %q", paused)
				}
			})
		})
	}
}

// TestSweepDeletesOnlyWhatIsOursAndOver.
func TestSweepDeletesOnlyWhatIsOursAndOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		namespace := func(name, owner, expires string) *corev1.Namespace {
			return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
				Name: name, Labels: map[string]string{OwnerLabel: owner, RunLabel: name, ExpiresLabel: expires},
			}}
		}
		before, after := fmt.Sprint(now.Add(-time.Second).Unix()), fmt.Sprint(now.Add(time.Hour).Unix())
		unlabelled := namespace("unlabelled", Owner, before)
		delete(unlabelled.Labels, RunLabel)
		cluster := newCluster(t, namespace("over", Owner, before), namespace("alive", Owner, after), namespace("odd", Owner, "soon"),
			namespace("other", "somebody", before), unlabelled)
		deleted, stay, err := Sweep(t.Context(), cluster.api, now)
		if err != nil || !slices.Equal(deleted, []string{"over"}) {
			t.Errorf("deleted %q: %v", deleted, err)
		}
		if said := strings.Join(stay, "\n"); len(stay) != 2 || !strings.Contains(said, "alive may be in use until") ||
			!strings.Contains(said, "odd has the label sharedpid/expires=soon, which is no time") {
			t.Errorf("what stays: %s", said)
		}
	})
}

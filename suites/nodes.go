package suites

import (
	"context"

	"github.com/onsi/gomega"

	"sharedpid.example/helpers/process"
	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
)

var (
	pairFixture         = suite.Fixture{Name: "pair", Objects: manifest("pair.yaml"), Stable: true}
	pairUnsharedFixture = suite.Fixture{Name: "pair-unshared", Objects: manifest("pair.yaml"), Unshared: true, Stable: true}
	deploymentFixture   = suite.Fixture{Name: "deployment", Objects: manifest("deployment.yaml"), Stable: true}
	daemonSetFixture    = suite.Fixture{Name: "daemonset", Objects: manifest("daemonset.yaml"), Stable: true}
)

// The start processes of these Pods.
var (
	one   = suite.Process{Container: "one", Arguments: []string{"sleep", "1000140"}}
	other = suite.Process{Container: "other", Arguments: []string{"sleep", "1000141"}}
)

var nodeTraits = []suite.Trait{
	{
		ID: "nodes/every-node",
		Statement: "Sharing MUST work on every node that takes Pods, under the same RuntimeClass: the smallest Pod that shares is looked at " +
			"on each.",
		Profile:  suite.Core,
		Sources:  []string{kep, "https://kubernetes.io/docs/concepts/containers/runtime-class/"},
		Fixtures: []suite.Fixture{pairFixture},
		Causes: []suite.Cause{{
			Cause:    "the nodes do not have the same runtime, configuration or kernel",
			NextStep: "compare .status.nodeInfo of the nodes, and run with --node NAME on the one that is named",
		}},
		Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
			return checkPair(ctx, session, judge, pairFixture, "the Pod")
		},
	},
	{
		ID:        "nodes/through-controllers",
		Statement: "The Pods that a Deployment and a DaemonSet make from a template with the field MUST share.",
		Profile:   suite.Full,
		Sources: []string{
			"https://kubernetes.io/docs/concepts/workloads/controllers/deployment/",
			"https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/",
		},
		Fixtures: []suite.Fixture{deploymentFixture, daemonSetFixture},
		Causes: []suite.Cause{{
			Cause:    "an admission plugin changes the templates, or Pods that are made from them",
			NextStep: "compare .spec.template of the controller with .spec of its Pod",
		}},
		Slow: true,
		Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
			if err := checkPair(ctx, session, judge, deploymentFixture, "the Pod of the Deployment"); err != nil {
				return err
			}
			return checkPair(ctx, session, judge, daemonSetFixture, "the Pod of the DaemonSet")
		},
	},
}

// checkPair looks from one container of a pair for the other.
func checkPair(ctx context.Context, session *suite.Session, judge suite.Judge, fixture suite.Fixture, what string) error {
	seen, err := session.Await(ctx, fixture, other.Container, "processes of "+what, one, other)
	if suite.KindOf(err) == reports.Ambiguous {
		// Pairs of other Pods are visible: from the node's namespace they are, and its init is process 1 then.
		if foreign := isPause(seen); foreign != nil {
			return foreign
		}
	}
	if err != nil {
		return err
	}
	judgePair(judge, what, seen)
	return nil
}

func judgePair(judge suite.Judge, what string, snapshot process.Snapshot) {
	judge.Claim.Expect(snapshot.With(one.Arguments...)).NotTo(gomega.BeEmpty(), "%s: a container does not see its sibling", what)
	judgePauseIsFirst(judge, snapshot, other.Arguments...)
}

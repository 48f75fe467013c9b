package suites

import (
	"context"
	"slices"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"sharedpid.example/helpers/pod"
	"sharedpid.example/helpers/process"
	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
)

var (
	restartRulesFixture = suite.Fixture{Name: "restart-rules", Objects: manifest("restart-rules.yaml"), Newer: []string{rulesDropped("Restart"), policyForbidden}}
	restartAllFixture   = suite.Fixture{
		Name: "restart-all", Objects: manifest("restart-all.yaml"),
		Newer: []string{rulesDropped("RestartAllContainers"), policyForbidden, `action: Unsupported value: "RestartAllContainers"`},
	}
)

// policyForbidden is what an API before Kubernetes 1.34 says, which knows restart policies of init containers alone.
const policyForbidden = "restartPolicy: Forbidden: may not be set for non-init containers"

// rulesDropped is how a later API changes a Pod whose rules it has switched off.
func rulesDropped(action string) string {
	return "restartPolicy of container ruled was sent as Never, " + action + " on exit codes In [137] and is unset"
}

const restartRules = "restart rules of containers"

// The start processes of the manifests restart-rules.yaml and restart-all.yaml, and what one of them leaves behind.
var (
	rulesKiller = suite.Process{Container: "killer", Arguments: []string{"sleep", "1000250"}}
	ruled       = suite.Process{Container: "ruled", Arguments: []string{"sleep", "1000251"}}
	unruled     = suite.Process{Container: "unruled", Arguments: []string{"sleep", "1000252"}}

	allKiller   = suite.Process{Container: "killer", Arguments: []string{"sleep", "1000260"}}
	allRuled    = suite.Process{Container: "ruled", Arguments: []string{"sleep", "1000261"}}
	allLeftover = suite.Process{Container: "ruled", Arguments: []string{"sleep", "1000262"}}
)

// allProcesses are those of the manifest restart-all.yaml.
var allProcesses = [][]string{allKiller.Arguments, allRuled.Arguments, allLeftover.Arguments}

const killedExitCode = 137 // 128 and SIGKILL

var restartRulesTrait = suite.Trait{
	ID: "lifecycle/restart-rules-hold",
	Statement: "When a sibling kills the start processes of two containers, one of which has a restart rule for that exit code, that one " +
		"alone MUST be restarted, in the same namespace, and the other one MUST stay away while its siblings live on.",
	Profile:  suite.Full,
	Sources:  []string{"https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/5307-container-restart-policy", kep},
	Fixtures: []suite.Fixture{restartRulesFixture},
	Destroys: []suite.Fixture{restartRulesFixture},
	Slow:     true,
	Causes: []suite.Cause{{
		Cause:    "the kubelet does not know the rules, or restarts the whole Pod",
		NextStep: "compare the versions of the API server and of the node's kubelet, and look at the events of the Pod",
	}},
	Check: checkRestartRules,
}

var restartAllTrait = suite.Trait{
	ID: "lifecycle/restart-all-keeps-the-namespace",
	Statement: "When a restart rule restarts all containers of the Pod, process 1 MUST stay the same, every start process MUST be a new " +
		"one, and none of the old processes MAY be left.",
	Profile:  suite.Full,
	Sources:  []string{"https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/5532-restart-all-containers-on-container-exits", kep},
	Fixtures: []suite.Fixture{restartAllFixture},
	Destroys: []suite.Fixture{restartAllFixture},
	Slow:     true,
	Causes: []suite.Cause{
		{
			Words:    "is still there",
			Cause:    "the runtime kills only start processes, and the namespace that would have killed the rest is the Pod's",
			NextStep: "look at the runtime's kill with --all for containers without a pid namespace of their own",
		},
		{Cause: "the kubelet makes a new sandbox", NextStep: "look at the events of the Pod for SandboxChanged"},
	},
	Check: checkRestartAll,
}

// killStarts kills start processes from the container of another one, and returns what was there before.
func killStarts(ctx context.Context, session *suite.Session, fixture suite.Fixture, killer suite.Process, killed ...suite.Process) (process.Snapshot, error) {
	before, err := session.Await(ctx, fixture, killer.Container, "processes before the kill", append([]suite.Process{killer}, killed...)...)
	if err != nil {
		return before, err
	}
	err = kill(ctx, session, fixture, killer.Container, "SIGKILL to start processes", before, killed...)
	// Where all containers are restarted, the exec may end with its own.
	if suite.Killed(err) || err != nil && suite.KindOf(err) == reports.Lost {
		err = nil
	}
	return before, err
}

func checkRestartRules(ctx context.Context, session *suite.Session, judge suite.Judge) error {
	if err := known(ctx, session, restartRulesFixture, restartRules); err != nil {
		return err
	}
	seen := returned{}
	var err error
	if seen.before, err = killStarts(ctx, session, restartRulesFixture, rulesKiller, ruled, unruled); err != nil {
		return err
	}
	// What does not happen in time leaves a trait of rules undecided: nothing tells a rule that does not hold from one that is late.
	seen.last, err = settledInTime(ctx, session, restartRulesFixture, "container ruled was not restarted", func(status *corev1.Pod) bool {
		other := pod.Container(status, unruled.Container)
		return restartedAll(status, ruled.Container) && (other.State.Terminated != nil || other.RestartCount > 0)
	})
	if err != nil {
		return err
	}
	if seen.after, err = session.Await(ctx, restartRulesFixture, rulesKiller.Container, "processes after the restart", rulesKiller, ruled); err != nil {
		return err
	}
	judgeRestartRules(judge, seen)
	return nil
}

func judgeRestartRules(judge suite.Judge, seen returned) {
	judgeReturn(judge, ruled.Container, seen, ruled.Arguments, rulesKiller.Arguments)
	ended := pod.Container(seen.last, unruled.Container).State.Terminated
	judge.Claim.Expect(ended).NotTo(gomega.BeNil(), "container unruled must stay away, it runs again")
	judge.Claim.Expect(ended.ExitCode).To(gomega.BeEquivalentTo(killedExitCode), "container unruled ended with %d", ended.ExitCode)
	judgeNothingLeft(judge, seen.before, seen.after, ruled.Arguments, unruled.Arguments)
}

func checkRestartAll(ctx context.Context, session *suite.Session, judge suite.Judge) error {
	if err := known(ctx, session, restartAllFixture, restartRules); err != nil {
		return err
	}
	if _, err := session.Await(ctx, restartAllFixture, allKiller.Container, "what a start process leaves behind", allLeftover); err != nil {
		return err
	}
	before, err := killStarts(ctx, session, restartAllFixture, allKiller, allRuled)
	if err != nil {
		return err
	}
	if _, err := settledInTime(ctx, session, restartAllFixture, "the rule did not restart all containers", func(status *corev1.Pod) bool {
		return restartedAll(status, allKiller.Container, allRuled.Container)
	}); err != nil {
		return err
	}
	after, err := lookAfterRestartAll(ctx, session, before)
	if err != nil {
		return err
	}
	judgeRestartAll(judge, before, after)
	return nil
}

// lookAfterRestartAll looks until the start processes are new ones and nothing of before is left. The last look is judged. It is an error
// when a start process is missing that its own container does not show either.
func lookAfterRestartAll(ctx context.Context, session *suite.Session, before process.Snapshot) (process.Snapshot, error) {
	var after process.Snapshot
	missing := func(start suite.Process) bool { return len(fresh(before, after).With(start.Arguments...)) == 0 }
	starts := []suite.Process{allKiller, allRuled}
	_, err := session.Until(ctx, session.Limits().Appearance, func() (bool, error) {
		var err error
		after, err = session.Processes(ctx, restartAllFixture, allKiller.Container, "processes after the restart")
		return err == nil && !slices.ContainsFunc(starts, missing) && len(left(before, after, allProcesses...)) == 0, err
	})
	if at := slices.IndexFunc(starts, missing); err == nil && at >= 0 {
		err = startedAgain(ctx, session, restartAllFixture, after, starts[at].Container, starts[at].Arguments)
	}
	return after, err
}

func judgeRestartAll(judge suite.Judge, before, after process.Snapshot) {
	judgeSameNamespace(judge, before, after)
	for _, start := range []suite.Process{allKiller, allRuled} {
		expectOne(judge, fresh(before, after), "container "+start.Container+" must run again in the same namespace", start.Arguments...)
	}
	judgeNothingLeft(judge, before, after, allProcesses...)
}

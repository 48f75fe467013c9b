package suites

import (
	"encoding/json"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
)

// look is the answer to a question of whoever asks.
func look(t *testing.T, by, question string, answer any) reports.Look {
	t.Helper()
	return answerOf(t, reports.Look{Target: "node", By: by}, question, answer)
}

// failedLook is a question that was not answered.
func failedLook(by, question string, kind reports.Kind, why string) reports.Look {
	return reports.Look{Target: "node", By: by, Question: question, Kind: kind, Error: why}
}

// judgeLooks is the outcome of a trait that met these looks and no others.
func judgeLooks(t *testing.T, trait string, looks ...reports.Look) suite.Outcome {
	t.Helper()
	judged, err := suite.JudgeAgain(reports.Run{
		Targets: []reports.Target{{ID: "node", Node: "node"}},
		Results: []reports.Result{{Trait: trait, Target: "node"}},
		Looks:   looks,
	}, Traits())
	if err != nil {
		t.Fatal(err)
	}
	result := judged.Results[0]
	return suite.Outcome{Verdict: result.Verdict, Kind: result.Kind, Reason: result.Reason}
}

const userNamespaceTrait = "credentials/user-namespace"

// mappingNode is a node whose runtime reports user namespaces, or does not.
func mappingNode(t *testing.T, supported bool) reports.Look {
	t.Helper()
	return look(t, userNamespaceTrait, "node node", &corev1.Node{Status: corev1.NodeStatus{RuntimeHandlers: []corev1.NodeRuntimeHandler{
		{Features: &corev1.NodeRuntimeHandlerFeatures{UserNamespaces: &supported}},
	}}})
}

func TestUserNamespacesThatANodeDoesNotHave(t *testing.T) {
	unsupported := judgeLooks(t, userNamespaceTrait, mappingNode(t, false))
	if unsupported.Verdict != reports.Unsupported {
		t.Errorf("a runtime without the feature: %s: %s", unsupported.Verdict, unsupported.Reason)
	}
	for changed, want := range map[string]reports.Verdict{
		hostUsersDropped: reports.Unsupported, "spec.hostUsers was sent as false and is true": reports.Inconclusive,
	} {
		const admission = "admission changed Pod user-namespace"
		got := judgeLooks(t, userNamespaceTrait, mappingNode(t, true),
			look(t, userNamespaceTrait, "changes of user-namespace/", []string{changed}),
			look(t, userNamespaceTrait, "changes of user-namespace-unshared/", []string{changed}),
			failedLook(userNamespaceTrait, "exec user-namespace/visitor: "+strings.Join(lookAtUserNamespace, "\n"), reports.Changed, admission))
		if got.Verdict != want || want == reports.Inconclusive && got.Kind != reports.Changed {
			t.Errorf("%s: %s (%s): %s", changed, got.Verdict, got.Kind, got.Reason)
		}
	}
}

// TestPodInAUserNamespaceThatDoesNotStart: the platform cannot have it where the same Pod without sharing does not start either.
func TestPodInAUserNamespaceThatDoesNotStart(t *testing.T) {
	requirement := "requirement " + startInUserNamespace.Name
	const running = "running user-namespace-unshared/visitor, owner"
	for name, test := range map[string]struct {
		unshared reports.Look
		want     reports.Verdict
	}{
		"nor does the other one": {
			failedLook(requirement+" #1", running, reports.NotStarted, "sandbox: failed to map ids"), reports.Unsupported,
		},
		"only the one that shares": {look(t, requirement+" #1", running, true), reports.Inconclusive},
		"the other one is late":    {failedLook(requirement+" #1", running, reports.OutOfTime, "not within 1m0s"), reports.Inconclusive},
		"the other one's image is missing": {
			failedLook(requirement+" #1", running, reports.NotStarted, "container owner: ErrImagePull: no such image"), reports.Inconclusive,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := judgeLooks(t, userNamespaceTrait, mappingNode(t, true),
				look(t, userNamespaceTrait, "changes of user-namespace/", []string{}),
				look(t, userNamespaceTrait, "changes of user-namespace-unshared/", []string{}),
				failedLook(userNamespaceTrait, "exec user-namespace/visitor: "+strings.Join(lookAtUserNamespace, "\n"), reports.NotStarted,
					"sandbox: failed to map ids"),
				reports.Look{Target: "node", By: userNamespaceTrait, Question: "probe " + requirement, Answer: json.RawMessage("1")},
				test.unshared)
			if got.Verdict != test.want || got.Verdict == reports.Inconclusive && got.Kind != reports.NotStarted {
				t.Errorf("%s (%s): %s, want %s", got.Verdict, got.Kind, got.Reason, test.want)
			}
		})
	}
}

func TestJudgeMapped(t *testing.T) {
	shows := func(outputs ...string) []suite.ExecResult {
		var looked []suite.ExecResult
		for i, output := range outputs {
			looked = append(looked, suite.ExecResult{Command: lookAtUserNamespace[i], Output: output})
		}
		return looked
	}
	const initial = "user:[4026531837]\n"
	node, rootless := shows(initial, "0 0 4294967295\n", "boot\n"), shows("user:[7]\n", "0 1000 1\n", "boot\n")
	for name, test := range map[string]struct {
		mapped, node []suite.ExecResult
		want         reports.Verdict
	}{
		"mapped":                       {shows("user:[4026532177]\n", "0 65536 65536\n", "boot\n"), node, reports.Conformant},
		"the node's":                   {shows(initial, "0 0 4294967295\n", "boot\n"), node, reports.Nonconformant},
		"the node's, itself mapped":    {rootless, rootless, reports.Nonconformant},
		"a kernel of the Pod's own":    {shows(initial, "0 0 4294967295\n", "other\n"), node, reports.Inconclusive},
		"no uid_map":                   {shows("user:[4026532177]\n", "", "boot\n"), node, reports.Inconclusive},
		"a uid_map that is cut short":  {shows("user:[4026532177]\n", "0 65536\n", "boot\n"), node, reports.Inconclusive},
		"the node's cannot be read":    {rootless, shows("", "0 0 1\n", "boot\n"), reports.Inconclusive},
		"the link could not be looked": {append([]suite.ExecResult{observedDenied}, node[1:]...), node, reports.Inconclusive},
	} {
		t.Run(name, func(t *testing.T) {
			expectVerdict(t, test.want, func(judge suite.Judge) { judgeMapped(judge, test.mapped, test.node) })
		})
	}
}

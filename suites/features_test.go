package suites

import (
	"strings"
	"testing"

	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
)

// withGates is the recording of a cluster with what is off by default in Kubernetes, see elsewhere.
const withGates = "testdata/elsewhere/alpha-gates.json.gz"

// answersTo changes what the commands of an exec showed whose question holds some words.
func answersTo(t *testing.T, words string, change func(answers []suite.ExecResult)) func(*reports.Look) {
	return answerTo(t, words, func(kept *[]keptAnswer) {
		answers := make([]suite.ExecResult, len(*kept))
		for i, each := range *kept {
			answers[i] = suite.ExecResult{Output: each.Output, ExitCode: each.ExitCode}
		}
		change(answers)
		for i, each := range answers {
			(*kept)[i] = keptAnswer{ExitCode: each.ExitCode, Output: each.Output}
		}
	})
}

// keptAnswer is what one command showed, as looks keep it.
type keptAnswer struct {
	ExitCode int    `json:"exitCode"`
	Output   string `json:"output,omitempty"`
}

// answering replaces what one command of an exec showed.
func answering(t *testing.T, words string, at int, with suite.ExecResult) func(*reports.Look) {
	return answersTo(t, words, func(answers []suite.ExecResult) { answers[at] = with })
}

// withOtherArguments has a snapshot show a process with the last argument of another one.
func withOtherArguments(t *testing.T, where string, shown, instead []string) func(*reports.Look) {
	return answerTo(t, "processes seen from "+where, func(answer *snapshotAnswer) {
		answer.Output = strings.ReplaceAll(answer.Output, hexadecimal(shown[len(shown)-1]), hexadecimal(instead[len(instead)-1]))
	})
}

// dropping has the API drop what a fixture's Pod asks for.
func dropping(t *testing.T, fixture, change string) func(*reports.Look) {
	return answerTo(t, "changes of "+fixture+"/", func(changes *[]string) { *changes = []string{change} })
}

// TestWhatTheAPIDoesNotKnow: an API that drops or refuses what a Pod asks for accuses nobody, and what else changed it leaves all open.
func TestWhatTheAPIDoesNotKnow(t *testing.T) {
	for name, test := range map[string]struct {
		look reports.Look
		want reports.Verdict
		kind reports.Kind
	}{
		"dropped": {look(t, stopSignalTrait.ID, "changes of stop-signal/", []string{stopSignalDropped}), reports.Unsupported, ""},
		"refused": {failedLook(envFilesTrait.ID, "changes of env-files/", reports.Refused,
			"Pod x/env-files, creating it: Pod is invalid: spec.containers[0]."+variableRefused[0]+": `fieldRef`"), reports.Unsupported, ""},
		"refused for something else": {
			failedLook(envFilesTrait.ID, "changes of env-files/", reports.Refused, "exceeded quota"), reports.Inconclusive, reports.Refused,
		},
		"not answered": {failedLook(envFilesTrait.ID, "changes of env-files/", reports.Lost, "no answer"), reports.Inconclusive, reports.Lost},
	} {
		if got := judgeLooks(t, test.look.By, test.look); got.Verdict != test.want || got.Kind != test.kind {
			t.Errorf("%s: %s (%s): %s", name, got.Verdict, got.Kind, got.Reason)
		}
	}
}

package suites

import (
	"testing"

	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
)

func TestVariablesFromFilesAreJudged(t *testing.T) {
	empty := suite.ExecResult{Output: "CANARY=\n"}
	judgeAltered(t, envFilesTrait.ID, map[string]altered{
		"as it was":            {func(*reports.Look) {}, reports.Conformant, ""},
		"a kubelet without it": {answering(t, "exec env-files/owner: env", 0, empty), reports.Unsupported, ""},
		"an API without it": {func(look *reports.Look) {
			if look.Question == "changes of env-files/" {
				look.Answer, look.Kind = nil, reports.Refused
				look.Error = "Pod x/env-files, creating it: Pod is invalid: spec.containers[0]." + variableRefused[0] + ": `fieldRef`"
			}
		}, reports.Unsupported, ""},
		"the control does not see itself": {
			withOtherArguments(t, "siblings-unshared/tracer", tracerSleep, ownerSleep), reports.Inconclusive, reports.Control,
		},
	})
}

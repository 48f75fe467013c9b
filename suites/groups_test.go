package suites

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
)

func TestJudgeGroups(t *testing.T) {
	status := func(groups string) suite.ExecResult {
		return suite.ExecResult{Output: "Uid:\t0\t0\t0\t0\nGroups:\t" + groups + " \nCapEff:\t0000000000000000\n"}
	}
	const listed = "total 8\n-rw-r-----    1 1        4311             7 Nov 27 08:39 nobody\n-rw-r-----    1 1        4310             7 Nov 27 08:39 pod\n"
	without := suite.ExecResult{Output: listed}
	with := suite.ExecResult{Output: listed + "-rw-r-----    1 1        10               7 Nov 27 08:39 image\n"}
	read, denied, missing := suite.ExecResult{Output: "canary\n"}, observedDenied, observedMissing
	privileged := suite.ExecResult{Output: "Groups:\t0 4310 \nCapEff:\t0000000000000002\n"}
	for name, test := range map[string]struct {
		merge  bool
		looked []suite.ExecResult
		want   reports.Verdict
	}{
		"Strict":                            {false, []suite.ExecResult{status("0 4310"), with, read, denied, denied}, reports.Conformant},
		"Merge":                             {true, []suite.ExecResult{status("0 10 4310"), with, read, denied, read}, reports.Conformant},
		"an image without groups":           {true, []suite.ExecResult{status("0 4310"), without, read, denied, missing}, reports.Conformant},
		"Strict lets the group in":          {false, []suite.ExecResult{status("0 10 4310"), with, read, denied, read}, reports.Nonconformant},
		"Strict lets in what opens nothing": {false, []suite.ExecResult{status("0 10 4310"), with, read, denied, denied}, reports.Nonconformant},
		"Strict opens the file":             {false, []suite.ExecResult{status("0 4310"), with, read, denied, read}, reports.Nonconformant},
		"Merge keeps the group out":         {true, []suite.ExecResult{status("0 4310"), with, read, denied, denied}, reports.Nonconformant},
		"Merge does not open the file":      {true, []suite.ExecResult{status("0 10 4310"), with, read, denied, denied}, reports.Nonconformant},
		"the Pod's group is missing":        {false, []suite.ExecResult{status("0"), with, denied, denied, denied}, reports.Nonconformant},
		"the Pod's group opens nothing":     {false, []suite.ExecResult{status("0 4310"), with, denied, denied, denied}, reports.Nonconformant},
		"a group that nobody has":           {false, []suite.ExecResult{status("0 4310"), with, read, read, denied}, reports.Nonconformant},
		"a group that the image gives too":  {false, []suite.ExecResult{status("0 4310 4311"), with, read, read, denied}, reports.Inconclusive},
		"capabilities":                      {false, []suite.ExecResult{privileged, with, read, read, read}, reports.Inconclusive},
		"no files":                          {false, []suite.ExecResult{status("0 4310"), observedMissing, missing, missing, missing}, reports.Inconclusive},
		"no cat":                            {false, []suite.ExecResult{status("0 4310"), with, observedNotRun, denied, denied}, reports.Inconclusive},
	} {
		t.Run(name, func(t *testing.T) {
			expectVerdict(t, test.want, func(judge suite.Judge) { judgeGroups(judge, test.merge, test.looked) })
		})
	}
}

func TestGroupsPoliciesAreJudged(t *testing.T) {
	node := func(features *corev1.NodeFeatures) func(*reports.Look) {
		return answerTo(t, "node ", func(seen *corev1.Node) { seen.Status.Features = features })
	}
	const changed = "spec.securityContext.supplementalGroupsPolicy was sent as Strict and is "
	judgeAlteredIn(t, withGates, groupsPolicyTrait.ID, map[string]altered{
		"as it was":              {func(*reports.Look) {}, reports.Conformant, ""},
		"an API without it":      {dropping(t, "groups-strict", changed+"unset"), reports.Unsupported, ""},
		"an older node":          {node(nil), reports.Unsupported, ""},
		"a runtime without it":   {node(&corev1.NodeFeatures{SupplementalGroupsPolicy: new(bool)}), reports.Unsupported, ""},
		"Merge keeps a file out": {answering(t, "exec groups-merge/visitor: grep", 4, observedMissing), reports.Nonconformant, ""},
	})
}

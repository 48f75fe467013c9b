package suites

import (
	"encoding/json"
	"strings"
	"testing"

	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
)

func TestJudgeMasks(t *testing.T) {
	mounts := func(paths ...string) suite.ExecResult {
		return suite.ExecResult{Output: "overlay / overlay rw 0 0\nproc /proc proc rw 0 0\n" + strings.Join(paths, " tmpfs ro 0 0\n") + " tmpfs ro 0 0\n"}
	}
	open, usual := mounts("tmpfs /dev", "lxcfs /proc/meminfo"), mounts("proc /proc/sys", "tmpfs /proc/keys")
	for name, test := range map[string]struct {
		open, closed, ordinary suite.ExecResult
		want                   reports.Verdict
	}{
		"as stated":                  {open, usual, usual, reports.Conformant},
		"more is masked than usual":  {open, mounts("proc /proc/sys", "tmpfs /proc/keys", "tmpfs /proc/acpi"), usual, reports.Conformant},
		"still masked":               {usual, usual, usual, reports.Nonconformant},
		"one mask is left":           {mounts("tmpfs /proc/keys"), usual, usual, reports.Nonconformant},
		"the sibling is open":        {open, open, usual, reports.Nonconformant},
		"the sibling is half open":   {open, mounts("tmpfs /proc/keys"), usual, reports.Nonconformant},
		"nothing is masked anywhere": {open, open, open, reports.Unsupported},
		"no /proc":                   {suite.ExecResult{Output: "overlay / overlay rw 0 0\n"}, usual, usual, reports.Inconclusive},
		"no cat":                     {observedNotRun, usual, usual, reports.Inconclusive},
	} {
		t.Run(name, func(t *testing.T) {
			outcome := suite.Conclude(func(judge suite.Judge) error { return judgeMasks(judge, test.open, test.closed, test.ordinary) })
			if outcome.Verdict != test.want {
				t.Errorf("%s: %s, want %s", outcome.Verdict, outcome.Reason, test.want)
			}
		})
	}
}

func TestJudgeProcOfPod(t *testing.T) {
	own := suite.ExecResult{Output: "NSpid:\t53\n"}
	for name, test := range map[string]struct {
		pids, environ suite.ExecResult
		want          reports.Verdict
	}{
		"as stated":             {own, observedDenied, reports.Conformant},
		"/proc of the node":     {suite.ExecResult{Output: "NSpid:\t4242\t53\n"}, observedDenied, reports.Nonconformant},
		"the rules do not hold": {own, observedNothing, reports.Nonconformant},
		"another /proc":         {own, observedMissing, reports.Nonconformant},
		"no NSpid":              {observedNothing, observedDenied, reports.Inconclusive},
		"no grep":               {observedNotRun, observedDenied, reports.Inconclusive},
	} {
		t.Run(name, func(t *testing.T) {
			expectVerdict(t, test.want, func(judge suite.Judge) { judgeProcOfPod(judge, test.pids, test.environ) })
		})
	}
}

func TestUnmaskedProcIsJudged(t *testing.T) {
	judgeAltered(t, unmaskedProcTrait.ID, map[string]altered{
		"as it was":         {func(*reports.Look) {}, reports.Conformant, ""},
		"an API without it": {dropping(t, "unmasked-proc", procMountChanged[0]), reports.Unsupported, ""},
		"still masked": {answersTo(t, "exec unmasked-proc/unmasked: cat", func(answers []suite.ExecResult) {
			answers[0].Output += "tmpfs /proc/keys tmpfs rw 0 0\n"
		}), reports.Nonconformant, ""},
		"accepted in the node's user namespace": {func(look *reports.Look) {
			if strings.HasPrefix(look.Question, "try an unmasked /proc") {
				look.Answer = json.RawMessage("null")
			}
		}, reports.Nonconformant, ""},
		"the control shares": {
			withOtherArguments(t, "unmasked-proc-unshared/unmasked", unmasked.Arguments, masked.Arguments), reports.Inconclusive, reports.Control,
		},
	})
}

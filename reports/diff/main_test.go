package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"sharedpid.example/reports"
)

// written is the path of a run with one result.
func written(t *testing.T, trait string, verdict reports.Verdict) string {
	t.Helper()
	directory := t.TempDir()
	err := reports.Write(directory, reports.Run{
		ID: string(verdict), Subjects: []reports.Subject{{ID: "node"}}, Plan: []reports.Planned{{Trait: trait, Subject: "node"}},
		Results: []reports.Result{{Trait: trait, Subject: "node", Verdict: verdict}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(directory, "run.json")
}

func TestExitCodes(t *testing.T) {
	good, bad, other := written(t, "a/b", reports.Conformant), written(t, "a/b", reports.Nonconformant), written(t, "c/d", reports.Conformant)
	for _, test := range []struct {
		arguments []string
		want      int
		says      string
	}{
		{[]string{good, good}, exitNothingWorse, "0 worse, 1 the same"},
		{[]string{bad, good}, exitNothingWorse, "1 better"},
		{[]string{good, bad}, exitWorse, "a/b on node: conformant -> nonconformant"},
		{[]string{"-markdown", good, bad}, exitWorse, "conformant → nonconformant"},
		{[]string{good, other}, exitBadInput, "nothing to compare"},
		{[]string{good, "none/run.json"}, exitBadInput, "no such file"},
		{[]string{good}, exitBadInput, "usage:"},
		{[]string{"", ""}, exitBadInput, "cannot read the run"},
	} {
		var output, problems bytes.Buffer
		code := compare(test.arguments, &output, &problems)
		if code != test.want || !strings.Contains(output.String()+problems.String(), test.says) {
			t.Errorf("diff %q exits with %d, want %d and %q:\n%s%s", test.arguments, code, test.want, test.says, output.String(), problems.String())
		}
		if lines := strings.Count(problems.String(), "\n"); code == exitBadInput && lines != 1 {
			t.Errorf("diff %q says what is wrong in %d lines: %s", test.arguments, lines, problems.String())
		}
	}
}

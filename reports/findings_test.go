package reports

import (
	"bytes"
	"strings"
	"testing"
)

// sideBySide is a run under two runtimes, with a deviation that is expected, one that has vanished and a new one.
func sideBySide() Run {
	run := sample()
	run.Subjects = []Subject{
		{ID: "node/runsc", Node: "node", RuntimeClass: "runsc", RuntimeHandler: "runsc", RuntimeVersion: "20260905.0", Runtime: "containerd://2.4.2", Kernel: "6.18, in containers 4.19"},
		{ID: "node/crun", Node: "node", RuntimeClass: "crun", RuntimeHandler: "crun", RuntimeVersion: "1.21", Runtime: "containerd://2.4.2", Kernel: "6.18"},
	}
	listed := &Deviation{Runtime: "runsc", Versions: ">=20260905.0", Trait: "signals/pause-survives", Reason: "process 1 is not shielded", Consequence: "one signal ends the Pod", Link: "https://example.org/11836"}
	matrix := func(observed string) []Evidence {
		return []Evidence{{Title: "who may do what", Where: "matrix", Access: []Access{
			{Caller: "uid 1000", Target: "pause", Operation: "cmdline", Expected: "allowed", Observed: "allowed", Rule: "open to all"},
			{Caller: "uid 1000", Target: "pause", Operation: "environ", Expected: "EACCES", Observed: "EACCES", Rule: "other uid"},
			{Caller: "uid 1000", Target: "pause", Operation: "ns", Expected: "EACCES", Observed: observed, Rule: "other uid"},
		}}}
	}
	run.Plan, run.Results = nil, []Result{
		{Trait: "credentials/access-matrix", Subject: "node/crun", Statement: "Rules MUST hold.", Verdict: Conformant, Reason: "observed as stated", Evidence: matrix("EACCES")},
		{Trait: "credentials/access-matrix", Subject: "node/runsc", Statement: "Rules MUST hold.", Verdict: Nonconformant, Reason: "1 of 3 cells differ", Evidence: matrix("allowed")},
		{Trait: "signals/pause-survives", Subject: "node/crun", Statement: "Pause MUST survive.", Verdict: Conformant, Reason: "observed as stated",
			Deviation: &Deviation{Runtime: "crun", Trait: "signals/pause-survives", Reason: "it once did not", Link: "https://example.org/1"}},
		{Trait: "signals/pause-survives", Subject: "node/runsc", Statement: "Pause MUST survive.", Sources: []string{"https://example.org/man"}, Verdict: Nonconformant,
			Reason: "the containers were restarted", Deviation: listed,
			Evidence: []Evidence{{Title: "before", Where: "pod/shell", Processes: []Process{{PID: 1, UID: 65535, State: "S", Arguments: []string{"/pause"}}}}}},
	}
	for _, result := range run.Results {
		run.Plan = append(run.Plan, result.planned())
	}
	return run
}

func TestGoldenSideBySide(t *testing.T) {
	run := sideBySide()
	run.Conclude()
	var terminal bytes.Buffer
	if err := WriteTerminal(&terminal, run, false); err != nil {
		t.Fatal(err)
	}
	summary, err := writeMarkdown(run)
	if err != nil {
		t.Fatal(err)
	}
	for file, content := range map[string][]byte{"side-by-side.txt": terminal.Bytes(), "side-by-side.md": summary, "findings.md": Findings(run)} {
		compareGolden(t, file, content)
	}
}

func TestJUnitOfExpectedDeviations(t *testing.T) {
	content, err := writeJUnit(sideBySide())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`tests="4" failures="2" errors="0" skipped="1"`,
		`<skipped message="process 1 is not shielded (https://example.org/11836); observed: the containers were restarted">`,
		`type="vanished"`,
	} {
		if !strings.Contains(string(content), want) {
			t.Errorf("JUnit lacks %s:\n%s", want, content)
		}
	}
}

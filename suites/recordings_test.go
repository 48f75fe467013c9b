package suites

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"unicode/utf8"

	"sharedpid.example/fixtures/faults"
	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
	"sharedpid.example/suites/access"
)

// The recordings are runs on a real cluster with all that they looked at: of every fault with profile core, and of an ordinary
// runtime with profile full. make recordings takes them from the reports of make faults and of make e2e PROFILE=full.
var (
	recordFaults    = flag.String("record-faults", "", "keep the run.json of make faults at this path as testdata/faults.json.gz")
	recordHealthy   = flag.String("record-healthy", "", "keep the run.json of make e2e PROFILE=full at this path as testdata/healthy.json.gz")
	recordElsewhere = flag.String("record-elsewhere", "", "keep the runs on other kernels and another CRI below this folder of reports")
	recordUpgrade   = flag.String("record-upgrade", "", "keep the run.json of make upgrade, during it, at this path as testdata/upgrade.json.gz")
)

// TestRecordedFaults judges every Check again on what it saw under each faulty runtime: exactly the traits of FAULTS.md turn.
func TestRecordedFaults(t *testing.T) {
	judged := judgeRecording(t, "testdata/faults.json.gz", *recordFaults)
	var ids []string
	for _, trait := range coreTraits(t) {
		ids = append(ids, trait.ID)
	}
	for _, fault := range append(faults.All(), faults.Without()) {
		outcome := faults.OutcomeOf(fault, "", ids, judged.Results)
		for _, surprise := range outcome.Surprises() {
			t.Errorf("%s: %s", fault.Name, surprise)
		}
	}
}

// TestRecordedHealthyRuntime judges every Check of all profiles again on what it saw under a runtime without a defect.
func TestRecordedHealthyRuntime(t *testing.T) {
	judged := judgeRecording(t, "testdata/healthy.json.gz", *recordHealthy)
	for _, trait := range Traits() {
		if !slices.ContainsFunc(judged.Results, func(result reports.Result) bool { return result.Trait == trait.ID }) {
			t.Errorf("%s is not in the recording; run: make e2e PROFILE=full recordings", trait.ID)
		}
	}
	for _, result := range judged.Results {
		want := reports.Conformant
		if result.Trait == stopSignalTrait.ID {
			want = reports.Unsupported // see alpha-gates among those elsewhere
		}
		if result.Verdict != want {
			t.Errorf("%s is %s, want %s: %s", result.Trait, result.Verdict, want, result.Reason)
		}
	}
}

// elsewhere are runs where not all is as on the ordinary cluster: in virtual machines, whose kernel is 6.1 with cgroup version 2 alone, once
// in a kind cluster there, and with cri-dockerd. What is not named in a run is conformant there.
var elsewhere = map[string]struct {
	reports string // where the run's reports are, below the folder of all reports
	but     map[string]reports.Verdict
}{
	"apparmor": {"machine", map[string]reports.Verdict{
		// The profile of containers lets them look at and signal what has the same, and pause has none.
		"credentials/ptrace-crosses-uids": reports.Unsupported, "signals/default-profile-reaches-pause": reports.Unsupported,
		// The kernel cannot map the ids of a tmpfs before 6.3.
		"credentials/user-namespace": reports.Unsupported,
	}},
	"yama": {"machine-yama", map[string]reports.Verdict{
		"credentials/ptrace-crosses-uids": reports.Unsupported, "signals/default-profile-reaches-pause": reports.Unsupported,
	}},
	// SELinux labels all there, and is permissive: it narrows nothing.
	"selinux":      {"machine-selinux", nil},
	"kind-cgroup2": {"machine-kind", nil},
	// The feature gate ContainerStopSignals is on, and the image of busybox gives root the group 10 as the published one does.
	"alpha-gates": {"alpha-gates", nil},
	"cri-dockerd": {"matrix/cri-dockerd-v1.37.2-containerd2.4.2-runc1.5.2", nil},
}

// TestRecordedElsewhere judges every Check again on what it saw where users' nodes are other ones than ours.
func TestRecordedElsewhere(t *testing.T) {
	for name, run := range elsewhere {
		t.Run(name, func(t *testing.T) {
			from := ""
			if *recordElsewhere != "" {
				from = filepath.Join(*recordElsewhere, filepath.FromSlash(run.reports), "run.json")
				if _, err := os.Stat(from); err != nil {
					from = "" // it did not run, and the recording stays
				}
			}
			for _, result := range judgeRecording(t, "testdata/elsewhere/"+name+".json.gz", from).Results {
				want := run.but[result.Trait]
				if want == "" {
					want = reports.Conformant
				}
				if result.Verdict != want {
					t.Errorf("%s is %s, want %s: %s", result.Trait, result.Verdict, want, result.Reason)
				}
			}
		})
	}
}

// TestRecordedSELinuxLabels: the labels of who asks and who is asked, pause among them, were read and are reported.
func TestRecordedSELinuxLabels(t *testing.T) {
	run := readRecording(t, "testdata/elsewhere/selinux.json.gz")
	judged, err := suite.JudgeAgain(run, Traits())
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(judged.Results, func(result reports.Result) bool { return result.Trait == "credentials/ptrace-crosses-uids" })
	evidence := judged.Results[at].Evidence
	told := evidence[slices.IndexFunc(evidence, func(each reports.Evidence) bool { return each.Title == "credentials" })].Output
	for _, party := range []string{access.CallerTracer, access.TargetMaster, access.TargetWorker, access.TargetPause} {
		line := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(party) + `: uid .*, label system_u:system_r:container_t:s0:c[0-9]+,c[0-9]+$`)
		if !line.MatchString(told) {
			t.Errorf("the label of %s is not told:\n%s", party, told)
		}
	}
}

// judgeRecording judges a recording again, and holds it to the verdicts that the run itself came to.
func judgeRecording(t *testing.T, path, from string) reports.Run {
	t.Helper()
	if from != "" {
		keepRecording(t, path, from)
	}
	run := readRecording(t, path)
	judged, err := suite.JudgeAgain(run, Traits())
	if err != nil {
		t.Fatal(err)
	}
	for i, result := range judged.Results {
		if before := run.Results[i]; before.Verdict != result.Verdict || before.Kind != result.Kind {
			t.Errorf("%s on %s was %s (%s), and is %s (%s): %s",
				result.Trait, result.Target, before.Verdict, before.Kind, result.Verdict, result.Kind, result.Reason)
		}
	}
	return judged
}

func readRecording(t *testing.T, path string) reports.Run {
	t.Helper()
	packed, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	reader, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	run, err := reports.Decode(content)
	if err != nil {
		t.Fatal(err)
	}
	return run
}

// keepRecording keeps what judging needs of a whole run.
func keepRecording(t *testing.T, path, from string) {
	t.Helper()
	run, err := reports.Read(from)
	if err != nil {
		t.Fatal(err)
	}
	if run.Running || run.Partial() {
		t.Fatalf("%s is of a run that is under way or partial: a recording is of a whole one", from)
	}
	for _, trait := range Traits() {
		checked := func(result reports.Result) bool { return result.Trait == trait.ID && result.Verdict != reports.NotRun }
		if (trait.Profile != suite.Full || run.Profile == string(suite.Full)) && !slices.ContainsFunc(run.Results, checked) {
			t.Fatalf(
				"%s does not have %s: run make e2e PROFILE=full, or make faults for a trait of profile core, before make recordings", from, trait.ID,
			)
		}
	}
	packRecording(t, path, run)
}

// packRecording keeps what judging needs of a run. Outputs are unpacked: packed together they take less.
func packRecording(t *testing.T, path string, run reports.Run) {
	t.Helper()
	run.Arguments, run.SetupError, run.PeakMemoryBytes = nil, "", 0
	for i := range run.Results {
		result := &run.Results[i]
		result.Evidence, result.Control, result.Diagnosis, result.Stack = nil, nil, "", ""
		result.Statement, result.Article, result.Sources = "", "", nil
	}
	for i := range run.Looks {
		run.Looks[i].Answer = unpacked(t, run.Looks[i].Answer)
	}
	content, err := json.Marshal(run)
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	writer, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := writer.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, packed.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// unpacked returns an answer with its compressed outputs as text.
func unpacked(t *testing.T, answer json.RawMessage) json.RawMessage {
	t.Helper()
	var value any
	if len(answer) == 0 || json.Unmarshal(answer, &value) != nil {
		return answer
	}
	content, err := json.Marshal(unpackedValue(value))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func unpackedValue(value any) any {
	switch value := value.(type) {
	case []any:
		for i := range value {
			value[i] = unpackedValue(value[i])
		}
	case map[string]any:
		for key := range value {
			value[key] = unpackedValue(value[key])
		}
		if packed, found := value["gzip"].(string); found && len(value) == 1 {
			var raw []byte
			if content, err := json.Marshal(packed); err == nil && json.Unmarshal(content, &raw) == nil {
				if reader, err := gzip.NewReader(bytes.NewReader(raw)); err == nil {
					if text, err := io.ReadAll(reader); err == nil && utf8.Valid(text) {
						return string(text)
					}
				}
			}
		}
	}
	return value
}

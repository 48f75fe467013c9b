package reports

import (
	"bytes"
	"encoding/xml"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

var update = flag.Bool("update", false, "write the golden files anew")

// sample is a run with a result of every verdict, one that was not run, and hostile output.
func sample() Run {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	one := 1
	return Run{
		SchemaVersion: SchemaVersion, ID: "sample", SuiteVersion: "v0", Profile: "article", Start: start, Seconds: 12.5,
		Cluster:  Cluster{Name: "sharedpid", KubernetesVersion: "v1.37.2", Origin: "created", Engine: "podman"},
		Subjects: []Subject{{ID: "node-1", Node: "node-1", Runtime: "containerd://2.4.2", Kubelet: "v1.37.2", Kernel: "6.18", OSImage: "Debian", Architecture: "amd64"}},
		Plan: []Planned{
			{"credentials/uid-mismatch-denies", "node-1"}, {"inits/systemd-refuses", "node-1"},
			{"namespace/pause-is-pid-1", "node-1"}, {"signals/hup-respawns-workers", "node-1"}, {"visibility/shell-sees-nginx", "node-1"},
		},
		Results: []Result{
			{Trait: "credentials/uid-mismatch-denies", Subject: "node-1", Statement: "Others MUST be denied.", Profile: "article", Documented: true,
				Verdict: Nonconformant, Reason: "cat /proc/7/environ must be refused\nExpected EACCES", Start: start, Seconds: 1.25,
				Cause: "a capability too many", NextStep: "look at the runtime's defaults",
				Evidence: []Evidence{{Title: "uid 1000 against root", Where: "pod/visitor", Command: "cat /proc/7/environ",
					Output: "\x00\x1b[31m</system-out>]]>\xff| `x` <b>", ExitCode: &one, Errno: "EACCES"}}},
			{Trait: "inits/systemd-refuses", Subject: "node-1", Statement: "systemd MUST NOT come up.", Profile: "article",
				Verdict: Inconclusive, Reason: "ErrImagePull", Start: start, Seconds: 2, Evidence: []Evidence{}},
			{Trait: "namespace/pause-is-pid-1", Subject: "node-1", Statement: "Process 1 MUST be pause.", Profile: "article",
				Verdict: Conformant, Reason: "observed as stated", Article: "pause is not root's", Start: start, Seconds: 0.5,
				Evidence: []Evidence{{Title: "processes", Where: "pod/shell", Command: "ps", Processes: []Process{{PID: 1, UID: 65535, State: "S", Arguments: []string{"/pause"}}}}}},
			{Trait: "signals/hup-respawns-workers", Subject: "node-1", Statement: "Workers MUST be replaced.", Profile: "article",
				Verdict: Unsupported, Reason: "no such platform", Start: start, Evidence: []Evidence{}},
		},
	}
}

func TestGolden(t *testing.T) {
	run := sample()
	run.Conclude()
	var terminal bytes.Buffer
	if err := WriteTerminal(&terminal, run, false); err != nil {
		t.Fatal(err)
	}
	produced := map[string][]byte{"terminal.txt": terminal.Bytes()}
	for _, writer := range writers {
		content, err := writer.write(run)
		if err != nil {
			t.Fatal(err)
		}
		produced[writer.file] = content
	}
	for file, content := range produced {
		golden := filepath.Join("testdata", file)
		if *update {
			if err := os.WriteFile(golden, content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(content, want) {
			t.Errorf("%s differs from its golden file; look at it, then go test ./reports -update\n%s", file, content)
		}
	}
}

func TestConclude(t *testing.T) {
	result := func(verdict Verdict) Result { return Result{Trait: "a/" + string(verdict), Verdict: verdict} }
	for name, test := range map[string]struct {
		results []Result
		missing bool
		setup   string
		want    Verdict
		exit    int
	}{
		"all conformant":           {[]Result{result(Conformant)}, false, "", Conformant, 0},
		"conformant, unsupported":  {[]Result{result(Conformant), result(Unsupported)}, false, "", Conformant, 0},
		"only unsupported":         {[]Result{result(Unsupported)}, false, "", Inconclusive, 3},
		"nothing":                  {nil, false, "", Inconclusive, 3},
		"one missing":              {[]Result{result(Conformant)}, true, "", Inconclusive, 3},
		"one inconclusive":         {[]Result{result(Conformant), result(Inconclusive)}, false, "", Inconclusive, 3},
		"nonconformant goes first": {[]Result{result(Inconclusive), result(Nonconformant)}, true, "broken", Nonconformant, 1},
		"setup":                    {[]Result{result(Conformant)}, false, "broken", Inconclusive, 3},
	} {
		t.Run(name, func(t *testing.T) {
			run := Run{Results: test.results, SetupError: test.setup}
			for _, each := range test.results {
				run.Plan = append(run.Plan, Planned{Trait: each.Trait})
			}
			if test.missing {
				run.Plan = append(run.Plan, Planned{Trait: "a/missing"})
			}
			run.Conclude()
			if run.Verdict != test.want || run.ExitCode() != test.exit {
				t.Errorf("verdict is %s, exit code %d (%s); want %s, %d", run.Verdict, run.ExitCode(), run.Reason, test.want, test.exit)
			}
		})
	}
}

func TestWriteAndRead(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "new")
	if err := CheckDirectory(directory); err != nil {
		t.Fatal(err)
	}
	if err := Write(directory, sample()); err != nil {
		t.Fatal(err)
	}
	run, err := Read(filepath.Join(directory, "run.json"))
	if err != nil || run.Verdict != Nonconformant || len(run.Results) != 4 {
		t.Errorf("read back: %s, %d results, %v", run.Verdict, len(run.Results), err)
	}
	entries, err := os.ReadDir(directory)
	if err != nil || len(entries) != len(writers) {
		t.Errorf("the directory holds %v, %v; want the reports and nothing else", entries, err)
	}
	other := filepath.Join(directory, "other.json")
	if err := os.WriteFile(other, []byte(`{"schemaVersion": 99}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(other); err == nil || !strings.Contains(err.Error(), "schema version 99") {
		t.Errorf("another schema version: %v", err)
	}
}

func FuzzWriters(f *testing.F) {
	f.Add("reason\nmore", "\x00\x1b]]></failure>\xff\ufffe", "a/b")
	f.Fuzz(func(t *testing.T, reason, output, trait string) {
		run := sample()
		run.Results[0].Reason, run.Results[0].Evidence[0].Output, run.Results[0].Trait = reason, output, trait
		run.Conclude()
		junit, err := writeJUnit(run)
		if err != nil {
			t.Fatal(err)
		}
		if err := xml.Unmarshal(junit, new(junitSuites)); err != nil || !utf8.Valid(junit) {
			t.Errorf("JUnit does not parse: %v", err)
		}
		if markdown, err := writeMarkdown(run); err != nil || !utf8.Valid(markdown) {
			t.Errorf("Markdown is not UTF-8: %v", err)
		}
	})
}

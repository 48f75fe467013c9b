package reports

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"
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
		compareGolden(t, file, content)
	}
}

// compareGolden compares what was produced with the file in testdata, or writes it anew.
func compareGolden(t *testing.T, file string, content []byte) {
	t.Helper()
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

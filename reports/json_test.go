package reports

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// readTestdata reads a run of testdata.
func readTestdata(t *testing.T, file string) Run {
	t.Helper()
	run, err := Read(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	return run
}

func TestReadIsTheInverseOfEncode(t *testing.T) {
	want := readTestdata(t, RunFile)
	content, err := Encode(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(content)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("read back is %+v, want %+v, %v", got, want, err)
	}
}

// TestReadVersion1 reads parts of runs as the suite left them before the schema had its present words.
func TestReadVersion1(t *testing.T) {
	run := readTestdata(t, "version-1-narrowed.json")
	run.Conclude()
	if !slices.Equal(run.Narrowed, []string{"signals/*"}) || !run.Partial() {
		t.Errorf("narrowed by %q, want signals/*", run.Narrowed)
	}
	if len(run.Targets) != 1 || run.Targets[0].ID != "vm" || len(run.Plan) != 3 || run.Plan[0].Target != "vm" ||
		run.Results[0].Target != "vm" {
		t.Errorf("targets %+v, plan %+v; want vm in each", run.Targets, run.Plan)
	}
	if want := "1 of 3 undecided: signals/pause-survives"; run.Verdict != Inconclusive || run.Reason != want ||
		run.PeakMemoryBytes != 76189696 {
		t.Errorf("%s, %s, %d bytes; want inconclusive, %s, 76189696 bytes", run.Verdict, run.Reason, run.PeakMemoryBytes, want)
	}

	run = readTestdata(t, "version-1-nonconformant.json")
	run.Conclude()
	if want := "2 of 5 nonconformant: namespace/pause-is-pid-1, nodes/every-node"; run.Verdict != Nonconformant || run.Reason != want {
		t.Errorf("%s, %s; want nonconformant, %s", run.Verdict, run.Reason, want)
	}
	if run.Narrowed != nil || run.Partial() {
		t.Errorf("narrowed by %q, want nothing", run.Narrowed)
	}
	cells := 0
	for _, result := range run.Results {
		for _, evidence := range result.Evidence {
			for _, cell := range evidence.Access {
				cells++
				if cell.Want == "" || cell.Want != cell.Observed || cell.Target == "" {
					t.Errorf("%s: the cell is %+v, want it whole and as the rules say", result.Trait, cell)
				}
			}
		}
	}
	if cells == 0 {
		t.Error("no cell of an access matrix was read")
	}
}

func TestReadVersion1KnowsDeviations(t *testing.T) {
	run, err := Decode([]byte(`{"schemaVersion": 1, "results": [{"trait": "a/b", "subject": "node", "verdict": "nonconformant",
		"expected": "a text", "observed": "another", "deviation": {"runtime": "crun", "trait": "a/b"}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if result := run.Results[0]; result.Target != "node" || !result.IsKnownDeviation() || result.KnownDeviation.Runtime != "crun" {
		t.Errorf("read is %+v, want a known deviation of crun on node", result)
	}
}

func TestReadRefuses(t *testing.T) {
	for content, want := range map[string]string{
		`{"schemaVersion": 99, "suiteVersion": "v9"}`: `schema version 99 and this suite reads version 2 and 1: read it with the suite`,
		`{"schemaVersion": 0}`:                        "schema version 0",
		`{}`:                                          "no schemaVersion",
		`[]`:                                          "is not a run.json",
		`{"schemaVersion": 1, "results": {}}`:         "is not a run.json of schema version 1",
		`{"schemaVersion": 2, "results": {}}`:         "is not a run.json of schema version 2",
		`{"schemaVersion": 2, "results": [`:           "is not a run.json",
		``:                                            "is not a run.json",
	} {
		path := filepath.Join(t.TempDir(), "other.json")
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := Read(path)
		if input := (*InputError)(nil); !errors.As(err, &input) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) ||
			strings.Contains(err.Error(), "\n") {
			t.Errorf("Read of %q: %v, want an InputError of one line with %q and the path", content, err, want)
		}
	}
	if _, err := Read(filepath.Join(t.TempDir(), "none")); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("Read of no file: %v", err)
	}
}

func TestEncodeTellsEmptyFromNull(t *testing.T) {
	content, err := Encode(Run{Results: []Result{{Trait: "a/b"}}})
	if err != nil {
		t.Fatal(err)
	}
	var run map[string]any
	if err := json.Unmarshal(content, &run); err != nil {
		t.Fatal(err)
	}
	for _, list := range []any{run["targets"], run["plan"], run["results"], run["results"].([]any)[0].(map[string]any)["evidence"]} {
		if list == nil {
			t.Errorf("a list is null in\n%s", content)
		}
	}
}

// TestEncodeIsThatOfTheWhole: written piece by piece, the JSON form is what the encoder makes of the run at once.
func TestEncodeIsThatOfTheWhole(t *testing.T) {
	result := Result{Trait: "group/trait", Target: "a", Reason: "<\n  \"results\": []>", Verdict: Nonconformant}
	look := Look{Target: "a", By: "group/trait", Question: "& what", Answer: json.RawMessage(`{"a":[1,2]}`)}
	for name, run := range map[string]Run{
		"empty":   {},
		"one":     {Results: []Result{result}, Looks: []Look{look}},
		"several": {Results: []Result{result, result, result}, Looks: []Look{look, look}, Phases: []Phase{{Name: "a phase"}}},
	} {
		content, err := Encode(run)
		if err != nil {
			t.Fatal(err)
		}
		whole, err := encodeIndented(run.Complete(), "")
		if err != nil {
			t.Fatal(err)
		}
		if string(content) != string(whole) {
			t.Errorf("%s: got\n%s\nwant\n%s", name, content, whole)
		}
	}
}

// FuzzDecode reads what anybody may have put into a run.json, and what it takes it writes and reads again as the same.
func FuzzDecode(f *testing.F) {
	for _, file := range []string{RunFile, "version-1-narrowed.json"} {
		content, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
	f.Add([]byte(`{"schemaVersion": 2, "id": "\u202e\u001b", "results": [{"trait": "\ud800"}], "looks": [{}]}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		run, err := Decode(content)
		if err != nil {
			return
		}
		first, err := Encode(run)
		if err != nil {
			t.Fatal(err)
		}
		if run, err = Decode(first); err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		if second, err := Encode(run); err != nil || string(second) != string(first) {
			t.Errorf("written again it is another, %v:\n%s\n%s", err, first, second)
		}
	})
}

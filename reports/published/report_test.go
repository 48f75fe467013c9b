package published

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"

	"sharedpid.example/reports"
	"sharedpid.example/reports/internal/golden"
	"sharedpid.example/reports/internal/sample"
)

// checkSchema validates a report as its readers would.
func checkSchema(t testing.TB, schema *jsonschema.Schema, content []byte) {
	t.Helper()
	asJSON, err := yaml.YAMLToJSONStrict(content)
	if err != nil {
		t.Fatalf("%v in\n%s", err, content)
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(string(asJSON)))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(value); err != nil {
		t.Errorf("%v in\n%s", err, content)
	}
}

func reportSchema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	return compiledSchema()
}

func TestReportKeepsItsSchema(t *testing.T) {
	schema := reportSchema(t)
	for name, run := range map[string]reports.Run{
		"nothing": {}, "partial": sample.Partial(), "sample": sample.Small(), "several": sample.Rich(3), "many": sample.ManyNodes(),
		"ended early": {SetupError: "no engine",
			Plan: []reports.Planned{{Trait: "a/b", Target: "node"}}},
		"hostile": sample.Hostile("\x00\nreason", "\xff\u202e", ": - {", 1e300),
	} {
		t.Run(name, func(t *testing.T) {
			content, err := Render(run)
			if err != nil {
				t.Fatal(err)
			}
			checkSchema(t, schema, content)
		})
	}
}

// TestReportSchemaRefuses shows that the schema is no formality.
func TestReportSchemaRefuses(t *testing.T) {
	schema := reportSchema(t)
	for name, spoil := range map[string]func(report map[string]any){
		"a verdict nobody knows": func(report map[string]any) { report["verdict"] = "fine" },
		"another version":        func(report map[string]any) { report["schemaVersion"] = 1 },
		"an unknown field":       func(report map[string]any) { report["extra"] = true },
		"no traits":              func(report map[string]any) { delete(report, "traits") },
		"narrowed, not partial":  func(report map[string]any) { report["narrowed"] = []any{"--trait=a/b"} },
		"a word of version 1":    func(report map[string]any) { report["counts"].(map[string]any)["vanished"] = 0 },
		"an implementation without a contact": func(report map[string]any) {
			delete(report["implementation"].(map[string]any)["stated"].(map[string]any), "contact")
		},
		"a date that is none": func(report map[string]any) { report["date"] = "yesterday" },
	} {
		content, err := json.Marshal(New(sample.Small()))
		if err != nil {
			t.Fatal(err)
		}
		var report map[string]any
		if err := json.Unmarshal(content, &report); err != nil {
			t.Fatal(err)
		}
		spoil(report)
		content, _ = json.Marshal(report)
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(string(content)))
		if err != nil {
			t.Fatal(err)
		}
		if schema.Validate(value) == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestReportCountsEachTarget(t *testing.T) {
	report := New(sample.Rich(3))
	if want := (Counts{Conformant: 20, Nonconformant: 1, Inconclusive: 3, Unsupported: 3, NotRun: 1, KnownDeviation: 1,
		Resolved: 1}); report.Counts != want {
		t.Errorf("counts are %+v, want %+v", report.Counts, want)
	}
	var total Counts
	for _, each := range report.Targets {
		total.Conformant += each.Counts.Conformant
		total.NotRun += each.Counts.NotRun
	}
	if total.Conformant != report.Counts.Conformant || total.NotRun != 1 {
		t.Errorf("the targets' counts add up to %+v", total)
	}
	for _, trait := range report.Traits {
		if len(trait.Verdicts) != 3 || trait.Statement == "" {
			t.Errorf("%s has %d verdicts, want 3, statement %q", trait.Trait, len(trait.Verdicts), trait.Statement)
		}
	}
	digest := slices.IndexFunc(report.Images, func(image Image) bool { return strings.HasPrefix(image.Digest, "sha256:6f2a9c1f") })
	if digest < 0 {
		t.Errorf("images are %+v, want nginx's with its digest", report.Images)
	}
}

func TestAPartialReportSaysSo(t *testing.T) {
	report := New(sample.Partial())
	if !report.Partial || !report.Running || len(report.Narrowed) != 2 || len(report.LeftOut) != 2 || report.Limits["start"] != "5m0s" {
		t.Errorf("the report is %+v, want it partial, running, with what narrowed it, what was left out and its limits", report)
	}
	if report := New(sample.Small()); report.Partial || report.Running || report.Narrowed != nil || report.LeftOut != nil ||
		report.Limits != nil {
		t.Errorf("the report is %+v, want it whole", report)
	}
}

func TestGolden(t *testing.T) {
	golden.CompareEach(t, Render, map[string]reports.Run{"report.yaml": sample.Small(), "partial.yaml": sample.Partial(), "many-nodes.yaml": sample.ManyNodes()})
}

func FuzzReport(f *testing.F) {
	schema := reportSchema(f)
	f.Add("reason\nmore", "\x00\x1b: {}[]\xff\ufffe", "a/b", 1.5)
	f.Add("- x", "\"'#\r\n\u2028", "~", -1e300)
	f.Fuzz(func(t *testing.T, reason, output, name string, length float64) {
		run := sample.Hostile(reason, output, name, length)
		content, err := Render(run)
		if err != nil {
			t.Fatal(err)
		}
		if !utf8.Valid(content) {
			t.Error("not UTF-8")
		}
		checkSchema(t, schema, content)
		back, err := Read(content)
		if err != nil {
			t.Fatal(err)
		}
		if want := New(run); fmt.Sprintf("%#v", back.Counts) != fmt.Sprintf("%#v", want.Counts) || back.Reason != want.Reason {
			t.Errorf("read back as %+v, want %+v", back, want)
		}
	})
}

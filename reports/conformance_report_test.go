package reports

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"
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
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	schema, err := compiler.Compile("conformance-report.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func TestConformanceReportKeepsItsSchema(t *testing.T) {
	schema := reportSchema(t)
	for name, run := range map[string]Run{
		"nothing": {}, "sample": sample(), "several": richSample(3), "ended early": {SetupError: "no engine", Plan: []Planned{{"a/b", "node"}}},
		"hostile": hostile("\x00\nreason", "\xff\u202e", ": - {", 1e300),
	} {
		t.Run(name, func(t *testing.T) {
			content, err := writeConformanceReport(run)
			if err != nil {
				t.Fatal(err)
			}
			checkSchema(t, schema, content)
		})
	}
}

// TestConformanceReportSchemaRefuses shows that the schema is no formality.
func TestConformanceReportSchemaRefuses(t *testing.T) {
	schema := reportSchema(t)
	for name, spoil := range map[string]func(report map[string]any){
		"a verdict nobody knows": func(report map[string]any) { report["verdict"] = "fine" },
		"another version":        func(report map[string]any) { report["schemaVersion"] = 2 },
		"an unknown field":       func(report map[string]any) { report["extra"] = true },
		"no traits":              func(report map[string]any) { delete(report, "traits") },
		"a date that is none":    func(report map[string]any) { report["date"] = "yesterday" },
	} {
		content, err := json.Marshal(NewConformanceReport(sample()))
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

func TestConformanceReportCountsEachImplementation(t *testing.T) {
	report := NewConformanceReport(richSample(3))
	if want := (ReportCounts{Conformant: 20, Nonconformant: 1, Inconclusive: 3, Unsupported: 3, NotRun: 1, Expected: 1, Vanished: 1}); report.Counts != want {
		t.Errorf("counts are %+v, want %+v", report.Counts, want)
	}
	var total ReportCounts
	for _, each := range report.Implementations {
		total.Conformant += each.Counts.Conformant
		total.NotRun += each.Counts.NotRun
	}
	if total.Conformant != report.Counts.Conformant || total.NotRun != 1 {
		t.Errorf("the implementations' counts add up to %+v", total)
	}
	for _, trait := range report.Traits {
		if len(trait.Verdicts) != 3 || trait.Statement == "" {
			t.Errorf("%s has %d verdicts, want 3, statement %q", trait.Trait, len(trait.Verdicts), trait.Statement)
		}
	}
	digest := slices.IndexFunc(report.Images, func(image ReportImage) bool { return strings.HasPrefix(image.Digest, "sha256:6f2a9c1f") })
	if digest < 0 {
		t.Errorf("images are %+v, want nginx's with its digest", report.Images)
	}
}

func TestReproduction(t *testing.T) {
	for name, test := range map[string]struct {
		run  Run
		want []string
	}{
		"created": {Run{Profile: "core"}, []string{"make e2e PROFILE=core"}},
		"narrowed": {
			Run{Profile: "full", Selection: "signals/*,a/b", Subjects: []Subject{{RuntimeClass: "kata"}, {RuntimeClass: "kata"}}},
			[]string{`make e2e PROFILE=full ARGS='-trait '\''signals/*'\'' -trait a/b -runtime-class kata'`},
		},
		"existing": {
			Run{Profile: "article", Cluster: Cluster{Name: "a b", Origin: "existing"}},
			[]string{"make bin", "bin/sharedpid -test.run '^TestConformance$' -profile article -context 'a b'"},
		},
	} {
		if got := reproduction(test.run); !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func TestShellQuote(t *testing.T) {
	for _, text := range []string{"", "plain", "a b", "$(id)", "it's", "`x`\\", "*", "~", "é"} {
		output, err := exec.Command("sh", "-c", "printf %s "+shellQuote(text)).Output()
		if err != nil || string(output) != text {
			t.Errorf("a shell reads %s as %q, %v; want %q", shellQuote(text), output, err, text)
		}
	}
}

func FuzzConformanceReport(f *testing.F) {
	schema := reportSchema(f)
	f.Add("reason\nmore", "\x00\x1b: {}[]\xff\ufffe", "a/b", 1.5)
	f.Add("- x", "\"'#\r\n\u2028", "~", -1e300)
	f.Fuzz(func(t *testing.T, reason, output, name string, length float64) {
		run := hostile(reason, output, name, length)
		content, err := writeConformanceReport(run)
		if err != nil {
			t.Fatal(err)
		}
		if !utf8.Valid(content) {
			t.Error("not UTF-8")
		}
		checkSchema(t, schema, content)
		var back ConformanceReport
		if err := yaml.UnmarshalStrict(content, &back); err != nil {
			t.Fatal(err)
		}
		if want := NewConformanceReport(run); fmt.Sprintf("%#v", back.Counts) != fmt.Sprintf("%#v", want.Counts) || back.Reason != want.Reason {
			t.Errorf("read back as %+v, want %+v", back, want)
		}
	})
}

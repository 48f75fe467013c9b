package published

import (
	"reflect"
	"strings"
	"testing"

	"sharedpid.example/reports"
	"sharedpid.example/reports/internal/sample"
)

func TestReadIsTheInverseOfRender(t *testing.T) {
	content, err := Render(sample.Rich(3))
	if err != nil {
		t.Fatal(err)
	}
	report, err := Read(content)
	if want := New(sample.Rich(3)); err != nil || !reflect.DeepEqual(report, want) {
		t.Errorf("read %+v, want %+v, %v", report, want, err)
	}
}

func TestReadRefuses(t *testing.T) {
	content, err := Render(sample.Small())
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ old, new, want string }{
		{"verdict: conformant", "verdict: fine", "is not of the schema of a report: at '/traits/2/verdicts/0/verdict': value must be one of"},
		{"schemaVersion: 3", "schemaVersion: 2", "is not of the schema of a report: at '/schemaVersion'"},
		{"kind: Shared", "a: [\nkind: Shared", "is no YAML"},
		{"profile: article\nreason", "profile: article\nprofile: core\nreason", "is no YAML"},
		{string(content), "", "is not of the schema"},
	} {
		if !strings.Contains(string(content), test.old) {
			t.Fatalf("the sample has no %q", test.old)
		}
		_, err := Read([]byte(strings.Replace(string(content), test.old, test.new, 1)))
		if err == nil || !strings.HasPrefix(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: error is %v, want %q", test.new, err, test.want)
		}
	}
}

func TestRecompute(t *testing.T) {
	for name, run := range map[string]reports.Run{
		"small": sample.Small(), "rich": sample.Rich(3), "side by side": sample.SideBySide(), "many nodes": sample.ManyNodes(),
	} {
		want := New(run)
		forged := want
		forged.Verdict, forged.Reason, forged.Counts = reports.Conformant, "all is well", Counts{}
		forged.Kinds = []TargetKind{{Kind: "kind 1", Targets: []string{"all of them"}}}
		forged.Targets = append([]Target{}, forged.Targets...)
		forged.Targets[0].Counts = Counts{Conformant: 1}
		if got := forged.Recompute(false); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
	known := sample.Of(reports.Nonconformant, "node")
	known.Results[0].KnownDeviation = &reports.Deviation{Runtime: "x", Trait: "a/b", Reason: "y", Link: "z"}
	known.Plan, known.Results = append(known.Plan, reports.Planned{Trait: "a/c", Target: "node"}),
		append(known.Results, reports.Result{Trait: "a/c", Target: "node", Verdict: reports.Conformant})
	if report := New(known); report.Recompute(false).Verdict != reports.Conformant || report.Recompute(true).Verdict != reports.Nonconformant {
		t.Errorf("with the list %s, without it %s; want conformant and nonconformant",
			report.Recompute(false).Verdict, report.Recompute(true).Verdict)
	}
}

func FuzzRead(f *testing.F) {
	content, err := Render(sample.Small())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(content)
	f.Add([]byte("a: &a [*a]"))
	f.Fuzz(func(t *testing.T, content []byte) {
		report, err := Read(content)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %v", err)
			}
			return
		}
		report.Recompute(true)
	})
}

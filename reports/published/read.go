package published

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"

	"sharedpid.example/reports"
	"sharedpid.example/reports/internal/legible"
)

// compiledSchema is Schema, ready to be held against a report.
var compiledSchema = sync.OnceValue(func() *jsonschema.Schema {
	const name = "report.schema.json"
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	content, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema))
	if err == nil {
		err = compiler.AddResource(name, content)
	}
	if err != nil {
		panic(err) // it is part of the program
	}
	return compiler.MustCompile(name)
})

// Read reads a report from its YAML and holds it to its schema. Its error is one line that continues a sentence about the file.
func Read(content []byte) (Report, error) {
	asJSON, err := yaml.YAMLToJSONStrict(content)
	if err != nil {
		return Report{}, fmt.Errorf("is no YAML: %s", legible.Line(err.Error()))
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		return Report{}, fmt.Errorf("is no YAML: %s", legible.Line(err.Error()))
	}
	if err := compiledSchema().Validate(value); err != nil {
		return Report{}, fmt.Errorf("is not of the schema of a report: %s", schemaProblem(err))
	}
	var report Report
	if err := yaml.UnmarshalStrict(content, &report); err != nil {
		return Report{}, fmt.Errorf("is no report: %s", legible.Line(err.Error()))
	}
	return report, nil
}

// schemaProblem is the first thing that is not of the schema, in one line.
func schemaProblem(err error) string {
	problem := (*jsonschema.ValidationError)(nil)
	if !errors.As(err, &problem) {
		return legible.Line(err.Error())
	}
	for len(problem.Causes) > 0 {
		problem = problem.Causes[0]
	}
	text := problem.Error()
	if _, after, found := strings.Cut(text, "\n- "); found {
		text = after
	}
	return shortLine(text)
}

// Recompute returns the report with all that follows from its traits and targets made anew: its verdict, its counts, the kinds of
// its targets and the runtime that was read. A list of known deviations that it was made with counts, unless it is to be ignored.
func (report Report) Recompute(ignoreList bool) Report {
	run := reports.Run{Running: report.Running}
	for _, target := range report.Targets {
		run.Targets = append(run.Targets, reports.Target{
			ID: target.Target, RuntimeClass: target.RuntimeClass, RuntimeHandler: target.RuntimeHandler, RuntimeVersion: target.RuntimeVersion,
			Runtime: target.Runtime, Kubelet: target.Kubelet, Kernel: target.Kernel, OSImage: target.OSImage, Architecture: target.Architecture,
		})
	}
	for _, trait := range report.Traits {
		for _, each := range trait.Verdicts {
			planned := reports.Planned{Trait: trait.Trait, Target: each.Target}
			run.Plan = append(run.Plan, planned)
			result := reports.Result{Trait: trait.Trait, Target: each.Target, Verdict: each.Verdict, KnownDeviation: each.KnownDeviation}
			switch each.Verdict {
			case reports.NotRun:
				continue
			case reports.KnownDeviation:
				result.Verdict = reports.Nonconformant
			case reports.Resolved:
				result.Verdict = reports.Conformant
			}
			if ignoreList {
				result.KnownDeviation = nil
			}
			run.Results = append(run.Results, result)
		}
	}
	again := New(run)
	report.Verdict, report.Reason, report.Counts = again.Verdict, again.Reason, again.Counts
	report.Kinds = again.Kinds
	report.Targets = append([]Target{}, report.Targets...)
	for i := range report.Targets {
		report.Targets[i].Counts = again.Targets[i].Counts
	}
	if report.Implementation != nil {
		report.Implementation = newImplementation(report.Implementation.Stated, run)
	}
	return report
}

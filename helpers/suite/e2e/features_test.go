package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
)

// told is a test that keeps how it was told of a result.
type told []string

func (told *told) Error(values ...any) { *told = append(*told, "fail: "+fmt.Sprint(values...)) }
func (told *told) Errorf(format string, values ...any) {
	*told = append(*told, "fail: "+fmt.Sprintf(format, values...))
}
func (told *told) Skip(values ...any) { *told = append(*told, "skip: "+fmt.Sprint(values...)) }
func (told *told) Skipf(format string, values ...any) {
	*told = append(*told, "skip: "+fmt.Sprintf(format, values...))
}

var known = &reports.Deviation{Reason: "it differs", Link: "https://example.com"}

// results by the name of a trait that has them, and how a test is told.
var outcomes = map[string]struct {
	result *reports.Result
	told   string // empty when the test passes
}{
	"conformant":    {&reports.Result{Verdict: reports.Conformant, Reason: "as stated"}, ""},
	"nonconformant": {&reports.Result{Verdict: reports.Nonconformant, Reason: "seen otherwise"}, "fail: seen otherwise"},
	"inconclusive":  {&reports.Result{Verdict: reports.Inconclusive, Reason: "no image"}, "fail: inconclusive: no image"},
	"unsupported":   {&reports.Result{Verdict: reports.Unsupported, Reason: "has none"}, "skip: has none"},
	"known": {&reports.Result{Verdict: reports.Nonconformant, Reason: "seen otherwise", KnownDeviation: known},
		"skip: known deviation: it differs (https://example.com); observed: seen otherwise"},
	"resolved": {&reports.Result{Verdict: reports.Conformant, Reason: "as stated", KnownDeviation: known},
		"fail: resolved: conformant, although a deviation is known: it differs"},
	"inconclusive-known": {&reports.Result{Verdict: reports.Inconclusive, Reason: "no image", KnownDeviation: known},
		"fail: inconclusive: no image"},
	"unsupported-known": {&reports.Result{Verdict: reports.Unsupported, Reason: "has none", KnownDeviation: known}, "skip: has none"},
	"undecided":         {nil, "fail: inconclusive: the run ended before the trait was decided"},
	"unknown":           {&reports.Result{Verdict: "new", Reason: "what"}, "fail: inconclusive: what"},
}

func TestHowATestIsToldOfAResult(t *testing.T) {
	for name, test := range outcomes {
		t.Run(name, func(t *testing.T) {
			var got told
			report(&got, test.result)
			if strings.Join(got, "\n") != test.told {
				t.Errorf("told %q, want %q", got, test.told)
			}
		})
	}
}

func newResults() *results {
	return &results{planned: make(chan struct{}), decided: map[reports.Planned]*decision{}}
}

// planned is a run on two targets, with a trait for each outcome.
func planned() reports.Run {
	run := reports.Run{Targets: []reports.Target{{ID: "a"}, {ID: "b"}}}
	for name := range outcomes {
		for _, target := range run.Targets {
			run.Plan = append(run.Plan, reports.Planned{Trait: "group/" + name, Target: target.ID})
		}
	}
	return run
}

// TestWhoWaitsForAResultIsToldAtOnce, and of the first one.
func TestWhoWaitsForAResultIsToldAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		results := newResults()
		results.Record(reports.Run{Running: true}) // the targets are not known yet
		select {
		case <-results.planned:
			t.Fatal("a run without targets is planned")
		default:
		}
		results.Record(planned())
		<-results.planned
		results.Record(reports.Run{Targets: []reports.Target{{ID: "late"}}}) // told again, of what is known already
		waiting := results.decided[reports.Planned{Trait: "group/known", Target: "b"}]
		got := make(chan *reports.Result)
		go func() {
			<-waiting.made
			got <- waiting.result
		}()
		add := func(trait, target, reason string) {
			if err := results.Add(reports.Result{Trait: trait, Target: target, Reason: reason}, nil); err != nil {
				t.Error(err)
			}
		}
		add("group/known", "a", "elsewhere")
		synctest.Wait()
		select {
		case <-waiting.made:
			t.Fatal("a result of another target counts")
		default:
		}
		add("group/known", "b", "first")
		if result := <-got; result == nil || result.Reason != "first" {
			t.Errorf("result is %+v", result)
		}
		add("group/known", "b", "second")
		add("group/not-planned", "b", "third")
		if waiting.result.Reason != "first" || len(results.targets) != 2 {
			t.Errorf("result is %+v, targets are %v", waiting.result, results.targets)
		}
		left := results.decided[reports.Planned{Trait: "group/resolved", Target: "b"}]
		results.close()
		if <-left.made; left.result != nil || waiting.result.Reason != "first" {
			t.Errorf("of a run that has ended the result is %+v", left.result)
		}
	})
}

func TestARunThatEndsWithoutTargetsHoldsNobodyUp(t *testing.T) {
	results := newResults()
	results.close()
	<-results.planned
	if feature := results.feature(suite.Trait{ID: "group/a", Profile: suite.Core}); len(feature.Steps()) != 0 {
		t.Errorf("the feature has steps: %v", feature.Steps())
	}
}

func TestAFeatureHasTheTraitsLabelsAndAStepForEachTarget(t *testing.T) {
	results := newResults()
	results.Record(planned())
	feature := results.feature(suite.Trait{ID: "group/a", Profile: suite.Core})
	var steps []string
	for _, step := range feature.Steps() {
		steps = append(steps, step.Name())
	}
	if feature.Name() != "group/a" || !slices.Equal(steps, []string{"a", "b"}) ||
		!slices.Equal(feature.Labels()["profile"], []string{"core", "full"}) ||
		!slices.Equal(feature.Labels()["group"], []string{"group"}) {
		t.Errorf("feature %s has the steps %v and the labels %v", feature.Name(), steps, feature.Labels())
	}
}

// runVariable says how the run of TestHelperRun goes, for the test after it.
const runVariable = "SHAREDPID_TEST_RUN"

func TestHelperRun(t *testing.T) {
	mode := os.Getenv(runVariable)
	var err error
	if mode == "bad" {
		err = errors.New("the cluster was lost")
	}
	run, traits := planned(), []suite.Trait{}
	for name := range outcomes {
		if mode == "bad" || name == "conformant" || name == "unsupported" || name == "known" {
			traits = append(traits, suite.Trait{ID: "group/" + name, Profile: suite.Core})
		}
	}
	Test(t, traits, func(recorder suite.Recorder) error {
		recorder.Record(run)
		for name, outcome := range outcomes {
			for _, target := range run.Targets {
				if outcome.result != nil {
					result := *outcome.result
					result.Trait, result.Target = "group/"+name, target.ID
					if err := recorder.Add(result, nil); err != nil {
						return err
					}
				}
			}
		}
		return err
	})
}

// TestAWholeRun is made by go test as a run on a cluster is.
func TestAWholeRun(t *testing.T) {
	for mode, fails := range map[string]bool{"good": false, "bad": true} {
		command := exec.Command(os.Args[0], "-test.run=^TestHelperRun$", "-test.v")
		command.Env = append(os.Environ(), runVariable+"="+mode)
		output, err := command.CombinedOutput()
		if (err != nil) != fails {
			t.Fatalf("%s: %v\n%s", mode, err, output)
		}
		for name, test := range outcomes {
			word := map[string]string{"": "PASS", "fail": "FAIL", "skip": "SKIP"}[strings.Split(test.told, ":")[0]]
			for _, target := range []string{"a", "b"} {
				line := fmt.Sprintf("--- %s: TestHelperRun/group/%s/%s ", word, name, target)
				ran := fails || name == "conformant" || name == "unsupported" || name == "known"
				if strings.Contains(string(output), line) != ran {
					t.Errorf("%s: whether there is %q is not %t in\n%s", mode, line, ran, output)
				}
			}
		}
		if strings.Contains(string(output), "the cluster was lost") != fails {
			t.Errorf("%s: the run's error is missing, or made up:\n%s", mode, output)
		}
	}
}

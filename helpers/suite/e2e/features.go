// Package e2e tells go test of a run, trait by trait: each is a feature of e2e-framework, with an assessment for each target.
package e2e

import (
	"context"
	"sync"
	"testing"

	"sigs.k8s.io/e2e-framework/pkg/env"
	"sigs.k8s.io/e2e-framework/pkg/envconf"
	"sigs.k8s.io/e2e-framework/pkg/features"
	"sigs.k8s.io/e2e-framework/pkg/types"

	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
)

// Test makes a run and reports each trait on each target as it is decided: conformant passes, nonconformant and inconclusive
// fail, unsupported is skipped, as is a known deviation. The run must tell the recorder what it learns. Test ends with it.
func Test(t *testing.T, traits []suite.Trait, run func(suite.Recorder) error) {
	results := &results{planned: make(chan struct{}), decided: map[reports.Planned]*decision{}}
	ended := make(chan error, 1)
	go func() {
		defer results.close()
		ended <- run(results)
	}()
	<-results.planned
	var all []types.Feature
	for _, trait := range traits {
		all = append(all, results.feature(trait))
	}
	env.NewWithConfig(envconf.New().WithParallelTestEnabled()).TestInParallel(t, all...)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// results are what a run comes to. They are a suite.Recorder.
type results struct {
	once    sync.Once
	planned chan struct{} // closed when the targets are known, or the run has ended without any

	mutex   sync.Mutex
	targets []reports.Target
	decided map[reports.Planned]*decision
}

// decision is one trait on one target. The result may be read once made is closed, and is nil when the run ended before.
type decision struct {
	made   chan struct{}
	result *reports.Result
}

// Record takes the targets from the plan.
func (results *results) Record(run reports.Run) {
	if len(run.Targets) == 0 {
		return
	}
	results.once.Do(func() {
		results.mutex.Lock()
		defer results.mutex.Unlock()
		results.targets = run.Targets
		for _, planned := range run.Plan {
			results.decided[planned] = &decision{made: make(chan struct{})}
		}
		close(results.planned)
	})
}

// Add tells who waits for the result.
func (results *results) Add(result reports.Result, _ []reports.Look) error {
	results.mutex.Lock()
	defer results.mutex.Unlock()
	if decision := results.decided[reports.Planned{Trait: result.Trait, Target: result.Target}]; decision != nil && decision.result == nil {
		decision.result = &result
		close(decision.made)
	}
	return nil
}

// close tells everybody who still waits that there will be no result.
func (results *results) close() {
	results.once.Do(func() { close(results.planned) })
	results.mutex.Lock()
	defer results.mutex.Unlock()
	for _, decision := range results.decided {
		if decision.result == nil {
			close(decision.made)
		}
	}
}

// feature is a trait as the framework knows it.
func (results *results) feature(trait suite.Trait) types.Feature {
	feature := features.New(trait.ID)
	for key, values := range trait.Labels() {
		for _, value := range values {
			feature.WithLabel(key, value)
		}
	}
	for _, target := range results.targets {
		feature.Assess(target.ID, func(ctx context.Context, t *testing.T, _ *envconf.Config) context.Context {
			decision := results.decided[reports.Planned{Trait: trait.ID, Target: target.ID}]
			<-decision.made
			report(t, decision.result)
			return ctx
		})
	}
	return feature.Feature()
}

// tester is what report needs of a test.
type tester interface {
	Error(...any)
	Errorf(string, ...any)
	Skip(...any)
	Skipf(string, ...any)
}

// report tells a test how a trait was decided.
func report(t tester, result *reports.Result) {
	switch {
	case result == nil:
		t.Error("inconclusive: the run ended before the trait was decided")
	case result.IsKnownDeviation():
		t.Skipf("known deviation: %s (%s); observed: %s", result.KnownDeviation.Reason, result.KnownDeviation.Link, result.Reason)
	case result.IsResolved():
		t.Errorf("resolved: conformant, although a deviation is known: %s", result.KnownDeviation.Reason)
	case result.Verdict == reports.Nonconformant:
		t.Error(result.Reason)
	case result.Verdict == reports.Unsupported:
		t.Skip(result.Reason)
	case result.Verdict != reports.Conformant:
		t.Errorf("inconclusive: %s", result.Reason)
	}
}

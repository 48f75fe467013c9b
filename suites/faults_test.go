package suites

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"sharedpid.example/fixtures/faultyruntime"
	"sharedpid.example/fixtures/handlers"
	"sharedpid.example/fixtures/nodeimage"
	"sharedpid.example/helpers/engine"
	"sharedpid.example/reports"
)

// faultOutcome is what the suite made of one faulty runtime.
type faultOutcome struct {
	Fault     string   `json:"fault"`
	Sentence  string   `json:"sentence"`
	NoEffect  string   `json:"noEffect,omitempty"` // why the fault is thought to have had none, as seen on the node
	Turned    []string `json:"turned"`             // nonconformant under it
	Undecided []string `json:"undecided"`          // inconclusive under it
	Missed    []string `json:"missed,omitempty"`   // should have turned, and did not
	Blamed    []string `json:"blamed,omitempty"`   // turned, or was undecided, and should not
}

// exact tells whether the suite noticed the fault and blamed nothing else.
func (outcome faultOutcome) exact() bool {
	return outcome.NoEffect == "" && len(outcome.Missed) == 0 && len(outcome.Blamed) == 0
}

// TestFaults proves that the gate bites: under each faulty runtime exactly the traits that it breaks are nonconformant,
// and under the healthy one none is.
func TestFaults(t *testing.T) {
	if len(options.Faults) == 0 {
		t.Skip("it takes minutes on a cluster of its own: make faults, or -fault all")
	}
	faults, err := selectFaults(options.Faults)
	if err != nil {
		t.Error(err)
		fmt.Fprintln(os.Stderr, "error:", err)
		exitCode = ExitBadInput
		return
	}
	outcomes, err := runFaults(t, faults)
	if err != nil {
		t.Error(err)
		fmt.Fprintln(os.Stderr, "error:", err)
		exitCode = ExitBadInput
	}
	for _, outcome := range outcomes {
		t.Run(outcome.Fault, func(t *testing.T) {
			if outcome.NoEffect != "" {
				t.Errorf("the fault had no effect: %s", outcome.NoEffect)
			}
			if len(outcome.Missed) > 0 {
				t.Errorf("not noticed by %s", strings.Join(outcome.Missed, ", "))
			}
			if len(outcome.Blamed) > 0 {
				t.Errorf("blamed without cause: %s", strings.Join(outcome.Blamed, ", "))
			}
		})
	}
	text := faultTable(outcomes, options.Selected)
	fmt.Fprint(os.Stderr, text)
	for name, content := range map[string][]byte{"faults.md": []byte(text), "faults.json": encodeOutcomes(outcomes)} {
		if err := os.WriteFile(filepath.Join(options.ReportDirectory, name), content, 0o644); err != nil {
			t.Error(err)
		}
	}
}

func selectFaults(names []string) ([]faultyruntime.Fault, error) {
	if slices.Equal(names, []string{"all"}) {
		return faultyruntime.All(), nil
	}
	var selected []faultyruntime.Fault
	for _, name := range names {
		fault, err := faultyruntime.Find(name)
		if err != nil {
			return nil, err
		}
		selected = append(selected, fault)
	}
	return selected, nil
}

// runFaults decides the selected traits under the healthy runtime and under each fault, on one cluster of its own.
func runFaults(t *testing.T, faults []faultyruntime.Fault) ([]faultOutcome, error) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	faulty := options
	if faulty.Existing() {
		return nil, errors.New("faulty runtimes are put into a cluster that is created for them, and not into an existing one; leave out -kubeconfig and -context")
	}
	if err := reports.CheckDirectory(faulty.ReportDirectory); err != nil {
		return nil, err
	}
	root, err := nodeimage.Root()
	if err != nil {
		return nil, err
	}
	cache, err := engine.CacheDirectory()
	if err != nil {
		return nil, err
	}
	if faulty.Handlers, err = faultyruntime.Build(ctx, root, filepath.Join(cache, "faults"), faults); err != nil {
		return nil, err
	}
	faulty.RuntimeClasses = faulty.Handlers.Names()
	g := newGate(faulty, os.Stderr)
	g.reportLast = true
	t.Cleanup(g.cleanUp)
	var mutex sync.Mutex
	effects := map[string]string{}
	g.looked = func(ctx context.Context, subject subject) {
		if subject.RuntimeClass == faultyruntime.Healthy {
			return
		}
		_, err := g.engine.Output(ctx, "exec", subject.Node, path.Join(handlers.Directory, faultyruntime.Program),
			"prove", subject.RuntimeClass, g.scenes.namespace, subject.suffix)
		if err != nil {
			mutex.Lock()
			defer mutex.Unlock()
			effects[subject.RuntimeClass] = err.Error()
		}
	}
	if err := g.setUp(ctx); err != nil {
		return nil, err
	}
	g.phase("faults", func() { g.decideAll(ctx, newDecisions(g.run.Plan)) })
	g.phase("clean-up", g.cleanUp)
	if ctx.Err() != nil {
		return nil, errors.New("interrupted")
	}
	if err := g.write(); err != nil {
		return nil, err
	}
	for _, phase := range g.run.Phases {
		g.printer.Printf("%s: %.1f s", phase.Name, phase.Seconds)
	}
	outcomes := []faultOutcome{outcomeOf(faultyruntime.Fault{Name: faultyruntime.Healthy, Sentence: "Nothing: the runtime hands over to runc."}, "", faulty.Selected, g.run.Results)}
	for _, fault := range faults {
		outcomes = append(outcomes, outcomeOf(fault, effects[fault.Name], faulty.Selected, g.run.Results))
	}
	return outcomes, nil
}

// outcomeOf compares what was decided under a fault with what it must turn. A trait without a result counts as undecided.
func outcomeOf(fault faultyruntime.Fault, noEffect string, traits []Trait, results []reports.Result) faultOutcome {
	outcome := faultOutcome{Fault: fault.Name, Sentence: fault.Sentence, NoEffect: noEffect, Turned: []string{}, Undecided: []string{}}
	verdicts := map[string]reports.Verdict{}
	for _, result := range results {
		if _, class, _ := strings.Cut(result.Subject, "/"); class == fault.Name {
			verdicts[result.Trait] = result.Verdict
		}
	}
	for _, trait := range traits {
		must := slices.Contains(fault.Traits, trait.ID)
		obscured := slices.ContainsFunc(fault.Obscures, func(pattern string) bool { return matches(pattern, trait.ID) })
		switch verdicts[trait.ID] {
		case reports.Nonconformant:
			outcome.Turned = append(outcome.Turned, trait.ID)
			if !must {
				outcome.Blamed = append(outcome.Blamed, trait.ID)
			}
			continue
		case reports.Conformant, reports.Unsupported:
		default:
			outcome.Undecided = append(outcome.Undecided, trait.ID)
			if !must && !obscured {
				outcome.Blamed = append(outcome.Blamed, trait.ID)
			}
		}
		if must {
			outcome.Missed = append(outcome.Missed, trait.ID)
		}
	}
	return outcome
}

func matches(pattern, id string) bool {
	matched, err := path.Match(pattern, id)
	return err == nil && matched
}

func encodeOutcomes(outcomes []faultOutcome) []byte {
	content, err := json.MarshalIndent(outcomes, "", "  ")
	if err != nil {
		panic(err) // strings and lists of them cannot fail
	}
	return append(content, '\n')
}

// faultTable shows faults by traits, in Markdown that reads well in a terminal.
func faultTable(outcomes []faultOutcome, traits []Trait) string {
	var text strings.Builder
	text.WriteString("# What the suite makes of faulty runtimes\n\nN is nonconformant, ? undecided, an exclamation mark is a surprise. Every other cell is conformant.\n\n")
	width := 0
	for _, trait := range traits {
		width = max(width, len(trait.ID))
	}
	fmt.Fprintf(&text, "| %-*s |", width, "trait")
	for number := range outcomes {
		fmt.Fprintf(&text, " %2d |", number)
	}
	fmt.Fprintf(&text, "\n|%s|%s\n", strings.Repeat("-", width+2), strings.Repeat("----|", len(outcomes)))
	for _, trait := range traits {
		fmt.Fprintf(&text, "| %-*s |", width, trait.ID)
		for _, outcome := range outcomes {
			cell := " "
			if slices.Contains(outcome.Turned, trait.ID) {
				cell = "N"
			}
			if slices.Contains(outcome.Undecided, trait.ID) {
				cell = "?"
			}
			if slices.Contains(outcome.Missed, trait.ID) || slices.Contains(outcome.Blamed, trait.ID) {
				cell += "!"
			}
			fmt.Fprintf(&text, " %2s |", cell)
		}
		text.WriteString("\n")
	}
	text.WriteString("\n")
	exact := 0
	for number, outcome := range outcomes {
		state := "exact"
		if !outcome.exact() {
			state = "NOT EXACT"
		} else {
			exact++
		}
		fmt.Fprintf(&text, "- %d `%s`: %s (%d turned, %s)\n", number, outcome.Fault, outcome.Sentence, len(outcome.Turned), state)
	}
	fmt.Fprintf(&text, "\n%d of %d exact\n", exact, len(outcomes))
	return text.String()
}

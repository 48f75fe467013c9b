package suite

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sharedpid.example/reports"
)

// twoTraits are one that passes and one that fails as long as it is told to, which both rest on a probe.
func twoTraits(undecided *bool, looks map[string]int) []Trait {
	var mutex sync.Mutex // traits are checked side by side
	fixture := newFixture("pair", "one")
	probe := &Probe[string]{Name: "shared look", Fixtures: []Fixture{fixture}, Look: func(ctx context.Context, session *Session) (string, error) {
		seen, err := session.Exec(ctx, fixture, "one", "a look", "stat -f -c %t /sys/fs/cgroup")
		if err != nil {
			return "", err
		}
		return seen[0].Output, nil
	}}
	check := func(id string, undecide bool) Trait {
		trait := newTrait(id, func(ctx context.Context, session *Session, _ Judge) error {
			mutex.Lock()
			looks[id]++
			mutex.Unlock()
			if _, err := probe.Of(ctx, session); err != nil {
				return err
			}
			if undecide && *undecided {
				return Undecided(reports.Lost, "the API was lost")
			}
			return nil
		})
		trait.Needs = []Need{probe}
		return trait
	}
	return []Trait{check("group/decided", false), check("group/undecided", true)}
}

// TestARunGoesOnWithoutRepeatingWhatIsDecided on the cluster where it began, and what it left there is removed first.
func TestARunGoesOnWithoutRepeatingWhatIsDecided(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		undecided, looks := true, map[string]int{}
		traits := twoTraits(&undecided, looks)
		options := func() Options {
			asked := Options{Traits: traits, Arguments: []string{"--profile=core"}, SuiteVersion: "v1", Limits: DefaultLimits()}
			asked.Run = NewRun(asked)
			return asked
		}
		before := newCluster(t, newNode("a", identified("1"))).mustRun(t, options())
		before.Arguments = append(before.Arguments, "--keep=true") // changes nothing about what is asked
		cluster := newCluster(t, newNode("a", identified("1")), newNode("new", identified("2")), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
			Name: "sharedpid-" + before.ID, Labels: map[string]string{RunLabel: before.ID, OwnerLabel: Owner},
		}})
		undecided = false
		time.Sleep(time.Hour)
		asked, err := options().GoOn(before, "keep")
		if err != nil {
			t.Fatal(err)
		}
		run := cluster.mustRun(t, asked)
		if looks["group/decided"] != 1 || looks["group/undecided"] != 2 {
			t.Errorf("checks were made so often: %v", looks)
		}
		if run.ID != before.ID || !run.Start.Equal(before.Start) || len(run.Resumed) != 1 || len(run.Targets) != 1 {
			t.Errorf("the run is %s of %s, resumed %v, on %v", run.ID, run.Start, run.Resumed, run.Targets)
		}
		if count := reports.CountVerdicts(run.Outcomes()); count[reports.Conformant] != 2 || len(run.Results) != 2 {
			t.Errorf("%s", count)
		}
		if len(run.LeftOut) != 1 || run.LeftOut[0].Name != "new" {
			t.Errorf("left out are %v", run.LeftOut)
		}
		judged, err := JudgeAgain(run, traits)
		if err != nil || reports.CountVerdicts(judged.Outcomes())[reports.Conformant] != 2 {
			t.Errorf("judged again it is %s: %v", reports.CountVerdicts(judged.Outcomes()), err)
		}
		var attempts []string
		for _, look := range run.Looks {
			if strings.Contains(look.By, attemptMark) {
				attempts = append(attempts, look.By)
			}
		}
		if strings.Join(attempts, ", ") != "shared look #1, shared look #2" {
			t.Errorf("shared looks are %q", attempts)
		}
		if _, err := options().GoOn(run, "keep"); err == nil || !strings.Contains(err.Error(), "nothing is left to decide") {
			t.Errorf("a whole run: %v", err)
		}
	})
}

// TestARunGoesOnOnlyWithTheSame: another question or another cluster is another run.
func TestARunGoesOnOnlyWithTheSame(t *testing.T) {
	asked := Options{Traits: []Trait{newTrait("group/a", passes)}, Arguments: []string{"--profile=core"}, SuiteVersion: "v1"}
	asked.Run = NewRun(asked)
	asked.Run.Command = "run"
	for name, test := range map[string]struct {
		change  func(*reports.Run)
		problem string
	}{
		"other options":   {func(run *reports.Run) { run.Arguments = []string{"--profile=full"} }, "sharedpid run --profile=full --resume=DIRECTORY"},
		"another suite":   {func(run *reports.Run) { run.SuiteVersion = "v2" }, `was made by the suite "v2" and this is "v1"`},
		"another command": {func(run *reports.Run) { run.Command = "faults" }, "was made by sharedpid faults"},
	} {
		before := asked.Run
		test.change(&before)
		if _, err := asked.GoOn(before); err == nil || !strings.Contains(err.Error(), test.problem) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, test := range map[string]struct {
		node    *corev1.Node
		problem string
	}{
		"another node of its name": {newNode("a", identified("other")), "node a is another one than when it began"},
		"no such node":             {newNode("b", identified("1")), "there is no node a"},
		"a node that is cordoned":  {newNode("a", identified("1"), cordoned), "a is cordoned"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				only := []reports.Target{{ID: "a", Node: "a", NodeUID: "1"}}
				_, _, err := findTargets(t.Context(), newCluster(t, test.node, newNode("z")).api, nodeSelection{only: only}, noClass, time.Minute)
				if err == nil || !strings.Contains(err.Error(), test.problem) {
					t.Errorf("%v", err)
				}
			})
		})
	}
}

package main

import (
	"maps"
	"strings"
	"testing"

	"sharedpid.example/reports"
)

// after is what was counted after a run, the same each time but for some.
func after(number int, changed map[string]float64) counted {
	all := map[string]float64{}
	for _, each := range figures {
		all[each.name] = 100
	}
	maps.Copy(all, changed)
	return counted{Run: number, Profile: "core", Verdict: reports.Conformant, Figures: all}
}

func TestGrowthIsWhatIsBeyondTheTolerance(t *testing.T) {
	var runs []counted
	for number := range 20 {
		runs = append(runs, after(number+1, nil))
	}
	runs[0] = after(1, map[string]float64{"sandboxes": 1}) // the tenth of all is the second
	runs[10] = after(11, map[string]float64{"sandboxes": 900})
	runs[19] = after(20, map[string]float64{"mounts": 104, "processes": 90, "files open in the kubelet": 111})
	if grown := growth(runs); len(grown) > 0 {
		t.Errorf("within the tolerances grew %q", grown)
	}
	runs[19] = after(20, map[string]float64{"sandboxes": 101, "mounts": 105, "files open in the kubelet": 112})
	if grown := growth(runs); len(grown) != 3 || grown[0] != "sandboxes: 100 after run 2, 101 after run 20, and may be 100" {
		t.Errorf("beyond the tolerances grew %q", grown)
	}
}

func TestWhatIsGoingAwayHasNotSettled(t *testing.T) {
	before := after(1, nil).Figures
	if !settledFrom(before, after(1, map[string]float64{"MiB of containerd": 7}).Figures) {
		t.Error("what always changes is waited for")
	}
	if settledFrom(before, after(1, map[string]float64{"sandboxes": 99}).Figures) {
		t.Error("a sandbox that went counts as settled")
	}
}

func TestParseTakesANumberForEachName(t *testing.T) {
	if got, err := parse([]string{"a", "b"}, " 12\n3\n"); err != nil || got["a"] != 12 || got["b"] != 3 {
		t.Errorf("parsed are %v, %v", got, err)
	}
	for _, printed := range []string{"12", "12\n3\n4", "12\nx"} {
		if got, err := parse([]string{"a", "b"}, printed); err == nil {
			t.Errorf("%q is taken as %v", printed, got)
		}
	}
}

func TestTableHasAColumnForEachRun(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(table([]counted{after(1, nil), after(2, nil)})), "\n")
	for _, line := range lines[2:] {
		if strings.Count(line, "|") != 5 {
			t.Errorf("the row has other cells than two runs and a tolerance: %s", line)
		}
	}
	if len(lines) != len(figures)+6 {
		t.Errorf("there are %d lines", len(lines))
	}
}

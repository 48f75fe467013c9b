package main

import (
	"fmt"
	"strings"
	"testing"

	"sharedpid.example/reports"
)

func measured(nodes int, factor float64) measurement {
	figure := func(base float64) float64 { return base * float64(nodes) / 50 * factor }
	return measurement{
		Selection: "every node", Nodes: nodes, Targets: nodes, Results: nodes, Seconds: figure(10), MemoryBytes: int64(figure(8 << 20)),
		Requests: int(figure(400)), MostInOneSecond: 100, Cap: 100, FileBytes: map[string]int64{"report.html": int64(figure(100_000))},
	}
}

func TestProblems(t *testing.T) {
	small, large := measured(50, 1), measured(500, 1)
	for name, test := range map[string]struct {
		change func(*measurement)
		want   string // the problems, none when empty
	}{
		"linear":          {func(*measurement) {}, ""},
		"a bit of noise":  {func(large *measurement) { large.Seconds, large.MostInOneSecond = large.Seconds*1.2, 125 }, ""},
		"too slow":        {func(large *measurement) { large.Seconds *= 1.5 }, "time is 1.50 times what linear growth from 50 nodes gives"},
		"too much memory": {func(large *measurement) { large.Nodes, large.MemoryBytes = 50_000, memoryBound+1 }, "memory of 1024 MiB is more than 1024 MiB"},
		"too large a page": {
			func(large *measurement) {
				large.Nodes, large.FileBytes = 50_000, map[string]int64{"report.html": htmlBound + 1}
			},
			"report.html of 15.7 MB is more than 15 MB",
		},
		"too many requests": {func(large *measurement) { large.MostInOneSecond = 126 }, "126 requests arrived in one second, and 100 may be sent"},
		"another selection": {func(large *measurement) { large.Selection, large.Seconds = "another", large.Seconds*9 }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			changed := large
			test.change(&changed)
			if found := strings.Join(problems([]measurement{small, changed}), "\n"); test.want == "" && found != "" || !strings.Contains(found, test.want) {
				t.Errorf("the problems are %q, want %q", found, test.want)
			}
		})
	}
}

func TestTable(t *testing.T) {
	lines := strings.Split(table([]measurement{measured(50, 1), measured(500, 0.5)}), "\n")
	for line, want := range map[int]string{
		2: "| every node | 50 | 50 | 50 | 10s | 8 MiB | 400 | 100 | 100 | 0.00 MB | 0.10 MB |",
		3: "| every node | 500 | 500 | 500 | 50s (0.50) | 40 MiB (0.50) | 2000 (0.50) | 100 | 100 | 0.00 MB (0.00) | 0.50 MB (0.50) |",
	} {
		if !strings.HasPrefix(lines[line], want) {
			t.Errorf("line %d is %q, want %q", line, lines[line], want)
		}
	}
}

func TestReadRequests(t *testing.T) {
	var log strings.Builder
	for _, at := range []string{"00.000000", "00.500000", "00.999999", "01.400000", "01.499999", "03.000000"} {
		fmt.Fprintf(&log, `{"kind":"Event","requestReceivedTimestamp":"2026-01-02T03:04:%sZ"}`+"\n", at)
	}
	requests, most, err := readRequests(strings.NewReader(log.String()))
	if err != nil || requests != 6 || most != 4 {
		t.Errorf("%d requests, %d in one second, %v; want 6, and 4 in one second", requests, most, err)
	}
	if _, _, err := readRequests(strings.NewReader("no event")); err == nil {
		t.Error("a log that is none is accepted")
	}
}

func TestVerdicts(t *testing.T) {
	targets := []reports.Target{{ID: "sound"}, {ID: "faulty", Runtime: faultyRuntime}}
	result := func(target string, verdict reports.Verdict) reports.Result {
		return reports.Result{Trait: "some/trait", Target: target, Verdict: verdict}
	}
	for name, test := range map[string]struct {
		sound, faulty reports.Verdict
		want          string // the problem, none when empty
	}{
		"as they are":       {reports.Conformant, reports.Nonconformant, ""},
		"unsupported":       {reports.Unsupported, reports.Nonconformant, ""},
		"a sound one fails": {reports.Nonconformant, reports.Nonconformant, "some/trait on sound is nonconformant"},
		"not looked at":     {reports.Inconclusive, reports.Nonconformant, "some/trait on sound is inconclusive"},
		"not noticed":       {reports.Conformant, reports.Conformant, "the faulty node faulty was not noticed"},
	} {
		t.Run(name, func(t *testing.T) {
			err := verdicts(reports.Run{Targets: targets, Results: []reports.Result{result("sound", test.sound), result("faulty", test.faulty)}})
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

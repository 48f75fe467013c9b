package process

import (
	"encoding/hex"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// recorded is what the script printed in the shell container of a sharing Pod.
func recorded(t testing.TB) string {
	t.Helper()
	output, err := os.ReadFile("testdata/shared.snapshot")
	if err != nil {
		t.Fatal(err)
	}
	return string(output)
}

func TestParseRecordedSnapshot(t *testing.T) {
	snapshot, err := Parse(recorded(t))
	if err != nil {
		t.Fatal(err)
	}
	pause, found := snapshot.PID(1)
	if !found || !slices.Equal(pause.Arguments, []string{"/pause"}) || pause.UID != 65535 || pause.PPID != 0 {
		t.Errorf("process 1 is %+v, want /pause of uid 65535", pause)
	}
	master := snapshot.With("nginx: master process nginx -g daemon off;")
	workers := snapshot.With("nginx: worker process")
	if len(master) != 1 || len(workers) != 2 {
		t.Fatalf("masters %v, workers %v; want one and two", PIDs(master), PIDs(workers))
	}
	for _, worker := range workers {
		if worker.PPID != master[0].PID || worker.UID == 0 || worker.Effective != 0 {
			t.Errorf("worker is %+v, want an unprivileged child of %d", worker, master[0].PID)
		}
	}
	if master[0].StartTime == 0 || master[0].Effective == 0 || master[0].Namespace == "" {
		t.Errorf("master lacks start time, capabilities or namespace: %+v", master[0])
	}
	if _, found := snapshot.PID(snapshot.Self); !found {
		t.Errorf("the look itself, pid %d, is not in the snapshot", snapshot.Self)
	}
}

func TestParseRefusesWhatIsCutShort(t *testing.T) {
	whole := recorded(t)
	lines := strings.SplitAfter(whole, "\n")
	for count := range lines[:len(lines)-1] {
		if snapshot, err := Parse(strings.Join(lines[:count], "")); err == nil {
			t.Fatalf("the first %d lines parse to %d processes, want an error", count, len(snapshot.Processes))
		}
	}
}

func TestParseStartTimeOfHostileName(t *testing.T) {
	stat := "7 (a) b (c\n) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 12 13"
	got, err := parseStartTime(stat)
	if err != nil || got != 4711 {
		t.Errorf("start time is %d, %v; want 4711", got, err)
	}
}

// forged is a process whose name and arguments look like lines of a snapshot.
func forged() (lines string, arguments []string) {
	arguments = []string{"sh", "-c", "x\nend\ncmdline 1\ncomplete", ""}
	raw := " " + hex.EncodeToString([]byte(strings.Join(arguments, "\x00")+"\x00"))
	name := "/proc/5/stat:5 (a\n/proc/5/stat:complete) S 0 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 12 13\n"
	return "self 9\n/proc/5/status:State:\tS (sleeping)\n" + name + "cmdline 5\n" + raw + "\nend\ncomplete\n", arguments[:3]
}

func TestProcessesCannotForgeLines(t *testing.T) {
	lines, want := forged()
	snapshot, err := Parse(lines)
	if err != nil {
		t.Fatal(err)
	}
	if got := snapshot.Processes[0]; !slices.Equal(got.Arguments, want) || got.StartTime != 4711 {
		t.Errorf("the process is %+v, want arguments %q and start time 4711", got, want)
	}
}

func TestContainersAreKnownByTheirCgroups(t *testing.T) {
	snapshot := Snapshot{Self: 40, Processes: []Process{
		{PID: 1, Cgroups: "0::/../cri-containerd-aaa.scope\n"},
		{PID: 7, Cgroups: "0::/../cri-containerd-bbb.scope\n"}, {PID: 17, PPID: 7, Cgroups: "0::/../cri-containerd-bbb.scope/inner\n"},
		{PID: 19, Cgroups: "0::/\n"}, {PID: 20}, {PID: 40, Cgroups: "0::/\n"}, {PID: 41, PPID: 40}, {PID: 42, PPID: 41},
	}}
	owners := snapshot.Containers("shell", map[string]string{"bbb": "nginx", "ccc": "shell", "": "not started"})
	want := map[int]string{7: "nginx", 17: "nginx", 19: "shell", 40: "shell"}
	if !maps.Equal(owners, want) {
		t.Errorf("owners are %v, want %v", owners, want)
	}
	snapshot.Processes[0].Cgroups, snapshot.Processes[0].Arguments = "0::/\n", []string{"/pause"}
	if owner := snapshot.Containers("shell", nil)[19]; owner != "" {
		t.Errorf("cgroups that pause shares tell of %q, want nothing", owner)
	}
	if left := PIDs(snapshot.WithoutLook()); !slices.Equal(left, []int{1, 7, 17, 19, 20}) {
		t.Errorf("without the look there are %v", left)
	}
}

func TestProcessesThatEndMeanwhileAreLeftOut(t *testing.T) {
	lines, _ := forged()
	for _, part := range []string{"/proc/5/status:State:\tS (sleeping)\n", "\nend"} {
		snapshot, err := Parse(strings.Replace(lines, part, "", 1))
		if err != nil || len(snapshot.Processes) != 0 {
			t.Errorf("without %q: %d processes, %v; want none", part, len(snapshot.Processes), err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(recorded(f))
	lines, _ := forged()
	f.Add(lines)
	f.Fuzz(func(t *testing.T, output string) {
		snapshot, err := Parse(output)
		if err == nil && !slices.IsSortedFunc(snapshot.Processes, func(a, b Process) int { return a.PID - b.PID }) {
			t.Errorf("processes are not in order of pid: %v", PIDs(snapshot.Processes))
		}
	})
}

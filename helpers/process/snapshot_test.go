package process

import (
	"encoding/hex"
	"maps"
	"os"
	"os/exec"
	"reflect"
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
	names := map[string]string{"bbb": "nginx", "ccc": "shell", "": "not started"}
	want := map[int]string{7: "nginx", 17: "nginx", 19: "shell", 40: "shell"}
	if owners := snapshot.Containers("shell", names); !maps.Equal(owners, want) {
		t.Errorf("owners are %v, want %v", owners, want)
	}
	snapshot.Processes[0].Cgroups = "0::/\n"
	if owner := snapshot.Containers("shell", nil)[19]; owner != "" {
		t.Errorf("cgroups that process 1 shares tell of %q, want nothing", owner)
	}
	if left := PIDs(snapshot.WithoutLook()); !slices.Equal(left, []int{1, 7, 17, 19, 20}) {
		t.Errorf("without the look there are %v", left)
	}
}

// Cgroups as the look sees its own and those of other containers, and mount namespaces.
const (
	own, nginx, sandbox = "0::/\n", "0::/../cri-containerd-bbb.scope\n", "0::/../cri-containerd-aaa.scope\n"
	mount1, mount2      = "mnt:[1]", "mnt:[2]"
)

func TestFirstIsKnownByWhatItIs(t *testing.T) {
	names := map[string]string{"bbb": "nginx", "ccc": "shell", "": "not started"}
	look := Process{PID: 40, Cgroups: own, MountNamespace: mount1}
	for name, test := range map[string]struct {
		first  Process // without a pid there is none
		look   Process
		want   Holder
		owners string // whose process 1 is
	}{
		"pause":         {Process{PID: 1, Arguments: []string{"/pause"}, Cgroups: sandbox, MountNamespace: mount2}, look, HolderPod, ""},
		"another name":  {Process{PID: 1, Arguments: []string{"/infra"}, Cgroups: sandbox}, look, HolderPod, ""},
		"no name":       {Process{PID: 1, Cgroups: sandbox}, look, HolderPod, ""},
		"a container's": {Process{PID: 1, Arguments: []string{"/pause"}, Cgroups: nginx, MountNamespace: mount2}, look, HolderContainer, "nginx"},
		"the node's init": {
			Process{PID: 1, Arguments: []string{"/pause"}, Cgroups: "0::/../../../init.scope\n", MountNamespace: mount2}, look, HolderForeign, "",
		},
		"unshared": {Process{PID: 1, Arguments: []string{"sh"}, Cgroups: own, MountNamespace: mount1}, look, HolderContainer, "shell"},
		"unshared, called pause": {
			Process{PID: 1, Arguments: []string{"/pause"}, Cgroups: own, MountNamespace: mount1}, look, HolderContainer, "shell",
		},
		"unshared, in a cgroup of its own": {
			Process{PID: 1, Arguments: []string{"/sbin/init"}, Cgroups: "0::/init.scope\n", MountNamespace: mount1}, look, HolderContainer, "shell",
		},
		"cgroups that tell nothing": {Process{
			PID:            1,
			Arguments:      []string{"/pause"},
			Cgroups:        own,
			MountNamespace: mount2,
		}, look, HolderUnknown, ""},
		"mount namespace unknown":  {Process{PID: 1, Arguments: []string{"sh"}, Cgroups: own}, look, HolderUnknown, ""},
		"cgroups unread":           {Process{PID: 1, Arguments: []string{"/pause"}, MountNamespace: mount2}, look, HolderUnknown, ""},
		"no process 1":             {Process{}, look, HolderUnknown, ""},
		"the look sees not itself": {Process{PID: 1, Cgroups: sandbox}, Process{}, HolderUnknown, ""},
		"both mounts unknown":      {Process{PID: 1, Cgroups: sandbox}, Process{PID: 40, Cgroups: own}, HolderPod, ""},
		"version 1, without a cgroup namespace": {
			Process{PID: 1, Cgroups: "2:pids:/kubepods/pod1/aaa\n0::/kubepods/pod1/aaa\n"},
			Process{PID: 40, Cgroups: "2:pids:/kubepods/pod1/ccc\n0::/kubepods/pod1/ccc\n"}, HolderPod, "",
		},
		"a kernel of the Pod's own": {
			Process{PID: 1, Arguments: []string{"/pause"}, Cgroups: "7:pids:/\n1:cpu:/\n"},
			Process{PID: 40, Cgroups: "7:pids:/ccc\n1:cpu:/ccc\n"}, HolderUnknown, "",
		},
		"version 1, another Pod's": {
			Process{PID: 1, Cgroups: "2:pids:/kubepods/pod2/aaa\n0::/kubepods/pod2/aaa\n"},
			Process{PID: 40, Cgroups: "2:pids:/kubepods/pod1/ccc\n0::/kubepods/pod1/ccc\n"}, HolderForeign, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			snapshot := Snapshot{Self: 40, Processes: []Process{test.first, test.look}}
			snapshot.Owners = snapshot.Containers("shell", names)
			if got := snapshot.First(); got != test.want {
				t.Errorf("process 1 is of %d, want %d", got, test.want)
			}
			if owner := snapshot.Owners[1]; owner != test.owners {
				t.Errorf("process 1 is of %q, want %q", owner, test.owners)
			}
		})
	}
}

// TestProcessesAreKnownByTheirMountNamespace where cgroups do not tell containers apart.
func TestProcessesAreKnownByTheirMountNamespace(t *testing.T) {
	snapshot := Snapshot{Self: 40, Processes: []Process{
		{PID: 1, Cgroups: own, MountNamespace: "mnt:[3]"}, {PID: 7, Cgroups: own, MountNamespace: mount2},
		{PID: 19, Cgroups: own, MountNamespace: mount1}, {PID: 20, Cgroups: own}, {PID: 40, Cgroups: own, MountNamespace: mount1},
	}}
	want := map[int]string{19: "shell", 40: "shell"}
	if owners := snapshot.Containers("shell", nil); !maps.Equal(owners, want) {
		t.Errorf("owners are %v, want %v", owners, want)
	}
}

// TestARecordingWithoutCgroupsTellsNothingOfTheSandbox although process 1 is called pause in it.
func TestARecordingWithoutCgroupsTellsNothingOfTheSandbox(t *testing.T) {
	snapshot, err := Parse(recorded(t))
	if err != nil {
		t.Fatal(err)
	}
	if snapshot.Owners = snapshot.Containers("shell", nil); snapshot.First() != HolderUnknown {
		t.Errorf("process 1 is of %d", snapshot.First())
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

func TestParseReadsWhatTheScriptPrints(t *testing.T) {
	output, err := exec.CommandContext(t.Context(), "sh", "-c", Script).Output()
	if err != nil {
		t.Fatal(err)
	}
	snapshot, err := Parse(string(output))
	if err != nil {
		t.Fatal(err)
	}
	self, found := snapshot.PID(snapshot.Self)
	if !found || self.PPID != os.Getpid() || len(self.Arguments) != 3 || self.UID != os.Geteuid() {
		t.Errorf("the look is %+v, %t; its parent is this test, %d", self, found, os.Getpid())
	}
	if pids := self.NamespacePIDs; len(pids) == 0 || pids[0] != self.PID {
		t.Errorf("the look has pids %v in its namespaces, want %d first", pids, self.PID)
	}
	for name, got := range map[string]string{"pid": self.Namespace, "mnt": self.MountNamespace} {
		if want, err := os.Readlink("/proc/self/ns/" + name); err != nil || got != want {
			t.Errorf("%s namespace is %q, want %q, %v", name, got, want, err)
		}
	}
	if groups, err := os.Getgroups(); err != nil || !slices.Equal(self.Groups, groups) {
		t.Errorf("groups are %v, want %v, %v", self.Groups, groups, err)
	}
}

func TestParseReadsStatus(t *testing.T) {
	snapshot, err := Parse("self 5\n" +
		"/proc/5/status:State:\tS (sleeping)\n/proc/5/status:PPid:\t3\n/proc/5/status:Uid:\t1\t2\t3\t4\n/proc/5/status:Gid:\t5\t6\t7\t8\n" +
		"/proc/5/status:Groups:\t10 20 \n/proc/5/status:NSpid:\t5\t1\n" +
		"/proc/5/status:CapPrm:\t00000000000000ff\n/proc/5/status:CapEff:\t000000000000000f\n" +
		"/proc/5/stat:5 (a) S 3 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 12 13\n/proc/5/cgroup:0::/\n" +
		"lrwxrwxrwx 1 0 0 0 Nov 24 15:00 /proc/5/ns/mnt -> mnt:[2]\nlrwxrwxrwx 1 0 0 0 Nov 24 15:00 /proc/5/ns/pid -> pid:[1]\n" +
		"lrwxrwxrwx 1 0 0 0 Nov 24 15:00 /proc/6/ns/pid\ncmdline 5\n 61 00\nend\ncomplete\n")
	want := Process{
		PID: 5, PPID: 3, State: "S", UID: 2, GID: 6, UIDs: [4]int{1, 2, 3, 4}, GIDs: [4]int{5, 6, 7, 8}, Groups: []int{10, 20},
		NamespacePIDs: []int{5, 1}, Permitted: 0xff, Effective: 0xf, StartTime: 4711, Arguments: []string{"a"},
		Namespace: "pid:[1]", MountNamespace: "mnt:[2]", Cgroups: "0::/\n",
	}
	if err != nil || len(snapshot.Processes) != 1 || !reflect.DeepEqual(snapshot.Processes[0], want) {
		t.Errorf("the processes are %+v, %v\nwant %+v", snapshot.Processes, err, want)
	}
}

func TestParseRefusesWhatTheScriptDoesNotPrint(t *testing.T) {
	huge := strings.Repeat("9", 30)
	for _, line := range []string{
		"", "whatever", "self x", "cmdline x",
		"/proc/" + huge + "/stat:x", "x /proc/" + huge + "/ns/pid -> pid:[1]", "x /proc/5/ns/net -> net:[1]",
		"/proc/5/status:State:", "/proc/5/status:whatever", "/proc/5/status:Name:\tx", "/proc/5/status:PPid:\tx", "/proc/5/status:Uid:\t1\t2\t3",
		"/proc/5/status:Gid:\t1\t2\t3\t4\t5", "/proc/5/status:Uid:\t1\t2\t3\tx", "/proc/5/status:Groups:\tx", "/proc/5/status:NSpid:\tx",
		"/proc/5/status:NSpid:", "/proc/5/status:CapPrm:\tx", "/proc/5/status:CapEff:\tx", " 61 00", "end",
	} {
		if snapshot, err := Parse("self 5\n" + line + "\ncomplete\n"); err == nil {
			t.Errorf("%q is accepted: %+v", line, snapshot)
		}
	}
	whole := "self 5\n/proc/5/status:State:\tS\n/proc/5/stat:5 (a) S 3 7 7 0 -1 4 1 2 3 4 5 6 7 8 20 0 1 0 4711 12\n" +
		"cmdline 5\n 61 00\nend\ncomplete\n"
	if _, err := Parse(whole); err != nil {
		t.Fatal(err)
	}
	for old, damaged := range map[string]string{
		" 61 00\n": " 6\n", " 4711 ": " x ", "20 0 1 0 4711 12": "20", "(a)": "a", "complete\n": "complete\nself 5\n",
	} {
		if snapshot, err := Parse(strings.Replace(whole, old, damaged, 1)); err == nil {
			t.Errorf("%q in the place of %q is accepted: %+v", damaged, old, snapshot)
		}
	}
}

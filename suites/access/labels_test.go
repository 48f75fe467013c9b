package access

import (
	"maps"
	"strings"
	"testing"

	"sharedpid.example/helpers/process"
)

func TestExplainLabels(t *testing.T) {
	const containerd, stacked = "cri-containerd.apparmor.d (enforce)", "cri-containerd.apparmor.d//&unconfined (enforce)"
	const selinux, otherSelinux = "system_u:system_r:container_t:s0:c1,c2", "system_u:system_r:spc_t:s0"
	for name, test := range map[string]struct {
		labels      Labels
		module      string
		execDiffers bool
		words       string
	}{
		"no module":                     {Labels{}, "", false, ""},
		"unconfined":                    {Labels{"unconfined", "unconfined", "unconfined"}, "", false, ""},
		"the target alone is confined":  {Labels{"unconfined", "unconfined", containerd}, "", false, ""},
		"a profile that only complains": {Labels{"x (complain)", "x (complain)", "x (complain)"}, "", false, ""},
		"AppArmor":                      {Labels{containerd, containerd, "unconfined"}, "apparmor", false, "may do to its target (unconfined)"},
		"SELinux":                       {Labels{selinux, selinux, selinux}, "selinux", false, "confines the look (" + selinux + ")"},
		"a target without a label":      {Labels{containerd, containerd, ""}, "apparmor", false, "(unknown)"},
		"a start process without one":   {Labels{containerd, "", containerd}, "apparmor", false, "confines the look"},
		"exec is stacked":               {Labels{stacked, containerd, containerd}, "apparmor", true, "containerd#12886"},
		"exec has another SELinux type": {Labels{otherSelinux, selinux, selinux}, "selinux", true, otherSelinux + ", its start"},
		"exec alone is confined":        {Labels{containerd, "unconfined", "unconfined"}, "apparmor", true, "containerd#12886"},
		"exec alone is unconfined":      {Labels{"unconfined", containerd, containerd}, "", true, "containerd#12886"},
		"the look's own is not known":   {Labels{"", containerd, containerd}, "", false, ""},
	} {
		got := test.labels.Explain()
		if got.Module != test.module || got.ExecDiffers != test.execDiffers || !strings.Contains(got.Words, test.words) ||
			(got.Words == "") != (test.words == "") {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestParseLabels(t *testing.T) {
	output := "/proc/1/attr/current:unconfined\n/proc/12/attr/current:cri-containerd.apparmor.d (enforce)\n" +
		"/proc/13/attr/current:system_u:system_r:container_t:s0:c1,c2\x00\ngrep: /proc/14/attr/current: Invalid argument\n"
	want := map[int]string{
		1: "unconfined", 12: "cri-containerd.apparmor.d (enforce)", 13: "system_u:system_r:container_t:s0:c1,c2",
	}
	if got := ParseLabels(output); !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestStartLabel tells the start process from what exec left in the same container, from the look, and from siblings.
func TestStartLabel(t *testing.T) {
	labels := map[int]string{1: "pause", 7: "sibling", 20: "start", 30: "exec", 40: "look", 41: "look"}
	snapshot := process.Snapshot{Self: 40, Processes: []process.Process{
		{PID: 1, StartTime: 1, Cgroups: "0::/../pause\n"}, {PID: 7, StartTime: 2, Cgroups: "0::/../sibling\n"},
		{PID: 20, StartTime: 5, Cgroups: "0::/\n"}, {PID: 19, StartTime: 30, Cgroups: "0::/\n"}, {PID: 30, StartTime: 20, Cgroups: "0::/\n"},
		{PID: 40, StartTime: 40, Cgroups: "0::/\n"}, {PID: 41, PPID: 40, StartTime: 41, Cgroups: "0::/\n"},
	}}
	if got := StartLabel(snapshot, labels); got != "start" {
		t.Errorf("label %q", got)
	}
	// A container of which nothing is seen but the look shows no start process.
	lonely := process.Snapshot{Self: 40, Processes: []process.Process{snapshot.Processes[0], snapshot.Processes[5], snapshot.Processes[6]}}
	if got := StartLabel(lonely, labels); got != "" {
		t.Errorf("label %q of the look itself", got)
	}
	// Where the cgroups of all processes are the same, nobody can tell.
	for i := range snapshot.Processes {
		snapshot.Processes[i].Cgroups = "0::/\n"
	}
	if got := StartLabel(snapshot, labels); got != "" {
		t.Errorf("label %q of a container that cannot be told", got)
	}
}

func TestPermits(t *testing.T) {
	master, worker := party("master", 0, defaultCapabilities), party("worker", 101, 0)
	for _, test := range []struct {
		caller, target Party
		operation      string
		want           bool
	}{
		{party("root", 0, defaultCapabilities), master, "root", true},
		{party("root without any", 0, 0), master, "root", false},
		{party("root without any", 0, 0), master, "signal", true},
		{party("root", 0, defaultCapabilities), worker, "environ", false},
		{party("root", 0, defaultCapabilities|CapPerfmon), worker, "environ", false}, // not by rules that every kernel has
		{party("root", 0, defaultCapabilities|CapSysPtrace), worker, "environ", true},
		{party("uid 1000", 1000, 0), worker, "signal", false},
	} {
		if got := Permits(test.caller, test.target, test.operation); got != test.want {
			t.Errorf("%s of %s by %s is permitted: %t", test.operation, test.target.Name, test.caller.Name, got)
		}
	}
}

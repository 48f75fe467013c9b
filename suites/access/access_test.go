package access

import (
	"slices"
	"strings"
	"testing"

	"sharedpid.example/helpers/process"
	"sharedpid.example/reports"
)

// defaultCapabilities are those that containerd gives a container of root.
const defaultCapabilities = 0xa80425fb

func party(name string, uid int, capabilities uint64) Party {
	ids := [4]int{uid, uid, uid, uid}
	return Party{Name: name, Owner: uid, Process: process.Process{
		UID: uid, GID: uid, UIDs: ids, GIDs: ids, Effective: capabilities, Permitted: capabilities,
	}}
}

// TestExpectedAccess holds the rules to the matrix as it was measured on kernel 6.18 with containerd 2.4 and runc 1.5.
func TestExpectedAccess(t *testing.T) {
	master, worker, pause := party("master", 0, defaultCapabilities), party("worker", 101, 0), party("pause", 65535, 0)
	tracer := party("tracer", 0, defaultCapabilities|CapSysPtrace)
	undumpable := party("undumpable", 101, 0)
	undumpable.Owner = 0
	for _, test := range []struct {
		caller, target Party
		ptrace, signal string
	}{
		{tracer, master, Allowed, Allowed},
		{tracer, worker, Allowed, Allowed},
		{tracer, pause, Allowed, Allowed},
		{tracer, undumpable, Allowed, Allowed},
		{party("root", 0, defaultCapabilities), master, Allowed, Allowed},
		{party("root", 0, defaultCapabilities), tracer, "EACCES", Allowed},
		{party("root", 0, defaultCapabilities), worker, "EACCES", Allowed},
		{party("root", 0, defaultCapabilities), pause, "EACCES", Allowed},
		{party("root less KILL", 0, defaultCapabilities&^CapKill), master, "EACCES", Allowed},
		{party("root less KILL", 0, defaultCapabilities&^CapKill), worker, "EACCES", "EPERM"},
		{party("root without any", 0, 0), master, "EACCES", Allowed},
		{party("root without any", 0, 0), pause, "EACCES", "EPERM"},
		{party("uid 1000", 1000, 0), master, "EACCES", "EPERM"},
		{party("the worker's uid", 101, 0), worker, Allowed, Allowed},
		{party("the worker's uid", 101, 0), undumpable, "EACCES", Allowed},
		{party("the worker's uid", 101, 0), master, "EACCES", "EPERM"},
	} {
		for _, operation := range Operations {
			want := test.ptrace
			switch operation.check {
			case checkSignal:
				want = test.signal
			case checkNothing:
				want = Allowed
			}
			got, rule, narrowed := Expected(test.caller, test.target, operation, Platform{})
			if got != want || rule == "" || narrowed != "" {
				t.Errorf("%s of %s by %s is %s (%s, narrowed by %q), want %s", operation.Name, test.target.Name,
					test.caller.Name, got, rule, narrowed, want)
			}
		}
	}
}

func TestExpectedAccessIsNarrowed(t *testing.T) {
	operation := func(name string) Operation {
		for _, each := range Operations {
			if each.Name == name {
				return each
			}
		}
		t.Fatal(name)
		return Operation{}
	}
	visitor, owner := party("visitor", 1000, 0), party("owner", 0, defaultCapabilities)
	for name, test := range map[string]struct {
		caller, target  Party
		operation       string
		platform        Platform
		want, narrowing string
	}{
		"Yama forbids to attach":        {visitor, visitor, "mem", Platform{Yama: 1}, "EACCES", "yama"},
		"Yama lets read":                {visitor, visitor, "environ", Platform{Yama: 1}, Allowed, ""},
		"Yama spares CAP_SYS_PTRACE":    {party("tracer", 0, CapSysPtrace|capDACOverride), visitor, "mem", Platform{Yama: 2}, Allowed, ""},
		"Yama spares nobody":            {party("tracer", 0, CapSysPtrace|capDACOverride), visitor, "mem", Platform{Yama: 3}, "EACCES", "yama"},
		"hidepid=2 hides":               {visitor, owner, "cmdline", Platform{Hidepid: Hidepid{Level: "2"}}, "ENOENT", "hidepid"},
		"hidepid=1 refuses":             {visitor, owner, "cmdline", Platform{Hidepid: Hidepid{Level: "noaccess"}}, "EPERM", "hidepid"},
		"hidepid spares its group":      {party("root", 0, 0), visitor, "cmdline", Platform{Hidepid: Hidepid{Level: "2"}}, Allowed, ""},
		"hidepid spares what is one's":  {visitor, visitor, "cmdline", Platform{Hidepid: Hidepid{Level: "2"}}, Allowed, ""},
		"hidepid=4 spares no group":     {party("root", 0, 0), visitor, "cmdline", Platform{Hidepid: Hidepid{Level: "4"}}, "ENOENT", "hidepid"},
		"hidepid has no say in signals": {visitor, owner, "signal", Platform{Hidepid: Hidepid{Level: "2"}}, "EPERM", ""},
	} {
		got, _, narrowed := Expected(test.caller, test.target, operation(test.operation), test.platform)
		if got != test.want || narrowed != test.narrowing {
			t.Errorf("%s: %s, narrowed by %q, want %s, %q", name, got, narrowed, test.want, test.narrowing)
		}
	}
}

// TestGroupsCount holds the rule of ptrace(2) that gids must be equal as well as uids.
func TestGroupsCount(t *testing.T) {
	caller, target := party("caller", 1000, 0), party("target", 1000, 0)
	if allowed, _ := ptraceAccess(caller, target); !allowed {
		t.Fatal("equal uids and gids must be allowed")
	}
	for i := range 3 {
		other := target
		other.GIDs[i] = 2000
		if allowed, _ := ptraceAccess(caller, other); allowed {
			t.Errorf("gid %d of the target is another one, and access is allowed", i)
		}
	}
	caller.GIDs[3] = 2000
	if allowed, _ := ptraceAccess(caller, target); allowed {
		t.Error("the caller's file system gid is another one, and access is allowed")
	}
}

func TestOtherUserNamespaceGrantsNothing(t *testing.T) {
	tracer, worker := party("tracer", 0, CapSysPtrace|capDACOverride|CapKill), party("worker", 101, 0)
	tracer.UserNamespace, worker.UserNamespace = "user:[1]", "user:[2]"
	if allowed, _ := ptraceAccess(tracer, worker); allowed {
		t.Error("CAP_SYS_PTRACE of another user namespace must not count")
	}
	if got, _, _ := expectedSignal(tracer, worker); got != "EPERM" {
		t.Errorf("CAP_KILL of another user namespace gives %s", got)
	}
}

func TestSecurityModuleIsBelievedInRefusing(t *testing.T) {
	caller := party("root", 0, defaultCapabilities)
	refused := make([]string, len(Operations))
	for i := range refused {
		refused[i] = "EACCES"
	}
	cells := func(label string) []reports.Access {
		caller.Label = label
		matrix := Matrix{Targets: []Party{party("master", 0, defaultCapabilities)}}
		matrix.Add(caller, Platform{}, refused)
		return matrix.Cells
	}
	for label, module := range map[string]string{
		"": "", "unconfined": "", "cri-containerd.apparmor.d (complain)": "",
		"cri-containerd.apparmor.d (enforce)": "apparmor", "system_u:system_r:container_t:s0:c1,c2": "selinux",
	} {
		for _, cell := range cells(label) {
			open := cell.Operation == "cmdline" || cell.Operation == "status"
			if wanted := module != "" && !open; (cell.Observed == cell.Want) != wanted || wanted && cell.Narrowed != module {
				t.Errorf("label %q: %+v", label, cell)
			}
		}
	}
	caller.Permissive = true
	for _, cell := range cells("system_u:system_r:container_t:s0:c1,c2") {
		if cell.Want != Allowed || cell.Narrowed != "" {
			t.Errorf("SELinux that refuses nothing is taken for what narrows: %+v", cell)
		}
	}
}

// TestPerfmonReadsMemory holds a caller with CAP_PERFMON or CAP_SYS_ADMIN to the one rule that its kernel has shown to follow.
func TestPerfmonReadsMemory(t *testing.T) {
	const initial, other = initialUserNamespace, "user:[4026533000]"
	observed := func(open ...string) []string {
		cells := make([]string, 0, 2*len(Operations))
		for range 2 { // two targets of other uids
			for _, operation := range Operations {
				result := "EACCES"
				if operation.check == checkNothing || operation.check == checkSignal || slices.Contains(open, operation.Name) {
					result = Allowed
				}
				cells = append(cells, result)
			}
		}
		return cells
	}
	at := func(target int, operation string) int {
		return target*len(Operations) + slices.IndexFunc(Operations, func(each Operation) bool { return each.Name == operation })
	}
	change := func(cells []string, target int, operation, result string) []string {
		cells[at(target, operation)] = result
		return cells
	}
	for name, test := range map[string]struct {
		capabilities uint64
		namespace    string
		observed     []string
		differing    []string
	}{
		"PERFMON on an older kernel":        {CapPerfmon, initial, observed(), nil},
		"PERFMON on a newer kernel":         {CapPerfmon, initial, observed("environ", "maps"), nil},
		"SYS_ADMIN on an older kernel":      {CapSysAdmin, initial, observed(), nil},
		"SYS_ADMIN on a newer kernel":       {CapSysAdmin, initial, observed("environ", "maps"), nil},
		"granted although nobody asked":     {0, initial, observed("environ", "maps"), []string{"environ", "maps", "environ", "maps"}},
		"granted in another user namespace": {CapPerfmon, other, observed("environ", "maps"), []string{"environ", "maps", "environ", "maps"}},
		"refused in another user namespace": {CapPerfmon, other, observed(), nil},
		"maps without environ":              {CapPerfmon, initial, observed("maps"), []string{"environ", "environ"}},
		"environ without maps":              {CapPerfmon, initial, observed("environ"), []string{"environ", "environ"}},
		"memory beside maps":                {CapPerfmon, initial, observed("environ", "maps", "mem"), []string{"mem", "mem"}},
		"everything that ptrace guards": {
			CapPerfmon, initial, observed("environ", "maps", "mem", "cwd", "root", "exe", "fd", "ns"),
			[]string{"cwd", "root", "exe", "fd", "mem", "ns", "cwd", "root", "exe", "fd", "mem", "ns"},
		},
		"maps of the first stranger and no other": {
			CapPerfmon, initial, change(observed("environ", "maps"), 1, "maps", "EACCES"), []string{"maps"},
		},
		"maps of the second stranger and no other": {CapPerfmon, initial, change(observed(), 1, "maps", Allowed), []string{"maps"}},
	} {
		t.Run(name, func(t *testing.T) {
			caller := party("caller", 0, defaultCapabilities|test.capabilities)
			caller.UserNamespace = test.namespace
			matrix := Matrix{Targets: []Party{party("worker", 101, 0), party("pause", 65535, 0)}}
			for i := range matrix.Targets {
				matrix.Targets[i].UserNamespace = test.namespace
			}
			matrix.Add(caller, Platform{}, test.observed)
			var differing []string
			for _, cell := range matrix.Cells {
				if cell.Observed != cell.Want {
					differing = append(differing, cell.Operation)
				}
			}
			if !slices.Equal(differing, test.differing) {
				t.Errorf("%v differ from the rules, want %v", differing, test.differing)
			}
		})
	}
}

// TestPerfmonIsAskedFor: only a caller that has the capability shows the kernel's rule, and only such a caller profits from it.
func TestPerfmonIsAskedFor(t *testing.T) {
	worker := party("worker", 101, 0)
	allowed := slices.Repeat([]string{Allowed}, len(Operations))
	maps := slices.IndexFunc(Operations, func(operation Operation) bool { return operation.Name == "maps" })
	for capabilities, want := range map[uint64]bool{
		defaultCapabilities: false, CapPerfmon: true, CapSysAdmin: true,
		CapPerfmon | CapSysPtrace: false, // to which no target is a stranger
	} {
		caller := party("caller", 0, capabilities)
		if got := perfmonReadsMemory(caller, []Party{worker}, allowed); got != want {
			t.Errorf("CapEff %016x: the kernel's rule is shown: %t", capabilities, got)
		}
	}
	got, _, _ := Expected(party("root", 0, defaultCapabilities), worker, Operations[maps], Platform{PerfmonReadsMemory: true})
	if got != "EACCES" {
		t.Errorf("maps are %s to a caller without the capability", got)
	}
}

// TestPerfmonPassesNoModes: the environment is its owner's only, and CAP_PERFMON does not change that.
func TestPerfmonPassesNoModes(t *testing.T) {
	caller := party("caller", 0, CapPerfmon)
	for operation, want := range map[string]string{"environ": "EACCES", "maps": Allowed} {
		at := slices.IndexFunc(Operations, func(each Operation) bool { return each.Name == operation })
		got, _, _ := Expected(caller, party("worker", 101, 0), Operations[at], Platform{PerfmonReadsMemory: true})
		if got != want {
			t.Errorf("%s is %s, want %s", operation, got, want)
		}
	}
}

func TestParseHidepid(t *testing.T) {
	for line, want := range map[string]Hidepid{
		"proc /proc proc rw,nosuid,nodev,noexec,relatime 0 0":    {},
		"proc /proc proc rw,relatime,hidepid=2 0 0":              {Level: "2"},
		"proc /proc proc rw,gid=1234,hidepid=invisible 0 0":      {Level: "invisible", GID: 1234},
		"proc /proc proc rw,relatime,hidepid=off 0 0":            {},
		"proc /proc proc rw,hidepid=ptraceable,subset=pid 0 0\n": {Level: "ptraceable"},
	} {
		if got := ParseHidepid(line); got != want {
			t.Errorf("%q: %+v, want %+v", line, got, want)
		}
	}
}

func TestParseAccess(t *testing.T) {
	var output strings.Builder
	for i, operation := range Operations {
		output.WriteString(operation.Name)
		output.WriteString([]string{
			" 0 \n", " 1 sh: can't open: Permission denied\n", " 1 sh: something else\n", " 127 sh: true: No such file or directory\n",
			" 126 sh: true: Permission denied\n", " 2 \n",
		}[i%6])
	}
	got, err := Parse(output.String(), 1)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{
		Allowed, "EACCES", "failed: 1 sh: something else", "failed: 127 sh: true: No such file or directory",
		"failed: 126 sh: true: Permission denied", "failed: 2",
	} {
		if got[i] != want || Decided(got[i]) != (i < 2) {
			t.Errorf("observation %d is %q, decided: %t, want %q", i, got[i], Decided(got[i]), want)
		}
	}
	for _, broken := range []string{"", output.String() + "more\n", strings.Replace(output.String(), "status", "state", 1)} {
		if _, err := Parse(broken, 1); err == nil {
			t.Errorf("no error for %q", broken)
		}
	}
}

func FuzzParseAccess(f *testing.F) {
	f.Add("signal 0 \ncmdline 1 x\n")
	f.Fuzz(func(t *testing.T, output string) {
		if observed, err := Parse(output, 1); err == nil && len(observed) != len(Operations) {
			t.Errorf("%d observations", len(observed))
		}
	})
}

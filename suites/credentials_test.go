package suites

import (
	"strings"
	"testing"

	"github.com/onsi/gomega"

	"sharedpid.example/helpers/pod"
	"sharedpid.example/helpers/process"
	"sharedpid.example/reports"
)

func TestJudgeDenials(t *testing.T) {
	denied := func() []pod.Observation {
		var observations []pod.Observation
		for _, operation := range guardedOperations {
			words := map[string]string{"EACCES": "Permission denied", "EPERM": "Operation not permitted"}[operation.errno]
			observations = append(observations, pod.Observation{Command: operation.command, Output: words, ExitCode: 1})
		}
		return observations
	}
	expectVerdict(t, reports.Conformant, func(g gomega.Gomega) { judgeDenials(g, hidepid{}, denied()) })
	for i := range denied() {
		observations := denied()
		observations[i] = pod.Observation{Output: "something"}
		expectVerdict(t, reports.Nonconformant, func(g gomega.Gomega) { judgeDenials(g, hidepid{}, observations) })
	}
	// A process that is gone denies nothing, unless /proc is known to hide it.
	gone := denied()
	gone[1] = pod.Observation{Output: "No such file or directory", ExitCode: 1}
	expectVerdict(t, reports.Nonconformant, func(g gomega.Gomega) { judgeDenials(g, hidepid{}, gone) })
	expectVerdict(t, reports.Conformant, func(g gomega.Gomega) { judgeDenials(g, hidepid{level: "2"}, gone) })
}

// defaultCapabilities are those that containerd gives a container of root.
const defaultCapabilities = 0xa80425fb

func party(name string, uid int, capabilities uint64) accessParty {
	ids := [4]int{uid, uid, uid, uid}
	return accessParty{name: name, owner: uid, Process: process.Process{
		UID: uid, GID: uid, UIDs: ids, GIDs: ids, Effective: capabilities, Permitted: capabilities,
	}}
}

// TestExpectedAccess holds the rules to the matrix as it was measured on kernel 6.18 with containerd 2.4 and runc 1.5.
func TestExpectedAccess(t *testing.T) {
	master, worker, pause := party("master", 0, defaultCapabilities), party("worker", 101, 0), party("pause", 65535, 0)
	tracer := party("tracer", 0, defaultCapabilities|capSysPtrace)
	undumpable := party("undumpable", 101, 0)
	undumpable.owner = 0
	for _, test := range []struct {
		caller, target accessParty
		ptrace, signal string
	}{
		{tracer, master, accessAllowed, accessAllowed},
		{tracer, worker, accessAllowed, accessAllowed},
		{tracer, pause, accessAllowed, accessAllowed},
		{tracer, undumpable, accessAllowed, accessAllowed},
		{party("root", 0, defaultCapabilities), master, accessAllowed, accessAllowed},
		{party("root", 0, defaultCapabilities), tracer, "EACCES", accessAllowed},
		{party("root", 0, defaultCapabilities), worker, "EACCES", accessAllowed},
		{party("root", 0, defaultCapabilities), pause, "EACCES", accessAllowed},
		{party("root less KILL", 0, defaultCapabilities&^capKill), master, "EACCES", accessAllowed},
		{party("root less KILL", 0, defaultCapabilities&^capKill), worker, "EACCES", "EPERM"},
		{party("root without any", 0, 0), master, "EACCES", accessAllowed},
		{party("root without any", 0, 0), pause, "EACCES", "EPERM"},
		{party("uid 1000", 1000, 0), master, "EACCES", "EPERM"},
		{party("the worker's uid", 101, 0), worker, accessAllowed, accessAllowed},
		{party("the worker's uid", 101, 0), undumpable, "EACCES", accessAllowed},
		{party("the worker's uid", 101, 0), master, "EACCES", "EPERM"},
	} {
		for _, operation := range accessOperations {
			want := test.ptrace
			switch operation.check {
			case checkSignal:
				want = test.signal
			case checkNothing:
				want = accessAllowed
			}
			got, rule, narrowed := expectedAccess(test.caller, test.target, operation, accessPlatform{})
			if got != want || rule == "" || narrowed != "" {
				t.Errorf("%s of %s by %s is %s (%s, narrowed by %q), want %s", operation.name, test.target.name, test.caller.name, got, rule, narrowed, want)
			}
		}
	}
}

func TestExpectedAccessIsNarrowed(t *testing.T) {
	operation := func(name string) accessOperation {
		for _, each := range accessOperations {
			if each.name == name {
				return each
			}
		}
		t.Fatal(name)
		return accessOperation{}
	}
	visitor, owner := party("visitor", 1000, 0), party("owner", 0, defaultCapabilities)
	for name, test := range map[string]struct {
		caller, target  accessParty
		operation       string
		platform        accessPlatform
		want, narrowing string
	}{
		"Yama forbids to attach":        {visitor, visitor, "mem", accessPlatform{yama: 1}, "EACCES", "yama"},
		"Yama lets read":                {visitor, visitor, "environ", accessPlatform{yama: 1}, accessAllowed, ""},
		"Yama spares CAP_SYS_PTRACE":    {party("tracer", 0, capSysPtrace|capDACOverride), visitor, "mem", accessPlatform{yama: 2}, accessAllowed, ""},
		"Yama spares nobody":            {party("tracer", 0, capSysPtrace|capDACOverride), visitor, "mem", accessPlatform{yama: 3}, "EACCES", "yama"},
		"hidepid=2 hides":               {visitor, owner, "cmdline", accessPlatform{hidepid: hidepid{level: "2"}}, "ENOENT", "hidepid"},
		"hidepid=1 refuses":             {visitor, owner, "cmdline", accessPlatform{hidepid: hidepid{level: "noaccess"}}, "EPERM", "hidepid"},
		"hidepid spares its group":      {party("root", 0, 0), visitor, "cmdline", accessPlatform{hidepid: hidepid{level: "2"}}, accessAllowed, ""},
		"hidepid spares what is one's":  {visitor, visitor, "cmdline", accessPlatform{hidepid: hidepid{level: "2"}}, accessAllowed, ""},
		"hidepid=4 spares no group":     {party("root", 0, 0), visitor, "cmdline", accessPlatform{hidepid: hidepid{level: "4"}}, "ENOENT", "hidepid"},
		"hidepid has no say in signals": {visitor, owner, "signal", accessPlatform{hidepid: hidepid{level: "2"}}, "EPERM", ""},
	} {
		got, _, narrowed := expectedAccess(test.caller, test.target, operation(test.operation), test.platform)
		if got != test.want || narrowed != test.narrowing {
			t.Errorf("%s: %s, narrowed by %q, want %s, %q", name, got, narrowed, test.want, test.narrowing)
		}
	}
}

func TestOtherUserNamespaceGrantsNothing(t *testing.T) {
	tracer, worker := party("tracer", 0, capSysPtrace|capDACOverride|capKill), party("worker", 101, 0)
	tracer.userNamespace, worker.userNamespace = "user:[1]", "user:[2]"
	if allowed, _ := ptraceAccess(tracer, worker); allowed {
		t.Error("CAP_SYS_PTRACE of another user namespace must not count")
	}
	if got, _, _ := expectedSignal(tracer, worker); got != "EPERM" {
		t.Errorf("CAP_KILL of another user namespace gives %s", got)
	}
}

func TestSecurityModuleIsBelievedInRefusing(t *testing.T) {
	caller := party("root", 0, defaultCapabilities)
	refused := make([]string, len(accessOperations))
	for i := range refused {
		refused[i] = "EACCES"
	}
	cells := func(label string) []reports.Access {
		caller.label = label
		matrix := accessMatrix{targets: []accessParty{party("master", 0, defaultCapabilities)}}
		matrix.add(caller, accessPlatform{}, refused)
		return matrix.cells
	}
	for label, module := range map[string]string{
		"": "", "unconfined": "", "cri-containerd.apparmor.d (complain)": "",
		"cri-containerd.apparmor.d (enforce)": "apparmor", "system_u:system_r:container_t:s0:c1,c2": "selinux",
	} {
		for _, cell := range cells(label) {
			open := cell.Operation == "cmdline" || cell.Operation == "status"
			if wanted := module != "" && !open; (cell.Observed == cell.Expected) != wanted || wanted && cell.Narrowed != module {
				t.Errorf("label %q: %+v", label, cell)
			}
		}
	}
}

func TestParseHidepid(t *testing.T) {
	for line, want := range map[string]hidepid{
		"proc /proc proc rw,nosuid,nodev,noexec,relatime 0 0":    {},
		"proc /proc proc rw,relatime,hidepid=2 0 0":              {level: "2"},
		"proc /proc proc rw,gid=1234,hidepid=invisible 0 0":      {level: "invisible", gid: 1234},
		"proc /proc proc rw,relatime,hidepid=off 0 0":            {},
		"proc /proc proc rw,hidepid=ptraceable,subset=pid 0 0\n": {level: "ptraceable"},
	} {
		if got := parseHidepid(line); got != want {
			t.Errorf("%q: %+v, want %+v", line, got, want)
		}
	}
}

func TestParseAccess(t *testing.T) {
	var output strings.Builder
	for i, operation := range accessOperations {
		output.WriteString(operation.name)
		output.WriteString([]string{" 0 \n", " 1 sh: can't open: Permission denied\n", " 1 sh: something else\n"}[i%3])
	}
	got, err := parseAccess(output.String(), 1)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{accessAllowed, "EACCES", "failed: 1 sh: something else"} {
		if got[i] != want {
			t.Errorf("observation %d is %q, want %q", i, got[i], want)
		}
	}
	for _, broken := range []string{"", output.String() + "more\n", strings.Replace(output.String(), "status", "state", 1)} {
		if _, err := parseAccess(broken, 1); err == nil {
			t.Errorf("no error for %q", broken)
		}
	}
}

func FuzzParseAccess(f *testing.F) {
	f.Add("signal 0 \ncmdline 1 x\n")
	f.Fuzz(func(t *testing.T, output string) {
		if observed, err := parseAccess(output, 1); err == nil && len(observed) != len(accessOperations) {
			t.Errorf("%d observations", len(observed))
		}
	})
}

func TestJudgeCapabilities(t *testing.T) {
	callers := func() []accessParty {
		return []accessParty{
			party(callerTracer, 0, defaultCapabilities|capSysPtrace), party(callerRoot, 0, defaultCapabilities),
			party(callerRootLessKill, 0, defaultCapabilities&^capKill), party(callerRootBare, 0, 0), party(callerInert, 1000, 0),
			party(callerRootKill, 0, capKill),
		}
	}
	expectVerdict(t, reports.Conformant, func(g gomega.Gomega) { judgeCapabilities(g, callers()) })
	for i := range callers() {
		wrong := callers()
		wrong[i].Effective ^= capSysPtrace
		expectVerdict(t, reports.Nonconformant, func(g gomega.Gomega) { judgeCapabilities(g, wrong) })
	}
	withoutKill := callers()
	withoutKill[1].Effective &^= capKill
	expectVerdict(t, reports.Nonconformant, func(g gomega.Gomega) { judgeCapabilities(g, withoutKill) })
	nothing := callers()
	nothing[5].Effective = 0
	expectVerdict(t, reports.Nonconformant, func(g gomega.Gomega) { judgeCapabilities(g, nothing) })
}

func TestJudgeSameUID(t *testing.T) {
	environ, file := pod.Observation{Output: "PATH=/bin\x00HOME=/\x00"}, pod.Observation{Output: "canary-for-everyone"}
	expectVerdict(t, reports.Conformant, func(g gomega.Gomega) { judgeSameUID(g, environ, file, observedNothing) })
	expectVerdict(t, reports.Nonconformant, func(g gomega.Gomega) { judgeSameUID(g, observedDenied, file, observedNothing) })
	expectVerdict(t, reports.Nonconformant, func(g gomega.Gomega) { judgeSameUID(g, observedNothing, file, observedNothing) })
	expectVerdict(t, reports.Nonconformant, func(g gomega.Gomega) { judgeSameUID(g, environ, observedDenied, observedNothing) })
	expectVerdict(t, reports.Nonconformant, func(g gomega.Gomega) { judgeSameUID(g, environ, file, observedDenied) })
}

func TestJudgeAccess(t *testing.T) {
	cell := reports.Access{Caller: callerRoot, Target: targetMaster, Operation: "root", Expected: accessAllowed, Observed: accessAllowed}
	refused := cell
	refused.Observed = "EACCES"
	narrowed := refused
	narrowed.Expected, narrowed.Narrowed = "EACCES", "apparmor"
	claim := []accessClaim{{accessAllowed, callerRoot, targetMaster, []string{"root"}}}
	for _, test := range []struct {
		cell reports.Access
		want reports.Verdict
	}{{cell, reports.Conformant}, {refused, reports.Nonconformant}, {narrowed, reports.Conformant}} {
		cells := []reports.Access{test.cell}
		expectVerdict(t, test.want, func(g gomega.Gomega) { judgeAccess(g, cells) })
		expectVerdict(t, test.want, func(g gomega.Gomega) { judgeClaims(g, accessMatrix{cells: cells}, claim) })
	}
	// Nothing claimed is nothing observed.
	expectVerdict(t, reports.Nonconformant, func(g gomega.Gomega) { judgeClaims(g, accessMatrix{}, nil) })
}

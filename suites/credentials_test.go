package suites

import (
	"testing"

	"sharedpid.example/helpers/process"
	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
	"sharedpid.example/suites/access"
)

func TestJudgeDenials(t *testing.T) {
	denied := func() []suite.ExecResult {
		var observations []suite.ExecResult
		for _, operation := range guardedOperations {
			words := map[string]string{"EACCES": "Permission denied", "EPERM": "Operation not permitted"}[operation.errno]
			observations = append(observations, suite.ExecResult{Command: operation.command, Output: words, ExitCode: 1})
		}
		return observations
	}
	expectVerdict(t, reports.Conformant, func(judge suite.Judge) { judgeDenials(judge, access.Hidepid{}, denied()) })
	for i := range denied() {
		observations := denied()
		observations[i] = suite.ExecResult{Output: "something"}
		expectVerdict(t, reports.Nonconformant, func(judge suite.Judge) { judgeDenials(judge, access.Hidepid{}, observations) })
	}
	// What fails in another way is no refusal, and accuses nobody.
	for _, other := range []suite.ExecResult{
		{Output: "sh: cat: not found", ExitCode: 127},
		{Output: "sh: cat: Permission denied", ExitCode: 126},
		{Output: "sh: syntax error", ExitCode: 2},
		{Output: "Operation not permitted", ExitCode: 1}, // what seccomp profiles answer
	} {
		observations := denied()
		observations[2] = other
		expectVerdict(t, reports.Inconclusive, func(judge suite.Judge) { judgeDenials(judge, access.Hidepid{}, observations) })
		// What another one is allowed accuses all the same.
		observations[4] = suite.ExecResult{Output: "something"}
		expectVerdict(t, reports.Nonconformant, func(judge suite.Judge) { judgeDenials(judge, access.Hidepid{}, observations) })
	}
	// A process that is gone denies nothing, unless /proc is known to hide it.
	gone := denied()
	gone[1] = suite.ExecResult{Output: "No such file or directory", ExitCode: 1}
	expectVerdict(t, reports.Inconclusive, func(judge suite.Judge) { judgeDenials(judge, access.Hidepid{}, gone) })
	expectVerdict(t, reports.Conformant, func(judge suite.Judge) { judgeDenials(judge, access.Hidepid{Level: "2"}, gone) })
}

// defaultCapabilities are those that containerd gives a container of root.
const defaultCapabilities = 0xa80425fb

func party(name string, uid int, capabilities uint64) access.Party {
	ids := [4]int{uid, uid, uid, uid}
	return access.Party{Name: name, Owner: uid, Process: process.Process{
		UID: uid, GID: uid, UIDs: ids, GIDs: ids, Effective: capabilities, Permitted: capabilities,
	}}
}

func TestJudgeCapabilities(t *testing.T) {
	callers := func() []access.Party {
		return []access.Party{
			party(access.CallerTracer, 0, defaultCapabilities|access.CapSysPtrace), party(access.CallerRoot, 0, defaultCapabilities),
			party(access.CallerRootLessKill, 0, defaultCapabilities&^access.CapKill), party(access.CallerRootBare,
				0, 0), party(access.CallerInert, 1000, 0),
			party(access.CallerRootKill, 0, access.CapKill),
			party(access.CallerPerfmon, 0, defaultCapabilities|access.CapPerfmon),
			party(access.CallerAdmin, 0, defaultCapabilities|access.CapSysAdmin),
		}
	}
	expectVerdict(t, reports.Conformant, func(judge suite.Judge) { judgeCapabilities(judge, callers()) })
	for i := range callers() {
		for _, capability := range siblingCapabilities {
			wrong := callers()
			wrong[i].Effective ^= capability.bit
			expectVerdict(t, reports.Nonconformant, func(judge suite.Judge) { judgeCapabilities(judge, wrong) })
		}
	}
	for _, i := range []int{1, 6, 7} {
		withoutKill := callers()
		withoutKill[i].Effective &^= access.CapKill
		expectVerdict(t, reports.Nonconformant, func(judge suite.Judge) { judgeCapabilities(judge, withoutKill) })
	}
	nothing := callers()
	nothing[5].Effective = 0
	expectVerdict(t, reports.Nonconformant, func(judge suite.Judge) { judgeCapabilities(judge, nothing) })
}

func TestJudgeSameUID(t *testing.T) {
	environ, file := suite.ExecResult{Output: "PATH=/bin\x00HOME=/\x00"}, suite.ExecResult{Output: "canary-for-everyone"}
	expectVerdict(t, reports.Conformant, func(judge suite.Judge) { judgeSameUID(judge, environ, file, observedNothing) })
	expectVerdict(t, reports.Nonconformant, func(judge suite.Judge) { judgeSameUID(judge, observedDenied, file, observedNothing) })
	expectVerdict(t, reports.Nonconformant, func(judge suite.Judge) { judgeSameUID(judge, observedNothing, file, observedNothing) })
	expectVerdict(t, reports.Nonconformant, func(judge suite.Judge) { judgeSameUID(judge, environ, observedDenied, observedNothing) })
	expectVerdict(t, reports.Nonconformant, func(judge suite.Judge) { judgeSameUID(judge, environ, file, observedDenied) })
	expectVerdict(t, reports.Inconclusive, func(judge suite.Judge) { judgeSameUID(judge, observedNotRun, file, observedNothing) })
}

func TestJudgeAccess(t *testing.T) {
	const profile, stacked = "cri-containerd.apparmor.d (enforce)", "cri-containerd.apparmor.d//&unconfined (enforce)"
	cell := reports.Access{
		Caller:    access.CallerRoot,
		Target:    access.TargetMaster,
		Operation: "root",
		Want:      access.Allowed,
		Observed:  access.Allowed,
	}
	refused := cell
	refused.Observed = "EACCES"
	narrowed := refused
	narrowed.Want, narrowed.Narrowed = "EACCES", "apparmor"
	broken := cell
	broken.Observed = "failed: 127 sh: true: not found"
	hidden := refused
	hidden.Observed, hidden.Want, hidden.Narrowed = "ENOENT", "ENOENT", "hidepid"
	claim := []accessClaim{{access.Allowed, access.CallerRoot, access.TargetMaster, []string{"root"}}}
	for _, test := range []struct {
		cell              reports.Access
		label, startLabel string
		cells, claims     reports.Verdict
	}{
		{cell, "", "", reports.Conformant, reports.Conformant},
		{cell, profile, profile, reports.Conformant, reports.Conformant},
		{refused, "", "", reports.Nonconformant, reports.Nonconformant},
		{broken, "", "", reports.Inconclusive, reports.Inconclusive},
		// The rules hold where a module narrows them, and what is claimed of them cannot be had there.
		{narrowed, profile, profile, reports.Conformant, reports.Unsupported},
		{narrowed, stacked, profile, reports.Conformant, reports.Inconclusive},
		{hidden, profile, profile, reports.Conformant, reports.Conformant},
	} {
		caller := party(access.CallerRoot, 0, defaultCapabilities)
		caller.Label, caller.StartLabel = test.label, test.startLabel
		matrix := access.Matrix{
			Cells: []reports.Access{test.cell}, Callers: []access.Party{caller},
			Targets: []access.Party{party(access.TargetMaster, 0, defaultCapabilities)},
		}
		expectVerdict(t, test.cells, func(judge suite.Judge) { judgeAccess(judge, matrix.Cells) })
		expectVerdict(t, test.claims, func(judge suite.Judge) { judgeClaims(judge, matrix, claim) })
	}
	// A caller whose shell fails accuses nobody, and hides nothing of the others.
	elsewhere := refused
	elsewhere.Caller = access.CallerStranger
	expectVerdict(t, reports.Inconclusive, func(judge suite.Judge) { judgeAccess(judge, []reports.Access{broken, refused}) })
	expectVerdict(t, reports.Nonconformant, func(judge suite.Judge) { judgeAccess(judge, []reports.Access{broken, elsewhere}) })
	// Nothing claimed is nothing observed.
	expectVerdict(t, reports.Inconclusive, func(judge suite.Judge) { judgeClaims(judge, access.Matrix{}, nil) })
}

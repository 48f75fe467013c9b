package suites

import (
	"slices"
	"testing"

	"sharedpid.example/helpers/process"
	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
	"sharedpid.example/suites/access"
)

// debuggedBy is a matrix in which every debugger has the credentials of change, or those that the rules give it, and meets what the rules
// say, but for the cells that observe changes.
func debuggedBy(change func(*access.Party), observe func(caller, target, operation, expected string) string) access.Matrix {
	matrix := access.Matrix{Targets: []access.Party{
		{Name: "process of another uid", Owner: 1000, Process: process.Process{UID: 1000, UIDs: [4]int{1000, 1000, 1000, 1000}, GIDs: [4]int{1000, 1000, 1000, 1000}}},
		{Name: access.TargetPause, Owner: podUser, Process: process.Process{UID: podUser, UIDs: [4]int{podUser, podUser, podUser, podUser}, GIDs: [4]int{podUser, podUser, podUser, podUser}}},
	}}
	for _, each := range debuggers {
		caller := access.Party{Name: each.name, Process: process.Process{
			UID: podUser, UIDs: [4]int{podUser, podUser, podUser, podUser}, GIDs: [4]int{podUser, podUser, podUser, podUser},
		}}
		if each.context != nil && each.context.RunAsUser != nil {
			caller.UID, caller.UIDs, caller.Effective = 0, [4]int{}, 0xa80c25fb // what runtimes give root, and CAP_SYS_PTRACE
		}
		if change != nil {
			change(&caller)
		}
		var observed []string
		for _, target := range matrix.Targets {
			for _, operation := range access.Operations {
				expected, _, _ := access.Expected(caller, target, operation, access.Platform{})
				if observe != nil {
					expected = observe(caller.Name, target.Name, operation.Name, expected)
				}
				observed = append(observed, expected)
			}
		}
		matrix.Add(caller, access.Platform{}, observed)
	}
	return matrix
}

func TestJudgeDebuggersReach(t *testing.T) {
	for name, test := range map[string]struct {
		matrix access.Matrix
		want   reports.Verdict
	}{
		"as the rules say": {debuggedBy(nil, nil), reports.Conformant},
		"a capability of another user than root": {debuggedBy(func(caller *access.Party) {
			if caller.Name == "general" {
				caller.Effective = access.CapSysPtrace
			}
		}, nil), reports.Nonconformant},
		"root in a Pod of another user": {debuggedBy(func(caller *access.Party) {
			if caller.Name == "baseline" {
				caller.UID, caller.UIDs = 0, [4]int{}
			}
		}, nil), reports.Nonconformant},
		"the Pod's user where the container names root": {debuggedBy(func(caller *access.Party) {
			if caller.Name == "sysadmin-as-root" {
				caller.UID = podUser
			}
		}, nil), reports.Nonconformant},
		"a debugger without a right reaches another uid": {debuggedBy(nil, func(caller, target, operation, expected string) string {
			if caller == "restricted" && target != access.TargetPause && operation == "root" {
				return access.Allowed
			}
			return expected
		}), reports.Nonconformant},
		"a debugger does not reach what it may": {debuggedBy(nil, func(caller, target, operation, expected string) string {
			if caller == "baseline" && target == access.TargetPause && operation == "environ" {
				return "EACCES"
			}
			return expected
		}), reports.Nonconformant},
		"nobody reaches another uid": {debuggedBy(nil, func(caller, target, operation, expected string) string {
			if caller == tracingDebugger && operation == "environ" {
				return "EACCES"
			}
			return expected
		}), reports.Inconclusive},
		"a program is missing": {debuggedBy(nil, func(caller, _, operation, expected string) string {
			if caller == "netadmin" && operation == "signal" {
				return access.Observed("127", "kill: not found")
			}
			return expected
		}), reports.Inconclusive},
	} {
		outcome := suite.Conclude(func(judge suite.Judge) error { judgeDebuggersReach(judge, test.matrix); return nil })
		if outcome.Verdict != test.want {
			t.Errorf("%s: verdict is %s (%s), want %s", name, outcome.Verdict, outcome.Reason, test.want)
		}
	}
}

// TestDebuggersAreTriedAsTheyAre holds the Pod that admission is asked about to the debuggers that are added.
func TestDebuggersAreTriedAsTheyAre(t *testing.T) {
	pods, err := debuggersTried.Pods()
	if err != nil || len(pods) != 1 || len(pods[0].Spec.Containers) != len(debuggers) {
		t.Fatalf("%d Pods, %v", len(pods), err)
	}
	for i, container := range pods[0].Spec.Containers {
		if container.SecurityContext != debuggers[i].context {
			t.Errorf("%s is tried with another security context", container.Name)
		}
	}
	if !slices.ContainsFunc(debuggers, isTracing) {
		t.Errorf("there is no %s", tracingDebugger)
	}
}

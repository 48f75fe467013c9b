// Package sample holds the runs that the tests of all forms of a report use.
package sample

import (
	"strings"
	"time"

	"sharedpid.example/reports"
)

// Small is a run with a result of every verdict, one that was not run, and hostile output.
func Small() reports.Run {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	one := 1
	return reports.Run{
		SchemaVersion: reports.SchemaVersion, ID: "sample", SuiteVersion: "v0", Profile: "article", Start: start, Seconds: 12.5,
		Arguments: []string{"--profile", "article", "--label", "a b"},
		Implementation: &reports.Implementation{Organization: "Example", Project: "Node", URL: "https://example.com/node",
			Contact: "node@example.com"},
		Permission: reports.Permission{Answer: reports.MayShare},
		Cluster:    reports.Cluster{Name: "sharedpid", KubernetesVersion: "v1.37.2", Origin: "created", Engine: "podman"},
		Targets: []reports.Target{{ID: "node-1", Node: "node-1", Runtime: "containerd://2.4.2", Kubelet: "v1.37.2", Kernel: "6.18",
			OSImage: "Debian", Architecture: "amd64"}},
		Plan: []reports.Planned{
			{Trait: "credentials/uid-mismatch-denies", Target: "node-1"},
			{Trait: "inits/systemd-refuses", Target: "node-1"},
			{Trait: "namespace/pause-is-pid-1", Target: "node-1"},
			{Trait: "signals/hup-respawns-workers", Target: "node-1"},
			{Trait: "visibility/shell-sees-nginx", Target: "node-1"},
		},
		Results: []reports.Result{
			{Trait: "credentials/uid-mismatch-denies", Target: "node-1", Statement: "Others MUST be denied.", Profile: "article", Documented: true,
				Verdict: reports.Nonconformant, Reason: "cat /proc/7/environ must be refused\nExpected EACCES", Start: start, Seconds: 1.25,
				Cause: "a capability too many", NextStep: "look at the runtime's defaults",
				Evidence: []reports.Evidence{{Title: "uid 1000 against root", Where: "pod/visitor", Command: "cat /proc/7/environ",
					Output: "\x00\x1b[31m</system-out>]]>\xff| `x` <b>", ExitCode: &one, Errno: "EACCES"}}},
			{Trait: "inits/systemd-refuses", Target: "node-1", Statement: "systemd MUST NOT come up.", Profile: "article",
				Verdict: reports.Inconclusive, Kind: reports.NotStarted, Reason: "ErrImagePull",
				Start: start, Seconds: 2, Evidence: []reports.Evidence{}},
			{Trait: "namespace/pause-is-pid-1", Target: "node-1", Statement: "Process 1 MUST be pause.", Profile: "article",
				Verdict: reports.Conformant, Reason: "observed as stated", Article: "pause is not root's", Start: start, Seconds: 0.5,
				Evidence: []reports.Evidence{{Title: "processes", Where: "pod/shell", Command: "ps",
					Processes: []reports.Process{{PID: 1, UID: 65535, State: "S", Arguments: []string{"/pause"}}}}}},
			{Trait: "signals/hup-respawns-workers", Target: "node-1", Statement: "Workers MUST be replaced.", Profile: "article",
				Verdict: reports.Unsupported, Reason: "no such platform", Start: start, Evidence: []reports.Evidence{}},
		},
	}
}

// Of has one result of the trait a/b on each target, which are written NODE or NODE/CLASS.
func Of(verdict reports.Verdict, targets ...string) reports.Run {
	var run reports.Run
	for _, id := range targets {
		node, class, _ := strings.Cut(id, "/")
		run.Targets = append(run.Targets, reports.Target{ID: id, Node: node, RuntimeClass: class})
		run.Plan = append(run.Plan, reports.Planned{Trait: "a/b", Target: id})
		run.Results = append(run.Results, reports.Result{Trait: "a/b", Target: id, Verdict: verdict})
	}
	return run
}

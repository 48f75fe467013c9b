package sample

import "sharedpid.example/reports"

// SideBySide is a run under two runtimes, with a deviation that is known, one that is resolved and a new one.
func SideBySide() reports.Run {
	run := Small()
	run.Targets = []reports.Target{
		{ID: "node/runsc", Node: "node", RuntimeClass: "runsc", RuntimeHandler: "runsc", RuntimeVersion: "20260905.0",
			Runtime: "containerd://2.4.2", Kernel: "6.18, in containers 4.19"},
		{ID: "node/crun", Node: "node", RuntimeClass: "crun", RuntimeHandler: "crun", RuntimeVersion: "1.21", Runtime: "containerd://2.4.2",
			Kernel: "6.18"},
	}
	listed := &reports.Deviation{Runtime: "runsc", Versions: ">=20260905.0", Trait: "signals/pause-survives",
		Reason: "process 1 is not shielded", Consequence: "one signal ends the Pod", Link: "https://example.org/11836"}
	matrix := func(observed string) []reports.Evidence {
		return []reports.Evidence{{Title: "who may do what", Where: "matrix", Access: []reports.Access{
			{Caller: "uid 1000", Target: "pause", Operation: "cmdline", Want: "allowed", Observed: "allowed", Rule: "open to all"},
			{Caller: "uid 1000", Target: "pause", Operation: "environ", Want: "EACCES", Observed: "EACCES", Rule: "other uid"},
			{Caller: "uid 1000", Target: "pause", Operation: "ns", Want: "EACCES", Observed: observed, Rule: "other uid"},
		}}}
	}
	run.Plan, run.Results = nil, []reports.Result{
		{Trait: "credentials/access-matrix", Target: "node/crun", Statement: "Rules MUST hold.", Verdict: reports.Conformant,
			Reason: "observed as stated", Evidence: matrix("EACCES")},
		{Trait: "credentials/access-matrix", Target: "node/runsc", Statement: "Rules MUST hold.", Verdict: reports.Nonconformant,
			Reason: "1 of 3 cells differ", Evidence: matrix("allowed")},
		{Trait: "signals/pause-survives", Target: "node/crun", Statement: "Pause MUST survive.", Verdict: reports.Conformant,
			Reason: "observed as stated",
			KnownDeviation: &reports.Deviation{Runtime: "crun", Trait: "signals/pause-survives", Reason: "it once did not",
				Link: "https://example.org/1"}},
		{Trait: "signals/pause-survives", Target: "node/runsc", Statement: "Pause MUST survive.", Sources: []string{"https://example.org/man"},
			Verdict: reports.Nonconformant,
			Reason:  "the containers were restarted", KnownDeviation: listed,
			Evidence: []reports.Evidence{{Title: "before", Where: "pod/shell",
				Processes: []reports.Process{{PID: 1, UID: 65535, State: "S", Arguments: []string{"/pause"}}}}}},
	}
	run.Tasks = &reports.Tasks{Manifests: map[string]string{"matrix": "kind: Pod\n"}, Questions: []reports.Task{
		{Name: "trace", Question: "Can a container look at namespaces?", Ways: []reports.Way{{
			Needs: "nothing", Trait: "credentials/access-matrix", Pod: "matrix",
			Cell: &reports.Cell{Caller: "uid 1000", Target: "pause", Operation: "ns"},
		}}},
		{Name: "end", Risk: true, Question: "Does pause survive?", Ways: []reports.Way{{Needs: "nothing", Trait: "signals/pause-survives"}}},
	}}
	for _, result := range run.Results {
		run.Plan = append(run.Plan, result.Planned())
	}
	return run
}

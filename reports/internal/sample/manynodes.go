package sample

import (
	"fmt"

	"sharedpid.example/reports"
)

// ManyNodes is a run on more nodes than stand side by side, of two kinds. One node of the first kind has failed, and the second kind lacks
// what a trait needs.
func ManyNodes() reports.Run {
	run := Small()
	run.Targets, run.Plan, run.Results = nil, nil, nil
	for i := range 10 {
		name := fmt.Sprintf("worker-%02d", i)
		target := reports.Target{ID: name, Node: name, Runtime: "containerd://2.4.2", Kubelet: "v1.37.2", Kernel: "6.1.0", Architecture: "amd64"}
		if i >= 7 {
			target.Kernel = "6.12.1"
		}
		run.Targets = append(run.Targets, target)
		for _, trait := range traits[6:8] {
			result := reports.Result{
				Trait: trait.id, Target: name, Statement: trait.statement, Profile: "core", Verdict: reports.Conformant, Reason: "observed as stated",
				Seconds: 1.5,
			}
			switch {
			case i == 5 && trait.id == "namespace/pause-is-pid-1":
				result.Verdict, result.Reason = reports.Nonconformant, "process 1 is nginx: master process"
			case i >= 7 && trait.id == "lifecycle/orphans-are-reaped":
				result.Verdict, result.Reason = reports.Unsupported, "the node has no such runtime"
			}
			run.Plan = append(run.Plan, result.Planned())
			run.Results = append(run.Results, result)
		}
	}
	return run
}

package sample

import "sharedpid.example/reports"

// Partial is a run that is under way, about a part of the profile and of the cluster, with limits of its own, a result that ran out
// of time and one whose check failed itself.
func Partial() reports.Run {
	run := Small()
	run.Running = true
	run.Narrowed = []string{"--trait=signals/*", "--node=node-1"}
	run.Adapted = []string{"namespace.labels team=tests", "pod.priorityClassName low"}
	run.LeftOut = []reports.LeftOut{{Name: "node-8", Reason: "was lost midway: it is gone"}, {Name: "node-9/gvisor", Reason: "is cordoned"}}
	run.Permission = reports.Permission{
		Answer: reports.MayNotShare,
		Reason: "pods \"tried-1\" is forbidden: ValidatingAdmissionPolicy 'no-sharing' denied request: no sharing here",
	}
	run.Limits = map[string]string{"settling": "2m0s", "start": "5m0s"}
	run.Results[0].Verdict = reports.Conformant
	run.Results[1].Seconds = 305
	run.Results[1].Kind, run.Results[1].Reason = reports.OutOfTime, "the container did not start within 5m0s"
	run.Results[3].Verdict, run.Results[3].Kind, run.Results[3].Reason = reports.Inconclusive, reports.Defect, "index out of range"
	run.Results[3].Stack = "goroutine 7 [running]:\nmain.check()"
	return run
}

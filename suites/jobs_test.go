package suites

import (
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"sharedpid.example/reports"
)

func TestEndedJobsAreJudged(t *testing.T) {
	// ends has a Job end with conditions.
	ends := func(fixture string, conditions ...batchv1.JobConditionType) func(*reports.Look) {
		return answerTo(t, "job "+fixture+"/", func(job *batchv1.Job) {
			job.Status.Conditions = nil
			for _, each := range conditions {
				job.Status.Conditions = append(job.Status.Conditions, batchv1.JobCondition{Type: each, Status: corev1.ConditionTrue})
			}
		})
	}
	of := func(fixture string, change func(*corev1.Pod)) func(*reports.Look) {
		return answerTo(t, "wait for the kubelet to act of "+fixture+"/", func(seen *waited) { change(seen.Last) })
	}
	worker := func(seen *corev1.Pod) {
		statusOf(seen, "worker", func(status *corev1.ContainerStatus) { status.State.Terminated.ExitCode = 1 })
	}
	judgeAltered(t, jobTrait.ID, map[string]altered{
		"as it was":                        {func(*reports.Look) {}, reports.Conformant, ""},
		"a killed helper completes it":     {ends("job-helper", batchv1.JobComplete), reports.Nonconformant, ""},
		"a willing helper has it fail":     {ends("job-helper-willing", batchv1.JobFailureTarget, batchv1.JobFailed), reports.Nonconformant, ""},
		"a sidecar has it fail":            {ends("job-helper-sidecar", batchv1.JobFailed), reports.Nonconformant, ""},
		"it both completes and fails":      {ends("job-helper", batchv1.JobComplete, batchv1.JobFailed), reports.Nonconformant, ""},
		"what comes before the end":        {ends("job-helper", batchv1.JobFailureTarget, batchv1.JobFailed), reports.Conformant, ""},
		"no helper is found in time":       {of("job-helper", worker), reports.Inconclusive, reports.Precondition},
		"a Pod that succeeds all the same": {of("job-helper", func(seen *corev1.Pod) { seen.Status.Phase = corev1.PodSucceeded }), reports.Nonconformant, ""},
		"a lost API":                       {unanswered("job job-helper-willing/", reports.Lost), reports.Inconclusive, reports.Lost},
		// The transcript ends there: a Job that has not ended is looked at again.
		"a Job that does not end": {ends("job-helper"), reports.Inconclusive, reports.OutOfTime},
	})
}

// TestAConditionThatIsFalseIsNoEnd of a Job.
func TestAConditionThatIsFalseIsNoEnd(t *testing.T) {
	job := &batchv1.Job{Status: batchv1.JobStatus{Conditions: []batchv1.JobCondition{
		{Type: batchv1.JobComplete, Status: corev1.ConditionFalse}, {Type: batchv1.JobSuspended, Status: corev1.ConditionTrue},
	}}}
	if ends := endsOf(job); len(ends) > 0 {
		t.Errorf("it ended with %v", ends)
	}
}

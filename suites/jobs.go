package suites

import (
	"context"
	"fmt"
	"slices"

	"github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
)

// Jobs whose worker ends its helper, and the ways that helpers end.
var (
	jobFixture        = suite.Fixture{Name: "job-helper", Objects: asJob("worker-and-helper.yaml")}
	jobWillingFixture = suite.Fixture{Name: "job-helper-willing", Objects: asJob("worker-and-helper.yaml"), Change: endWillingly}
	jobSidecarFixture = suite.Fixture{Name: "job-helper-sidecar", Objects: asJob("worker-and-helper.yaml"), Change: beSidecar}
)

// asJob returns how a fixture reads a manifest of a Pod as a Job that makes that Pod once.
func asJob(file string) func() ([]runtime.Object, error) {
	return func() ([]runtime.Object, error) {
		objects, err := manifest(file)()
		for i, object := range objects {
			if template, isPod := object.(*corev1.Pod); isPod {
				objects[i] = &batchv1.Job{Spec: batchv1.JobSpec{
					BackoffLimit: new(int32(0)), Template: corev1.PodTemplateSpec{Spec: template.Spec},
				}}
			}
		}
		return objects, err
	}
}

var jobTrait = suite.Trait{
	ID: "lifecycle/job-completes-when-worker-ends-helper",
	Statement: "A Job whose worker ends its helper by TERM MUST be complete when the helper exits 0, and MUST have failed when TERM kills it; a Job " +
		"whose helper is a sidecar MUST be complete when its worker is done.",
	Profile: suite.Full,
	Sources: []string{
		"https://kubernetes.io/docs/concepts/workloads/controllers/job/", lifecyclePage + "#pod-phase",
		"https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/#jobs-with-sidecar-containers",
		"https://github.com/GoogleCloudPlatform/cloud-sql-proxy/issues/262",
	},
	Fixtures: []suite.Fixture{jobFixture, jobWillingFixture, jobSidecarFixture},
	Slow:     true,
	Rights:   []suite.Right{{Group: "batch", Resource: "jobs", Verbs: []string{"get"}, Why: "to learn how Jobs end"}},
	Causes: []suite.Cause{
		{
			Words:    "the Job",
			Cause:    "the Job's controller counts Pods otherwise than by their phase, or something ended the Job",
			NextStep: "look at the conditions and the events of the Job",
		},
		{
			Cause:    "the kubelet counts exit codes otherwise, or the signal reached another process",
			NextStep: "look at the exit codes of both containers in the status of the Pod",
		},
	},
	Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
		for _, each := range endedJobs {
			ended, err := helperEnded(ctx, session, each.fixture)
			if err != nil {
				return err
			}
			judgeEndedHelper(judge, each.endedHelper, ended)
			job, err := endOfJob(ctx, session, each.fixture)
			if err != nil {
				return err
			}
			judgeEndedJob(judge, each, job)
		}
		return nil
	},
}

// endedJob is how a Job must end once the worker of its Pod is done.
type endedJob struct {
	endedHelper
	condition batchv1.JobConditionType
}

var endedJobs = []endedJob{
	{endedHelper{jobFixture, corev1.PodFailed, termExitCode}, batchv1.JobFailed},
	{endedHelper{jobWillingFixture, corev1.PodSucceeded, 0}, batchv1.JobComplete},
	{endedHelper{jobSidecarFixture, corev1.PodSucceeded, anyExitCode}, batchv1.JobComplete},
}

// endOfJob waits until a Job is complete or has failed.
func endOfJob(ctx context.Context, session *suite.Session, fixture suite.Fixture) (*batchv1.Job, error) {
	var job *batchv1.Job
	ended, err := session.Until(ctx, session.Limits().Settling, func() (bool, error) {
		var err error
		job, err = session.Job(ctx, fixture)
		return err == nil && len(endsOf(job)) > 0, err
	})
	if err == nil && !ended {
		err = suite.Undecided(reports.OutOfTime, "Job %s is neither complete nor failed within %s", fixture.Name, session.Limits().Settling)
	}
	if err != nil {
		return nil, err
	}
	session.Record(fixture, reports.Evidence{
		Title: "how the Job ended", Where: "API", Command: "kubectl get job", Output: fmt.Sprintf("%s: %v", fixture.Name, endsOf(job)),
	})
	return job, nil
}

// endsOf are the conditions that say how a Job ended.
func endsOf(job *batchv1.Job) []batchv1.JobConditionType {
	var ends []batchv1.JobConditionType
	for _, each := range job.Status.Conditions {
		if each.Status == corev1.ConditionTrue && slices.Contains([]batchv1.JobConditionType{batchv1.JobComplete, batchv1.JobFailed}, each.Type) {
			ends = append(ends, each.Type)
		}
	}
	return ends
}

func judgeEndedJob(judge suite.Judge, want endedJob, job *batchv1.Job) {
	judge.Claim.Expect(endsOf(job)).To(gomega.ConsistOf(want.condition), "the Job %s is %v, must be %s", want.fixture.Name, endsOf(job), want.condition)
}

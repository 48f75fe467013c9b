package suites

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sharedpid.example/helpers/pod"
	"sharedpid.example/helpers/process"
	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
)

func TestJudgeResizedInPlace(t *testing.T) {
	before := numbered(2, slices.Concat(resizedProcesses, besideProcesses)...)
	none := restarts(map[string]int32{resizedContainer: 0, "neighbour": 0})
	for name, test := range map[string]struct {
		after process.Snapshot
		last  *corev1.Pod
		want  reports.Verdict
	}{
		"nothing changes":                    {before, none, reports.Conformant},
		"a child is gone":                    {without(before, resizedProcesses[1]...), none, reports.Nonconformant},
		"a start process is new":             {later(before, resizedProcesses[0]), none, reports.Nonconformant},
		"the neighbour's child too":          {later(before, besideProcesses[1]), none, reports.Nonconformant},
		"the neighbour was restarted before": {before, restarts(map[string]int32{resizedContainer: 0, "neighbour": 1}), reports.Conformant},
		"process 1 is gone":                  {process.Snapshot{Processes: before.Processes[1:]}, none, reports.Nonconformant},
		// The API does not promise that there is no restart.
		"the container is restarted": {
			later(before, resizedProcesses...), restarts(map[string]int32{resizedContainer: 1, "neighbour": 0}), reports.Conformant,
		},
		"the neighbour ends with it": {
			later(before, slices.Concat(resizedProcesses, besideProcesses)...), restarts(map[string]int32{resizedContainer: 1, "neighbour": 0}),
			reports.Nonconformant,
		},
	} {
		t.Run(name, func(t *testing.T) {
			expectVerdict(t, test.want, func(judge suite.Judge) {
				judgeResizedInPlace(judge, returned{before: before, after: test.after, last: test.last},
					pod.Container(test.last, resizedContainer).RestartCount > 0)
			})
		})
	}
}

func TestLimitHolds(t *testing.T) {
	actual := func(cpu string) *corev1.Pod {
		status := restarts(map[string]int32{resizedContainer: 0})
		status.Status.ContainerStatuses[0].Resources = &corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}}
		return status
	}
	if !limitHolds(actual("0.6"), corev1.ResourceCPU, "600m") || limitHolds(actual("500m"), corev1.ResourceCPU, "600m") ||
		limitHolds(actual("600m"), corev1.ResourceMemory, "600m") || limitHolds(restarts(map[string]int32{resizedContainer: 0}), corev1.ResourceCPU, "600m") {
		t.Error("a limit holds when the kubelet says that it is the container's, and not before")
	}
}

func TestResizesAreJudged(t *testing.T) {
	// waits changes what is seen of the wait after a resize, the first of them or the second.
	waits := func(number int, change func(*waited)) func(*reports.Look) {
		seen := 0
		return answerTo(t, "wait for the kubelet to act of resize/", func(answer *waited) {
			if seen++; seen == number {
				change(answer)
			}
		})
	}
	condition := func(kind corev1.PodConditionType, reason string, reached bool) func(*waited) {
		return func(seen *waited) {
			seen.Reached = reached
			seen.Last.Status.Conditions = append(seen.Last.Status.Conditions, corev1.PodCondition{Type: kind, Reason: reason, Message: "its words"})
		}
	}
	refused := func(refusal *apierrors.StatusError) func(*reports.Look) {
		return answerTo(t, "try resize of resize/resized to cpu", func(answer *map[string]*metav1.Status) {
			*answer = map[string]*metav1.Status{"status": &refusal.ErrStatus}
		})
	}
	group := corev1.Resource("pods")
	dropped := "resizePolicy of container resized was sent as [{cpu NotRequired} {memory RestartContainer}] and is []"
	judgeAltered(t, resizeTrait.ID, map[string]altered{
		"as it was": {func(*reports.Look) {}, reports.Conformant, ""},
		"an API that drops the policies": {
			answerTo(t, "changes of resize/", func(changes *[]string) { *changes = []string{dropped} }), reports.Unsupported, "",
		},
		"an API without resizes": {refused(apierrors.NewGenericServerResponse(404, "put", group, "resize", "", 0, true)), reports.Unsupported, ""},
		"a Pod that is gone":     {refused(apierrors.NewNotFound(group, "resize")), reports.Inconclusive, reports.Refused},
		"a policy":               {refused(apierrors.NewForbidden(group, "resize", nil)), reports.Inconclusive, reports.Refused},
		"a kubelet that cannot":  {waits(1, condition(corev1.PodResizePending, corev1.PodReasonInfeasible, true)), reports.Unsupported, ""},
		"a kubelet that waits":   {waits(1, condition(corev1.PodResizePending, corev1.PodReasonDeferred, false)), reports.Inconclusive, reports.OutOfTime},
		"a runtime that cannot":  {waits(2, condition(corev1.PodResizeInProgress, corev1.PodReasonError, false)), reports.Inconclusive, reports.OutOfTime},
		"the neighbour is restarted": {waits(2, func(seen *waited) {
			statusOf(seen.Last, "neighbour", restartedNow)
		}), reports.Nonconformant, ""},
		// The kubelet may say so before there are new ones; the recording has no look of the container itself.
		"no process is new": {lastAsFirst(t, resizeTrait.ID), reports.Inconclusive, reports.Precondition},
	})
}

// lastAsFirst has the last look at the processes of a trait's Pod show what the first one did.
func lastAsFirst(t *testing.T, id string) func(*reports.Look) {
	t.Helper()
	var before, after *reports.Look
	run := readRecording(t, "testdata/healthy.json.gz")
	for i := range run.Looks {
		if look := &run.Looks[i]; look.By == id && strings.HasPrefix(look.Question, "processes ") {
			if before == nil {
				before = look
			}
			after = look
		}
	}
	return func(look *reports.Look) {
		if look.By == id && string(look.Answer) == string(after.Answer) {
			look.Answer = before.Answer
		}
	}
}

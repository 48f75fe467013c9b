package suites

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
)

// deletedAt is when the Pods of these tests are deleted, with a grace period of 30 seconds.
var deletedAt = time.Unix(1000, 0)

// noted is a deletion after which a container left these notes. Those that end with @ are of the time of the deletion and a second.
func noted(container string, notes ...string) deletion {
	deadline, grace := metav1.NewTime(deletedAt.Add(30*time.Second)), int64(30)
	text := strings.ReplaceAll(strings.Join(notes, "\n"), "@", fmt.Sprint(deletedAt.Unix()+1))
	ended := func(name, message string) corev1.ContainerStatus {
		return corev1.ContainerStatus{Name: name, State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			Message: message, FinishedAt: metav1.NewTime(deletedAt.Add(3 * time.Second)),
		}}}
	}
	return deletion{
		begun: &corev1.Pod{ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: &deadline, DeletionGracePeriodSeconds: &grace}},
		ended: &corev1.Pod{Status: corev1.PodStatus{
			InitContainerStatuses: []corev1.ContainerStatus{ended("first-sidecar", ""), ended("second-sidecar", "")},
			ContainerStatuses:     []corev1.ContainerStatus{ended("worker", ""), ended(awaited, ""), ended(waiting, "")},
		}},
	}.leaving(container, text)
}

// leaving is the deletion with another termination message of a container.
func (seen deletion) leaving(container, message string) deletion {
	statusOf(seen.ended, container, func(status *corev1.ContainerStatus) { status.State.Terminated.Message = message })
	return seen
}

// killed is the deletion with containers that SIGKILL ended, a time after the deletion.
func (seen deletion) killed(after time.Duration, containers ...string) deletion {
	for _, container := range containers {
		statusOf(seen.ended, container, func(status *corev1.ContainerStatus) {
			status.State.Terminated.ExitCode, status.State.Terminated.FinishedAt = killedExitCode, metav1.NewTime(deletedAt.Add(after))
		})
	}
	return seen
}

// expectEnding judges a deletion.
func expectEnding(t *testing.T, judgeIt func(suite.Judge, deletion) error, seen deletion, want reports.Verdict, kind reports.Kind) {
	t.Helper()
	outcome := suite.Conclude(func(judge suite.Judge) error { return judgeIt(judge, seen) })
	if outcome.Verdict != want || outcome.Kind != kind {
		t.Errorf("%s, %s (%s); want %s, %s", outcome.Verdict, outcome.Kind, outcome.Reason, want, kind)
	}
}

func TestJudgeSidecarsEnd(t *testing.T) {
	const last = "first-sidecar"
	worker, second, first := "worker TERM @ worker second-sidecar first-sidecar", "second-sidecar TERM @ second-sidecar first-sidecar",
		"first-sidecar TERM @ first-sidecar"
	late := fmt.Sprintf("second-sidecar TERM %d worker second-sidecar first-sidecar", deletedAt.Unix()+29)
	for name, test := range map[string]struct {
		seen    deletion
		verdict reports.Verdict
		kind    reports.Kind
	}{
		"one after another": {noted(last, worker, second, first), reports.Conformant, ""},
		"all at once": {noted(last, worker, "second-sidecar TERM @ worker second-sidecar first-sidecar", "first-sidecar TERM @ worker second-sidecar first-sidecar"),
			reports.Nonconformant, ""},
		"in the order of their start":     {noted(last, worker, "first-sidecar TERM @ second-sidecar first-sidecar"), reports.Nonconformant, ""},
		"the sidecars before the worker":  {noted(last, "second-sidecar TERM @ worker second-sidecar first-sidecar", first), reports.Nonconformant, ""},
		"a sidecar was gone before":       {noted(last, "worker TERM @ worker first-sidecar", first), reports.Nonconformant, ""},
		"a look that does not see itself": {noted(last, worker, "second-sidecar TERM @"), reports.Inconclusive, reports.Control},
		"a sidecar noted nothing":         {noted(last, worker, first), reports.Inconclusive, reports.Lost},
		"a sidecar was killed":            {noted(last, worker, first).killed(5*time.Second, "second-sidecar"), reports.Nonconformant, ""},
		"all were killed with the worker": {noted(last).killed(2*time.Second, last, "second-sidecar"), reports.Nonconformant, ""},
		"the grace period was over":       {noted(last).killed(31*time.Second, last, "second-sidecar", "worker"), reports.Inconclusive, reports.Lost},
		"late in the grace period":        {noted(last, worker, late), reports.Inconclusive, reports.OutOfTime},
		"a message that is no note":       {noted(last, "sh: out of memory"), reports.Inconclusive, reports.Lost},
		"a note that is cut off":          {noted(last, worker, "second-sidecar"), reports.Inconclusive, reports.Lost},
		"a note that stands there twice":  {noted(last, worker, worker), reports.Inconclusive, reports.Precondition},
	} {
		t.Run(name, func(t *testing.T) { expectEnding(t, judgeSidecarsEnd, test.seen, test.verdict, test.kind) })
	}
}

func TestJudgePreStop(t *testing.T) {
	whole := []string{
		"awaited begins @ awaited", "waiting begins @ awaited", "awaited ends @ awaited", "awaited TERM @ awaited", "waiting ends @", "waiting TERM @",
	}
	// but is whole with one note in the place of another, or of none when it is empty.
	but := func(at int, note string) deletion {
		var notes []string
		for i, each := range whole {
			if i == at {
				each = note
			}
			if each != "" {
				notes = append(notes, each)
			}
		}
		return noted(waiting, notes...)
	}
	late := fmt.Sprintf("waiting TERM %d", deletedAt.Unix()+20)
	for name, test := range map[string]struct {
		seen    deletion
		verdict reports.Verdict
		kind    reports.Kind
	}{
		"as it must be":                         {noted(waiting, whole...), reports.Conformant, ""},
		"TERM with the hook of the waiting":     {noted(waiting, "awaited begins @ awaited", "waiting begins @ awaited", "waiting TERM @ awaited hook", "awaited ends @ awaited", "awaited TERM @ awaited"), reports.Nonconformant, ""},
		"a hook that died":                      {noted(waiting, whole[0], whole[1], whole[2], whole[3], whole[5]), reports.Inconclusive, reports.Precondition},
		"TERM with the hook of the awaited":     {but(3, "awaited TERM @ awaited hook"), reports.Nonconformant, ""},
		"the hook of the awaited died":          {but(2, ""), reports.Inconclusive, reports.Precondition},
		"TERM before the end of a hook":         {noted(waiting, whole[0], whole[1], whole[3], whole[2], whole[4], whole[5]), reports.Nonconformant, ""},
		"the sibling is not visible":            {but(1, "waiting begins @"), reports.Nonconformant, ""},
		"nor to itself":                         {but(2, "awaited ends @"), reports.Inconclusive, reports.Control},
		"a hook that was not run":               {but(0, ""), reports.Inconclusive, reports.Precondition},
		"hooks one after another":               {noted(waiting, whole[0], whole[2], "waiting begins @", whole[3], whole[4], whole[5]), reports.Inconclusive, reports.OutOfTime},
		"a sibling that does not end":           {but(4, "waiting ends @ awaited"), reports.Inconclusive, reports.OutOfTime},
		"late in the grace period":              {but(5, late), reports.Inconclusive, reports.OutOfTime},
		"no TERM of the sibling was noted":      {but(3, ""), reports.Inconclusive, reports.Lost},
		"the sibling was killed":                {but(3, "").killed(4*time.Second, awaited), reports.Nonconformant, ""},
		"the waiting was killed":                {noted(waiting).killed(time.Second, waiting), reports.Nonconformant, ""},
		"the waiting was killed after its time": {noted(waiting).killed(30*time.Second, waiting), reports.Inconclusive, reports.Lost},
	} {
		t.Run(name, func(t *testing.T) { expectEnding(t, judgePreStop, test.seen, test.verdict, test.kind) })
	}
}

func TestEndingsAreJudged(t *testing.T) {
	notReady := func(fixture string) func(*reports.Look) {
		return answerTo(t, "exec "+fixture+"/", func(answers *[]map[string]any) { (*answers)[0]["output"] = "first.ready\n" })
	}
	message := func(fixture, container string, change func(string) string) func(*reports.Look) {
		return answerTo(t, "to end of "+fixture+"/", func(seen *waited) {
			statusOf(seen.Last, container, func(status *corev1.ContainerStatus) {
				status.State.Terminated.Message = change(status.State.Terminated.Message)
			})
		})
	}
	withWorker := func(message string) string {
		return strings.ReplaceAll(message, " second-sidecar first-sidecar\n", " worker second-sidecar first-sidecar\n")
	}
	withHook := func(message string) string { return strings.TrimSuffix(message, "\n") + " hook\n" }
	judgeAltered(t, sidecarsTrait.ID, map[string]altered{
		"as it was": {func(*reports.Look) {}, reports.Conformant, ""},
		"an API without sidecars": {answerTo(t, "changes of sidecars/", func(changes *[]string) {
			*changes = []string{"restartPolicy of container first-sidecar was sent as Always and is unset"}
		}), reports.Unsupported, ""},
		"start processes that are not ready": {notReady("sidecars"), reports.Inconclusive, reports.Precondition},
		"the worker is there":                {message("sidecars", "first-sidecar", withWorker), reports.Nonconformant, ""},
		"a Pod that is gone":                 {unanswered("status sidecars/", reports.Lost), reports.Inconclusive, reports.Lost},
		"a Pod that does not end": {
			answerTo(t, "to end of sidecars/", func(seen *waited) { seen.Reached = false }), reports.Inconclusive, reports.OutOfTime,
		},
	})
	judgeAltered(t, preStopTrait.ID, map[string]altered{
		"as it was":                          {func(*reports.Look) {}, reports.Conformant, ""},
		"start processes that are not ready": {notReady("pre-stop"), reports.Inconclusive, reports.Precondition},
		"a hook is not waited for":           {message("pre-stop", waiting, withHook), reports.Nonconformant, ""},
		"no time of the deletion": {answerTo(t, "status pre-stop/", func(seen *corev1.Pod) {
			seen.DeletionTimestamp = nil
		}), reports.Inconclusive, reports.OutOfTime},
	})
}

// TestEndingContainersAreThoseOfTheManifests holds the names in the notes to the manifests, which write them.
func TestEndingContainersAreThoseOfTheManifests(t *testing.T) {
	for fixture, want := range map[*suite.Fixture][]string{&sidecarsFixture: sidecarsEnd, &preStopFixture: {awaited, waiting}} {
		pods, err := fixture.Pods()
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, container := range slices.Concat(pods[0].Spec.InitContainers, pods[0].Spec.Containers) {
			if name := container.Env[0]; name.Name != "NAME" || name.Value != container.Name {
				t.Errorf("container %s notes as %s", container.Name, name.Value)
			}
			names = append(names, container.Name)
		}
		if slices.Sort(names); !slices.Equal(names, slices.Sorted(slices.Values(want))) {
			t.Errorf("%s has the containers %q, and notes of %q are judged", fixture.Name, names, want)
		}
	}
}

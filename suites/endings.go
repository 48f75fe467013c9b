package suites

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"sharedpid.example/helpers/pod"
	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
)

var (
	sidecarsFixture = suite.Fixture{Name: "sidecars", Objects: manifest("sidecars.yaml"), Newer: []string{
		"restartPolicy of container first-sidecar was sent as Always and is unset",
		"restartPolicy of container second-sidecar was sent as Always and is unset",
	}}
	preStopFixture = suite.Fixture{Name: "pre-stop", Objects: manifest("pre-stop.yaml")}
)

// sidecarsEnd are the containers of the manifest sidecars.yaml in the order in which they must end: the sidecars are started in the other one.
var sidecarsEnd = []string{"worker", "second-sidecar", "first-sidecar"}

// The containers of the manifest pre-stop.yaml.
const (
	awaited = "awaited"
	waiting = "waiting"
)

// What the containers of these manifests note: the begin and the end of their preStop hook, and TERM to their start process.
const (
	hookBegins = "begins"
	hookEnds   = "ends"
	gotTERM    = "TERM"
	itsHook    = "hook" // stands for the process of the hook of who notes
)

var sidecarsTrait = suite.Trait{
	ID: "lifecycle/sidecars-end-last",
	Statement: "At the end of a Pod its sidecars MUST get TERM when the worker's start process is gone from the namespace, and one after " +
		"another, in the reverse order of their start.",
	Profile: suite.Full,
	Sources: []string{
		lifecyclePage + "#termination-with-sidecars", "https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/",
		"https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/753-sidecar-containers",
	},
	Fixtures: []suite.Fixture{sidecarsFixture},
	Destroys: []suite.Fixture{sidecarsFixture},
	Slow:     true,
	Causes: []suite.Cause{
		{
			Words:    "was killed",
			Cause:    "the end of one container ends its siblings, or the sandbox is stopped before its containers have ended",
			NextStep: "look at the order of StopContainer and StopPodSandbox in the runtime's log",
		},
		{
			Cause:    "the kubelet does not keep the order in which sidecars end, as before Kubernetes 1.29, or reports an end that is none",
			NextStep: "compare the versions of the API server and of the node's kubelet, and look at the StopContainer calls in the runtime's log",
		},
	},
	Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
		if err := known(ctx, session, sidecarsFixture, "restart policies of init containers"); err != nil {
			return err
		}
		seen, err := deleteNoting(ctx, session, judge, sidecarsFixture, sidecarsEnd...)
		if err != nil {
			return err
		}
		return judgeSidecarsEnd(judge, seen)
	},
}

var preStopTrait = suite.Trait{
	ID: "lifecycle/pre-stop-sees-siblings",
	Statement: "A preStop hook MUST see the start process of a sibling whose own hook has not ended, and MUST be able to wait for its end: a " +
		"start process MUST NOT get TERM before its hook has ended.",
	Profile: suite.Full,
	Sources: []string{
		"https://kubernetes.io/docs/concepts/containers/container-lifecycle-hooks/#hook-handler-execution", lifecyclePage + "#pod-termination", kep,
	},
	Fixtures: []suite.Fixture{preStopFixture},
	Destroys: []suite.Fixture{preStopFixture},
	Slow:     true,
	Causes: []suite.Cause{
		{
			Words:    "was not run",
			Cause:    "the kubelet could not run the hook, and goes on without it",
			NextStep: "look at the events of the Pod for FailedPreStopHook",
		},
		notVisible,
		{
			Cause:    "the kubelet does not wait for the hook, or the end of a sibling ends the container",
			NextStep: "look at the order of ExecSync and StopContainer in the runtime's log",
		},
	},
	Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
		seen, err := deleteNoting(ctx, session, judge, preStopFixture, awaited, waiting)
		if err != nil {
			return err
		}
		return judgePreStop(judge, seen)
	},
}

// deletion is a Pod just after it was deleted, and when the last of its containers had ended.
type deletion struct{ begun, ended *corev1.Pod }

// deleteNoting deletes a Pod whose containers note how they end, once all of them are ready to. The last one must be the last to end.
func deleteNoting(
	ctx context.Context, session *suite.Session, judge suite.Judge, fixture suite.Fixture, containers ...string,
) (deletion, error) {
	var seen deletion
	if err := session.Running(ctx, fixture, containers...); err != nil {
		return seen, err
	}
	last := containers[len(containers)-1]
	ready, err := session.Exec(ctx, fixture, last, "which containers are ready to note how they end", fmt.Sprintf(
		`cd /notes; for tenth in $(seq %d); do [ $(ls *.ready | wc -l) = %d ] && break; sleep 0.1; done 2>/dev/null; ls *.ready`,
		tenths(session.Limits().Appearance), len(containers)))
	if err != nil {
		return seen, err
	}
	judge.Precondition.Expect(strings.Fields(ready[0].Output)).To(gomega.HaveLen(len(containers)), "not all start processes are ready, or see the others")
	if err := session.Delete(ctx, fixture); err != nil {
		return seen, err
	}
	if seen.begun, err = session.Status(ctx, fixture); err != nil {
		return seen, err
	}
	var state *corev1.ContainerStateTerminated
	if seen.ended, state, err = endOfDeleted(ctx, session, fixture, last, "container "+last); err != nil {
		return seen, err
	}
	exitCode := int(state.ExitCode)
	session.Record(fixture, reports.Evidence{
		Title: "what the containers noted, when, and which start processes were there", Where: "API", Command: "kubectl get pod",
		ExitCode: &exitCode, Output: state.Message,
	})
	return seen, nil
}

// note is what a container noted.
type note struct {
	container, event string
	at               time.Time // by the node's clock
	there            []string  // containers whose start process was visible
}

// notes are those that a container left as its termination message, in their order. Those that the end of the grace period may lie behind are
// an error: the kubelet then waits for nothing.
func (seen deletion) notes(container string) ([]note, error) {
	var noted []note
	for line := range strings.Lines(pod.Container(seen.ended, container).State.Terminated.Message) {
		fields := strings.Fields(line)
		if len(fields) < 3 {
			return nil, suite.Undecided(reports.Lost, "%s is no note", quote(line))
		}
		seconds, err := strconv.ParseInt(fields[2], 10, 64)
		if err != nil {
			return nil, suite.Undecided(reports.Lost, "%s is a note without a time", quote(line))
		}
		each := note{fields[0], fields[1], time.Unix(seconds, 0), fields[3:]}
		if !seen.early(each.at) {
			return nil, suite.Undecided(reports.OutOfTime, "%s of container %s was not noted early in the grace period", each.event, each.container)
		}
		noted = append(noted, each)
	}
	return noted, nil
}

// early tells whether a time is in the first half of the grace period. The API gives as time of the deletion when that is over, and no grace
// period of a Pod that was deleted once more; the clocks of the API and of the node may differ by a few seconds.
func (seen deletion) early(at time.Time) bool {
	const clocksDiffer = 5 * time.Second
	deadline, grace := seen.begun.DeletionTimestamp, seen.begun.DeletionGracePeriodSeconds
	if deadline == nil || grace == nil || *grace == 0 {
		return false
	}
	period, left := time.Duration(*grace)*time.Second, deadline.Sub(at)
	return left > period/2 && left <= period+clocksDiffer
}

// withoutTERM says why the start processes of containers noted no TERM.
func (seen deletion) withoutTERM(containers ...string) error {
	for _, container := range containers {
		state := pod.Container(seen.ended, container).State.Terminated
		if state != nil && state.ExitCode == killedExitCode && state.Reason != reasonOOMKilled && seen.early(state.FinishedAt.Time) {
			return &suite.Violation{Reason: fmt.Sprintf("container %s was killed long before the end of the grace period", container)}
		}
	}
	return suite.Undecided(reports.Lost, "no TERM was noted by the start process of %s", strings.Join(containers, ", nor by that of "))
}

// judgeSidecarsEnd holds that each container got TERM while those that end after it were there, and none of those that end before it.
func judgeSidecarsEnd(judge suite.Judge, seen deletion) error {
	noted, err := seen.notes(sidecarsEnd[len(sidecarsEnd)-1])
	if err != nil {
		return err
	}
	missing := slices.Clone(sidecarsEnd)
	for _, term := range noted {
		at := slices.Index(missing, term.container)
		judge.Precondition.Expect(at).To(gomega.BeNumerically(">=", 0), "a note of %s is one too many", term.container)
		missing = slices.Delete(missing, at, at+1)
		judge.Control.Expect(term.there).To(gomega.ContainElement(term.container), "the start process of %s does not see itself", term.container)
		place := slices.Index(sidecarsEnd, term.container)
		for _, before := range sidecarsEnd[:place] {
			judge.Claim.Expect(term.there).NotTo(gomega.ContainElement(before), "%s got TERM while %s was there", term.container, before)
		}
		for _, after := range sidecarsEnd[place:] {
			judge.Claim.Expect(term.there).To(gomega.ContainElement(after), "%s was gone when %s got TERM", after, term.container)
		}
	}
	if len(missing) > 0 {
		return seen.withoutTERM(missing...)
	}
	return nil
}

// judgePreStop holds that each start process got TERM after its hook had ended, and that the hook of the waiting one saw the awaited one.
func judgePreStop(judge suite.Judge, seen deletion) error {
	noted, err := seen.notes(waiting)
	if err != nil {
		return err
	}
	at := func(container, event string) int {
		return slices.IndexFunc(noted, func(each note) bool { return each.container == container && each.event == event })
	}
	for _, container := range []string{waiting, awaited} {
		begins, ends, term := at(container, hookBegins), at(container, hookEnds), at(container, gotTERM)
		if term < 0 {
			return seen.withoutTERM(container)
		}
		judge.Precondition.Expect(begins).To(gomega.BeNumerically(">=", 0), "the preStop hook of %s was not run", container)
		hooked := slices.Contains(noted[term].there, itsHook)
		judge.Claim.Expect(hooked || ends > term).To(gomega.BeFalse(), "the start process of %s got TERM before its hook had ended", container)
		judge.Precondition.Expect(ends).To(gomega.BeNumerically(">=", 0), "the preStop hook of %s ended midway", container)
	}
	begins, ends := at(waiting, hookBegins), at(awaited, hookEnds)
	judge.Control.Expect(noted[ends].there).To(gomega.ContainElement(awaited), "the hook of %s does not see its own start process", awaited)
	if begins > ends {
		return suite.Undecided(reports.OutOfTime, "the hook of %s began when that of %s had ended", waiting, awaited)
	}
	judge.Claim.Expect(noted[begins].there).To(gomega.ContainElement(awaited),
		"the start process of %s is not visible from the hook of %s, and is from its own later", awaited, waiting)
	if len(noted[at(waiting, hookEnds)].there) > 0 {
		return suite.Undecided(reports.OutOfTime, "the start process of %s did not end while the hook of %s waited", awaited, waiting)
	}
	return nil
}

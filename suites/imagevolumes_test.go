package suites

import (
	"testing"

	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
)

func TestJudgeImageVolume(t *testing.T) {
	file, other := suite.ExecResult{Output: "types {}\n"}, suite.ExecResult{Output: "types {\n"}
	for name, test := range map[string]struct {
		own, through, here, written suite.ExecResult
		want                        reports.Verdict
	}{
		"as stated":                     {file, file, observedMissing, observedReadOnly, reports.Conformant},
		"not read":                      {file, observedDenied, observedMissing, observedReadOnly, reports.Nonconformant},
		"another file":                  {file, other, observedMissing, observedReadOnly, reports.Nonconformant},
		"the sibling has it too":        {file, file, file, observedReadOnly, reports.Nonconformant},
		"written":                       {file, file, observedMissing, observedNothing, reports.Nonconformant},
		"a write is refused otherwise":  {file, file, observedMissing, observedDenied, reports.Nonconformant},
		"the owner itself has no file":  {observedMissing, observedMissing, observedMissing, observedReadOnly, reports.Inconclusive},
		"the file is empty":             {observedNothing, observedNothing, observedMissing, observedReadOnly, reports.Inconclusive},
		"the image has no cat":          {file, observedNotRun, observedMissing, observedReadOnly, reports.Inconclusive},
		"the image has no touch either": {file, file, observedMissing, observedNotRun, reports.Inconclusive},
	} {
		t.Run(name, func(t *testing.T) {
			expectVerdict(t, test.want, func(judge suite.Judge) { judgeImageVolume(judge, test.own, test.through, test.here, test.written) })
		})
	}
}

func TestImageVolumesAreJudged(t *testing.T) {
	judgeAltered(t, imageVolumesTrait.ID, map[string]altered{
		"as it was": {func(*reports.Look) {}, reports.Conformant, ""},
		"an API without them": {
			dropping(t, "image-volume", "spec.volumes of images were sent as [image of nginx:1.29.8 in owner], and none is kept"), reports.Unsupported, "",
		},
		"a write goes through": {answering(t, "exec image-volume/tracer: touch", 0, observedNothing), reports.Nonconformant, ""},
		"the control does not see itself": {
			withOtherArguments(t, "image-volume-unshared/tracer", tracerSleep, ownerSleep), reports.Inconclusive, reports.Control,
		},
	})
}

// TestPodThatDoesNotStartWithAnImageVolume: the platform cannot have it where the same Pod without sharing does not start either.
func TestPodThatDoesNotStartWithAnImageVolume(t *testing.T) {
	requirement := "requirement " + startWithImageVolume.Name
	const running = "running image-volume-unshared/owner, tracer"
	refused := func(by, question string) reports.Look {
		return failedLook(by, question, reports.NotStarted, "container owner: CreateContainerError: failed to mkdir")
	}
	for name, test := range map[string]struct {
		unshared reports.Look
		want     reports.Verdict
	}{
		"nor does the other one":           {refused(requirement+" #1", running), reports.Unsupported},
		"only the one that shares":         {look(t, requirement+" #1", running, true), reports.Inconclusive},
		"the other one's image is missing": {failedLook(requirement+" #1", running, reports.NotStarted, "ErrImagePull"), reports.Inconclusive},
	} {
		got := judgeLooks(t, imageVolumesTrait.ID,
			look(t, imageVolumesTrait.ID, "changes of image-volume/", []string{}),
			look(t, imageVolumesTrait.ID, "changes of image-volume-unshared/", []string{}),
			refused(imageVolumesTrait.ID, "running image-volume/tracer, owner"),
			look(t, imageVolumesTrait.ID, "probe "+requirement, 1), test.unshared)
		if got.Verdict != test.want {
			t.Errorf("%s: %s (%s): %s", name, got.Verdict, got.Kind, got.Reason)
		}
	}
}

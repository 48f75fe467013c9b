package suites

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"sharedpid/helpers/pod"
	"sharedpid/reports"
)

var (
	systemdScene         = Scene{Name: "systemd", Manifest: "systemd-shared.yaml"}
	systemdUnsharedScene = Scene{Name: "systemd-unshared", Manifest: "systemd-unshared.yaml", Unshared: true}
)

var initTraits = []Trait{
	{
		ID:         "inits/systemd-refuses",
		Statement:  "A container whose start command is systemd MUST NOT come up: systemd exits with 1, is restarted, and its siblings run on.",
		Profile:    Article,
		Documented: true,
		Article:    "\"Cannot start\" is loose: the container starts, systemd refuses and exits 1, and the kubelet restarts it.",
		Sources: []string{
			"https://kubernetes.io/docs/tasks/configure-pod-container/share-process-namespace/",
			"https://github.com/systemd/systemd/blob/main/src/core/main.c",
		},
		Scenes: []Scene{systemdScene, systemdUnsharedScene},
		Check: func(ctx context.Context, stage *Stage, g gomega.Gomega) error {
			refused, err := systemdRefusal(ctx, stage)
			if err != nil {
				return err
			}
			judgeRefusal(g, refused)
			return systemdBoots(ctx, stage, g)
		},
	},
}

// refusal is what was seen of a start process that will not run.
type refusal struct {
	exitCode        int32
	restarts        int32
	words           string // what it wrote
	siblingRestarts int32
	siblingRuns     bool
}

// systemdRefusal waits until the container was restarted, or clearly runs, and reads its last words.
func systemdRefusal(ctx context.Context, stage *Stage) (refusal, error) {
	scene, err := stage.Pod(ctx, systemdScene, "sibling")
	if err != nil {
		return refusal{}, err
	}
	var last *corev1.Pod
	err = poll(ctx, 30*time.Second, func() (bool, error) {
		last, err = scene.Status(ctx)
		return err == nil && pod.Container(last, "systemd").RestartCount > 0, err
	})
	if err != nil {
		return refusal{}, err
	}
	status, sibling := pod.Container(last, "systemd"), pod.Container(last, "sibling")
	seen := refusal{
		exitCode: -1, restarts: status.RestartCount,
		siblingRestarts: sibling.RestartCount, siblingRuns: sibling.State.Running != nil,
	}
	terminated := status.LastTerminationState.Terminated
	if terminated != nil {
		seen.exitCode = terminated.ExitCode
	}
	if waiting := status.State.Waiting; terminated == nil && waiting != nil && waiting.Reason != "CrashLoopBackOff" {
		return refusal{}, fmt.Errorf("the systemd container did not start: %s: %s", waiting.Reason, waiting.Message)
	}
	// Between two restarts the kubelet may have removed the previous container already, and has the next one soon.
	var unread error
	err = poll(ctx, 30*time.Second, func() (bool, error) {
		seen.words, unread = scene.Logs(ctx, "systemd", true)
		return unread == nil, nil
	})
	if err = errors.Join(err, unread); err != nil {
		return refusal{}, fmt.Errorf("systemd's last words: %w", err)
	}
	exitCode := int(seen.exitCode)
	stage.Record(systemdScene, reports.Evidence{
		Title: "systemd's last words", Where: scene.Name + "/systemd", Command: "kubectl logs --previous",
		Output: seen.words, ExitCode: &exitCode,
	}, reports.Evidence{
		Title: "restarts", Where: "API", Command: "kubectl get pod",
		Output: fmt.Sprintf("systemd %d restarts, sibling %d restarts, sibling running: %t", seen.restarts, seen.siblingRestarts, seen.siblingRuns),
	})
	return seen, nil
}

// knownRefusals are systemd's words when it is not process 1, by version: the text is no interface.
var knownRefusals = []string{
	"Couldn't find an alternative telinit implementation to spawn", // as /sbin/init, up to 257
	"user argument required to run as user manager",                // from 248
	"Trying to run as user instance",                               // up to 247
	"Can't run system mode unless PID 1",
}

func judgeRefusal(g gomega.Gomega, seen refusal) {
	g.Expect(seen.restarts).To(gomega.BeNumerically(">", 0), "systemd must exit and be restarted; it still runs")
	g.Expect(seen.exitCode).To(gomega.BeEquivalentTo(1), "systemd must exit with 1")
	known := false
	for _, words := range knownRefusals {
		known = known || strings.Contains(seen.words, words)
	}
	g.Expect(known).To(gomega.BeTrue(), "systemd must refuse in words that are known; it said %s", quote(seen.words))
	g.Expect(seen.siblingRuns).To(gomega.BeTrue(), "the sibling must run on")
	g.Expect(seen.siblingRestarts).To(gomega.BeZero(), "the sibling must not be restarted")
}

// systemdBoots is the control: the same image as process 1 of an unshared Pod.
func systemdBoots(ctx context.Context, stage *Stage, g gomega.Gomega) error {
	evidence := len(stage.result.Control)
	var state, first string
	err := poll(ctx, 30*time.Second, func() (bool, error) {
		stage.result.Control = stage.result.Control[:evidence]
		observations, err := stage.Look(ctx, systemdUnsharedScene, "systemd", "the same image as process 1",
			"cat /proc/1/comm", "systemctl is-system-running")
		if err != nil {
			return false, err
		}
		first, state = strings.TrimSpace(observations[0].Output), strings.TrimSpace(observations[1].Output)
		return state == "running" || state == "degraded", nil
	})
	if err != nil {
		return fmt.Errorf("control: %w", err)
	}
	g.Expect(first).To(gomega.Equal("systemd"), "control: systemd must be process 1 of the unshared Pod")
	g.Expect(state).To(gomega.BeElementOf("running", "degraded"), "control: the same image must boot as process 1")
	return nil
}

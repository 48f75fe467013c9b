package suites

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"sharedpid.example/helpers/pod"
	"sharedpid.example/reports"
)

var (
	systemdScene         = Scene{Name: "systemd", Manifest: "systemd-shared.yaml"}
	systemdUnsharedScene = Scene{Name: "systemd-unshared", Manifest: "systemd-unshared.yaml", Unshared: true}

	busyboxInitScene         = Scene{Name: "busybox-init", Manifest: "busybox-init.yaml"}
	busyboxInitUnsharedScene = Scene{Name: "busybox-init-unshared", Manifest: "busybox-init.yaml", Unshared: true}
	tiniScene                = Scene{Name: "tini", Manifest: "tini.yaml"}
	tiniUnsharedScene        = Scene{Name: "tini-unshared", Manifest: "tini.yaml", Unshared: true}
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
		Slow:   true,
		Causes: []Cause{
			{"it still runs", "the container has a process namespace of its own, in which systemd is process 1", "look at /proc/1/cmdline of the container"},
			{"control:", "systemd cannot boot in a container here at all, so that its refusal proves nothing", "look at systemd's words in the control, and at the cgroups of the container"},
			{"sibling", "the runtime ends siblings with the container that failed", "look at the events of the Pod"},
			{"", "a version of systemd that refuses in other words or with another exit code", "compare its words with the list in suites/inits.go"},
		},
		Check: func(ctx context.Context, stage *Stage, g gomega.Gomega) error {
			refused, err := systemdRefusal(ctx, stage)
			if err != nil {
				return err
			}
			judgeRefusal(g, refused)
			return systemdBoots(ctx, stage, g)
		},
	},
	{
		ID:        "inits/pid1-only-init-refuses",
		Statement: "A container whose init insists on being process 1 MUST NOT come up: the init exits with a failure and says why.",
		Profile:   Full,
		Article:   "systemd is one of several: s6-overlay refuses in the words \"can only run as pid 1\", busybox's init in \"must be run as PID 1\".",
		Sources:   []string{"https://git.busybox.net/busybox/tree/init/init.c", "https://github.com/just-containers/s6-overlay/blob/master/README.md", "https://github.com/linuxserver/docker-openssh-server/issues/76"},
		Scenes:    []Scene{busyboxInitScene, busyboxInitUnsharedScene},
		Slow:      true,
		Causes: []Cause{
			{"control:", "busybox's init does not stay up as process 1 here", "look at the control's evidence"},
			{"", "the container has a process namespace of its own, in which the init is process 1", "look at /proc/1/cmdline of the container"},
		},
		Check: func(ctx context.Context, stage *Stage, g gomega.Gomega) error {
			created, err := stage.Pod(ctx, busyboxInitScene)
			if err != nil {
				return err
			}
			// A Pod that stays up is what is to be excluded, so its start is waited for as well.
			last, err := restartedOrRunning(ctx, created, "busybox-init")
			if err != nil {
				return err
			}
			words, err := lastWords(ctx, created, "busybox-init")
			if err != nil {
				return err
			}
			exitCode := -1
			if ended := ended(last, "busybox-init"); ended != nil {
				exitCode = int(ended.ExitCode)
			}
			stage.Record(busyboxInitScene, reports.Evidence{Title: "the init's last words", Where: created.Name, Command: "kubectl logs", Output: words, ExitCode: &exitCode})
			control, err := stage.Processes(ctx, busyboxInitUnsharedScene, "busybox-init", "the same init as process 1")
			if err != nil {
				return fmt.Errorf("control: %w", err)
			}
			g.Expect(exitCode).To(gomega.Equal(1), "the init must exit with 1")
			g.Expect(words).To(gomega.ContainSubstring("must be run as PID 1"), "the init must say why it refuses")
			first, _ := control.PID(1)
			g.Expect(first.Arguments).To(gomega.HaveExactElements("busybox", "init"), "control: the init must run as process 1 of the unshared Pod")
			return nil
		},
	},
	{
		ID:        "inits/tini-warns",
		Statement: "tini MUST run as a start process and warn that it is not process 1, and MUST be silent as a child subreaper.",
		Profile:   Full,
		Article:   "Not everything that likes to be process 1 cannot start: tini runs, and reaps as a subreaper.",
		Sources:   []string{"https://github.com/krallin/tini/blob/master/README.md#subreaping", "https://man7.org/linux/man-pages/man2/PR_SET_CHILD_SUBREAPER.2const.html"},
		Scenes:    []Scene{tiniScene, tiniUnsharedScene},
		Causes: []Cause{
			{"control:", "tini is not process 1 of the unshared Pod", "look at /proc/1/cmdline of the control's container"},
			{"", "tini is process 1 of a namespace of its own", "look at /proc/1/cmdline of the container"},
		},
		Check: func(ctx context.Context, stage *Stage, g gomega.Gomega) error {
			warned, err := tiniWords(ctx, stage, tiniScene)
			if err != nil {
				return err
			}
			alone, err := tiniWords(ctx, stage, tiniUnsharedScene)
			if err != nil {
				return err
			}
			const warning = "Tini is not running as PID 1"
			g.Expect(warned["plain"]).To(gomega.ContainSubstring(warning), "tini must warn that it is not process 1")
			g.Expect(warned["subreaper"]).NotTo(gomega.ContainSubstring(warning), "tini must be silent as a subreaper")
			for container, words := range alone {
				g.Expect(words).NotTo(gomega.ContainSubstring(warning), "control: tini warns as process 1 of container %s", container)
			}
			return nil
		},
	},
}

// restartedOrRunning waits until a container was restarted, or has run for a while without ending.
func restartedOrRunning(ctx context.Context, created *pod.Pod, container string) (*corev1.Pod, error) {
	var last *corev1.Pod
	err := created.Wait(ctx, "container "+container+" to end or to stay", 30*time.Second, func(status *corev1.Pod) bool {
		last = status
		return status != nil && (pod.Container(status, container).RestartCount > 0 || ended(status, container) != nil)
	})
	if err != nil && last != nil && pod.Container(last, container).State.Running != nil {
		return last, nil
	}
	return last, err
}

// ended is how a container last ended, nil when it never did.
func ended(status *corev1.Pod, container string) *corev1.ContainerStateTerminated {
	found := pod.Container(status, container)
	if found.State.Terminated != nil {
		return found.State.Terminated
	}
	return found.LastTerminationState.Terminated
}

// lastWords are what a container that is restarted again and again wrote before it ended: between two restarts the
// kubelet may have removed the previous container already, and has the next one soon.
func lastWords(ctx context.Context, created *pod.Pod, container string) (words string, err error) {
	var unread error
	err = poll(ctx, 30*time.Second, func() (bool, error) {
		if words, unread = created.Logs(ctx, container, true); unread != nil {
			words, unread = created.Logs(ctx, container, false)
		}
		return unread == nil && words != "", nil
	})
	if err = errors.Join(err, unread); err != nil {
		return "", fmt.Errorf("last words of container %s: %w", container, err)
	}
	return words, nil
}

// tiniWords returns what tini wrote in each container, once its children run.
func tiniWords(ctx context.Context, stage *Stage, scene Scene) (map[string]string, error) {
	created, err := stage.Pod(ctx, scene, "plain", "subreaper")
	if err != nil {
		if strings.Contains(err.Error(), "ErrImagePull") || strings.Contains(err.Error(), "ImagePullBackOff") {
			return nil, unsupported("no image with tini can be had here; name one with -image tini=REFERENCE")
		}
		return nil, err
	}
	words := map[string]string{}
	for container, number := range map[string]string{"plain": "1000120", "subreaper": "1000121"} {
		// The child is started after the warning.
		found, err := created.Look(ctx, container, fmt.Sprintf("until grep -q '^sleep.%s' /proc/[0-9]*/cmdline; do :; done", number))
		if err != nil || found[0].ExitCode != 0 {
			return nil, fmt.Errorf("tini's child in container %s: %w", container, err)
		}
		if words[container], err = created.Logs(ctx, container, false); err != nil {
			return nil, err
		}
		stage.Record(scene, reports.Evidence{Title: "tini's words", Where: scene.Name + "/" + container, Command: "kubectl logs", Output: words[container]})
	}
	return words, nil
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
	if seen.words, err = lastWords(ctx, scene, "systemd"); err != nil {
		return refusal{}, err
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

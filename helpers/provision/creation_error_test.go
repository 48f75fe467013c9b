package provision

import (
	"errors"
	"strings"
	"testing"

	kinderrors "sigs.k8s.io/kind/pkg/errors"
	kindexec "sigs.k8s.io/kind/pkg/exec"
)

// today is how kubeadm of Kubernetes 1.37 ends with the verbosity that kind asks for.
const today = `I1125 10:01:02.000003     188 waitcontrolplane.go:83] [wait-control-plane] Waiting for the API server to be healthy
[kubelet-check] Waiting for a healthy kubelet at http://127.0.0.1:10248/healthz. This can take up to 4m0s
[kubelet-check] The kubelet is not healthy after 4m0.000478s

Unfortunately, an error has occurred, likely caused by:
	- The kubelet is not running
	- The kubelet is unhealthy due to a misconfiguration of the node in some way (required cgroups disabled)

If you are on a systemd-powered system, you can try to troubleshoot the error with the following commands:
	- 'systemctl status kubelet'
	- 'journalctl -xeu kubelet'

error: error execution phase wait-control-plane: failed while waiting for the kubelet to start: connection refused
k8s.io/kubernetes/cmd/kubeadm/app/cmd/phases/workflow.(*Runner).Run.func1
	k8s.io/kubernetes/cmd/kubeadm/app/cmd/phases/workflow/runner.go:262
k8s.io/kubernetes/cmd/kubeadm/app/cmd.newCmdInit.func1
	k8s.io/kubernetes/cmd/kubeadm/app/cmd/init.go:130
main.main
	k8s.io/kubernetes/cmd/kubeadm/kubeadm.go:25
runtime.main
	runtime/proc.go:290
runtime.goexit
	runtime/asm_amd64.s:1771
`

// earlier is how kubeadm ended before version 1.33: a stack trace for each cause, the innermost first.
const earlier = `[preflight] Running pre-flight checks
couldn't initialize a Kubernetes cluster
k8s.io/kubernetes/cmd/kubeadm/app/cmd/phases/init.runWaitControlPlanePhase
	cmd/kubeadm/app/cmd/phases/init/waitcontrolplane.go:128
k8s.io/kubernetes/cmd/kubeadm/app/cmd/phases/workflow.(*Runner).Run.func1
	cmd/kubeadm/app/cmd/phases/workflow/runner.go:259
runtime.goexit
	src/runtime/asm_amd64.s:1650
error execution phase wait-control-plane
k8s.io/kubernetes/cmd/kubeadm/app/cmd/phases/workflow.(*Runner).Run.func1
	cmd/kubeadm/app/cmd/phases/workflow/runner.go:260
runtime.goexit
	src/runtime/asm_amd64.s:1650
`

const preflight = `error: error execution phase preflight: [preflight] Some fatal errors occurred:
	[ERROR Port-6443]: Port 6443 is in use
	[ERROR Swap]: running with swap on is not supported
[preflight] If you know what you are doing, you can make a check non-fatal
To see the stack trace of this error execute with --v=5 or higher
`

const controlPlane = `[kubelet-check] The kubelet is healthy after 501.2ms
[control-plane-check] Waiting for healthy control plane components. This can take up to 4m0s
I1125 10:01:02.000003     188 wait.go:283] kube-apiserver check failed at https://172.18.0.2:6443/livez: connection refused
[control-plane-check] kube-scheduler is healthy after 2.1s
[control-plane-check] kube-apiserver is not healthy after 4m0.000991186s

A control plane component may have crashed or exited when started by the container runtime.
error: error execution phase wait-control-plane: failed while waiting for the control plane to start: kube-apiserver check ` +
	`failed at https://172.18.0.2:6443/livez: connection refused
k8s.io/kubernetes/cmd/kubeadm/app/cmd/phases/workflow.(*Runner).Run.func1
	k8s.io/kubernetes/cmd/kubeadm/app/cmd/phases/workflow/runner.go:262
runtime.goexit
	runtime/asm_amd64.s:1771
`

const panics = `[init] Using Kubernetes version: v1.37.2
panic: runtime error: invalid memory address or nil pointer dereference
[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x1]

goroutine 1 [running]:
main.run(0x0)
	/src/main.go:12 +0x1d
main.main()
	/src/main.go:5 +0x1a
runtime.goexit({})
	runtime/asm_amd64.s:1771 +0x1
`

func TestFailureLinesCarryTheError(t *testing.T) {
	for name, test := range map[string]struct{ output, want string }{
		"kubeadm": {today, `[kubelet-check] The kubelet is not healthy after 4m0.000478s; ` +
			`error execution phase wait-control-plane: failed while waiting for the kubelet to start: connection refused`},
		"an earlier kubeadm": {earlier, "couldn't initialize a Kubernetes cluster; error execution phase wait-control-plane"},
		"checks": {preflight, "error execution phase preflight: [preflight] Some fatal errors occurred: " +
			"[ERROR Port-6443]: Port 6443 is in use; [ERROR Swap]: running with swap on is not supported"},
		"docker": {"docker: Error response from daemon: no space left on device.\n\nRun 'docker run --help' for more information\n",
			"docker: Error response from daemon: no space left on device."},
		"podman": {"Trying to pull x\nError: short-name x did not resolve\n", "Error: short-name x did not resolve"},
		"a control plane": {controlPlane, "[control-plane-check] kube-apiserver is not healthy after 4m0.000991186s; " +
			"error execution phase wait-control-plane: failed while waiting for the control plane to start: " +
			"kube-apiserver check failed at https://172.18.0.2:6443/livez: connection refused"},
		"a panic":       {panics, "panic: runtime error: invalid memory address or nil pointer dereference"},
		"only a log":    {"I1125 10:01:02.000003     188 a.go:83] Waiting\nE1125 10:01:03.000003     188 b.go:9] cannot pull\n", "cannot pull"},
		"another":       {"one\ntwo\n\n", "two"},
		"a stack trace": {"one\n\nmain.main\n\t/main.go:5\n", "one"},
		"nothing":       {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := failureLines(test.output); got != test.want {
				t.Errorf("the error is\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

func TestWithOutputNamesTheCommand(t *testing.T) {
	inner := errors.New("exit status 1")
	for want, command := range map[string]string{
		"docker exec x-control-plane kubeadm init: exit status 1: no": "docker exec --privileged x-control-plane kubeadm init --v=6",
		"podman run: exit status 1: no":                               "podman run --name x",
		"podman: exit status 1: no":                                   "podman",
	} {
		failed := &kindexec.RunError{Command: strings.Fields(command), Output: []byte("error: no\n"), Inner: inner}
		err := withOutput(kinderrors.Wrap(failed, "failed to init node"))
		if err.Error() != want || !errors.Is(err, inner) {
			t.Errorf("error is %v, want %s", err, want)
		}
	}
	if err := withOutput(inner); !errors.Is(err, inner) || strings.Contains(err.Error(), ":") {
		t.Errorf("error is %v, want the one without a command unchanged", err)
	}
}

func TestCreationStepFitsTheError(t *testing.T) {
	for text, want := range map[string]string{
		"podman run: exit status 125: Error: short-name did not resolve":          "image that podman can pull with --node-image",
		"write /x: no space left on device":                                       "free some disk where podman keeps",
		"[ERROR Port-6443]: Port 6443 is in use":                                  "--kind-config",
		"[kubelet-check] The kubelet is not healthy after 4m0s":                   "podman exec kind-control-plane journalctl",
		"could not find a log line that matches Reached target Multi-User System": "kind create cluster --retain --image node:1",
		"failed to create fsnotify watcher: too many open files":                  "fs.inotify",
		"anything else": "run again",
	} {
		if got := creationStep(text, "podman", "node:1"); !strings.Contains(got, want) {
			t.Errorf("after %q the next step is %q, want one with %q", text, got, want)
		}
	}
}

func TestKubeletErrorIsItsLastWord(t *testing.T) {
	const log = `I1126 06:00:00.000000     100 server.go:10] "Starting"
E1126 06:00:00.100000     100 run.go:72] "command failed" err="failed to run Kubelet: an \"older\" one"
E1126 06:00:01.100000     101 run.go:72] "command failed" err="failed to run Kubelet: running with swap on is not supported"
kubelet.service: Main process exited, code=exited, status=1/FAILURE
`
	if got, want := kubeletError(log), "failed to run Kubelet: running with swap on is not supported"; got != want {
		t.Errorf("the kubelet said %q, want %q", got, want)
	}
	if got := kubeletError("E1126 06:00:00.100000     100 a.go:2] \"Unable to update cni config\"\n"); got != "" {
		t.Errorf("a kubelet that runs gave up: %q", got)
	}
}

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

func TestFailureLinesCarryTheError(t *testing.T) {
	for name, test := range map[string]struct{ output, want string }{
		"kubeadm": {today, `error: error execution phase wait-control-plane: failed while waiting for the kubelet to start: ` +
			`connection refused`},
		"an earlier kubeadm": {earlier, "couldn't initialize a Kubernetes cluster; error execution phase wait-control-plane"},
		"checks": {preflight, "error: error execution phase preflight: [preflight] Some fatal errors occurred:; " +
			"[ERROR Port-6443]: Port 6443 is in use; [ERROR Swap]: running with swap on is not supported"},
		"docker": {"docker: Error response from daemon: no space left on device.\n\nRun 'docker run --help' for more information\n",
			"docker: Error response from daemon: no space left on device."},
		"podman":        {"Trying to pull x\nError: short-name x did not resolve\n", "Error: short-name x did not resolve"},
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
		"docker exec x-control-plane kubeadm init: exit status 1: error: no": "docker exec --privileged x-control-plane kubeadm init --v=6",
		"podman run: exit status 1: error: no":                               "podman run --name x",
		"podman: exit status 1: error: no":                                   "podman",
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

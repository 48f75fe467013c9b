package suites

import (
	"context"
	"fmt"
	"strings"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
)

// seccompFixture has a container that asks for no seccomp profile, and one that asks for the runtime's default.
var seccompFixture = suite.Fixture{Name: "seccomp", Objects: manifest("seccomp.yaml")}

// The start processes of the manifest seccomp.yaml.
var (
	unconfined = suite.Process{Container: "tracer", Arguments: []string{"sleep", "1000150"}}
	filtered   = suite.Process{Container: "filtered", Arguments: []string{"sleep", "1000151"}}
)

// checkUnfiltered looks for a seccomp filter on a container that asks for none. No program of the images calls ptrace(2): without a filter
// nothing but the ptrace access check stands before it, and that is the check of /proc/PID/mem as well.
func checkUnfiltered(ctx context.Context, session *suite.Session, judge suite.Judge) error {
	seen, err := session.Await(ctx, seccompFixture, unconfined.Container, "processes seen from the tracer", unconfined, filtered)
	if err != nil {
		return err
	}
	tracer, sibling := seen.With(unconfined.Arguments...)[0], seen.With(filtered.Arguments...)[0]
	looked, err := session.Exec(ctx, seccompFixture, unconfined.Container,
		"seccomp mode of an exec, of the start process and of the sibling, and the sibling's memory",
		"grep Seccomp: /proc/self/status", fmt.Sprintf("grep Seccomp: /proc/%d/status", tracer.PID),
		fmt.Sprintf("grep Seccomp: /proc/%d/status", sibling.PID), fmt.Sprintf("true </proc/%d/mem", sibling.PID))
	if err != nil {
		return err
	}
	judgeRun(judge, looked...)
	for _, own := range looked[:2] {
		mode, err := seccompMode(own)
		if err != nil {
			return err
		}
		if mode != unfilteredMode {
			return whoseFilter(ctx, session, own)
		}
	}
	if err := explainRefusal(ctx, session, seccompFixture, unconfined.Container, sibling, "mem", looked[3]); err != nil {
		return err
	}
	if looked[3].ExitCode != 0 {
		scope, err := session.Read(ctx, seccompFixture, unconfined.Container, "cat /proc/sys/kernel/yama/ptrace_scope")
		if err != nil {
			return err
		}
		if scope[0].Answer() == "3" {
			return &suite.Unsupported{Reason: "Yama's ptrace_scope is 3 on the node, which forbids ptrace(2) to everybody"}
		}
	}
	return judgeUnfiltered(judge, looked[2], looked[3])
}

// unfilteredMode is SECCOMP_MODE_DISABLED as /proc/PID/status shows it.
const unfilteredMode = "0"

// seccompMode reads the mode in a line of /proc/PID/status. A kernel without seccomp shows no such line.
func seccompMode(line suite.ExecResult) (string, error) {
	value, found := strings.CutPrefix(line.Output, "Seccomp:")
	switch mode := strings.TrimSpace(value); {
	case found && mode != "":
		return mode, nil
	case line.ExitCode == 1 && line.Output == "":
		return "", &suite.Unsupported{Reason: "the kernel that the containers have tells of no seccomp in /proc/PID/status"}
	}
	return "", suite.Undecided(reports.Precondition, "%s shows no seccomp mode: %s", line.Command, quote(line.Output))
}

// judgeUnfiltered judges the rest where no filter is seen on the container that asks for none: that filters are to be seen at all, on the
// sibling that asks for one, and that the sibling's memory opens. Who may have that is what other traits are about.
func judgeUnfiltered(judge suite.Judge, sibling, memory suite.ExecResult) error {
	mode, err := seccompMode(sibling)
	if err != nil {
		return err
	}
	if mode == unfilteredMode {
		return &suite.Unsupported{Reason: "no seccomp filter is to be seen on a container that asks for RuntimeDefault either"}
	}
	judge.Precondition.Expect(memory.ExitCode).To(gomega.BeZero(),
		"%s was refused without a filter: credentials/access-matrix is about that: %s", memory.Command, quote(memory.Output))
	return nil
}

// nodeFilters prints the seccomp mode of the runtime's own process above the one of the Pod in the node's namespace: what a container has
// without having been given it.
const nodeFilters = "for file in $(grep -l '^sleep.1000020' /proc/[0-9]*/cmdline 2>/dev/null); do " +
	"parent=$(grep PPid: ${file%cmdline}status | tr -dc 0-9); grep Seccomp: /proc/$parent/status; done"

// whoseFilter decides whose matter the filter of a container is that asks for none: the runtime's, unless the API did not store what the
// container asks for, or the runtime runs under a filter itself.
func whoseFilter(ctx context.Context, session *suite.Session, line suite.ExecResult) error {
	status, err := session.Status(ctx, seccompFixture)
	if err != nil {
		return err
	}
	if err := asksForNoProfile(status); err != nil {
		return err
	}
	node, err := session.Exec(ctx, hostPIDFixture, "node", "seccomp mode of the runtime itself", nodeFilters)
	if err != nil {
		return err
	}
	return judgeFilter(line, node[0])
}

// asksForNoProfile is an error unless the stored Pod says that the tracer is to have no profile.
func asksForNoProfile(status *corev1.Pod) error {
	for _, container := range status.Spec.Containers {
		context := container.SecurityContext
		if container.Name == unconfined.Container && context != nil && context.SeccompProfile != nil &&
			context.SeccompProfile.Type == corev1.SeccompProfileTypeUnconfined {
			return nil
		}
	}
	return suite.Undecided(reports.Changed, "admission changed the Pod: container %s does not ask for the seccomp profile Unconfined any more",
		unconfined.Container)
}

func judgeFilter(line, node suite.ExecResult) error {
	for _, each := range strings.Split(strings.TrimSpace(node.Output), "\n") {
		if mode, err := seccompMode(suite.ExecResult{Command: node.Command, Output: each}); err != nil || mode != unfilteredMode {
			return suite.Undecided(reports.Precondition,
				"the container may have inherited its seccomp filter from the runtime's own process, which shows %s", quote(node.Output))
		}
	}
	return &suite.Violation{
		Reason: fmt.Sprintf("a seccomp filter is on a container that asks for none: %s shows %s", line.Command, quote(line.Output)),
	}
}

package suites

import (
	"context"
	"fmt"

	"github.com/onsi/gomega"

	"sharedpid/helpers/pod"
)

var (
	uidMismatchScene         = Scene{Name: "uid-mismatch", Manifest: "uid-mismatch.yaml"}
	uidMismatchUnsharedScene = Scene{Name: "uid-mismatch-unshared", Manifest: "uid-mismatch.yaml", Unshared: true}
)

var credentialTraits = []Trait{
	{
		ID:         "credentials/uid-mismatch-denies",
		Statement:  "A sibling of another uid without capabilities MUST be denied a process's environment, memory map, files and working directory with EACCES, and signals with EPERM.",
		Profile:    Article,
		Documented: true,
		Article:    "\"Only UNIX permissions\" leaves out capabilities, dumpability, user namespaces and security modules.",
		Sources: []string{
			"https://man7.org/linux/man-pages/man2/ptrace.2.html",
			"https://man7.org/linux/man-pages/man2/kill.2.html",
		},
		Scenes: []Scene{uidMismatchScene},
		Check: func(ctx context.Context, stage *Stage, g gomega.Gomega) error {
			seen, err := stage.Processes(ctx, uidMismatchScene, "visitor", "processes seen from the visitor, uid 1000")
			if err != nil {
				return err
			}
			owner, err := one(seen, ownerSleep...)
			if err != nil {
				return err
			}
			var commands []string
			for _, operation := range guardedOperations {
				commands = append(commands, fmt.Sprintf(operation.command, owner.PID))
			}
			// That the process exists is shown in the same exec, before and after.
			exists := fmt.Sprintf("tr '\\0' ' ' </proc/%d/cmdline", owner.PID)
			commands = append(append([]string{exists}, commands...), exists)
			observations, err := stage.Look(ctx, uidMismatchScene, "visitor", "uid 1000 against root", commands...)
			if err != nil {
				return err
			}
			judgeDenials(g, observations)
			return nil
		},
	},
}

// guardedOperations are what the kernel guards of a process, each with the errno of its refusal: proc(5) asks
// for ptrace access, kill(2) for an equal uid or CAP_KILL.
var guardedOperations = []struct{ command, errno string }{
	{"cat /proc/%d/environ", "EACCES"},
	{"ls /proc/%d/root/", "EACCES"},
	{"ls /proc/%d/cwd/", "EACCES"},
	{"head -c 1 /proc/%d/exe", "EACCES"},
	{"ls /proc/%d/fd", "EACCES"},
	{"cat /proc/%d/maps", "EACCES"},
	{"kill -0 %d", "EPERM"},
}

// ownerSleep is the start process of the containers called owner.
var ownerSleep = []string{"sleep", "1000000"}

// judgeDenials takes the process's arguments, then one observation for each guarded operation, then the
// arguments again.
func judgeDenials(g gomega.Gomega, observations []pod.Observation) {
	const arguments = "sleep 1000000 "
	g.Expect(observations).To(gomega.HaveLen(len(guardedOperations) + 2))
	g.Expect(observations[0].Output).To(gomega.Equal(arguments), "the process must exist before it is denied")
	for i, operation := range guardedOperations {
		observation := observations[i+1]
		g.Expect(observation.Errno()).To(gomega.Equal(operation.errno),
			"%s must be refused, it ended with %d: %s", observation.Command, observation.ExitCode, quote(observation.Output))
	}
	g.Expect(observations[len(observations)-1].Output).To(gomega.Equal(arguments), "the process must still exist")
}

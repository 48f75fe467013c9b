package suites

import (
	"context"

	"sharedpid.example/helpers/suite"
)

// envFilesFixture is as siblingsFixture, whose control is that of both.
var envFilesFixture = suite.Fixture{Name: "env-files", Objects: manifest("env-files.yaml"), Newer: variableRefused, Stable: true}

// variableRefused is how an API that drops fileKeyRef refuses what is left: a variable from nowhere.
var variableRefused = []string{`env[0].valueFrom: Invalid value: "": must specify one of`}

var envFilesTrait = suite.Trait{
	ID: "visibility/env-from-files",
	Statement: "A value that the kubelet takes from a file into the environment of a process MUST be readable there by a sibling container that " +
		"the ptrace access check permits, although neither container mounts the file.",
	Profile: suite.Full,
	Sources: []string{
		"https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/3721-support-for-env-files",
		"https://kubernetes.io/docs/tasks/inject-data-application/define-environment-variable-via-file/",
		"https://man7.org/linux/man-pages/man5/proc_pid_environ.5.html", ptraceSource,
	},
	Fixtures: []suite.Fixture{envFilesFixture, siblingsUnsharedFixture},
	Causes: []suite.Cause{
		blindControl,
		sharesUnasked,
		notVisible,
		{
			Cause: "a security module, hidepid or a seccomp profile narrows what the ptrace access check permits, or the tracer has " +
				"fewer capabilities than the process",
			NextStep: "look at /proc/self/attr/current, at Seccomp in /proc/self/status and at /proc/self/mounts of the caller",
		},
	},
	Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
		if err := known(ctx, session, envFilesFixture, "variables from files"); err != nil {
			return err
		}
		own, err := session.Exec(ctx, envFilesFixture, owner.Container, "the variable in the container that has it", "env | grep ^CANARY=")
		if err != nil {
			return err
		}
		if err := valueTaken(own[0]); err != nil {
			return err
		}
		return checkCanary(envFilesFixture, siblingsUnsharedFixture)(ctx, session, judge)
	},
}

// valueTaken returns why values from files cannot be tried where the API keeps such variables: a kubelet that does not know them leaves them
// empty.
func valueTaken(own suite.ExecResult) error {
	if own.Output == "CANARY=\n" {
		return &suite.Unsupported{Reason: "the API keeps variables from files, and the node's kubelet takes no value from the file: it does not know them"}
	}
	return nil
}

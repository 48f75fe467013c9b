package suites

import (
	"errors"
	"testing"

	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
)

func TestRefusedToStart(t *testing.T) {
	notStarted := func(why string) error { return suite.Undecided(reports.NotStarted, "%s", why) }
	for err, want := range map[error]bool{
		notStarted("container one: StartError: failed to create task: blocked by policy"):                            true,
		notStarted("container one: ErrImagePull: no such image"):                                                     false,
		notStarted("container one: CreateContainerError: context deadline exceeded"):                                 false,
		notStarted(`container one: CreateContainerError: failed to reserve container name "one": name is reserved`):  false,
		notStarted("not within 1m0s: Failed to create pod sandbox: mkdir /var/log/pods/a: no space left on device"):  false,
		notStarted("runc create failed: nsexec-1[42981]: unable to spawn stage-2: Resource temporarily unavailable"): false,
		notStarted("fork/exec /usr/bin/runc: resource temporarily unavailable"):                                      false,
		suite.Undecided(reports.OutOfTime, "not within 1m0s"):                                                        false,
		errors.New("StartError"): false,
	} {
		if got := refusedToStart(err); got != want {
			t.Errorf("%q is a refusal: %t", err, got)
		}
	}
}

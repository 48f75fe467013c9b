package suites

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
)

// startTrait is the trait that tells of a runtime that does not start containers of Pods that share. All others are
// unsupported under it.
const startTrait = "namespace/containers-start"

// joining is whether the runtime starts containers that join a Pod's PID namespace: it does not when a Pod without the field
// runs and the same Pod with it cannot start.
var joining = suite.Requirement{
	Name: "containers that join the Pod's PID namespace",
	Missing: func(ctx context.Context, session *suite.Session) (string, error) {
		refusal, err := joinRefusal(ctx, session)
		if refusal == "" || err != nil {
			return "", err
		}
		return fmt.Sprintf("the runtime does not start containers that join the Pod's PID namespace, see %s: %s", startTrait, refusal), nil
	},
}

// joinRefusal returns why a Pod that shares cannot start although the same Pod without the field runs, empty when it runs.
// Where the other one does not run either, nothing is said of sharing: that is an error.
func joinRefusal(ctx context.Context, session *suite.Session) (string, error) {
	shared := session.Running(ctx, pairFixture, one.Container, other.Container)
	if shared == nil {
		return "", nil
	}
	if !refusedToStart(shared) {
		return "", shared
	}
	if err := session.Running(ctx, pairUnsharedFixture, one.Container, other.Container); err != nil {
		return "", fmt.Errorf("%w; without the field: %w", shared, err)
	}
	// What has come up meanwhile was slow, and not refused.
	if shared = session.Running(ctx, pairFixture, one.Container, other.Container); shared == nil || !refusedToStart(shared) {
		return "", shared
	}
	return shared.Error(), nil
}

// refusedToStart tells whether a Pod could not start for another reason than an image or its configuration, which have nothing
// to do with sharing, than a runtime that takes longer than the kubelet waits for it, and than a node that has run out of something.
func refusedToStart(err error) bool {
	var why *suite.Inconclusive
	if !errors.As(err, &why) || why.Kind != reports.NotStarted {
		return false
	}
	for _, reason := range []string{
		"ErrImagePull",
		"ImagePullBackOff",
		"ErrImageNeverPull",
		"InvalidImageName",
		"CreateContainerConfigError",
		"context deadline exceeded",
		"DeadlineExceeded",
		"failed to reserve", // containerd's and CRI-O's words when the kubelet asks again for what is still under way
		"is reserved",
		"no space left on device",
		"Resource temporarily unavailable", // libc's words of fork(2), and Go's
		"resource temporarily unavailable",
	} {
		if strings.Contains(why.Reason, reason) {
			return false
		}
	}
	return true
}

// checkStart holds that a Pod that shares starts where the same Pod without the field does.
func checkStart(ctx context.Context, session *suite.Session, _ suite.Judge) error {
	refusal, err := joinRefusal(ctx, session)
	if err != nil {
		return err
	}
	if refusal != "" {
		return &suite.Violation{Reason: "the same Pod without the field runs: " + refusal}
	}
	return nil
}

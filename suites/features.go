package suites

import (
	"context"
	"fmt"
	"strings"

	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
)

// known returns why what a fixture's Pod asks for cannot be tried: the API does not know it. It then drops the fields, or refuses what is left.
func known(ctx context.Context, session *suite.Session, fixture suite.Fixture, what string) error {
	changed, err := session.Changes(ctx, fixture)
	switch {
	case err != nil && suite.KindOf(err) == reports.Refused && fixture.TooNew(err.Error()):
		return &suite.Unsupported{Reason: fmt.Sprintf("the API does not know %s: %v", what, err)}
	case err == nil && fixture.TooNew(changed...):
		return &suite.Unsupported{Reason: "the API drops " + what + ": " + strings.Join(changed, "; ")}
	}
	return err
}

// startsUnshared is whether Pods that ask for something start on the node: they do not when such a Pod that does not share cannot start
// either.
func startsUnshared(name, what string, unshared suite.Fixture, containers ...string) suite.Requirement {
	return suite.Requirement{
		Name: name,
		Missing: func(ctx context.Context, session *suite.Session) (string, error) {
			// The kubelet calls a Pod running of which one container runs, so each is asked for.
			err := session.Running(ctx, unshared, containers...)
			if refusedToStart(err) {
				return fmt.Sprintf("%s does not start on the node, without sharing either: %v", what, err), nil
			}
			return "", err
		},
	}
}

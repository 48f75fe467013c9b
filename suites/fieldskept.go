package suites

import (
	"context"
	"slices"
	"strings"

	"sharedpid.example/helpers/suite"
)

// fieldsKept returns why something cannot be tried on a fixture: the API does not keep the fields that it takes. Each of fields begins the
// words of a change.
func fieldsKept(ctx context.Context, session *suite.Session, fixture suite.Fixture, what string, fields ...string) error {
	changed, err := session.Changes(ctx, fixture)
	if err != nil {
		return err
	}
	other := func(change string) bool {
		return !slices.ContainsFunc(fields, func(field string) bool { return strings.HasPrefix(change, field) })
	}
	if len(changed) > 0 && !slices.ContainsFunc(changed, other) {
		return &suite.Unsupported{Reason: "the API drops " + what + ": " + strings.Join(changed, "; ")}
	}
	return nil
}

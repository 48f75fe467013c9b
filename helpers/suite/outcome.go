package suite

import (
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/onsi/gomega"

	"sharedpid.example/helpers/pod"
	"sharedpid.example/reports"
)

// Outcome is what a check comes to: the verdict and its reason.
type Outcome struct {
	Verdict reports.Verdict
	Kind    reports.Kind // why it is inconclusive, empty otherwise
	Reason  string
	Stack   string // of a check that failed itself
}

// Violation is the error of a check that observed something else than the statement says: the trait is nonconformant.
// It accuses somebody. What was not seen from one place is a violation only after it was seen where it must be.
type Violation struct{ Reason string }

func (violation *Violation) Error() string { return violation.Reason }

func (violation *Violation) outcome() Outcome {
	return Outcome{Verdict: reports.Nonconformant, Reason: violation.Reason}
}

// Inconclusive is the error of a check that could not observe what it has to judge.
type Inconclusive struct {
	Kind   reports.Kind
	Reason string
}

func (inconclusive *Inconclusive) Error() string { return inconclusive.Reason }

func (inconclusive *Inconclusive) outcome() Outcome {
	return Outcome{Verdict: reports.Inconclusive, Kind: inconclusive.Kind, Reason: inconclusive.Reason}
}

// Unsupported is the error of a check that detected that the platform cannot have the trait.
type Unsupported struct{ Reason string }

func (unsupported *Unsupported) Error() string { return unsupported.Reason }

func (unsupported *Unsupported) outcome() Outcome {
	return Outcome{Verdict: reports.Unsupported, Reason: unsupported.Reason}
}

// Undecided returns an Inconclusive error of a kind.
func Undecided(kind reports.Kind, format string, values ...any) error {
	return &Inconclusive{Kind: kind, Reason: fmt.Sprintf(format, values...)}
}

// ControlFailed turns an error, whatever it says, into that of a control: a control cannot accuse anybody. A nil error stays
// nil.
func ControlFailed(err error) error {
	if err == nil {
		return nil
	}
	outcome := outcomeOf(err)
	if outcome.Verdict == reports.Inconclusive {
		return Undecided(outcome.Kind, "control: %s", outcome.Reason)
	}
	return Undecided(reports.Control, "%s", outcome.Reason)
}

// KindOf tells why an error leaves a trait inconclusive. An error of no known kind is reports.Lost: the answer is missing.
func KindOf(err error) reports.Kind {
	inconclusive := (*Inconclusive)(nil)
	switch {
	case errors.As(err, &inconclusive):
		return inconclusive.Kind
	case pod.Killed(err):
		return reports.Killed
	case pod.KindOf(err) != "":
		return pod.KindOf(err)
	}
	return reports.Lost
}

// Judge asserts about what was seen. The first assertion that fails ends the check, and says as what.
type Judge struct {
	// Claim asserts the statement itself: a failure is a violation.
	Claim gomega.Gomega
	// Control asserts what the control must show: a failure leaves the trait inconclusive.
	Control gomega.Gomega
	// Precondition asserts what must be there before anything can be judged: a failure leaves the trait inconclusive.
	Precondition gomega.Gomega
}

// assertion is what a failed assertion stops a check with.
type assertion struct{ err error }

func newJudge() Judge {
	stop := func(failed func(message string) error) gomega.Gomega {
		return gomega.NewGomega(func(message string, _ ...int) { panic(assertion{failed(message)}) })
	}
	return Judge{
		Claim:        stop(func(message string) error { return &Violation{message} }),
		Control:      stop(func(message string) error { return &Inconclusive{reports.Control, message} }),
		Precondition: stop(func(message string) error { return &Inconclusive{reports.Precondition, message} }),
	}
}

// Stop ends the check with an error, from within a judging function.
func (Judge) Stop(err error) { panic(assertion{err}) }

// Conclude runs a check and turns what it did into its outcome. This is the only place that decides a verdict.
// A panic of the check is a defect of the suite: inconclusive, with its stack.
func Conclude(check func(Judge) error) (outcome Outcome) {
	defer func() {
		switch stopped := recover().(type) {
		case nil:
		case assertion:
			outcome = outcomeOf(stopped.err)
		default:
			outcome = Outcome{
				Verdict: reports.Inconclusive, Kind: reports.Defect,
				Reason: fmt.Sprintf("the check itself failed: %v", stopped), Stack: string(debug.Stack()),
			}
		}
	}()
	return outcomeOf(check(newJudge()))
}

// outcomeOf is the outcome that the outermost typed error says. An error that says none leaves the trait inconclusive.
func outcomeOf(err error) Outcome {
	if err == nil {
		return Outcome{Verdict: reports.Conformant, Reason: "observed as stated"}
	}
	var typed interface {
		error
		outcome() Outcome
	}
	if !errors.As(err, &typed) {
		return Outcome{Verdict: reports.Inconclusive, Kind: KindOf(err), Reason: err.Error()}
	}
	outcome := typed.outcome()
	outcome.Reason = err.Error() // with what was wrapped around it
	return outcome
}

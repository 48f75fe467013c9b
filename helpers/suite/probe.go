package suite

import (
	"context"
	"fmt"
	"time"

	"sharedpid.example/reports"
)

// Probe is a look that several traits rest on. It is made once for each target, by the first trait that asks; one that
// failed is made again for the next. What it records is evidence of each trait that asks.
type Probe[T any] struct {
	Name     string
	Fixtures []Fixture // that Look looks at
	Look     func(ctx context.Context, session *Session) (T, error)
}

// Need is a Probe of any type.
type Need interface {
	probeName() string
	fixtures() []Fixture
	attempt(ctx context.Context, session *Session) error
}

func (probe *Probe[T]) probeName() string   { return probe.Name }
func (probe *Probe[T]) fixtures() []Fixture { return probe.Fixtures }

// attempt makes the probe unless it was made.
func (probe *Probe[T]) attempt(ctx context.Context, session *Session) error {
	_, err := probe.Of(ctx, session)
	return err
}

// Of returns what the probe sees on the session's target. Only a trait that names the probe in its Needs may ask.
func (probe *Probe[T]) Of(ctx context.Context, session *Session) (T, error) {
	if session.needs != nil && !session.needs[probe.Name] {
		panic(fmt.Sprintf("%s rests on the probe %q and does not name it in its Needs", session.by, probe.Name))
	}
	return shared(ctx, session, probe.Name, time.Time{}, func(session *Session) (T, error) { return probe.Look(ctx, session) })
}

// cell holds the last good value of a look that is shared on one target.
type cell struct {
	turn     chan struct{} // holds one token: whoever takes it may look at the rest
	attempts int
	begun    time.Time // when the kept value was asked for
	kept     *keptValue
	sealed   error // why no further attempt is made
}

// keptValue is a value with what was recorded on the way to it, and which attempt it was.
type keptValue struct {
	attempt           int
	value             any
	evidence, control []reports.Evidence
}

func newCell() *cell {
	made := &cell{turn: make(chan struct{}, 1)}
	made.turn <- struct{}{}
	return made
}

// shared returns the kept value of a name if it was begun after a time, and makes it otherwise. Those who ask at the
// same time wait for one another. The asker's transcript says which attempt it was given.
func shared[T any](ctx context.Context, session *Session, name string, after time.Time, look func(*Session) (T, error)) (T, error) {
	var zero T
	question := "probe " + name
	if session.replay != nil {
		attempt, err := answered[int](session, question)
		if err != nil {
			return zero, err
		}
		kept, err := session.replay.kept(name, attempt, func(child *Session) (any, error) { return look(child) })
		if err != nil {
			return zero, err
		}
		session.adopt(kept)
		return kept.value.(T), nil
	}
	cell := session.target.cell(name)
	select {
	case <-cell.turn:
		defer func() { cell.turn <- struct{}{} }()
	case <-ctx.Done():
		return zero, session.unanswered(question, context.Cause(ctx))
	}
	if cell.kept == nil || !cell.begun.After(after) {
		if cell.sealed != nil {
			return zero, session.unanswered(question, cell.sealed)
		}
		cell.attempts++
		begun := time.Now()
		child := session.child(attemptName(name, cell.attempts))
		value, err := look(child)
		session.run.addLooks(child.looks)
		if err != nil {
			session.adopt(&keptValue{evidence: child.evidence, control: child.control})
			if outcomeOf(err).Verdict != reports.Inconclusive {
				session.keep(question, cell.attempts, nil) // the attempt comes to the same verdict when it is judged again
				return zero, err
			}
			return zero, session.unanswered(question, err)
		}
		cell.begun = begun
		cell.kept = &keptValue{attempt: cell.attempts, value: value, evidence: child.evidence, control: child.control}
	}
	session.keep(question, cell.kept.attempt, nil)
	session.adopt(cell.kept)
	return cell.kept.value.(T), nil
}

// attemptName is the asker of the looks of one attempt.
func attemptName(name string, attempt int) string {
	return fmt.Sprintf("%s%s%d", name, attemptMark, attempt)
}

// attemptMark stands between the name of a shared look and the number of the attempt, and in no id of a trait.
const attemptMark = " #"

// seal makes the probes of a fixture before a trait destroys it. One that fails is not made again: what it would see
// then is not what it is about.
func seal(ctx context.Context, session *Session, needs []Need) {
	for _, need := range needs {
		failed := need.attempt(ctx, session.child(session.by)) // the evidence is of those who need it
		cell := session.target.cell(need.probeName())
		select {
		case <-cell.turn:
		case <-ctx.Done():
			return
		}
		if cell.kept == nil && cell.sealed == nil {
			cell.sealed = Undecided(KindOf(failed),
				"the probe %q failed: %v; the Pod that it looks at was ended by %s since", need.probeName(), failed, session.by)
		}
		cell.turn <- struct{}{}
	}
}

// ask tells why the platform cannot have the requirement, empty when it can.
func (requirement Requirement) ask(ctx context.Context, session *Session) (string, error) {
	name := "requirement " + requirement.Name
	return shared(ctx, session, name, time.Time{}, func(session *Session) (string, error) { return requirement.Missing(ctx, session) })
}

// known is ask where another trait has asked before, and nothing otherwise.
func (requirement Requirement) known(ctx context.Context, session *Session) (missing string, known bool) {
	name := "requirement " + requirement.Name
	if session.replay != nil {
		left := session.replay.looks[session.by]
		if session.asked >= len(left) || left[session.asked].Question != "probe "+name || session.asked > 0 {
			return "", false
		}
	} else if !session.target.cell(name).made() {
		return "", false
	}
	missing, err := requirement.ask(ctx, session)
	return missing, err == nil
}

// made tells whether the cell has a value, without waiting for whoever makes one.
func (cell *cell) made() bool {
	select {
	case <-cell.turn:
		defer func() { cell.turn <- struct{}{} }()
		return cell.kept != nil
	default:
		return false
	}
}

package suite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sharedpid.example/reports"
)

// ask puts a question to the cluster and keeps it with its answer, so that the run can be judged again. In a run that is
// judged again the answer is the kept one, and the cluster is not asked. Errors are Inconclusive.
func ask[T any](session *Session, question string, live func() (T, error)) (T, error) {
	if session.replay != nil {
		return answered[T](session, question)
	}
	answer, err := live()
	if err != nil {
		return answer, session.unanswered(question, err)
	}
	session.keep(question, answer, nil)
	return answer, nil
}

// keep adds a look to the transcript.
func (session *Session) keep(question string, answer any, err error) {
	look := reports.Look{Target: session.target.ID, By: session.by, Question: question}
	if err != nil {
		look.Kind, look.Error = KindOf(err), err.Error()
		if unsupported := (*Unsupported)(nil); errors.As(err, &unsupported) {
			look.Kind, look.Error = notToBeHad, unsupported.Reason
		}
	} else {
		content, err := json.Marshal(answer)
		if err != nil {
			panic(fmt.Sprintf("the answer to %q cannot be kept: %v", question, err))
		}
		look.Answer = content
	}
	session.looks = append(session.looks, look)
}

// notToBeHad is the kind of a look that is not to be had on the cluster, or by what the run was asked for.
const notToBeHad reports.Kind = "unsupported"

// unanswered keeps why there is no answer, and returns it as Inconclusive, or as Unsupported what is not to be had.
func (session *Session) unanswered(question string, err error) error {
	session.keep(question, nil, err)
	if unsupported := (*Unsupported)(nil); errors.As(err, &unsupported) {
		return unsupported
	}
	return &Inconclusive{Kind: KindOf(err), Reason: err.Error()}
}

// replay is the transcript that a session is judged again from.
type replay struct {
	looks  map[string][]reports.Look // of one target, by asker, in their order
	target *target
	limits Limits
	values map[string]*keptValue // of shared looks, by the name of the attempt
	// strayed says that a check asked what the recording does not answer, as one of another version of the suite may.
	strayed bool
}

// answered takes the session's next look from its transcript. It must be the answer to this very question: a check that
// asks something else than when it was recorded cannot be judged from the recording.
func answered[T any](session *Session, question string) (T, error) {
	var answer T
	left := session.replay.looks[session.by]
	session.replay.strayed = session.replay.strayed || session.asked >= len(left) || left[session.asked].Question != question
	if session.asked >= len(left) {
		return answer, Undecided(reports.Precondition, "the recording ends before %q", question)
	}
	look := left[session.asked]
	session.asked++
	if look.Question != question {
		return answer, Undecided(reports.Precondition, "the recording has %q where the check asks %q", look.Question, question)
	}
	if look.Kind == notToBeHad {
		return answer, &Unsupported{Reason: look.Error}
	}
	if look.Error != "" {
		return answer, &Inconclusive{Kind: look.Kind, Reason: look.Error}
	}
	if err := json.Unmarshal(look.Answer, &answer); err != nil {
		return answer, Undecided(reports.Precondition, "the recorded answer to %q cannot be read: %v", question, err)
	}
	return answer, nil
}

// kept makes a shared look again, once.
func (replay *replay) kept(name string, attempt int, look func(*Session) (any, error)) (*keptValue, error) {
	by := attemptName(name, attempt)
	if value, found := replay.values[by]; found {
		return value, nil
	}
	child := replay.session(by)
	value, err := look(child)
	if err != nil {
		return nil, err
	}
	replay.values[by] = &keptValue{attempt: attempt, value: value, evidence: child.evidence, control: child.control}
	return replay.values[by], nil
}

// session returns a session that is answered from the transcript of an asker.
func (replay *replay) session(by string) *Session {
	return &Session{target: replay.target, by: by, limits: replay.limits, replay: replay}
}

// JudgeAgain checks the traits of a run once more, from the looks that it kept and without a cluster, and returns the run
// with the results that this gives and their evidence. Traits of the run that are not among those given, and defects, are left as they are.
// Where a check asks what the recording does not answer, the trait is inconclusive and its evidence that of the run. It is an error when the
// run kept no looks, or names a limit that there is not.
func JudgeAgain(run reports.Run, traits []Trait) (reports.Run, error) {
	if len(run.Looks) == 0 && len(run.Results) > 0 {
		return run, fmt.Errorf("the run kept no looks to judge again: it was made by a suite before version 2 of the schema")
	}
	judged := run
	judged.Results = nil
	limits, err := limitsOf(run)
	if err != nil {
		return run, err
	}
	replays := map[string]*replay{}
	for i, each := range run.Targets {
		replays[each.ID] = &replay{
			looks: map[string][]reports.Look{}, target: &target{Target: each, suffix: suffix(i, len(run.Targets))},
			limits: limits, values: map[string]*keptValue{},
		}
	}
	for _, look := range run.Looks {
		if from := replays[look.Target]; from != nil {
			from.looks[look.By] = append(from.looks[look.By], look)
		}
	}
	for _, result := range run.Results {
		at := slices.IndexFunc(traits, func(trait Trait) bool { return trait.ID == result.Trait })
		from := replays[result.Target]
		if at < 0 || from == nil || result.Kind == reports.Defect {
			judged.Results = append(judged.Results, result)
			continue
		}
		again := result
		session := from.session(result.Trait)
		from.strayed = false
		apply(&again, checkAgain(traits[at], session), traits[at])
		if !from.strayed {
			again.Evidence, again.Control = append([]reports.Evidence{}, session.evidence...), session.control
		}
		judged.Results = append(judged.Results, again)
	}
	return judged, nil
}

// limitsOf are the limits that a run was made with.
func limitsOf(run reports.Run) (Limits, error) {
	limits := DefaultLimits()
	for name, text := range run.Limits {
		value, err := time.ParseDuration(text)
		if err == nil {
			limits, err = limits.With(name, value)
		}
		if err != nil {
			return limits, fmt.Errorf("the limits of run %s cannot be read: %w", run.ID, err)
		}
	}
	return limits, nil
}

func checkAgain(trait Trait, session *Session) Outcome {
	session.needs = needNames(trait)
	return Conclude(func(judge Judge) error {
		if err := session.lostNode(context.Background()); err != nil {
			return err
		}
		return check(context.Background(), trait, session, judge)
	})
}

// referenced returns the looks that the results rest on: attempts of shared looks that nobody was given are left out.
func referenced(looks []reports.Look) []reports.Look {
	type asker struct{ target, by string }
	wanted := map[asker]bool{}
	byAsker := map[asker][]reports.Look{}
	for _, look := range looks {
		byAsker[asker{look.Target, look.By}] = append(byAsker[asker{look.Target, look.By}], look)
	}
	var want func(from asker)
	want = func(from asker) {
		if wanted[from] {
			return
		}
		wanted[from] = true
		for _, look := range byAsker[from] {
			if name, shared := strings.CutPrefix(look.Question, "probe "); shared && look.Error == "" {
				var attempt int
				if json.Unmarshal(look.Answer, &attempt) == nil {
					want(asker{from.target, attemptName(name, attempt)})
				}
			}
		}
	}
	for from := range byAsker {
		if !strings.Contains(from.by, attemptMark) {
			want(from)
		}
	}
	return slices.DeleteFunc(slices.Clone(looks), func(look reports.Look) bool { return !wanted[asker{look.Target, look.By}] })
}

package reports

import (
	"cmp"
	"fmt"
	"strings"

	"sharedpid.example/reports/internal/legible"
)

// Tasks are what a run answers for people who share a process namespace to do something.
type Tasks struct {
	Questions []Task `json:"questions"`
	// Manifests are the Pods in which ways are tried, by Way.Pod, as YAML for kubectl apply.
	Manifests map[string]string `json:"manifests"`
}

// Task is something that people share a process namespace for, and the ways to it that a run tries.
type Task struct {
	Name     string `json:"name"`           // one word, such as "trace"
	Question string `json:"question"`       // that somebody asks who wants to do it
	Risk     bool   `json:"risk,omitempty"` // it is what a container could do to its neighbours, and nobody's wish
	Ways     []Way  `json:"ways"`           // what asks for least comes first
}

// Way is one way to a task, and what of a run says whether it works.
type Way struct {
	Needs string `json:"needs"` // of the container that does it, such as "CAP_SYS_PTRACE"
	Trait string `json:"trait"` // whose verdict says whether it works
	// Cell is the cell of the trait's access matrix that says so instead, nil for the verdict.
	Cell *Cell  `json:"cell,omitempty"`
	Pod  string `json:"pod,omitempty"` // in which it is tried, by the name of its manifest
}

// Cell names a cell of an access matrix.
type Cell struct {
	Caller    string `json:"caller"`
	Target    string `json:"target"`
	Operation string `json:"operation"`
}

// TaskAnswers is what a run found out about a task.
type TaskAnswers struct {
	Name, Question string
	Risk           bool
	Ways           []WayAnswer
}

// WayAnswer is what a run found out about a way to a task.
type WayAnswer struct {
	Way
	Yes, No, Unknown int    // targets on which it works, on which it does not, and of which that is not known
	Target           string // on which it does not work, or else on which that is not known, or else on which it works: the first one
	Reason           string // why it does not work there, or is not known
}

// Text says in a few words whether the way works.
func (answer WayAnswer) Text() string {
	switch of := answer.Yes + answer.No + answer.Unknown; {
	case answer.Yes == of && of > 0:
		return "yes"
	case answer.No == of && of > 0:
		return "no"
	case answer.Yes+answer.No == 0:
		return "not known"
	case of > 1 && answer.Unknown == 0:
		return fmt.Sprintf("yes on %d of %d targets", answer.Yes, of)
	default:
		return fmt.Sprintf("yes on %d of %d targets, not known on %d", answer.Yes, of, answer.Unknown)
	}
}

// AnswerTasks answers the questions of the run's tasks. Ways whose trait the run does not have are left out.
func (run Run) AnswerTasks() []TaskAnswers {
	byTrait := map[string][]Result{}
	for _, outcome := range run.Outcomes() {
		byTrait[outcome.Trait] = append(byTrait[outcome.Trait], outcome)
	}
	if run.Tasks == nil {
		return nil
	}
	var all []TaskAnswers
	for _, task := range run.Tasks.Questions {
		answers := TaskAnswers{Name: task.Name, Question: task.Question, Risk: task.Risk}
		for _, way := range task.Ways {
			if outcomes := byTrait[way.Trait]; len(outcomes) > 0 {
				answers.Ways = append(answers.Ways, way.answer(outcomes))
			}
		}
		if len(answers.Ways) > 0 {
			all = append(all, answers)
		}
	}
	return all
}

// answer counts on which targets of the trait's outcomes the way works.
func (way Way) answer(outcomes []Result) WayAnswer {
	answer := WayAnswer{Way: way}
	worst := 0
	for _, outcome := range outcomes {
		works, known, reason := way.works(outcome)
		badness := 1
		switch {
		case !known:
			answer.Unknown++
			badness = 2
		case works:
			answer.Yes++
		default:
			answer.No++
			badness = 3
		}
		if badness > worst {
			worst, answer.Target, answer.Reason = badness, outcome.Target, reason
		}
	}
	return answer
}

// works tells whether the way works on an outcome's target, or that this is not known, and why.
func (way Way) works(outcome Result) (works, known bool, reason string) {
	reason = legible.Line(outcome.Reason)
	if way.Cell == nil {
		switch outcome.Verdict {
		case Conformant, Resolved:
			return true, true, ""
		case Nonconformant, KnownDeviation:
			return false, true, reason
		}
		return false, false, reason // unsupported may be a look that a security module refused, or a Pod that the API does not know
	}
	for _, evidence := range outcome.Evidence {
		for _, cell := range evidence.Access {
			if (Cell{cell.Caller, cell.Target, cell.Operation}) != *way.Cell {
				continue
			}
			if cell.Observed == Allowed {
				return true, true, ""
			}
			return false, strings.HasPrefix(cell.Observed, "E"), legible.Line(cell.Observed + ": " + cell.Rule)
		}
	}
	return false, false, cmp.Or(reason, "it was not tried")
}

package html

import (
	"fmt"
	"slices"

	"sharedpid.example/reports"
	"sharedpid.example/reports/internal/legible"
)

// shownTasks are the questions that a run answers for people, those about what neighbours risk apart, and the Pods in which it was tried.
type shownTasks struct {
	Groups []taskGroup // as many as have tasks
	Pods   []shownPod
}

// taskGroup is a table of questions.
type taskGroup struct {
	Label string
	Risk  bool
	Tasks []shownTask
}

// shownTask is a question with a row for each way to what it asks for.
type shownTask struct {
	Name, Question string
	Ways           []shownWay
}

// shownWay is one way, and whether it works.
type shownWay struct {
	Needs, Answer, Class, Reason string
	Trait, ID                    string // whose evidence it rests on, and the place in the page of the target's result that it speaks of
	Pod, PodID                   string
}

// shownPod is a manifest with its place in the page.
type shownPod struct{ Name, ID, Manifest string }

// newTasks shows what the run's tasks came to, nil without any. Results are in the order of the outcomes.
func newTasks(run reports.Run, outcomes []reports.Result, results []shownResult) *shownTasks {
	places := map[reports.Planned]string{}
	for i, outcome := range outcomes {
		places[reports.Planned{Trait: outcome.Trait, Target: outcome.Target}] = results[i].ID
	}
	shown := &shownTasks{}
	groups := []taskGroup{{Label: "What works here"}, {Label: "What a container could do to its neighbours", Risk: true}}
	pods := map[string]string{}
	for _, answers := range run.AnswerTasks() {
		task := shownTask{Name: sentence(answers.Name), Question: sentence(answers.Question)}
		for _, answer := range answers.Ways {
			way := shownWay{
				Needs: sentence(answer.Needs), Answer: answer.Text(), Class: answerClass(answer), Reason: sentence(answer.Reason),
				Trait: sentence(answer.Trait), ID: places[reports.Planned{Trait: answer.Trait, Target: answer.Target}], Pod: sentence(answer.Pod),
			}
			if manifest := run.Tasks.Manifests[answer.Pod]; manifest != "" {
				if pods[answer.Pod] == "" {
					pods[answer.Pod] = fmt.Sprintf("pod-%d", len(pods)+1)
					shown.Pods = append(shown.Pods, shownPod{way.Pod, pods[answer.Pod], legible.Text(manifest)})
				}
				way.PodID = pods[answer.Pod]
			}
			task.Ways = append(task.Ways, way)
		}
		for i := range groups {
			if groups[i].Risk == answers.Risk {
				groups[i].Tasks = append(groups[i].Tasks, task)
			}
		}
	}
	shown.Groups = slices.DeleteFunc(groups, func(group taskGroup) bool { return len(group.Tasks) == 0 })
	if len(shown.Groups) == 0 {
		return nil
	}
	return shown
}

// answerClass is the verdict whose colour an answer has.
func answerClass(answer reports.WayAnswer) string {
	switch {
	case answer.Unknown > 0:
		return string(reports.Inconclusive)
	case answer.No > 0:
		return string(reports.Unsupported)
	}
	return string(reports.Conformant)
}

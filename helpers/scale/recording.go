package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"sharedpid.example/helpers/pod"
	"sharedpid.example/helpers/process"
	"sharedpid.example/reports"
)

// recording is what a run saw on one target, by fixture: what the Pods of a simulated node show.
type recording map[string]*recordedFixture

// recordedFixture is what was seen of one Pod.
type recordedFixture struct {
	lines        []line            // one for each trait that looked at it
	containerIDs map[string]string // the first that each container had, by its name
}

// line is what one trait did with the Pod and saw of it, in its order.
type line []step

// step is one question with its answer.
type step struct {
	container string
	asked     string            // the commands of an exec in the container, or one of the constants below
	results   []pod.ExecResult  // of the exec
	text      string            // of the logs
	status    *corev1.PodStatus // that the Pod had by then
}

// What else than an exec a step may be.
const (
	logs         = "logs"
	previousLogs = "previous logs"
	status       = "status"
	deletion     = "deletion"
)

// acts tells whether the step may change what later ones see: all that runs commands but a snapshot does, and so does a deletion.
func (step step) acts() bool {
	return step.results != nil && step.asked != process.Script || step.asked == deletion
}

// recordingOf returns what a run saw on a target.
func recordingOf(run reports.Run, target string) (recording, error) {
	place := slices.IndexFunc(run.Targets, func(each reports.Target) bool { return each.ID == target })
	if place < 0 {
		return nil, fmt.Errorf("the recording has no target %q", target)
	}
	suffix := ""
	if len(run.Targets) > 1 {
		suffix = fmt.Sprintf("-%d", place+1)
	}
	byAsker := map[string][]reports.Look{}
	var traits []string // in the order in which they asked
	for _, look := range run.Looks {
		if look.Target != target || look.Error != "" {
			continue
		}
		if byAsker[look.By] == nil && !strings.Contains(look.By, attemptMark) {
			traits = append(traits, look.By)
		}
		byAsker[look.By] = append(byAsker[look.By], look)
	}
	recorded := recording{}
	for _, trait := range traits {
		if err := recorded.add(withShared(byAsker, trait), suffix); err != nil {
			return nil, err
		}
	}
	return recorded, nil
}

// attemptMark stands between the name of a shared look and the number of the attempt, in what asked.
const attemptMark = " #"

// withShared returns the looks of a trait, or of a shared look, with those of the shared looks that it was given in their place.
func withShared(byAsker map[string][]reports.Look, asker string) []reports.Look {
	var looks []reports.Look
	for _, look := range byAsker[asker] {
		if name, shared := strings.CutPrefix(look.Question, "probe "); shared {
			looks = append(looks, withShared(byAsker, name+attemptMark+string(look.Answer))...)
		} else {
			looks = append(looks, look)
		}
	}
	return looks
}

// add adds the looks of one trait as a line of each fixture that it looked at.
func (recorded recording) add(looks []reports.Look, suffix string) error {
	lines := map[string]line{} // by fixture
	for _, look := range looks {
		fixture, step, ids, err := readLook(look, suffix)
		if err != nil {
			return fmt.Errorf("the look %q by %s: %w", look.Question, look.By, err)
		}
		if fixture == "" {
			continue
		}
		lines[fixture] = append(lines[fixture], step)
		if recorded[fixture] == nil {
			recorded[fixture] = &recordedFixture{containerIDs: map[string]string{}}
		}
		for id, name := range ids {
			if recorded[fixture].containerIDs[name] == "" {
				recorded[fixture].containerIDs[name] = id
			}
		}
	}
	for fixture, line := range lines {
		recorded[fixture].lines = append(recorded[fixture].lines, line)
	}
	return nil
}

var (
	execQuestion     = regexp.MustCompile(`(?s)^exec ([^/]+)/([^:]*): (.*)$`)
	snapshotQuestion = regexp.MustCompile(`^processes seen from ([^/]+)/(.*)$`)
	logsQuestion     = regexp.MustCompile(`^logs of ([^/]+)/(.*), previous (true|false)$`)
	waitQuestion     = regexp.MustCompile(`^wait for .* of ([^/]+)/$`)
	deleteQuestion   = regexp.MustCompile(`^delete ([^/]+)/$`)
)

// readLook returns the step that a look is, with the fixture that it is about, and with the names of the containers by the ids that
// they had. What says nothing about what a node shows has no fixture.
func readLook(look reports.Look, suffix string) (fixture string, read step, ids map[string]string, err error) {
	called := func(pod string) string { return strings.TrimSuffix(pod, suffix) }
	if match := execQuestion.FindStringSubmatch(look.Question); match != nil {
		var results []recordedResult
		if err := json.Unmarshal(look.Answer, &results); err != nil {
			return "", step{}, nil, err
		}
		read = step{container: match[2], asked: match[3], results: []pod.ExecResult{}}
		for _, each := range results {
			read.results = append(read.results, pod.ExecResult{Output: each.Output, ExitCode: each.ExitCode})
		}
		return called(match[1]), read, nil, nil
	}
	if match := snapshotQuestion.FindStringSubmatch(look.Question); match != nil {
		var snapshot struct {
			Output     string            `json:"output"`
			Containers map[string]string `json:"containers"`
		}
		err := json.Unmarshal(look.Answer, &snapshot)
		read = step{container: match[2], asked: process.Script, results: []pod.ExecResult{{Output: snapshot.Output}}}
		return called(match[1]), read, snapshot.Containers, err
	}
	if match := logsQuestion.FindStringSubmatch(look.Question); match != nil {
		read = step{container: match[2], asked: logs}
		if match[3] == "true" {
			read.asked = previousLogs
		}
		err := json.Unmarshal(look.Answer, &read.text)
		return called(match[1]), read, nil, err
	}
	if match := waitQuestion.FindStringSubmatch(look.Question); match != nil {
		var waited struct {
			Last *corev1.Pod `json:"last"`
		}
		if err := json.Unmarshal(look.Answer, &waited); err != nil || waited.Last == nil {
			return "", step{}, nil, err
		}
		return called(match[1]), step{asked: status, status: &waited.Last.Status}, nil, nil
	}
	if match := deleteQuestion.FindStringSubmatch(look.Question); match != nil {
		return called(match[1]), step{asked: deletion}, nil, nil
	}
	return "", step{}, nil, nil
}

// recordedResult is what one command showed, as a run keeps it.
type recordedResult struct {
	ExitCode int    `json:"exitCode"`
	Output   string `json:"output"`
}

// fixture returns what was recorded of a Pod by its name, which may end in the suffix of a target. A Pod that nothing looked into has
// nothing to show.
func (recorded recording) fixture(name string) *recordedFixture {
	return cmp.Or(recorded[name], recorded[targetSuffix.ReplaceAllString(name, "")], &recordedFixture{})
}

var targetSuffix = regexp.MustCompile(`-[0-9]+$`)

// replay is how far one Pod has come in what was recorded of its fixture: a snapshot after a signal is another one than before.
type replay struct {
	recorded *recordedFixture
	behind   map[int]int // of lines that have begun to act, how many of their steps are done
	latest   []int       // lines in the order in which they acted last, the latest one first
}

// begin returns the states that the Pod goes through before anything acts on it.
func (replay *replay) begin() []*corev1.PodStatus {
	for _, line := range replay.recorded.lines {
		if states := statesFrom(line); len(states) > 0 {
			return states
		}
	}
	return nil
}

// statesFrom returns the states of the Pod until the next step that acts.
func statesFrom(line line) []*corev1.PodStatus {
	var states []*corev1.PodStatus
	for _, step := range line {
		if step.acts() {
			break
		}
		if step.status != nil {
			states = append(states, step.status)
		}
	}
	return states
}

// answer returns the recorded step that fits a question best, and the states that the Pod goes through then: the next one of a line that
// has begun to act, or else the first one of a line that has not. It tells whether there is one.
func (replay *replay) answer(container, asked string) (step, []*corev1.PodStatus, bool) {
	number, at := replay.find(container, asked)
	if number < 0 {
		return step{}, nil, false
	}
	line := replay.recorded.lines[number]
	found := withNumbersOf(line[at], asked)
	if !found.acts() {
		return found, nil, true
	}
	if replay.behind == nil {
		replay.behind = map[int]int{}
	}
	replay.behind[number] = at + 1
	replay.latest = slices.DeleteFunc(replay.latest, func(each int) bool { return each == number })
	replay.latest = slices.Insert(replay.latest, 0, number)
	return found, statesFrom(line[at+1:]), true
}

func (replay *replay) find(container, asked string) (number, at int) {
	wanted := withoutNumbers(asked)
	fits := func(step step) bool { return step.container == container && withoutNumbers(step.asked) == wanted }
	for _, number := range replay.latest {
		begun := replay.behind[number]
		for at, step := range replay.recorded.lines[number][begun:] {
			if fits(step) {
				return number, begun + at
			}
			if step.acts() {
				break
			}
		}
	}
	number, at = -1, -1
	for each, line := range replay.recorded.lines {
		if replay.behind[each] > 0 {
			continue
		}
		if found := slices.IndexFunc(line, fits); found >= 0 && (at < 0 || found < at) {
			number, at = each, found
		}
	}
	if number >= 0 {
		return number, at
	}
	for each, line := range replay.recorded.lines {
		if found := slices.IndexFunc(line, fits); found >= 0 {
			return each, found
		}
	}
	return -1, -1
}

// ownNumber is an argument by which a check tells its processes from those of others: on every target another one.
var ownNumber = regexp.MustCompile(`\b1[1-8][0-9]{5}\b`)

func withoutNumbers(asked string) string {
	if len(asked) > 1<<10 {
		return asked // a snapshot's script has none
	}
	return ownNumber.ReplaceAllString(asked, "number")
}

// withNumbersOf returns a step that shows the numbers of the question where its own question has others.
func withNumbersOf(recorded step, asked string) step {
	before, now := ownNumber.FindAllString(recorded.asked, -1), ownNumber.FindAllString(asked, -1)
	if recorded.asked == asked || len(before) != len(now) {
		return recorded
	}
	var pairs []string
	for i := range before {
		pairs = append(pairs, before[i], now[i])
	}
	replacer := strings.NewReplacer(pairs...)
	recorded.results = slices.Clone(recorded.results)
	for i := range recorded.results {
		recorded.results[i].Output = replacer.Replace(recorded.results[i].Output)
	}
	return recorded
}

package main

import (
	"encoding/json"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"sharedpid.example/helpers/pod"
	"sharedpid.example/helpers/process"
	"sharedpid.example/reports"
)

func look(by, question string, answer any) reports.Look {
	content, err := json.Marshal(answer)
	if err != nil {
		panic(err)
	}
	return reports.Look{Target: "second", By: by, Question: question, Answer: content}
}

func printed(output string) []recordedResult { return []recordedResult{{Output: output}} }

func snapshotOf(output, id string) map[string]any {
	return map[string]any{"output": output, "containers": map[string]string{id: "one"}}
}

// recorded is what a run saw on the second of its targets: a process that is started and killed, and what is the same before and after.
func recorded(t *testing.T) *replay {
	t.Helper()
	restarted := corev1.Pod{Status: corev1.PodStatus{Message: "restarted"}}
	run := reports.Run{
		Targets: []reports.Target{{ID: "first"}, {ID: "second"}},
		Looks: []reports.Look{
			look("still", "processes seen from pair-2/one", snapshotOf("before", "first-id")),
			look("acts", "exec pair-2/one: sleep 1200000 & echo $!\ntrue", []recordedResult{{Output: "sleep 1200000"}, {ExitCode: 1}}),
			look("acts", "probe seen", 1),
			look("acts", "exec pair-2/one: kill 7", printed("")),
			look("acts", "wait for it to be restarted of pair-2/", map[string]any{"last": restarted}),
			look("seen #1", "processes seen from pair-2/one", snapshotOf("with sleep", "second-id")),
			look("acts", "logs of pair-2/one, previous true", "its words"),
			look("acts", "changes of pair-2/", nil),
		},
	}
	read, err := recordingOf(run, "second")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := recordingOf(run, "third"); err == nil {
		t.Error("a target that the run does not have is accepted")
	}
	if id := read.fixture("pair-17").containerIDs["one"]; id != "first-id" {
		t.Errorf("container one has the id %q", id)
	}
	if lines := read.fixture("other").lines; len(lines) != 0 {
		t.Errorf("a Pod that nothing was recorded of has %v", lines)
	}
	return &replay{recorded: read.fixture("pair-17")}
}

// TestReplay gives each question the answer that fits what was done to the Pod before.
func TestReplay(t *testing.T) {
	replay := recorded(t)
	ask := func(asked string) (step, []*corev1.PodStatus) {
		t.Helper()
		found, states, known := replay.answer("one", asked)
		if !known {
			t.Fatalf("%q is not known", asked)
		}
		return found, states
	}
	expectSnapshot := func(want string) {
		t.Helper()
		if found, _ := ask(process.Script); found.results[0].Output != want {
			t.Errorf("the snapshot shows %q, want %q", found.results[0].Output, want)
		}
	}
	expectSnapshot("before")
	if begun := replay.begin(); begun != nil {
		t.Errorf("the Pod begins with %v", begun)
	}
	started, states := ask("sleep 1300000 & echo $!\ntrue")
	if len(states) != 0 || started.results[0].Output != "sleep 1300000" || started.results[1] != (pod.ExecResult{ExitCode: 1}) {
		t.Errorf("starting shows %+v, and leads to %v", started.results, states)
	}
	expectSnapshot("with sleep")
	expectSnapshot("with sleep") // whoever looks, and how often
	if _, states = ask("kill 7"); len(states) != 1 || states[0].Message != "restarted" {
		t.Errorf("killing leads to %v", states)
	}
	if found, _ := ask(previousLogs); found.text != "its words" {
		t.Errorf("the logs are %q", found.text)
	}
	expectSnapshot("before")
	if _, _, known := replay.answer("one", "uptime"); known {
		t.Error("what was not asked then has an answer")
	}
	if _, _, known := replay.answer("other", "kill 7"); known {
		t.Error("another container answers")
	}
}

// TestRecordedRun reads the recording that the measurement uses.
func TestRecordedRun(t *testing.T) {
	run, err := readRecording("../../suites/testdata/faults.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{soundTarget, faultyTarget} {
		read, err := recordingOf(run, target)
		if err != nil {
			t.Fatal(err)
		}
		article := &replay{recorded: read.fixture("article-1234")}
		if _, _, known := article.answer("shell", process.Script); !known {
			t.Errorf("%s: the shell of the article's Pod shows no processes", target)
		}
	}
}

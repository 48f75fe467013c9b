package suite

import (
	"testing"

	"sharedpid.example/reports"
)

// TestExplain says of each outcome what lies behind it: a trait's own causes for what was seen, everybody's for what was not.
func TestExplain(t *testing.T) {
	trait := Trait{Causes: []Cause{
		{Words: "no pause", Cause: "no pause", NextStep: "look at the sandbox"},
		{Control: true, Words: "it", Cause: "the control shares"},
		{Cause: "something else"},
	}}
	for name, test := range map[string]struct {
		outcome Outcome
		want    string
	}{
		"conformant":                  {Outcome{Verdict: reports.Conformant, Reason: "no pause"}, ""},
		"unsupported":                 {Outcome{Verdict: reports.Unsupported, Reason: "no pause"}, ""},
		"violation":                   {Outcome{Verdict: reports.Nonconformant, Reason: "there is no pause"}, "no pause"},
		"another violation":           {Outcome{Verdict: reports.Nonconformant, Reason: "it is wrong"}, "something else"},
		"violation that names a pull": {Outcome{Verdict: reports.Nonconformant, Reason: "ErrImagePull"}, "something else"},
		"control": {Outcome{Verdict: reports.Inconclusive, Kind: reports.Control, Reason: "it is there"},
			"the control shares"},
		"another control": {Outcome{Verdict: reports.Inconclusive, Kind: reports.Control, Reason: "no pause"},
			kindExplanations[reports.Control].Cause},
		"pull": {Outcome{Verdict: reports.Inconclusive, Kind: reports.NotStarted, Reason: "container: ErrImagePull"},
			"the node cannot pull a test image"},
		"no program under runc": {Outcome{Verdict: reports.Inconclusive, Kind: reports.NotStarted,
			Reason: `container tini of image box:1: StartError: exec: "/usr/bin/tini-static": stat /usr/bin/tini-static: no such file or directory`},
			noProgram},
		"no program under crun": {Outcome{Verdict: reports.Inconclusive, Kind: reports.NotStarted,
			Reason: "container nginx of image box:1: RunContainerError: executable file `nginx` not found in $PATH"}, noProgram},
		"no program under runsc": {Outcome{Verdict: reports.Inconclusive, Kind: reports.NotStarted,
			Reason: `container nginx of image box:1: StartError: error finding executable "nginx" in PATH [/bin]`}, noProgram},
		"revoked token": {Outcome{Verdict: reports.Inconclusive, Kind: reports.Refused, Reason: "Pod a/b, exec in container c: Unauthorized"},
			"the API accepts the run's token or certificate no longer"},
		"full disk": {Outcome{Verdict: reports.Inconclusive, Kind: reports.NotStarted,
			Reason: `not within 1m0s: Failed to create pod sandbox: mkdir /var/log/pods/a: no space left on device`},
			"a file system of the node is full, or has no inode left"},
		"containerd ends": {Outcome{Verdict: reports.Inconclusive, Kind: reports.Lost, Reason: `rpc error: code = Unavailable desc = connection error: ` +
			`dial unix /run/containerd/containerd.sock: connect: connection refused`}, runtimeGone},
		"no process": {Outcome{Verdict: reports.Inconclusive, Kind: reports.Precondition, Reason: "sh: can't fork: Resource temporarily unavailable"},
			noProcess},
		"no network plugin": {Outcome{Verdict: reports.Inconclusive, Kind: reports.Lost, Reason: "node a is not ready: container runtime network not ready: " +
			"NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized"}, networkGone},
		"precondition": {Outcome{Verdict: reports.Inconclusive, Kind: reports.Precondition, Reason: "there is no pause"},
			kindExplanations[reports.Precondition].Cause},
	} {
		t.Run(name, func(t *testing.T) {
			if cause, _ := trait.Explain(test.outcome); cause != test.want {
				t.Errorf("cause is %q, want %q", cause, test.want)
			}
		})
	}
	if _, next := trait.Explain(Outcome{Verdict: reports.Nonconformant, Reason: "no pause"}); next != "look at the sandbox" {
		t.Errorf("the next step is %q", next)
	}
	for _, kind := range kinds {
		if cause, next := (Trait{}).Explain(Outcome{Verdict: reports.Inconclusive, Kind: kind, Reason: "?"}); cause == "" || next == "" {
			t.Errorf("nothing is said of kind %s", kind)
		}
	}
}

package suites

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sharedpid.example/helpers/process"
	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
	"sharedpid.example/suites/access"
)

func TestWhoseRefusal(t *testing.T) {
	const profile, stacked = "cri-containerd.apparmor.d (enforce)", "cri-containerd.apparmor.d//&unconfined (enforce)"
	for name, test := range map[string]struct {
		capabilities uint64
		label, start string
		operation    string
		want         reports.Verdict // conformant where the refusal is left to the judge
	}{
		"no module":                           {defaultCapabilities, "", "", "root", reports.Conformant},
		"AppArmor":                            {defaultCapabilities, profile, profile, "root", reports.Unsupported},
		"AppArmor, and a signal":              {defaultCapabilities, profile, profile, "signal", reports.Unsupported},
		"exec has another label":              {defaultCapabilities, stacked, profile, "root", reports.Inconclusive},
		"capabilities are missing as well":    {0, profile, profile, "root", reports.Conformant},
		"and the label is another":            {0, stacked, profile, "environ", reports.Conformant},
		"capabilities matter not for signals": {0, profile, profile, "signal", reports.Unsupported},
	} {
		t.Run(name, func(t *testing.T) {
			caller := party("caller", 0, test.capabilities)
			caller.Label, caller.StartLabel = test.label, test.start
			outcome := suite.Conclude(func(suite.Judge) error {
				return whoseRefusal(caller, party("target", 0, defaultCapabilities), test.operation, observedDenied)
			})
			if outcome.Verdict != test.want {
				t.Errorf("%s (%s), want %s", outcome.Verdict, outcome.Reason, test.want)
			}
			if outcome.Verdict == reports.Inconclusive && outcome.Kind != reports.Precondition {
				t.Errorf("kind %s", outcome.Kind)
			}
		})
	}
}

// TestRefusedLooksAskForLabels refuses what each trait claims to be allowed: without a module that accuses, under one it does not.
func TestRefusedLooksAskForLabels(t *testing.T) {
	const profile, stacked = "cri-containerd.apparmor.d (enforce)", "cri-containerd.apparmor.d//&unconfined (enforce)"
	for trait, refused := range map[string]string{
		"visibility/secrets-in-environ":        "| grep ^CANARY=",
		"filesystem/volumes-through-proc-root": "/root/secret/canary",
		"filesystem/config-through-proc-root":  "/root/etc/nginx/nginx.conf",
		"filesystem/write-through-proc-root":   "echo written by a sibling",
		"filesystem/modes-still-hold":          "/root/files/readable\ncat",
		"credentials/same-uid-allows":          "/environ\ncat",
		attachTrait.ID:                         "echo tracer 1<>",
		watchTrait.ID:                          "/attach/fifo 10",
	} {
		for _, test := range []struct {
			label, start string
			execMeets    string // in a sibling's process, where no label explains the refusal
			want         reports.Verdict
		}{
			{"", "", allMet, reports.Nonconformant},
			{"", "", noneMet, reports.Inconclusive},
			{"unconfined", "unconfined", allMet, reports.Nonconformant},
			{profile, profile, "", reports.Unsupported},
			{stacked, profile, "", reports.Inconclusive},
		} {
			t.Run(fmt.Sprintf("%s, %q, %q", trait, test.label, test.execMeets), func(t *testing.T) {
				got := refusedRun(t, trait, refused, test.label, test.start, test.execMeets)
				if got.Verdict != test.want {
					t.Errorf("%s (%s): %s, want %s", got.Verdict, got.Kind, got.Reason, test.want)
				}
			})
		}
	}
}

// TestPermissiveSELinuxExcusesNothing refuses a look under a label of SELinux: that is its matter only where it refuses at all.
func TestPermissiveSELinuxExcusesNothing(t *testing.T) {
	const label = "system_u:system_r:container_t:s0:c1,c2"
	for name, test := range map[string]struct {
		permissive int // exit code of who asks
		want       reports.Verdict
	}{"permissive": {0, reports.Nonconformant}, "enforcing": {1, reports.Unsupported}} {
		t.Run(name, func(t *testing.T) {
			ask := func(look reports.Look) reports.Look {
				where, _, _ := strings.Cut(look.Question, ": ")
				look.Question = where + ": " + access.PermissiveCommand
				look.Answer = fmt.Appendf(nil, `[{"exitCode": %d}]`, test.permissive)
				return look
			}
			got := refusedRunWith(t, "filesystem/config-through-proc-root", "/root/etc/nginx/nginx.conf", label, label, allMet, ask)
			if got.Verdict != test.want {
				t.Errorf("%s (%s): %s, want %s", got.Verdict, got.Kind, got.Reason, test.want)
			}
		})
	}
}

// TestPermissiveSELinuxNarrowsNoMatrix refuses the tracer what it may do to others: one operation, or one system call.
func TestPermissiveSELinuxNarrowsNoMatrix(t *testing.T) {
	const tracersRoot, tracersCalls = "exec access-matrix/tracer: export", "exec system-calls/tracer: export"
	for name, test := range map[string]struct {
		trait, look string
		refuse      func(*reports.Look)
		label       int // at which answer the caller's label is
		permissive  int // exit code of who asks whether it is
		want        reports.Verdict
	}{
		"permissive":                  {"credentials/ptrace-crosses-uids", tracersRoot, refusedRoot(t), 5, 0, reports.Nonconformant},
		"enforcing":                   {"credentials/ptrace-crosses-uids", tracersRoot, refusedRoot(t), 5, 1, reports.Unsupported},
		"permissive, and system call": {systemCallsTrait.ID, tracersCalls, answeredCalls(t, "tracer", "kcmp", "1"), 6, 0, reports.Nonconformant},
		"enforcing, and system call":  {systemCallsTrait.ID, tracersCalls, answeredCalls(t, "tracer", "kcmp", "1"), 6, 1, reports.Conformant},
	} {
		t.Run(name, func(t *testing.T) {
			run := readRecording(t, "testdata/healthy.json.gz")
			run.Results = slices.DeleteFunc(run.Results, func(result reports.Result) bool { return result.Trait != test.trait })
			at := slices.IndexFunc(run.Looks, func(look reports.Look) bool { return strings.HasPrefix(look.Question, test.look) })
			look := &run.Looks[at]
			test.refuse(look)
			answerTo(t, test.look, func(answers *[]map[string]any) {
				(*answers)[test.label] = map[string]any{"output": "system_u:system_r:container_t:s0:c1,c2\n"}
			})(look)
			asked := *look
			asked.Question = strings.TrimSuffix(test.look, "export") + access.PermissiveCommand
			asked.Answer = fmt.Appendf(nil, `[{"exitCode": %d}]`, test.permissive)
			run.Looks = append(slices.Insert(run.Looks, at+1, asked), bothLook(t, asked.By, asked.Target, allMet, allMet))
			judged, err := suite.JudgeAgain(run, Traits())
			if err != nil {
				t.Fatal(err)
			}
			if got := judged.Results[0]; got.Verdict != test.want {
				t.Errorf("%s (%s): %s, want %s", got.Verdict, got.Kind, got.Reason, test.want)
			}
		})
	}
}

// refusedRoot has the tracer of the access matrix refused the root of every target.
func refusedRoot(t *testing.T) func(*reports.Look) {
	return answerTo(t, "try root", func(answers *[]map[string]any) {
		(*answers)[1]["output"] = strings.ReplaceAll((*answers)[1]["output"].(string), "\nroot 0 ", "\nroot 1 sh: can't open: Permission denied")
	})
}

// refusedRun judges a trait on the recording of a healthy runtime, in which the first command of the exec with some words is
// refused. The labels that are asked for then are those of a look and of every other process.
func refusedRun(t *testing.T, trait, words, label, start, execMeets string) suite.Outcome {
	t.Helper()
	return refusedRunWith(t, trait, words, label, start, execMeets)
}

// refusedRunWith is refusedRun where more is asked than the labels.
func refusedRunWith(
	t *testing.T, trait, words, label, start, execMeets string, asks ...func(refused reports.Look) reports.Look,
) suite.Outcome {
	t.Helper()
	run := readRecording(t, "testdata/healthy.json.gz")
	run.Results = slices.DeleteFunc(run.Results, func(result reports.Result) bool { return result.Trait != trait })
	var looks []reports.Look
	for _, look := range run.Looks {
		if look.By != trait || !strings.Contains(look.Question, words) {
			looks = append(looks, look)
			continue
		}
		answerTo(t, words, func(answer *[]map[string]any) {
			(*answer)[0]["exitCode"], (*answer)[0]["output"] = 1, "cat: can't open: Permission denied\n"
		})(&look)
		looks = append(looks, look, labelsLook(t, run.Looks, look, label, start))
		for _, ask := range asks {
			looks = append(looks, ask(look))
		}
		if execMeets != "" {
			looks = append(looks, bothLook(t, trait, look.Target, allMet, execMeets))
		}
		if trait == "visibility/secrets-in-environ" && execMeets != noneMet {
			looks = append(looks, ownersLooks(t, run.Looks, look)...)
		}
	}
	run.Looks = looks
	judged, err := suite.JudgeAgain(run, Traits())
	if err != nil {
		t.Fatal(err)
	}
	result := judged.Results[0]
	return suite.Outcome{Verdict: result.Verdict, Kind: result.Kind, Reason: result.Reason}
}

// What a start process and an exec meet in a sibling's process where they are narrowed in nothing, and in all.
const (
	allMet  = "environ 0 \nroot 0 \nsignal 0 \nlabel \nsibling-label \n"
	noneMet = "environ 1 sh: can't open: Permission denied\nroot 1 sh: can't open: Permission denied\n" +
		"signal 1 sh: can't kill pid 7: Operation not permitted\nlabel \nsibling-label \n"
)

// bothLook is what is asked after a look that was refused and is explained by no label: what a start process met, and what an exec met.
func bothLook(t *testing.T, trait, target, start, exec string) reports.Look {
	t.Helper()
	answer, err := json.Marshal([]map[string]any{{"output": start}, {"output": exec}})
	if err != nil {
		t.Fatal(err)
	}
	return reports.Look{
		Target: target, By: trait, Question: "exec start-process-looks/looker: . /scripts/ask.sh\n. /scripts/look.sh", Answer: answer,
	}
}

// ownersLooks is what visibility/secrets-in-environ asks after a look that was refused and is not explained: the owner has the canary, and
// is the same process as before.
func ownersLooks(t *testing.T, looks []reports.Look, refused reports.Look) []reports.Look {
	t.Helper()
	at := slices.IndexFunc(looks, func(look reports.Look) bool {
		return look.By == refused.By && look.Question == "probe processes seen from siblings/tracer"
	})
	if at < 0 {
		t.Fatal("the recording has no snapshot from the tracer")
	}
	answer, err := json.Marshal([]map[string]any{{"output": "CANARY=" + canary + "\n"}, {"output": canary + "\n"}})
	if err != nil {
		t.Fatal(err)
	}
	had := refused
	had.Question = strings.Replace(refused.Question, "siblings/tracer", "siblings/owner", 1) + "\necho $CANARY"
	had.Answer = answer
	return []reports.Look{had, looks[at]}
}

// labelsLook is what explainRefusal asks after a refused look, answered from what the same container saw before.
func labelsLook(t *testing.T, looks []reports.Look, refused reports.Look, label, start string) reports.Look {
	t.Helper()
	where, _, _ := strings.Cut(strings.TrimPrefix(refused.Question, "exec "), ": ")
	at := slices.IndexFunc(looks, func(look reports.Look) bool { return look.Question == "processes seen from "+where })
	if at < 0 {
		t.Fatalf("the recording has no snapshot from %s", where)
	}
	var seen snapshotAnswer
	if err := json.Unmarshal(looks[at].Answer, &seen); err != nil {
		t.Fatal(err)
	}
	snapshot, err := process.Parse(seen.Output)
	if err != nil {
		t.Fatal(err)
	}
	pid := regexp.MustCompile("/proc/([0-9]+)/").FindStringSubmatch(refused.Question)[1]
	owner := 0
	var labels strings.Builder
	for _, each := range snapshot.Processes {
		if strconv.Itoa(each.PID) == pid {
			owner = each.UID
		}
		if start != "" {
			fmt.Fprintf(&labels, "/proc/%d/attr/current:%s\n", each.PID, start)
		}
	}
	own := map[string]any{"exitCode": 0, "output": label + "\n"}
	if label == "" {
		own = map[string]any{"exitCode": 1, "output": "cat: read error: Invalid argument\n"}
	}
	answer, err := json.Marshal([]map[string]any{
		{"exitCode": 0, "output": seen.Output}, own, {"exitCode": 0, "output": labels.String()}, {"exitCode": 0, "output": fmt.Sprintln(owner)},
	})
	if err != nil {
		t.Fatal(err)
	}
	refused.Question = fmt.Sprintf("exec %s: %s", where, strings.Join([]string{
		process.Script, "cat /proc/self/attr/current", access.LabelsCommand, "stat -c %u /proc/" + pid + "/environ",
	}, "\n"))
	refused.Answer = answer
	return refused
}

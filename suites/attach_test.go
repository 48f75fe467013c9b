package suites

import (
	"regexp"
	"strings"
	"testing"

	"sharedpid.example/reports"
)

// metAttaching changes the answer to one command of the exec in a container of the manifest attach.yaml whose commands hold some words.
func metAttaching(t *testing.T, container, words string, command, exitCode int, output string) func(*reports.Look) {
	changed := answerTo(t, words, func(answers *[]execAnswer) { (*answers)[command] = execAnswer{exitCode, output} })
	return func(look *reports.Look) {
		if strings.HasPrefix(look.Question, "exec attach/"+container+": ") {
			changed(look)
		}
	}
}

func TestAttachedSiblingsAreJudged(t *testing.T) {
	permitted := func(command, exitCode int, output string) func(*reports.Look) {
		return metAttaching(t, "tracer", writeInto("", "tracer"), command, exitCode, output)
	}
	stranger := func(command, exitCode int, output string) func(*reports.Look) {
		return metAttaching(t, "visitor", writeInto("", "visitor"), command, exitCode, output)
	}
	own := func(command, exitCode int, output string) func(*reports.Look) {
		return metAttaching(t, "owner", "echo owner", command, exitCode, output)
	}
	judgeAltered(t, attachTrait.ID, map[string]altered{
		"as it was":                      {func(*reports.Look) {}, reports.Conformant, ""},
		"nobody listens":                 {permitted(0, 1, "connect: Connection refused\n"), reports.Nonconformant, ""},
		"no socket is there":             {permitted(0, 1, "connect: No such file or directory\n"), reports.Nonconformant, ""},
		"too many files are open":        {permitted(0, 1, "socket: Too many open files\n"), reports.Inconclusive, reports.Precondition},
		"an answer of something else":    {permitted(0, 0, "125 4340\n"), reports.Nonconformant, ""},
		"known by another pid":           {permitted(0, 0, "125 4340\n0 4340\n"), reports.Nonconformant, ""},
		"known by another uid":           {permitted(0, 0, "125 4340\n125 65534\n"), reports.Nonconformant, ""},
		"the FIFO cannot be opened":      {permitted(1, 1, "sh: can't create fifo: no such file\n"), reports.Nonconformant, ""},
		"nothing comes out of the FIFO":  {own(1, 0, "watched\nowner\n"), reports.Nonconformant, ""},
		"the same socket at its path":    {permitted(2, 0, "/offered/attach/socket\n"), reports.Nonconformant, ""},
		"the same FIFO at its path":      {permitted(3, 0, "/offered/attach/fifo\n"), reports.Nonconformant, ""},
		"another uid connects":           {stranger(2, 0, "126 4341\n126 4341\n"), reports.Nonconformant, ""},
		"another uid writes":             {stranger(3, 0, ""), reports.Nonconformant, ""},
		"what it writes comes out":       {own(1, 0, "tracer\nvisitor\nowner\n"), reports.Nonconformant, ""},
		"another uid finds nothing":      {stranger(2, 1, "connect: No such file or directory\n"), reports.Inconclusive, reports.Precondition},
		"another uid sees no process":    {stranger(0, 1, "sh: can't open /proc/8/cmdline: no such file\n"), reports.Inconclusive, reports.Precondition},
		"hidepid":                        {hiddenVisitor(t, writeInto("", "visitor"), 2, 3), reports.Conformant, ""},
		"its program is not executed":    {stranger(2, 126, "sh: /programs/system-calls: Permission denied\n"), reports.Inconclusive, reports.Precondition},
		"the owner is not served either": {own(0, 1, "connect: Connection refused\n"), reports.Inconclusive, reports.Precondition},
		"the owner's line is late":       {own(1, 0, "tracer\n"), reports.Inconclusive, reports.Precondition},
		"nothing is offered": {
			metAttaching(t, "owner", " serve ", 0, 1, "sh: /programs/system-calls: Permission denied\n"), reports.Inconclusive, reports.Precondition,
		},
		"a folder that is read-only": {answerTo(t, "write /programs/system-calls of attach/", func(answer *execAnswer) {
			*answer = execAnswer{1, "sh: can't create /programs/system-calls.1: Read-only file system\n"}
		}), reports.Inconclusive, reports.Precondition},
		"an owner that was restarted": {restartedBetween(t, attachTrait.ID, "attach/tracer"), reports.Inconclusive, reports.Precondition},
	})
}

// startTime is the last field in the beginning of /proc/PID/stat, in a snapshot.
var startTime = regexp.MustCompile(`(?m)^(/proc/\d+/stat:.*\) \S(?: \S+){18} )\d+`)

// restartedBetween shows younger processes in the last shared look at a Pod that a trait was given.
func restartedBetween(t *testing.T, trait, where string) func(*reports.Look) {
	t.Helper()
	seen, last := "processes seen from "+where, ""
	for _, look := range readRecording(t, "testdata/healthy.json.gz").Looks {
		if look.By == trait && look.Question == "probe "+seen {
			last = seen + " #" + string(look.Answer)
		}
	}
	if last == "" {
		t.Fatalf("%s has not looked at the %s", trait, seen)
	}
	younger := answerTo(t, seen, func(answer *snapshotAnswer) {
		answer.Output = startTime.ReplaceAllString(answer.Output, "${1}4000000000")
	})
	return func(look *reports.Look) {
		if look.By == last {
			younger(look)
		}
	}
}

// restartedMeanwhile shows younger processes in all looks at a Pod but the first.
func restartedMeanwhile(t *testing.T, where string) func(*reports.Look) {
	seen := 0
	return answerTo(t, "processes seen from "+where, func(answer *snapshotAnswer) {
		if seen++; seen > 1 {
			answer.Output = startTime.ReplaceAllString(answer.Output, "${1}4000000000")
		}
	})
}

// hiddenVisitor shows /proc mounted so as to hide the process from another uid.
func hiddenVisitor(t *testing.T, words string, commands ...int) func(*reports.Look) {
	return func(look *reports.Look) {
		metAttaching(t, "visitor", words, 0, 1, "sh: can't open /proc/8/cmdline: no such file\n")(look)
		metAttaching(t, "visitor", words, 1, 0, "proc /proc proc rw,nosuid,hidepid=invisible 0 0\n")(look)
		for _, command := range commands {
			metAttaching(t, "visitor", words, command, 1, "sh: can't create /proc/8/root/offered/attach/fifo: nonexistent directory\n")(look)
		}
	}
}

func TestWatchingSiblingsAreJudged(t *testing.T) {
	permitted := func(command, exitCode int, output string) func(*reports.Look) {
		return metAttaching(t, "tracer", " watch ", command, exitCode, output)
	}
	stranger := func(command, exitCode int, output string) func(*reports.Look) {
		return metAttaching(t, "visitor", " watch ", command, exitCode, output)
	}
	judgeAltered(t, watchTrait.ID, map[string]altered{
		"as it was":                        {func(*reports.Look) {}, reports.Conformant, ""},
		"not told of a change":             {permitted(0, 0, "not told\n"), reports.Nonconformant, ""},
		"the change is late":               {permitted(0, 0, "not changed\n"), reports.Inconclusive, reports.OutOfTime},
		"no such file":                     {permitted(0, 1, "inotify_add_watch: No such file or directory\n"), reports.Nonconformant, ""},
		"no watches are left":              {permitted(0, 1, "inotify_add_watch: No space left on device\n"), reports.Inconclusive, reports.Precondition},
		"a kernel that watches nothing":    {permitted(1, 1, "inotify_init1: Function not implemented\n"), reports.Inconclusive, reports.Precondition},
		"another uid cannot watch its own": {stranger(3, 1, "inotify_init1: Too many open files\n"), reports.Inconclusive, reports.Precondition},
		"another uid watches":              {stranger(2, 0, "not changed\n"), reports.Nonconformant, ""},
		"another uid has no watches left":  {stranger(2, 1, "inotify_add_watch: No space left on device\n"), reports.Inconclusive, reports.Precondition},
		"another uid sees no process":      {stranger(0, 1, "sh: can't open /proc/8/cmdline: no such file\n"), reports.Inconclusive, reports.Precondition},
		"hidepid":                          {hiddenVisitor(t, " watch ", 2), reports.Conformant, ""},
		"a suite without the program": {
			unanswered("write /programs/system-calls of attach/", reports.Precondition), reports.Inconclusive, reports.Precondition,
		},
	})
}

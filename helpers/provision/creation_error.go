package provision

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	kindexec "sigs.k8s.io/kind/pkg/exec"
)

// withOutput adds to an error of kind's library what the command that failed said of it: the error's own text only
// quotes the command line.
func withOutput(err error) error {
	failed := kindexec.RunErrorForError(err)
	if failed == nil {
		return err
	}
	return fmt.Errorf("%s: %w: %s", beginning(failed.Command), failed.Inner, cmp.Or(failureLines(string(failed.Output)), "it said nothing"))
}

// beginning is how a person recognises a command line: the program, its first argument, and what an exec runs where.
func beginning(command []string) string {
	words := command[:min(2, len(command))]
	if len(command) > 2 && command[1] == "exec" {
		rest := slices.DeleteFunc(slices.Clone(command[2:]), func(word string) bool { return strings.HasPrefix(word, "-") })
		words = append(slices.Clone(words), rest[:min(3, len(rest))]...)
	}
	return strings.Join(words, " ")
}

var (
	// errorLine begins in one of the ways in which kubeadm and the engines say why they fail.
	errorLine = regexp.MustCompile(
		`(?i)^(\w+: )?error\b|^panic: |^fatal error: |error execution phase|\[ERROR |-check\] .* is not healthy after `)
	// stackFile is the second line of a frame of a Go stack trace, of an error's or of a panic's.
	stackFile = regexp.MustCompile(`^\s+\S+\.(go|s):\d+( \+0x[0-9a-f]+)?$`)
	// goroutine is the heading of the stack trace of a panic.
	goroutine = regexp.MustCompile(`^goroutine \d+ .*:$`)
	// logLine is a line of the log of a Kubernetes program.
	logLine = regexp.MustCompile(`^([IWEF])\d{4} \d\d:\d\d:[^\]]*\] ?`)
)

// kubeadmHint is what kubeadm adds to errors, for those who call it themselves.
const kubeadmHint = "To see the stack trace of this error"

// failureLines returns, as one line, those lines of a command's output that carry the error. Kubeadm, which kind runs
// with a high verbosity, ends with a stack trace, and older versions with one for each cause; a cause stands before its
// stack trace. When there is nothing of the kind it is the last line, or the last error in the log.
func failureLines(output string) string {
	lines := strings.Split(output, "\n")
	isFrame := func(at int) bool { return at+1 < len(lines) && stackFile.MatchString(lines[at+1]) }
	var last, logged string
	var chosen []string
	for at, line := range lines {
		text := strings.TrimSpace(line)
		if log := logLine.FindStringSubmatch(text); log != nil {
			if log[1] == "E" || log[1] == "F" {
				logged = text[len(log[0]):]
			}
			continue
		}
		if text == "" || isFrame(at) || stackFile.MatchString(line) || goroutine.MatchString(text) || strings.HasPrefix(text, kubeadmHint) {
			continue
		}
		last = text
		// A later line that wraps an earlier one says all of it.
		if errorLine.MatchString(text) || isFrame(at+1) {
			text = strings.TrimPrefix(text, "error: ")
			chosen = slices.DeleteFunc(chosen, func(earlier string) bool { return strings.Contains(text, earlier) })
			chosen = append(chosen, text)
		}
	}
	if len(chosen) == 0 {
		return cmp.Or(logged, last)
	}
	return strings.ReplaceAll(strings.Join(chosen, "; "), ":; ", ": ")
}

// kubeletFailure is how a kubelet that gives up says why, in its log.
var kubeletFailure = regexp.MustCompile(`(?m)"command failed" err="(.*)"$`)

// kubeletError is why a node's kubelet gave up, from its log; empty when it did not.
func kubeletError(log string) string {
	all := kubeletFailure.FindAllStringSubmatch(log, -1)
	if len(all) == 0 {
		return ""
	}
	return strings.ReplaceAll(all[len(all)-1][1], `\"`, `"`)
}

// creationSteps are what a person does next when words stand in the error of a creation; the first that fit count. ENGINE and
// IMAGE stand for the container engine and for the nodes' image.
var creationSteps = []struct {
	words *regexp.Regexp
	step  string
}{
	{regexp.MustCompile(`(?i)no space left`), "free some disk where ENGINE keeps its images and containers"},
	{regexp.MustCompile(`(?i)too many open files|inotify`),
		"raise the limits: sysctl fs.inotify.max_user_instances=512 fs.inotify.max_user_watches=524288"},
	{regexp.MustCompile(`(?i)did not resolve|manifest unknown|pull access denied|no such image|unable to find image|failed to pull image`),
		"give an image that ENGINE can pull with --node-image, or run sharedpid setup, which pulls or builds one"},
	{regexp.MustCompile(`(?i)port is already allocated|address already in use|Port \d+ is in use`),
		"end what uses the port, or give another one in the kind configuration, see --kind-config"},
	{regexp.MustCompile(`(?i)kubelet|is not healthy|check failed at|Multi-User System|cgroup`),
		"look for a lack of memory, disk or cgroups on this machine; kind create cluster --retain --image IMAGE " +
			"leaves such a node, whose log ENGINE exec kind-control-plane journalctl -u kubelet shows"},
}

// creationStep is what a person does next after a creation failed with an error.
func creationStep(text, engine, image string) string {
	step := "run again; kind create cluster --retain --image IMAGE makes the same cluster and leaves its nodes to look at"
	for _, each := range creationSteps {
		if each.words.MatchString(text) {
			step = each.step
			break
		}
	}
	return strings.NewReplacer("ENGINE", engine, "IMAGE", image).Replace(step)
}

package provision

import (
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
	return fmt.Errorf("%s: %w: %s", beginning(failed.Command), failed.Inner, failureLines(string(failed.Output)))
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
	errorLine = regexp.MustCompile(`(?i)^(\w+: )?error\b|error execution phase|\[ERROR `)
	// stackFile is the second line of a frame of a Go stack trace.
	stackFile = regexp.MustCompile(`^\s+\S+\.(go|s):\d+$`)
	// logLine is a line of the log of a Kubernetes program.
	logLine = regexp.MustCompile(`^[IWEF]\d{4} \d\d:\d\d:`)
)

// kubeadmHint is what kubeadm adds to errors, for those who call it themselves.
const kubeadmHint = "To see the stack trace of this error"

// failureLines returns, as one line, those lines of a command's output that carry the error. Kubeadm, which kind runs
// with a high verbosity, ends with a stack trace, and older versions with one for each cause; a cause stands before its
// stack trace. When there is nothing of the kind it is the last line.
func failureLines(output string) string {
	lines := strings.Split(output, "\n")
	isFrame := func(at int) bool { return at+1 < len(lines) && stackFile.MatchString(lines[at+1]) }
	var last string
	var chosen []string
	for at, line := range lines {
		text := strings.TrimSpace(line)
		if text == "" || isFrame(at) || stackFile.MatchString(line) || strings.HasPrefix(text, kubeadmHint) || logLine.MatchString(text) {
			continue
		}
		last = text
		// A later line that wraps an earlier one says all of it.
		if errorLine.MatchString(text) || isFrame(at+1) {
			chosen = slices.DeleteFunc(chosen, func(earlier string) bool { return strings.Contains(text, earlier) })
			chosen = append(chosen, text)
		}
	}
	if len(chosen) == 0 {
		return last
	}
	return strings.Join(chosen, "; ")
}

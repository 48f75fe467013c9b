package pod

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Observation is what one command in a container showed.
type Observation struct {
	Command  string
	Output   string // standard output and error as a terminal would mix them, verbatim
	ExitCode int
}

// Errno returns the name of the errno that the command's last words name, in the strings that glibc and
// musl share, such as "EACCES"; empty when the command succeeded or named none.
func (observation Observation) Errno() string {
	if observation.ExitCode == 0 {
		return ""
	}
	return Errno(observation.Output)
}

// Errno returns the name of the errno whose strerror(3) words are in a message, empty when there are none.
func Errno(message string) string {
	for _, known := range errnoStrings {
		if strings.Contains(message, known.words) {
			return known.name
		}
	}
	return ""
}

// errnoStrings are the strerror(3) words of the refusals that traits tell apart.
var errnoStrings = []struct{ words, name string }{
	{"Permission denied", "EACCES"},
	{"Operation not permitted", "EPERM"},
	{"No such file or directory", "ENOENT"},
	{"no such file", "ENOENT"}, // a failed redirection in busybox's shell
	{"Read-only file system", "EROFS"},
	{"No such process", "ESRCH"},
	{"Invalid argument", "EINVAL"},
	{"Function not implemented", "ENOSYS"},
}

// lookScript joins commands into one shell script, so that one exec does for all of them. Each one runs in a
// subshell and its output travels as hexadecimal: binary files arrive whole, and nothing a container prints can
// forge another command's answer.
func lookScript(commands []string) string {
	var script strings.Builder
	for _, command := range commands {
		fmt.Fprintf(&script, "{ ( %s\n) 2>&1; printf '\\n%%d' $?; } </dev/null | od -An -v -tx1 | tr -d ' \\n'; echo\n", command)
	}
	script.WriteString("echo complete\n")
	return script.String()
}

// errIncomplete says that the answer to a look was lost on its way: not an observation, so the look is repeated.
var errIncomplete = errors.New("the answer is incomplete: its last line is missing")

// parseLook reads what lookScript of these commands printed.
func parseLook(commands []string, output string) ([]Observation, error) {
	lines := strings.Split(output, "\n")
	if len(lines) != len(commands)+2 || lines[len(commands)] != "complete" || lines[len(commands)+1] != "" {
		return nil, errIncomplete
	}
	observations := make([]Observation, len(commands))
	for i, command := range commands {
		raw, err := hex.DecodeString(lines[i])
		if err != nil {
			return nil, fmt.Errorf("answer to %q: %w", command, err)
		}
		end := bytes.LastIndexByte(raw, '\n')
		if end < 0 {
			return nil, fmt.Errorf("answer to %q has no exit code", command)
		}
		exitCode, err := strconv.Atoi(string(raw[end+1:]))
		if err != nil {
			return nil, fmt.Errorf("answer to %q: %w", command, err)
		}
		observations[i] = Observation{Command: command, Output: string(raw[:end]), ExitCode: exitCode}
	}
	return observations, nil
}

// Package systemcalls carries a small program into containers that does to other processes of the Pod what a shell cannot do: it tries system
// calls on them, connects to their sockets, watches their files and debugs them. The package reads what it prints of the calls, and of what it
// debugged.
package systemcalls

import (
	"bufio"
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"sharedpid.example/helpers/workspace"
)

// built holds the program for each architecture, in a binary that make built: see the command beside this package. Anywhere else it is built
// when it is asked for.
//
//go:embed all:built
var built embed.FS

// Program returns the program for Linux on an architecture that Go and nodes call the same, such as amd64. A suite that was built without
// it needs its checkout and Go.
func Program(ctx context.Context, architecture string) ([]byte, error) {
	content, err := built.ReadFile("built/" + architecture)
	if !errors.Is(err, fs.ErrNotExist) {
		return content, err
	}
	root, err := workspace.Root()
	if err != nil {
		return nil, fmt.Errorf("this suite was built without the program that tries system calls on %s, and cannot build it: %w", architecture, err)
	}
	folder, err := os.MkdirTemp("", "systemcalls-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	file := filepath.Join(folder, architecture)
	if err := Build(ctx, root, architecture, file); err != nil {
		return nil, err
	}
	return os.ReadFile(file)
}

// Build builds the program for an architecture from the checkout with that root, into a file.
func Build(ctx context.Context, root, architecture, file string) error {
	return workspace.Command{
		Arguments:   []string{"go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o", file, "./helpers/systemcalls/program"},
		Folder:      root,
		Environment: workspace.BuildEnvironment(architecture),
	}.Run(ctx)
}

// Answer is what one call on one process came to.
type Answer struct {
	Call  string `json:"call"` // as its man page is called
	PID   int    `json:"pid"`
	Errno int    `json:"errno"` // 0 where nothing refused it
}

// Parse reads what the program printed of the calls. An output that is not a line of JSON for each call is an error.
func Parse(output string) ([]Answer, error) {
	var answers []Answer
	lines := bufio.NewScanner(strings.NewReader(output))
	for lines.Scan() {
		var answer Answer
		if err := decode(lines.Bytes(), &answer); err != nil || answer.Call == "" || answer.PID < 1 {
			return nil, fmt.Errorf("line %d is no answer: %.100q", len(answers)+1, lines.Text())
		}
		answers = append(answers, answer)
	}
	return answers, lines.Err()
}

// Debugged is what a debugger saw of a process that serves.
type Debugged struct {
	Threads   int      `json:"threads"`   // that stopped, and whose registers could be read
	Stacks    int      `json:"stacks"`    // of those threads that could be read
	Calls     []string `json:"calls"`     // system calls in which they stopped while they served
	During    string   `json:"during"`    // what the process said to who connected while it was debugged
	After     string   `json:"after"`     // and when it was let go
	TracerPID string   `json:"tracerPid"` // of the process by then, 0 for none
}

// ParseDebugged reads what the program printed of a process that it debugged. An output that is not one object of JSON is an error.
func ParseDebugged(output string) (debugged Debugged, err error) {
	if decode([]byte(output), &debugged) != nil {
		return debugged, fmt.Errorf("the program that debugs says %.100q", output)
	}
	return debugged, nil
}

// decode decodes one value of JSON that has no other fields than those it is decoded into.
func decode(text []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if decoder.More() {
		return errors.New("there is more than one value")
	}
	return nil
}

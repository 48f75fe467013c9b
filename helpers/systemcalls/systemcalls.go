// Package systemcalls carries a small program into containers that does to other processes of the Pod what a shell cannot do: it tries system
// calls on them, connects to their sockets and watches their files. The package reads what it prints of the calls.
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

// Parse reads what the program printed. An output that is not a line of JSON for each call is an error.
func Parse(output string) ([]Answer, error) {
	var answers []Answer
	lines := bufio.NewScanner(strings.NewReader(output))
	for lines.Scan() {
		decoder := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		decoder.DisallowUnknownFields()
		var answer Answer
		if err := decoder.Decode(&answer); err != nil || answer.Call == "" || answer.PID < 1 || decoder.More() {
			return nil, fmt.Errorf("line %d is no answer: %.100q", len(answers)+1, lines.Text())
		}
		answers = append(answers, answer)
	}
	return answers, lines.Err()
}

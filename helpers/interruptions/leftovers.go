package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sharedpid.example/helpers/workspace"
)

// state is what there is on the machine that a run could have left behind, by kind.
type state map[string][]string

// mark is the variable in the environment of a run, and of all that it starts.
func (tries *tries) mark(number int) string {
	return fmt.Sprintf("SHAREDPID_INTERRUPTED=%s/%d", tries.folder, number)
}

// kubeconfig is a file of the user's, as kubectl reads it.
func (tries *tries) kubeconfig() string { return filepath.Join(tries.folder, "kubeconfig") }

// look finds what there is now: containers and networks of the engine, processes of the try, mounts, the user's kubeconfig, and what the
// suite's cache and the temporary folder hold.
func (tries *tries) look(ctx context.Context, number int) (state, error) {
	now := state{}
	for kind, arguments := range map[string][]string{
		"container": {"ps", "--all", "--format", "{{.Names}}", "--filter", "label=io.x-k8s.kind.cluster=" + tries.name},
		"network":   {"network", "ls", "--format", "{{.Name}}"},
	} {
		output, err := tries.engine.Output(ctx, arguments...)
		if err != nil {
			return nil, err
		}
		now[kind] = strings.Fields(output)
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(mounts)) {
		if fields := strings.Fields(line); len(fields) > 1 && strings.Contains(fields[1], tries.name) {
			now["mount"] = append(now["mount"], fields[1])
		}
	}
	if now["process"], err = marked(tries.mark(number)); err != nil {
		return nil, err
	}
	content, err := os.ReadFile(tries.kubeconfig())
	if errors.Is(err, os.ErrNotExist) {
		content = []byte("apiVersion: v1\nkind: Config\n")
		err = os.WriteFile(tries.kubeconfig(), content, 0o600)
	}
	if err != nil {
		return nil, err
	}
	now["kubeconfig"] = []string{string(content)}
	cache, err := workspace.Cache()
	if err != nil {
		return nil, err
	}
	for kind, pattern := range map[string]string{
		"record of a cluster": filepath.Join(cache, "clusters", tries.name, "*"),
		"file":                filepath.Join(os.TempDir(), "sharedpid*"),
	} {
		if now[kind], err = filepath.Glob(pattern); err != nil {
			return nil, err
		}
	}
	// The lock of a name stays, empty: to remove it would let two runs have it at once.
	now["record of a cluster"] = slices.DeleteFunc(now["record of a cluster"], func(path string) bool { return filepath.Base(path) == "lock" })
	return now, nil
}

// nameServer is podman's for a whole network: the first container starts it, whoever's that is, and it ends with the last.
const nameServer = "aardvark-dns"

// marked are the processes that have a variable in their environment, as a line each.
func marked(variable string) ([]string, error) {
	paths, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		return nil, err
	}
	var found []string
	for _, path := range paths {
		environment, err := os.ReadFile(path) // of a process that has ended it is gone
		if err != nil || !slices.Contains(strings.Split(string(environment), "\x00"), variable) {
			continue
		}
		arguments, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
		line := strings.TrimSpace(strings.ReplaceAll(string(arguments), "\x00", " "))
		if program, _, _ := strings.Cut(line, " "); filepath.Base(program) != nameServer {
			found = append(found, line)
		}
	}
	return found, nil
}

// differences says what is there later that was not there before, and the other way round.
func (before state) differences(after state) []string {
	var all []string
	for kind, now := range after {
		for _, each := range now {
			if !slices.Contains(before[kind], each) {
				all = append(all, fmt.Sprintf("left: %s %.100q", kind, each))
			}
		}
		for _, each := range before[kind] {
			if !slices.Contains(now, each) {
				all = append(all, fmt.Sprintf("gone: %s %.100q", kind, each))
			}
		}
	}
	slices.Sort(all)
	return all
}

// Package process reads and compares the processes of a pid namespace, as seen from inside a container.
package process

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Script is the POSIX shell script whose output Parse reads. It needs cat, grep, od, tr and readlink,
// which busybox and every distribution image have. Everything that a process can choose freely travels
// as hexadecimal, so that no argument vector can forge a line.
const Script = `hexadecimal() { od -An -v -tx1 "$1" 2>/dev/null | tr -d ' \n'; }
echo "self $$"
for directory in /proc/[0-9]*; do
  status=$(grep -E '^(State|PPid|Uid|Gid|CapPrm|CapEff):' "$directory/status" 2>/dev/null) || continue
  echo "process ${directory#/proc/}"
  echo "$status"
  echo "stat $(hexadecimal "$directory/stat")"
  echo "cmdline $(hexadecimal "$directory/cmdline")"
  echo "pidns $(readlink "$directory/ns/pid" 2>/dev/null)"
  echo "end"
done
echo complete`

// Process is one process as /proc/PID of proc(5) describes it.
type Process struct {
	PID, PPID int
	State     string   // the letter of proc_pid_status(5): R, S, D, Z, T, ...
	UID, GID  int      // effective
	UIDs      [4]int   // real, effective, saved and file system uid, as credentials(7) tells them apart
	GIDs      [4]int   // the same of gids
	Permitted uint64   // capability set
	Effective uint64   // capability set
	StartTime uint64   // clock ticks after boot; with PID it identifies a process for good
	Arguments []string // empty for a zombie
	Namespace string   // as readlink of ns/pid gives it, empty when that was denied
}

// Snapshot is every process that one look saw.
type Snapshot struct {
	Self      int // the shell that looked
	Processes []Process
}

// Parse reads the output of Script. An output that was cut short is an error, never a smaller snapshot.
// A process that ended between two reads of it is left out.
func Parse(output string) (Snapshot, error) {
	var snapshot Snapshot
	var current *Process
	gone, complete := false, false
	for number, line := range strings.Split(strings.TrimRight(output, "\n"), "\n") {
		if complete {
			return Snapshot{}, fmt.Errorf("line %d follows the end of the snapshot", number+1)
		}
		key, value, _ := strings.Cut(line, " ")
		var err error
		switch {
		case line == "complete" && current == nil:
			complete = true
		case key == "self" && current == nil:
			snapshot.Self, err = strconv.Atoi(value)
		case key == "process" && current == nil:
			current, gone = new(Process), false
			current.PID, err = strconv.Atoi(value)
		case current == nil:
			err = errors.New("no process begun")
		case line == "end":
			if !gone {
				snapshot.Processes = append(snapshot.Processes, *current)
			}
			current = nil
		case key == "pidns":
			current.Namespace = value
		case key == "cmdline":
			current.Arguments, err = parseArguments(value)
		case key == "stat" && value == "":
			gone = true
		case key == "stat":
			current.StartTime, err = parseStartTime(value)
		default:
			err = current.parseStatus(line)
		}
		if err != nil {
			return Snapshot{}, fmt.Errorf("process snapshot, line %d %.80q: %w", number+1, line, err)
		}
	}
	if !complete {
		return Snapshot{}, errors.New("process snapshot is incomplete: its last line is missing")
	}
	slices.SortFunc(snapshot.Processes, func(a, b Process) int { return cmp.Compare(a.PID, b.PID) })
	return snapshot, nil
}

func parseArguments(hexadecimal string) ([]string, error) {
	raw, err := hex.DecodeString(hexadecimal)
	if err != nil {
		return nil, err
	}
	// A process that sets its title, as nginx does, leaves the rest of its argument area zeroed.
	raw = bytes.TrimRight(raw, "\x00")
	if len(raw) == 0 {
		return nil, nil
	}
	return strings.Split(string(raw), "\x00"), nil
}

// parseStartTime takes field 22 of proc_pid_stat(5). The second field is the command's name in
// parentheses, which may itself hold spaces and parentheses.
func parseStartTime(hexadecimal string) (uint64, error) {
	raw, err := hex.DecodeString(hexadecimal)
	if err != nil {
		return 0, err
	}
	_, rest, found := cutLast(string(raw), ")")
	fields := strings.Fields(rest)
	if !found || len(fields) < 20 {
		return 0, errors.New("stat has too few fields")
	}
	return strconv.ParseUint(fields[19], 10, 64)
}

func cutLast(s, separator string) (before, after string, found bool) {
	i := strings.LastIndex(s, separator)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(separator):], true
}

func (process *Process) parseStatus(line string) error {
	key, value, found := strings.Cut(line, ":")
	fields := strings.Fields(value)
	if !found || len(fields) == 0 {
		return errors.New("not a line of /proc/PID/status")
	}
	var err error
	switch key {
	case "State":
		process.State = fields[0]
	case "PPid":
		process.PPID, err = strconv.Atoi(fields[0])
	case "Uid", "Gid":
		if len(fields) != 4 {
			return errors.New("want four ids")
		}
		var ids [4]int
		for i, field := range fields {
			if ids[i], err = strconv.Atoi(field); err != nil {
				return err
			}
		}
		if key == "Uid" {
			process.UID, process.UIDs = ids[1], ids
		} else {
			process.GID, process.GIDs = ids[1], ids
		}
	case "CapPrm":
		process.Permitted, err = strconv.ParseUint(fields[0], 16, 64)
	case "CapEff":
		process.Effective, err = strconv.ParseUint(fields[0], 16, 64)
	default:
		err = errors.New("unknown line")
	}
	return err
}

// With returns the processes with exactly these arguments, by pid.
func (snapshot Snapshot) With(arguments ...string) []Process {
	var found []Process
	for _, process := range snapshot.Processes {
		if slices.Equal(process.Arguments, arguments) {
			found = append(found, process)
		}
	}
	return found
}

// PID returns the process with that number.
func (snapshot Snapshot) PID(number int) (Process, bool) {
	for _, process := range snapshot.Processes {
		if process.PID == number {
			return process, true
		}
	}
	return Process{}, false
}

// Roots returns the processes without a visible parent other than process 1: the start processes of the
// containers and what was started by exec, with all that a runtime put into the namespace from outside.
func (snapshot Snapshot) Roots() []Process {
	var roots []Process
	for _, process := range snapshot.Processes {
		if process.PPID == 0 && process.PID != 1 {
			roots = append(roots, process)
		}
	}
	return roots
}

// PIDs returns the pids of processes in their order.
func PIDs(processes []Process) []int {
	pids := make([]int, len(processes))
	for i, process := range processes {
		pids[i] = process.PID
	}
	return pids
}

// Package process reads and compares the processes of a pid namespace, as seen from inside a container.
package process

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Script is the POSIX shell script whose output Parse reads. It needs grep, ls and od, which busybox and every
// distribution image have, and starts one process for each that it sees and three besides. What a process can choose
// freely comes as hexadecimal, or behind the name of the file it was read from, so that none can forge a line.
const Script = `export LC_ALL=C
echo "self $$"
grep -HE '^(State|PPid|Uid|Gid|Groups|NSpid|CapPrm|CapEff):' /proc/[0-9]*/status 2>/dev/null
grep -H '' /proc/[0-9]*/stat /proc/[0-9]*/cgroup 2>/dev/null
ls -l /proc/[0-9]*/ns/pid /proc/[0-9]*/ns/mnt 2>/dev/null
for directory in /proc/[0-9]*; do
  echo "cmdline ${directory#/proc/}"
  od -An -v -tx1 "$directory/cmdline" 2>/dev/null && echo end
done
echo complete`

// Process is one process as /proc/PID of proc(5) describes it.
type Process struct {
	PID, PPID      int
	State          string   // the letter of proc_pid_status(5): R, S, D, Z, T, ...
	UID, GID       int      // effective
	UIDs           [4]int   // real, effective, saved and file system uid, as credentials(7) tells them apart
	GIDs           [4]int   // the same of gids
	Groups         []int    // supplementary gids
	NamespacePIDs  []int    // its pid in the PID namespace of /proc and in each one nested below; empty before Linux 4.1
	Permitted      uint64   // capability set
	Effective      uint64   // capability set
	StartTime      uint64   // clock ticks after boot; with PID it identifies a process for good
	Arguments      []string // empty for a zombie
	Namespace      string   // as readlink of ns/pid gives it, empty when that was denied
	MountNamespace string   // the same of ns/mnt
	Cgroups        string   // all lines of its cgroup file, as seen from the look's own cgroup namespace
}

// Snapshot is every process that one look saw.
type Snapshot struct {
	Self      int // the shell that looked
	Processes []Process
	// Owners are the containers whose the processes are, by pid, as Containers returns them; nil when nobody has asked.
	Owners map[int]string
}

// Parse reads the output of Script. An output that was cut short is an error, never a smaller snapshot.
// A process that ended between two reads of it is left out.
func Parse(output string) (Snapshot, error) {
	reader := reader{seen: map[int]*seen{}}
	complete := false
	for number, line := range strings.Split(strings.TrimRight(output, "\n"), "\n") {
		if complete {
			return Snapshot{}, fmt.Errorf("line %d follows the end of the snapshot", number+1)
		}
		if line == "complete" {
			complete = true
			continue
		}
		if err := reader.read(line); err != nil {
			return Snapshot{}, fmt.Errorf("process snapshot, line %d %.80q: %w", number+1, line, err)
		}
	}
	if !complete {
		return Snapshot{}, errors.New("process snapshot is incomplete: its last line is missing")
	}
	return reader.snapshot()
}

// seen is what was read of one process so far.
type seen struct {
	Process
	stat        string // all of the file
	hexadecimal string // of its arguments
	whole       bool   // its arguments were read to the end
}

// reader puts together what the script printed file by file.
type reader struct {
	self      int
	seen      map[int]*seen
	arguments *seen // of the process whose arguments are being read
}

// Lines of the script: of grep, which begin with the file, and of ls, which end with a link and where it leads.
var (
	fileLine = regexp.MustCompile(`^/proc/([0-9]+)/(status|stat|cgroup):(.*)$`)
	linkLine = regexp.MustCompile(` /proc/([0-9]+)/ns/(pid|mnt)(?: -> (\S+))?$`)
)

func (reader *reader) read(line string) error {
	if reader.arguments != nil && reader.readArguments(line) {
		return nil
	}
	if key, value, _ := strings.Cut(line, " "); key == "self" || key == "cmdline" {
		pid, err := strconv.Atoi(value)
		if err != nil {
			return err
		}
		if key == "self" {
			reader.self = pid
		} else {
			reader.arguments = reader.process(pid)
		}
		return nil
	}
	if parts := fileLine.FindStringSubmatch(line); parts != nil {
		pid, err := strconv.Atoi(parts[1])
		if err != nil {
			return err
		}
		switch parts[2] {
		case "stat":
			reader.process(pid).stat += parts[3] + "\n"
			return nil
		case "cgroup":
			reader.process(pid).Cgroups += parts[3] + "\n"
			return nil
		}
		return reader.process(pid).parseStatus(parts[3])
	}
	if parts := linkLine.FindStringSubmatch(line); parts != nil {
		pid, err := strconv.Atoi(parts[1])
		if err != nil {
			return err
		}
		if parts[2] == "mnt" {
			reader.process(pid).MountNamespace = parts[3]
		} else {
			reader.process(pid).Namespace = parts[3]
		}
		return nil
	}
	return errors.New("not a line of the snapshot")
}

// readArguments takes a line of od, or the end of its lines, and tells whether it was one.
func (reader *reader) readArguments(line string) bool {
	switch {
	case line == "end":
		reader.arguments.whole = true
		reader.arguments = nil
	case strings.HasPrefix(line, " "):
		reader.arguments.hexadecimal += strings.ReplaceAll(line, " ", "")
	default:
		reader.arguments = nil // the process ended before od had opened its arguments
		return false
	}
	return true
}

func (reader *reader) process(pid int) *seen {
	if reader.seen[pid] == nil {
		reader.seen[pid] = &seen{Process: Process{PID: pid}}
	}
	return reader.seen[pid]
}

func (reader *reader) snapshot() (Snapshot, error) {
	snapshot := Snapshot{Self: reader.self}
	for _, each := range reader.seen {
		if each.State == "" || each.stat == "" || !each.whole {
			continue
		}
		var err error
		if each.StartTime, err = parseStartTime(each.stat); err != nil {
			return Snapshot{}, fmt.Errorf("process snapshot, process %d: %w", each.PID, err)
		}
		if each.Arguments, err = parseArguments(each.hexadecimal); err != nil {
			return Snapshot{}, fmt.Errorf("process snapshot, process %d: %w", each.PID, err)
		}
		snapshot.Processes = append(snapshot.Processes, each.Process)
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
// parentheses, which may itself hold spaces, parentheses and ends of lines.
func parseStartTime(stat string) (uint64, error) {
	end := strings.LastIndex(stat, ")")
	fields := strings.Fields(stat[end+1:])
	if end < 0 || len(fields) < 20 {
		return 0, errors.New("stat has too few fields")
	}
	return strconv.ParseUint(fields[19], 10, 64)
}

func (process *Process) parseStatus(line string) error {
	key, value, found := strings.Cut(line, ":")
	fields := strings.Fields(value)
	if !found || len(fields) == 0 && key != "Groups" { // most processes are in no other groups
		return errors.New("not a line of /proc/PID/status")
	}
	var err error
	switch key {
	case "State":
		process.State = strings.Clone(fields[0]) // the output is large, and the process is kept
	case "PPid":
		process.PPID, err = strconv.Atoi(fields[0])
	case "Groups":
		process.Groups, err = parseNumbers(fields)
	case "NSpid":
		process.NamespacePIDs, err = parseNumbers(fields)
	case "Uid", "Gid":
		ids, err := parseNumbers(fields)
		if err != nil {
			return err
		}
		if len(ids) != 4 {
			return errors.New("want four ids")
		}
		if key == "Uid" {
			process.UID, process.UIDs = ids[1], [4]int(ids)
		} else {
			process.GID, process.GIDs = ids[1], [4]int(ids)
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

func parseNumbers(fields []string) ([]int, error) {
	var numbers []int
	for _, field := range fields {
		number, err := strconv.Atoi(field)
		if err != nil {
			return nil, err
		}
		numbers = append(numbers, number)
	}
	return numbers, nil
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

// Containers returns whose each process is, by pid: that of the named containers whose id its cgroups name (names are by id).
// A container often sees its own cgroups as the root, which names nothing. Whoever has the mount namespace of the look is of the
// container that was looked from; so is whoever has its cgroups, where these tell containers apart.
func (snapshot Snapshot) Containers(from string, names map[string]string) map[int]string {
	owners := map[int]string{}
	self, _ := snapshot.PID(snapshot.Self)
	apart := snapshot.cgroupsTellApart(self)
	for _, process := range snapshot.Processes {
		if name := process.container(names); name != "" {
			owners[process.PID] = name
		} else if process.inMountNamespaceOf(self) || apart && process.Cgroups == self.Cgroups {
			owners[process.PID] = from
		}
	}
	return owners
}

// Holder is whose process 1 is.
type Holder int

const (
	// HolderUnknown means that cgroups do not tell.
	HolderUnknown Holder = iota
	// HolderContainer means that it is of one of the Pod's containers.
	HolderContainer
	// HolderPod means that it is of the Pod and of none of its containers: it holds the Pod's namespaces.
	HolderPod
	// HolderForeign means that it is of no container and not of the Pod, such as the node's init.
	HolderForeign
)

// First tells whose process 1 is, by what it is and not by its name. The kubelet puts all of a Pod below one cgroup: a process
// that lies in it beside the containers is the Pod's. Owners must be known.
func (snapshot Snapshot) First() Holder {
	first, found := snapshot.PID(1)
	if !found {
		return HolderUnknown
	}
	if snapshot.Owners[1] != "" {
		return HolderContainer
	}
	above := cgroupsAbove(first.Cgroups)
	told := false
	for _, each := range snapshot.Processes {
		if each.PID == 1 || snapshot.Owners[each.PID] == "" || each.Cgroups == first.Cgroups {
			continue
		}
		beside := cgroupsAbove(each.Cgroups)
		if len(above) == 0 || len(beside) == 0 || beneathRoot(beside) {
			continue
		}
		told = true
		if maps.Equal(above, beside) {
			return HolderPod
		}
	}
	if told {
		return HolderForeign
	}
	return HolderUnknown
}

// cgroupsAbove returns the cgroup above that of a process, for each hierarchy of its cgroup file, see cgroups(7). The root of
// a cgroup namespace lies in the one that the namespace's siblings call "..".
func cgroupsAbove(cgroups string) map[string]string {
	above := map[string]string{}
	for line := range strings.Lines(cgroups) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) != 3 {
			continue
		}
		if fields[2] == "/" {
			above[fields[1]] = "/.."
		} else {
			above[fields[1]] = fields[2][:max(0, strings.LastIndex(fields[2], "/"))] // not path.Dir, which would clean ".." away
		}
	}
	return above
}

// beneathRoot tells whether the cgroups above a container are the root itself. The kubelet never puts a container there: it is a
// kernel of the Pod's own, such as gVisor's, whose root cgroup has all that is of no container.
func beneathRoot(above map[string]string) bool {
	for _, cgroup := range above {
		if cgroup != "" {
			return false
		}
	}
	return true
}

// cgroupsTellApart tells whether cgroups that a process has in common with the look make it one of the same container. They do
// not where process 1 has them too without being of that container: there all containers have the same.
func (snapshot Snapshot) cgroupsTellApart(self Process) bool {
	first, _ := snapshot.PID(1)
	return self.Cgroups != "" && (first.Cgroups != self.Cgroups || first.inMountNamespaceOf(self))
}

// container returns the name of the container whose id the process's cgroups name, empty when they name none.
func (process Process) container(names map[string]string) string {
	for id, name := range names {
		if id != "" && strings.Contains(process.Cgroups, id) {
			return name
		}
	}
	return ""
}

// inMountNamespaceOf tells whether both processes are known to have one mount namespace: those of different containers never have.
func (process Process) inMountNamespaceOf(other Process) bool {
	return process.MountNamespace != "" && process.MountNamespace == other.MountNamespace
}

// WithoutLook returns the processes but those that the look itself consists of: its shell and all that descends from it.
func (snapshot Snapshot) WithoutLook() []Process {
	look := map[int]bool{snapshot.Self: true}
	for found := true; found; {
		found = false
		for _, process := range snapshot.Processes {
			if look[process.PPID] && !look[process.PID] {
				look[process.PID], found = true, true
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(snapshot.Processes), func(process Process) bool { return look[process.PID] })
}

// PIDs returns the pids of processes in their order.
func PIDs(processes []Process) []int {
	pids := make([]int, len(processes))
	for i, process := range processes {
		pids[i] = process.PID
	}
	return pids
}

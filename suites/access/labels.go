package access

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"sharedpid.example/helpers/process"
)

// Labels are what security modules call the processes of one look in /proc/PID/attr/current, each empty where it could not be
// read. Landlock gives no labels: what it refuses cannot be told from what another filter refuses.
type Labels struct {
	Look   string // of the process that asked
	Start  string // of the start process of the container in which exec made the look
	Target string // of the process that was asked for something
}

// LabelsOf returns the labels that count when a caller asks something of a target: none where they refuse the caller nothing.
func LabelsOf(caller, target Party) Labels {
	if caller.Permissive {
		return Labels{}
	}
	return Labels{Look: caller.Label, Start: caller.StartLabel, Target: target.Label}
}

// Explanation is how the labels explain that a look was refused although the kernel's own rules allow it.
type Explanation struct {
	Module      string // that confines the look: "apparmor" or "selinux", empty when none does
	ExecDiffers bool   // the look has another label than its container's start process, and so speaks for exec alone
	Words       string // both in one clause, empty when the labels explain nothing
}

// Explain says what the labels have to do with a refusal. Whatever does not explain it leaves the refusal unexcused.
func (labels Labels) Explain() Explanation {
	explanation := Explanation{
		Module:      SecurityModule(labels.Look),
		ExecDiffers: labels.Look != "" && labels.Start != "" && labels.Look != labels.Start,
	}
	switch {
	case explanation.ExecDiffers:
		explanation.Words = fmt.Sprintf("exec runs under another label than the container (containerd#12886): %s, its start process under %s",
			labels.Look, labels.Start)
	case explanation.Module != "":
		target := labels.Target
		if target == "" {
			target = "unknown"
		}
		explanation.Words = fmt.Sprintf("%s confines the look (%s), and narrows what it may do to its target (%s)",
			explanation.Module, labels.Look, target)
	}
	return explanation
}

// SELinux is its name as a module that narrows. Its labels are there as well where it is permissive, and then refuse nothing.
const SELinux = "selinux"

// PermissiveCommand succeeds where SELinux refuses the process that asks nothing, as a permissive one does: a subshell takes the label of
// the kernel, which no policy lets a container take, and ends. Containers do not have /sys/fs/selinux/enforce, which would tell.
const PermissiveCommand = "(echo -n system_u:system_r:kernel_t:s0 >/proc/self/attr/current)"

// SecurityModule names the module that a label in /proc/PID/attr/current is of, empty when it confines nothing.
func SecurityModule(label string) string {
	switch {
	case label == "" || label == "unconfined" || strings.HasSuffix(label, "(complain)"):
		return ""
	case strings.Count(label, ":") >= 3:
		return SELinux
	}
	return "apparmor"
}

// LabelsCommand prints the label of every process that can be seen, for ParseLabels. It prints nothing without a security module.
const LabelsCommand = "grep -H '' /proc/[0-9]*/attr/current 2>/dev/null"

var labelLine = regexp.MustCompile(`(?m)^/proc/([0-9]+)/attr/current:(.*)$`)

// ParseLabels reads what LabelsCommand printed: labels by pid.
func ParseLabels(output string) map[int]string {
	labels := map[int]string{}
	for _, parts := range labelLine.FindAllStringSubmatch(output, -1) {
		if pid, err := strconv.Atoi(parts[1]); err == nil {
			labels[pid] = strings.Trim(parts[2], "\x00 ")
		}
	}
	return labels
}

// StartLabel returns the label of the start process of the container that the snapshot was taken in: the oldest process of that
// container that does not belong to the look. It is empty when there is none, or it has no label.
func StartLabel(snapshot process.Snapshot, labels map[int]string) string {
	const own = "own"
	owners := snapshot.Containers(own, nil)
	var start process.Process
	for _, each := range snapshot.WithoutLook() {
		if owners[each.PID] == own && (start.PID == 0 || each.StartTime < start.StartTime) {
			start = each
		}
	}
	return labels[start.PID]
}

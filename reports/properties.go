package reports

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"sharedpid.example/reports/internal/legible"
)

// Property is a fact about a run, a target or a result with its name, as programs read it.
type Property struct{ Name, Value string }

// Properties are the facts about the run that are the same for all of its results, without those that are not known.
func (run Run) Properties() []Property {
	partial := ""
	if run.Partial() {
		partial = "true"
	}
	return NewProperties(
		"run", run.ID,
		"suite-version", run.SuiteVersion,
		"command", run.CommandLine(),
		"profile", run.Profile,
		"may-share", run.PermissionText(),
		"partial", partial,
		"narrowed", run.NarrowedText(),
		"left-out", run.LeftOutText(),
		"limits", run.LimitsText(),
		"adapted", run.AdaptedText(),
		"cluster", run.Cluster.Name,
		"cluster-origin", run.Cluster.Origin,
		"kubernetes", run.Cluster.KubernetesVersion,
		"engine", run.Cluster.Engine,
		"node-image", run.Cluster.NodeImage,
	)
}

// Properties are the facts about the target, without those that are not known.
func (target Target) Properties() []Property {
	return NewProperties(
		"target", target.ID,
		"node", target.Node,
		"runtime-class", target.RuntimeClass,
		"runtime-handler", target.RuntimeHandler,
		"runtime-version", target.RuntimeVersion,
		"runtime", target.Runtime,
		"kubelet", target.Kubelet,
		"kernel", target.Kernel,
		"cgroup-version", target.CgroupVersion,
		"os-image", target.OSImage,
		"architecture", target.Architecture,
	)
}

// NewProperties pairs names with values, each made one line, and leaves out those without a value.
func NewProperties(pairs ...string) []Property {
	var list []Property
	for i := 0; i+1 < len(pairs); i += 2 {
		if value := legible.Line(pairs[i+1]); value != "" {
			list = append(list, Property{Name: pairs[i], Value: value})
		}
	}
	return list
}

// VerdictText is the run's verdict with what a reader has to know beside it: "conformant (partial)" when it is about a
// part of the profile or of the cluster, "inconclusive (under way)" when the run has not finished.
func (run Run) VerdictText() string {
	var marks []string
	if run.Running {
		marks = append(marks, "under way")
	}
	if run.Partial() {
		marks = append(marks, "partial")
	}
	if len(marks) == 0 {
		return string(run.Verdict)
	}
	return fmt.Sprintf("%s (%s)", run.Verdict, strings.Join(marks, ", "))
}

// NarrowedText names in one line the options that narrowed the run, empty when nothing did.
func (run Run) NarrowedText() string { return legible.List(run.Narrowed, 12) }

// LeftOutText says in one line what of the cluster was not looked at, empty when nothing was left out.
func (run Run) LeftOutText() string {
	var names []string
	for _, left := range run.LeftOut {
		names = append(names, fmt.Sprintf("%s (%s)", left.Name, left.Reason))
	}
	return legible.List(names, 6)
}

// AdaptedText names in one line what namespaces and Pods had since the cluster demands it, empty for nothing.
func (run Run) AdaptedText() string { return legible.List(run.Adapted, 20) }

// LimitsText names in one line the limits that differ from their defaults, empty when none does.
func (run Run) LimitsText() string {
	var limits []string
	for _, name := range slices.Sorted(maps.Keys(run.Limits)) {
		limits = append(limits, name+" "+run.Limits[name])
	}
	return legible.List(limits, 20)
}

// Legible returns the target with every text made one line that is safe to show.
func (target Target) Legible() Target {
	for _, field := range []*string{
		&target.ID, &target.Node, &target.RuntimeClass, &target.RuntimeHandler, &target.RuntimeVersion, &target.Runtime,
		&target.Kubelet, &target.Kernel, &target.CgroupVersion, &target.OSImage, &target.Architecture,
	} {
		*field = legible.Line(*field)
	}
	return target
}

// CommandLine is the command that makes such a run again, as a person types it into a shell; empty when it is not known.
func (run Run) CommandLine() string {
	if run.Command == "" && len(run.Arguments) == 0 {
		return ""
	}
	words := []string{"sharedpid", cmp.Or(legible.Line(run.Command), "run")}
	for _, argument := range run.Arguments {
		words = append(words, shellQuote(legible.Line(argument)))
	}
	return strings.Join(words, " ")
}

// shellQuote makes text one word for a shell, whatever it holds.
func shellQuote(text string) string {
	plain := func(char rune) bool {
		return char >= 'a' && char <= 'z' || char >= 'A' && char <= 'Z' || char >= '0' && char <= '9' || strings.ContainsRune("-_./:@=,+%", char)
	}
	if text != "" && strings.IndexFunc(text, func(char rune) bool { return !plain(char) }) < 0 {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

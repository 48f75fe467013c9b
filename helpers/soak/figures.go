package main

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"sharedpid.example/reports"
)

// counted is what there was after one run.
type counted struct {
	Run     int                `json:"run"`
	Profile string             `json:"profile"`
	Seconds float64            `json:"seconds"`
	Verdict reports.Verdict    `json:"verdict"`
	Figures map[string]float64 `json:"figures"`
}

// figure is something that is counted after each run.
type figure struct {
	name   string
	script string // that prints it on the node, empty for one of the run itself
	// It may grow by so much, and by this share of what it was, between the run at a tenth of all and the last.
	by, share float64
}

// kubectl asks the API from the node.
const kubectl = "kubectl --kubeconfig=/etc/kubernetes/admin.conf "

// figures are all that is counted, in the order of the table. The API server and containerd keep caches, which grow at first: of memory, open
// files and disk some growth is allowed, of what a run makes and must remove almost none.
var figures = []figure{
	{"namespaces", kubectl + "get namespaces --output=name | wc -l", 0, 0},
	{"Pods", kubectl + "get pods --all-namespaces --output=name | wc -l", 0, 0},
	{"open watches", kubectl + `get --raw /metrics | awk '/^apiserver_longrunning_requests.*verb="WATCH"/ {sum += $NF} END {print sum + 0}'`, 3, 0.02},
	{"sandboxes", "crictl pods --quiet | wc -l", 0, 0},
	{"containers", "crictl ps --all --quiet | wc -l", 2, 0}, // a container of the control plane that is restarted leaves the one before
	{"shims", "ps -eo args | grep -c '[c]ontainerd-shim'", 0, 0},
	{"snapshots", "ctr --namespace k8s.io snapshots ls | tail -n +2 | wc -l", 2, 0},
	{"processes", "ls -d /proc/[0-9]* | wc -l", 6, 0},
	{"mounts", "wc -l </proc/self/mounts", 4, 0},
	{"cgroups", "find /sys/fs/cgroup -type d | wc -l", 8, 0.02},
	{"PID namespaces", "readlink /proc/[0-9]*/ns/pid 2>/dev/null | sort -u | wc -l", 0, 0},
	{"network namespaces", "ls /run/netns 2>/dev/null | wc -l", 0, 0},
	{"files open in the kubelet", "ls /proc/$(pidof kubelet)/fd | wc -l", 6, 0.05},
	{"files open in containerd", "ls /proc/$(pidof containerd)/fd | wc -l", 6, 0.05},
	{"inotify instances", "ls -l /proc/$(pidof kubelet)/fd /proc/$(pidof containerd)/fd | grep -c inotify", 1, 0},
	{"MiB of the kubelet", "awk '/^VmRSS/ {print int($2 / 1024)}' /proc/$(pidof kubelet)/status", 40, 0.25},
	{"MiB of containerd", "awk '/^VmRSS/ {print int($2 / 1024)}' /proc/$(pidof containerd)/status", 40, 0.25},
	{"MiB on the disk", "du -s --block-size=1M /var/lib/containerd /var/lib/kubelet 2>/dev/null | awk '{sum += $1} END {print sum}'", 20, 0.02},
	{"peak memory of the run, MiB", "", 15, 0.1},
}

// node is the name that kind gives the node's container.
func (plan *plan) node() string { return plan.cluster + "-control-plane" }

// How long what a run removed may take to be gone from the node, and how often that is looked at.
const (
	settling = 90 * time.Second
	pause    = 5 * time.Second
)

// settled counts until twice in a row the same is there, but for what always changes: the kubelet removes what is left of a Pod
// after it is gone from the API.
func (plan *plan) settled(ctx context.Context) (map[string]float64, error) {
	deadline := time.Now().Add(settling)
	var before map[string]float64
	for {
		now, err := plan.count(ctx)
		if err != nil {
			return nil, err
		}
		if before != nil && settledFrom(before, now) || time.Now().After(deadline) {
			return now, nil
		}
		before = now
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
	}
}

// settledFrom tells whether nothing is going away any more: of what must not grow at all there is as much as before.
func settledFrom(before, now map[string]float64) bool {
	return maps.EqualFunc(exact(before), exact(now), func(a, b float64) bool { return a == b })
}

// exact are the figures that may not grow at all.
func exact(all map[string]float64) map[string]float64 {
	kept := map[string]float64{}
	for _, each := range figures {
		if value, found := all[each.name]; found && each.by == 0 {
			kept[each.name] = value
		}
	}
	return kept
}

// count counts what there is on the node now.
func (plan *plan) count(ctx context.Context) (map[string]float64, error) {
	var script strings.Builder
	var names []string
	for _, each := range figures {
		if each.script != "" {
			names = append(names, each.name)
			script.WriteString(each.script + "\n")
		}
	}
	printed, err := plan.engine.Output(ctx, "exec", plan.node(), "sh", "-c", script.String()+"true")
	if err != nil {
		return nil, err
	}
	return parse(names, printed)
}

// parse reads a number for each name.
func parse(names []string, printed string) (map[string]float64, error) {
	values := strings.Fields(printed)
	if len(values) != len(names) {
		return nil, fmt.Errorf("%d figures were counted, want %d: %q", len(values), len(names), printed)
	}
	counted := map[string]float64{}
	for i, name := range names {
		value, err := strconv.ParseFloat(values[i], 64)
		if err != nil {
			return nil, fmt.Errorf("%s: %q is no number", name, values[i])
		}
		counted[name] = value
	}
	return counted, nil
}

// growth says what grew by more than it may between the run at a tenth of all and the last one.
func growth(runs []counted) (grown []string) {
	first, last := runs[(len(runs)-1)/10], runs[len(runs)-1]
	for _, each := range figures {
		before, after := first.Figures[each.name], last.Figures[each.name]
		if most := before + each.by + each.share*before; after > most {
			grown = append(grown, fmt.Sprintf("%s: %g after run %d, %g after run %d, and may be %.0f", each.name, before, first.Run, after, last.Run, most))
		}
	}
	return grown
}

// line is what there was after a run, in short.
func (counted counted) line() string {
	var parts []string
	for _, each := range figures {
		if value, found := counted.Figures[each.name]; found && (each.by == 0 || each.script == "") {
			parts = append(parts, fmt.Sprintf("%s %g", each.name, value))
		}
	}
	return string(counted.Verdict) + ", " + strings.Join(parts, ", ")
}

// table has a row for each figure and a column for each run, in Markdown.
func table(all []counted) string {
	var text strings.Builder
	text.WriteString("# What there is after each run\n\n| |")
	for _, each := range all {
		fmt.Fprintf(&text, " %s %d |", each.Profile, each.Run)
	}
	text.WriteString(" may grow by |\n|---|" + strings.Repeat("---|", len(all)+1) + "\n| verdict |")
	for _, each := range all {
		fmt.Fprintf(&text, " %s |", each.Verdict)
	}
	text.WriteString(" |\n| seconds |")
	for _, each := range all {
		fmt.Fprintf(&text, " %.0f |", each.Seconds)
	}
	text.WriteString(" |\n")
	for _, figure := range figures {
		fmt.Fprintf(&text, "| %s |", figure.name)
		for _, each := range all {
			fmt.Fprintf(&text, " %g |", each.Figures[figure.name])
		}
		fmt.Fprintf(&text, " %g", figure.by)
		if figure.share > 0 {
			fmt.Fprintf(&text, " and %g %%", 100*figure.share)
		}
		text.WriteString(" |\n")
	}
	return text.String()
}

package published

import (
	"cmp"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"sharedpid.example/reports"
)

// shownFlags are the flags whose values say what was asked and nothing of whom. Those of all others, files and names, are replaced.
var shownFlags = []string{
	"profile", "trait", "skip-trait", "runtime", "runtime-class", "kubernetes", "containerd", "runc", "cri", "node-image", "engine", "image", "keep",
	"parallel", "requests-per-second", "patience", "limit",
}

// NewAnonymous returns what is published of a run without the names of its nodes and of its cluster: each node has a number instead, which
// is the same everywhere in the report. Names and files that the command was given, and addresses, are replaced as well.
func NewAnonymous(run reports.Run) Report {
	report := New(withoutNames(run))
	report.Anonymous = true
	return report
}

// name is a name of the cluster with what stands in its place.
type name struct{ of, instead string }

// withoutNames is the run as far as it is published, without names.
func withoutNames(run reports.Run) reports.Run {
	names := namesOf(run)
	text := func(text string) string { return withoutAddresses(replaceNames(text, names)) }
	id := func(id string) string { // of a target, which begins with the name of a node
		node, class, found := strings.Cut(id, "/")
		if at := slices.IndexFunc(names, func(each name) bool { return each.of == node }); at >= 0 {
			node = names[at].instead
		}
		if found {
			node += "/" + class
		}
		return node
	}
	anonymous := run
	anonymous.Looks, anonymous.Phases = nil, nil
	anonymous.SetupError, anonymous.Permission.Reason = text(run.SetupError), text(run.Permission.Reason)
	anonymous.Narrowed, anonymous.Arguments = arguments(run.Narrowed, id), arguments(run.Arguments, id)
	anonymous.Adapted = nil
	for _, line := range run.Adapted {
		anonymous.Adapted = append(anonymous.Adapted, text(line))
	}
	anonymous.LeftOut = nil
	for _, left := range run.LeftOut {
		anonymous.LeftOut = append(anonymous.LeftOut, reports.LeftOut{Name: id(left.Name), Reason: text(left.Reason)})
	}
	anonymous.Images = map[string]string{}
	for image, reference := range run.Images {
		anonymous.Images[image] = replaceNames(reference, names)
	}
	anonymous.Targets, anonymous.Plan, anonymous.Results = nil, nil, nil
	for _, target := range run.Targets {
		target.ID, target.Node = id(target.ID), id(target.Node)
		anonymous.Targets = append(anonymous.Targets, target)
	}
	for _, planned := range run.Plan {
		anonymous.Plan = append(anonymous.Plan, reports.Planned{Trait: planned.Trait, Target: id(planned.Target)})
	}
	for _, result := range run.Results {
		anonymous.Results = append(anonymous.Results, reports.Result{
			Trait: result.Trait, Target: id(result.Target), Statement: result.Statement, Profile: result.Profile, Documented: result.Documented,
			Verdict: result.Verdict, Kind: result.Kind, Reason: text(result.Reason), Cause: text(result.Cause), KnownDeviation: result.KnownDeviation,
		})
	}
	return anonymous
}

// namesOf are the names that a run knows, the longest first, since one may begin with another.
func namesOf(run reports.Run) []name {
	var names []name
	add := func(of, instead string) {
		if of != "" && !slices.ContainsFunc(names, func(each name) bool { return each.of == of }) {
			names = append(names, name{of, instead})
		}
	}
	nodes := 0
	addNode := func(node string) {
		if slices.ContainsFunc(names, func(each name) bool { return each.of == node }) {
			return
		}
		nodes++
		instead := fmt.Sprintf("node-%d", nodes)
		add(node, instead)
		host, _, _ := strings.Cut(node, ".")
		add(host, instead)
	}
	for _, target := range run.Targets {
		addNode(target.Node)
	}
	for _, left := range run.LeftOut {
		node, _, _ := strings.Cut(left.Name, "/")
		addNode(node)
	}
	add(run.Cluster.Name, "CLUSTER")
	for _, argument := range run.Arguments {
		if flag, value := splitArgument(argument); !slices.Contains(shownFlags, flag) && value != "true" && value != "false" {
			add(value, strings.ToUpper(flag))
		}
	}
	slices.SortStableFunc(names, func(a, b name) int { return cmp.Compare(len(b.of), len(a.of)) })
	return names
}

// arguments returns arguments of the form --FLAG=VALUE without the values that are names or files.
func arguments(given []string, id func(string) string) []string {
	var anonymous []string
	for _, argument := range given {
		flag, value := splitArgument(argument)
		switch {
		case slices.Contains(shownFlags, flag):
		case flag == "node":
			argument = "--node=" + id(value)
		case value != "":
			argument = "--" + flag + "=" + strings.ToUpper(flag)
		default:
			argument = "..." // not of the form that the command keeps them in
		}
		anonymous = append(anonymous, argument)
	}
	return anonymous
}

func splitArgument(argument string) (flag, value string) {
	flag, value, _ = strings.Cut(strings.TrimLeft(argument, "-"), "=")
	return flag, value
}

// replaceNames replaces names that stand in a text as words of their own.
func replaceNames(text string, names []name) string {
	var replaced strings.Builder
	for at := 0; at < len(text); {
		found := slices.IndexFunc(names, func(name name) bool {
			end := at + len(name.of)
			return strings.HasPrefix(text[at:], name.of) && (at == 0 || !inWord(text[at-1])) && (end == len(text) || !inWord(text[end]))
		})
		if found < 0 {
			replaced.WriteByte(text[at])
			at++
			continue
		}
		replaced.WriteString(names[found].instead)
		at += len(names[found].of)
	}
	return replaced.String()
}

func inWord(char byte) bool {
	return char >= 'a' && char <= 'z' || char >= 'A' && char <= 'Z' || char >= '0' && char <= '9' || char == '-' || char == '_'
}

// addresses are what may be addresses of machines.
var addresses = regexp.MustCompile(`[0-9a-fA-F:.]*[0-9a-fA-F:]`)

func withoutAddresses(text string) string {
	return addresses.ReplaceAllStringFunc(text, func(found string) string {
		address, port := found, ""
		if before, after, cut := strings.Cut(found, ":"); cut && strings.Contains(before, ".") {
			address, port = before, ":"+after
		}
		if _, err := netip.ParseAddr(address); err != nil {
			return found
		}
		return "ADDRESS" + port
	})
}

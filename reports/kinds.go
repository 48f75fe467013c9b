package reports

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"sharedpid.example/reports/internal/legible"
)

// TargetKind is what makes targets alike: nobody expects two targets of one kind to differ in a trait.
type TargetKind struct {
	Runtime, RuntimeClass, RuntimeHandler, Kubelet, Kernel, OSImage, Architecture string
}

// Kind is the target's kind, in words that are fit to read. The kernel is that of the node: what containers see of it is known of some
// targets only.
func (target Target) Kind() TargetKind {
	target = target.Legible()
	kernel, _, _ := strings.Cut(target.Kernel, SeenInContainers)
	return TargetKind{
		Runtime: target.Runtime, RuntimeClass: target.RuntimeClass, RuntimeHandler: target.RuntimeHandler, Kubelet: target.Kubelet,
		Kernel: kernel, OSImage: target.OSImage, Architecture: target.Architecture,
	}
}

// SeenInContainers stands in Target.Kernel between the kernel of the node and the one that containers see.
const SeenInContainers = ", in containers "

// String names the kind in one line.
func (kind TargetKind) String() string {
	class := kind.RuntimeClass
	if class != "" {
		class = "RuntimeClass " + class
	}
	kubelet := kind.Kubelet
	if kubelet != "" {
		kubelet = "kubelet " + kubelet
	}
	kernel := kind.Kernel
	if kernel != "" {
		kernel = "kernel " + kernel
	}
	parts := slices.DeleteFunc([]string{class, kind.Runtime, kubelet, kernel, kind.OSImage, kind.Architecture},
		func(part string) bool { return part == "" })
	return legible.Line(strings.Join(parts, ", "))
}

// KindOutcomes is how the targets of one kind came out.
type KindOutcomes struct {
	Label    string // "kind 1": short, for columns
	Kind     TargetKind
	Targets  []string // ids
	Counts   Counts   // of traits by targets
	Outliers []Outlier
}

// Outlier is a target of a kind that came out otherwise in some traits than most targets of its kind.
type Outlier struct {
	Target string
	Traits []Result // those outcomes, the worst first
}

// TooManyTargets tells whether outcomes are of so many targets that reports group them by kind: more than stand side by side.
func TooManyTargets(outcomes []Result) bool { return len(TargetColumns(nil, outcomes)) > largestGrid }

// ByKind groups the outcomes of a run by the kind of their target. Kinds with outliers come first, then those with what needs
// attention most. A target that the run does not describe is of a kind without properties.
func (run Run) ByKind() []KindOutcomes {
	kinds := map[string]TargetKind{}
	for _, target := range run.Targets {
		kinds[target.ID] = target.Kind()
	}
	outcomes := run.Outcomes()
	byKind := map[TargetKind][]Result{}
	for _, outcome := range outcomes {
		kind := kinds[outcome.Target]
		byKind[kind] = append(byKind[kind], outcome)
	}
	var groups []KindOutcomes
	for kind, of := range byKind {
		groups = append(groups, KindOutcomes{
			Kind: kind, Targets: TargetColumns(run.Targets, of), Counts: CountVerdicts(of), Outliers: outliers(of),
		})
	}
	slices.SortFunc(groups, func(a, b KindOutcomes) int {
		return cmp.Or(
			cmp.Compare(min(1, len(b.Outliers)), min(1, len(a.Outliers))), a.Counts.worst()-b.Counts.worst(),
			len(b.Targets)-len(a.Targets), cmp.Compare(a.Kind.String(), b.Kind.String()),
			cmp.Compare(a.Kind.RuntimeHandler, b.Kind.RuntimeHandler), // all that String leaves out
		)
	})
	for i := range groups {
		groups[i].Label = fmt.Sprintf("kind %d", i+1)
	}
	return groups
}

// outliers compares the outcomes of targets of one kind, trait by trait, with the verdict that most of them have. Of verdicts that
// equally many have, the one that needs attention less is the usual one.
func outliers(outcomes []Result) []Outlier {
	counts := map[string]Counts{}
	for _, outcome := range outcomes {
		if counts[outcome.Trait] == nil {
			counts[outcome.Trait] = Counts{}
		}
		counts[outcome.Trait][outcome.Verdict]++
	}
	byTarget := map[string][]Result{}
	for _, outcome := range ByAttention(outcomes) {
		if outcome.Verdict != counts[outcome.Trait].usual() {
			byTarget[outcome.Target] = append(byTarget[outcome.Target], outcome)
		}
	}
	var found []Outlier
	for target, traits := range byTarget {
		found = append(found, Outlier{target, traits})
	}
	slices.SortFunc(found, func(a, b Outlier) int {
		return cmp.Or(a.Traits[0].Verdict.Attention()-b.Traits[0].Verdict.Attention(), len(b.Traits)-len(a.Traits), cmp.Compare(a.Target, b.Target))
	})
	return found
}

// usual is the verdict that most have.
func (count Counts) usual() Verdict {
	var usual Verdict
	for _, verdict := range slices.Backward(verdictsByAttention) {
		if count[verdict] > count[usual] {
			usual = verdict
		}
	}
	return usual
}

// worst is the place of the verdict that needs attention most.
func (count Counts) worst() int {
	return slices.IndexFunc(verdictsByAttention, func(verdict Verdict) bool { return count[verdict] > 0 })
}

// Merge makes one outcome of those of one trait whose targets are of one kind and came out alike. Its Target names the first few of them.
// What needs attention most comes first, outcomes of one verdict in the order of the groups.
func Merge(groups []KindOutcomes, outcomes []Result) []Result {
	merged, _ := MergeInOrder(groups, outcomes)
	return ByAttention(merged)
}

// MergeInOrder is Merge in the order of the outcomes, and returns the group of each merged outcome as well.
func MergeInOrder(groups []KindOutcomes, outcomes []Result) (merged []Result, of []KindOutcomes) {
	const named = 3
	kinds := map[string]int{}
	for i, group := range groups {
		for _, target := range group.Targets {
			kinds[target] = i
		}
	}
	type likeness struct {
		trait   string
		kind    int
		verdict string
	}
	places := map[likeness]int{}
	targets := map[int][]string{}
	for _, outcome := range outcomes {
		alike := likeness{outcome.Trait, kinds[outcome.Target], outcome.VerdictText()}
		place, found := places[alike]
		if !found {
			place = len(merged)
			places[alike] = place
			merged = append(merged, outcome)
			of = append(of, groups[alike.kind])
		}
		targets[place] = append(targets[place], outcome.Target)
	}
	for place, alike := range targets {
		group := of[place]
		merged[place].Target = fmt.Sprintf("%d of %d of %s", len(alike), len(group.Targets), group.Label)
		if len(alike) < len(group.Targets) {
			merged[place].Target += ": " + legible.List(alike, named)
		}
	}
	return merged, of
}

// OfKinds returns the outcomes with the label of its kind for each target, for a grid of traits by kinds, and the labels in their order.
func OfKinds(groups []KindOutcomes, outcomes []Result) (labelled []Result, labels []string) {
	kinds := map[string]string{}
	for _, group := range groups {
		labels = append(labels, group.Label)
		for _, target := range group.Targets {
			kinds[target] = group.Label
		}
	}
	labelled = slices.Clone(outcomes)
	for i := range labelled {
		labelled[i].Target = kinds[labelled[i].Target]
	}
	return labelled, labels
}

// InOrder are the targets of all kinds in the order of the groups, and of each kind those that differ from it first.
func InOrder(groups []KindOutcomes) []string {
	var ordered []string
	for _, group := range groups {
		differs := map[string]bool{}
		for _, outlier := range group.Outliers {
			differs[outlier.Target] = true
			ordered = append(ordered, outlier.Target)
		}
		for _, target := range group.Targets {
			if !differs[target] {
				ordered = append(ordered, target)
			}
		}
	}
	return ordered
}

// Text says in one line which targets are of the kind, and how they came out.
func (group KindOutcomes) Text() string {
	return fmt.Sprintf("%s, %d targets: %s", group.Label, len(group.Targets), group.Counts)
}

// Text says in one line what is odd about the target.
func (outlier Outlier) Text() string {
	var traits []string
	for _, outcome := range outlier.Traits {
		traits = append(traits, legible.Line(outcome.Trait)+" "+outcome.VerdictText())
	}
	return fmt.Sprintf("%s differs from its kind: %s", legible.Line(outlier.Target), legible.List(traits, 3))
}

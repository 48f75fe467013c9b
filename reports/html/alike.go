package html

import (
	"fmt"

	"sharedpid.example/reports"
)

// mostResults is above how many results those of one trait on targets of one kind that came out alike are shown as one: nobody reads
// thousands that say the same, and the page has to open.
const mostResults = 2000

// alike returns one outcome for those that are alike, in the same order, the targets that these are about, and the outcomes once more with
// the labels of their kinds for the columns of a grid. What they show was seen on the first of their targets.
func alike(kinds []reports.KindOutcomes, outcomes []reports.Result) (merged []reports.Result, targets []reports.Target, columns []reports.Result) {
	merged, groups := reports.MergeInOrder(kinds, outcomes)
	for i, outcome := range merged {
		target := kindTarget(outcome.Target, groups[i])
		target.Node = groups[i].Label
		targets = append(targets, target)
		outcome.Target = groups[i].Label
		columns = append(columns, outcome)
	}
	return merged, targets, columns
}

// kindTargets describe kinds as targets are described.
func kindTargets(groups []reports.KindOutcomes) []reports.Target {
	var targets []reports.Target
	for _, group := range groups {
		targets = append(targets, kindTarget(fmt.Sprintf("%s, %d targets", group.Label, len(group.Targets)), group))
	}
	return targets
}

func kindTarget(id string, group reports.KindOutcomes) reports.Target {
	kind := group.Kind
	return reports.Target{
		ID: id, Runtime: kind.Runtime, RuntimeClass: kind.RuntimeClass, RuntimeHandler: kind.RuntimeHandler, Kubelet: kind.Kubelet,
		Kernel: kind.Kernel, OSImage: kind.OSImage, Architecture: kind.Architecture,
	}
}

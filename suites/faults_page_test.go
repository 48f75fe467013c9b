package suites

import (
	"flag"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"

	"sharedpid.example/fixtures/faults"
	"sharedpid.example/helpers/suite"
)

var updateFaults = flag.Bool("update-faults", false, "write suites/FAULTS.md anew")

// faultsPage describes every fault and which traits notice it, in Markdown, made from the code alone.
func faultsPage(all []faults.Fault, traits []suite.Trait) string {
	var page strings.Builder
	page.WriteString("# The faults\n\n" +
		"Generated from the code by `make catalogue`; a test fails when it is not current. Change a fault, not this page.\n" +
		"`make faults` proves on a real cluster that each fault turns exactly these traits of profile core nonconformant.\n")
	for _, fault := range all {
		fmt.Fprintf(&page, "\n## %s\n\n%s\n\n", fault.Name, fault.Sentence)
		for _, id := range fault.Traits {
			fmt.Fprintf(&page, "- %s\n", id)
		}
		if len(fault.Obscures) > 0 {
			fmt.Fprintf(&page, "\nMay leave undecided: `%s`.\n", strings.Join(fault.Obscures, "`, `"))
		}
	}
	page.WriteString("\n## Which faults each trait notices\n\n| trait | faults |\n|---|---|\n")
	for _, trait := range traits {
		fmt.Fprintf(&page, "| %s | %s |\n", trait.ID, strings.Join(turnedBy(all, trait.ID), ", "))
	}
	return page.String()
}

// turnedBy returns the names of the faults that must turn a trait.
func turnedBy(all []faults.Fault, id string) []string {
	var names []string
	for _, fault := range all {
		if slices.Contains(fault.Traits, id) {
			names = append(names, fault.Name)
		}
	}
	return names
}

// coreTraits are the traits that a fault of a runtime can turn: what the API admits is no runtime's matter.
func coreTraits(t *testing.T) []suite.Trait {
	t.Helper()
	selected, err := suite.Select(Traits(), suite.Core, nil)
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(selected, func(trait suite.Trait) bool { return trait.Group() == "admission" })
}

func TestFaultsPageIsCurrent(t *testing.T) {
	comparePage(t, "FAULTS.md", faultsPage(faults.All(), coreTraits(t)), *updateFaults)
}

func TestEveryCoreTraitIsTurnedByAFault(t *testing.T) {
	for _, trait := range coreTraits(t) {
		if len(turnedBy(faults.All(), trait.ID)) == 0 {
			t.Errorf("no fault turns %s: nothing proves that it can fail", trait.ID)
		}
	}
}

func TestFaultsNameTraits(t *testing.T) {
	known := coreTraits(t)
	names := map[string]bool{}
	for _, fault := range faults.All() {
		if names[fault.Name] || fault.Sentence == "" || len(fault.Traits) == 0 {
			t.Errorf("fault %q must have a name of its own, a sentence and traits that it turns", fault.Name)
		}
		names[fault.Name] = true
		for _, id := range fault.Traits {
			if !slices.ContainsFunc(known, func(trait suite.Trait) bool { return trait.ID == id }) {
				t.Errorf("fault %s names %q, which is no trait that it can turn", fault.Name, id)
			}
		}
		for _, pattern := range fault.Obscures {
			if !slices.ContainsFunc(known, func(trait suite.Trait) bool {
				matched, err := path.Match(pattern, trait.ID)
				return err == nil && matched
			}) {
				t.Errorf("fault %s may leave %q undecided, which is no trait", fault.Name, pattern)
			}
		}
	}
}

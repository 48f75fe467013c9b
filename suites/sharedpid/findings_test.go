package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"sharedpid.example/fixtures/runtimes"
	"sharedpid.example/helpers/deviations"
	"sharedpid.example/reports"
	"sharedpid.example/reports/findings"
	"sharedpid.example/suites"
)

const (
	shippedDeviations = "../../fixtures/runtimes/deviations.yaml"
	findingsPage      = "../../fixtures/runtimes/FINDINGS.md"
)

// TestFindingsPageIsCurrent holds the page to the shipped list: what a run finds anew only a run can show.
func TestFindingsPageIsCurrent(t *testing.T) {
	page, err := os.ReadFile(findingsPage)
	if err != nil {
		t.Fatal(err)
	}
	listed := readShipped(t)
	for _, entry := range listed {
		if strings.Count(string(page), findings.Entry(entry)) != 1 {
			t.Errorf("%s does not say of %s what the list does; run: make runtimes findings PROFILE=full", findingsPage, entry.Trait)
		}
		if entry.Consequence == "" {
			t.Errorf("%s: %s of %s lacks its consequence", shippedDeviations, entry.Trait, entry.Runtime)
		}
	}
	if shown := strings.Count(string(page), "\nInstead: "); shown != len(listed) {
		t.Errorf("%s shows %d deviations, the list has %d; run: make runtimes findings PROFILE=full", findingsPage, shown, len(listed))
	}
	for _, runtime := range runtimes.Names() {
		if !strings.Contains(string(page), "\n## "+runtime+" ") {
			t.Errorf("%s does not show %s", findingsPage, runtime)
		}
	}
}

// readShipped returns what the shipped list knows of each runtime in the version that the nodes have.
func readShipped(t *testing.T) []reports.Deviation {
	t.Helper()
	known := deviations.Known{Runtimes: runtimes.Names()}
	for _, trait := range suites.Traits() {
		known.Traits = append(known.Traits, trait.ID)
	}
	list, err := deviations.Read(shippedDeviations, known)
	if err != nil {
		t.Fatal(err)
	}
	var all []reports.Deviation
	for _, runtime := range runtimes.Names() {
		of, err := list.Of(reports.Target{RuntimeClass: runtime, RuntimeVersion: "99999999.0"})
		if err != nil {
			t.Fatal(err)
		}
		all = slices.Concat(all, of)
	}
	return all
}

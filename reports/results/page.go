package results

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/semver"

	"sharedpid.example/reports"
	"sharedpid.example/reports/internal/markup"
	"sharedpid.example/reports/published"
)

// shownVersions is how many minor versions of the suite the page shows: results of older ones stay in their folders.
const shownVersions = 2

// Page returns the page about results, traits by implementations, in GitHub's dialect of Markdown. A deviation counts here whether it
// was known beforehand or not.
func Page(all []Result) []byte {
	var page strings.Builder
	page.WriteString("# Results\n\nGenerated from the reports beside this page by `sharedpid publish` and `make results-page`; [the rules](README.md) say how " +
		"to add one. What\ndeviates is nonconformant here, whether it was known beforehand or not.\n")
	var minors []string
	var of []Result
	for i, result := range all { // sorted by versions, the newest first
		if result.Report.Implementation == nil {
			continue
		}
		minor := semver.MajorMinor(result.Version)
		if !slices.Contains(minors, minor) {
			minors = append(minors, minor)
		}
		if len(minors) > shownVersions {
			page.WriteString("\nResults of older versions of the suite are in their folders.\n")
			break
		}
		of = append(of, result)
		if i+1 == len(all) || all[i+1].Version != result.Version {
			writeVersion(&page, of)
			of = nil
		}
	}
	return []byte(page.String())
}

// writeVersion writes what was published with one version of the suite: each implementation with its verdict, every trait under each, and
// why one does not hold.
func writeVersion(page *strings.Builder, results []Result) {
	fmt.Fprintf(page, "\n## With the suite at %s\n\n", results[0].Version)
	page.WriteString("| | Implementation | Organization | Verdict | Why | Profile | Kubernetes | Runtime | Kernel | Architecture | Day |\n" +
		strings.Repeat("|---", 11) + "|\n")
	var numbers []string
	var outcomes []reports.Result
	for at, result := range results {
		number := strconv.Itoa(at + 1)
		numbers, outcomes = append(numbers, number), append(outcomes, outcomesOf(result.Report, number)...)
		report := result.Report.Recompute(true)
		verdict := string(report.Verdict)
		if report.Anonymous {
			verdict += ", no evidence"
		}
		fmt.Fprintf(page, "| %s | [%s](%s) ", number, markup.Text(result.Title()), result.Path())
		markup.Row(page, report.Implementation.Stated.Organization, verdict, report.Reason, report.Profile, report.Cluster.Kubernetes,
			eachOnce(report, func(target published.Target) string { return target.Runtime }),
			eachOnce(report, func(target published.Target) string { return target.Kernel }),
			eachOnce(report, func(target published.Target) string { return target.Architecture }), day(report.Date))
	}
	slices.SortStableFunc(outcomes, func(a, b reports.Result) int { return strings.Compare(a.Trait, b.Trait) })
	page.WriteString("\nAn empty field: the trait is not in the profile that was run.\n\n")
	markup.Grid(page, numbers, reports.Grid(outcomes, numbers))
	writeReasons(page, outcomes)
}

// outcomesOf are the verdicts of a report as the page shows them, in the column of a number.
func outcomesOf(report published.Report, number string) []reports.Result {
	var outcomes []reports.Result
	for _, trait := range report.Traits {
		for _, verdict := range trait.Verdicts {
			outcome := reports.Result{Trait: trait.Trait, Target: number, Statement: trait.Statement, Verdict: verdict.Verdict, Reason: verdict.Reason}
			switch verdict.Verdict {
			case reports.KnownDeviation:
				outcome.Verdict, outcome.KnownDeviation = reports.Nonconformant, verdict.KnownDeviation
			case reports.Resolved:
				outcome.Verdict = reports.Conformant
			}
			outcomes = append(outcomes, outcome)
		}
	}
	return outcomes
}

// writeReasons says of each trait that does not hold everywhere why not.
func writeReasons(page *strings.Builder, outcomes []reports.Result) {
	trait, written := "", map[string]bool{}
	for _, outcome := range outcomes {
		if outcome.Verdict == reports.Conformant {
			continue
		}
		if outcome.Trait != trait {
			trait = outcome.Trait
			fmt.Fprintf(page, "\n### %s\n\n%s\n\n", markup.Text(trait), markup.Text(outcome.Statement))
		}
		reason := markup.Short(outcome.Reason, markup.Sentence)
		if known := outcome.KnownDeviation; known != nil {
			reason = markup.Short(known.Reason, markup.Sentence) + ". See " + markup.Link(known.Link)
		}
		line := fmt.Sprintf("- **%s:** %s %s, %s\n", outcome.Target, markup.Symbol(outcome.Verdict), outcome.Verdict, reason)
		if !written[trait+line] { // once, however many targets
			written[trait+line] = true
			page.WriteString(line)
		}
	}
}

// eachOnce are the values that a report's targets have.
func eachOnce(report published.Report, value func(published.Target) string) string {
	var values []string
	for _, target := range report.Targets {
		if text := value(target); text != "" && !slices.Contains(values, text) {
			values = append(values, text)
		}
	}
	return strings.Join(values, ", ")
}

// day is the day of a date, or the date where it is none.
func day(date string) string {
	if at, err := time.Parse(time.RFC3339, date); err == nil {
		return at.UTC().Format(time.DateOnly)
	}
	return date
}

package results

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/mod/semver"

	"sharedpid.example/reports"
	"sharedpid.example/reports/published"
)

// Verify holds all results below a folder to the suite, and returns those that can be read with what is wrong. notes are about what
// could not be verified and need not be. The error says that nothing could be.
func Verify(root string, suite Suite) (all []Result, problems []Problem, notes []string, err error) {
	all, problems, err = read(root)
	if err != nil {
		return nil, nil, nil, err
	}
	for _, result := range all {
		path := filepath.Join(root, filepath.FromSlash(result.Path()))
		for _, wrong := range result.problems(suite) {
			problems = append(problems, Problem{path, wrong.what, wrong.nextStep})
		}
		if note := result.note(suite); note != "" {
			notes = append(notes, path+": "+note)
		}
	}
	if len(problems) > 0 || len(all) == 0 {
		return all, problems, notes, nil // what is wrong is no matter for the page
	}
	page, err := os.ReadFile(filepath.Join(root, PageFile))
	if err != nil || !bytes.Equal(page, Page(all)) {
		problems = append(problems, Problem{filepath.Join(root, PageFile), "is not the page about these results", "sharedpid publish --page"})
	}
	return all, problems, notes, nil
}

// wrong is what is wrong with a result, and what to do.
type wrong struct{ what, nextStep string }

const (
	runAgain     = "run again, with the whole profile on the whole cluster, and publish that run"
	publishAgain = "publish the run again with sharedpid publish, and change nothing by hand"
)

// problems are the reasons why a result does not hold.
func (result Result) problems(suite Suite) []wrong {
	var all []wrong
	add := func(nextStep, format string, values ...any) {
		all = append(all, wrong{fmt.Sprintf(format, values...), nextStep})
	}
	report := result.Report
	at := slices.IndexFunc(suite.Releases, func(release Release) bool { return release.Version == result.Version })
	if at < 0 {
		return []wrong{{"there is no release " + result.Version + " of the suite that " + suite.Version + " knows", "verify it with a newer suite"}}
	}
	if problem := versionProblem(report.Suite.Version, result.Version); problem != "" {
		add("run and publish with a release of the suite", "%s", problem)
	}
	if problem := result.implementationProblem(); problem != "" {
		add("give sharedpid publish the --implementation that says so", "%s", problem)
	}
	if report.Partial || report.Running {
		add(runAgain, "is about a part of the profile or of the cluster, or of a run under way")
	}
	for _, problem := range traitProblems(report, suite.Releases[at], suite.Profiles) {
		add(runAgain, "%s", problem)
	}
	if problem := recomputedProblem(report); problem != "" {
		add(publishAgain, "%s", problem)
	}
	if len(all) > 0 {
		return all // what follows would repeat it
	}
	nextStep, problem := publishAgain, ""
	switch {
	case report.Anonymous && result.evidence != nil:
		nextStep, problem = "remove the .run.json.gz beside it", "is anonymous, and its evidence names the nodes"
	case report.Anonymous:
	case result.evidence == nil:
		problem = "has no evidence: there is no " + result.Name + evidenceEnding + " beside it"
	default:
		problem = result.evidenceProblem(suite)
	}
	if problem != "" {
		add(nextStep, "%s", problem)
	}
	return all
}

// note says what of a result that holds was not verified.
func (result Result) note(suite Suite) string {
	switch {
	case result.Report.Anonymous:
		return "is anonymous: its verdicts are what the publisher says, since there is no evidence beside them"
	case !suite.judges(result.Version):
		return "the looks were not judged again, which takes the suite at " + result.Version
	}
	return ""
}

func (suite Suite) judges(version string) bool {
	own, _, _ := strings.Cut(suite.Version, "+")
	return own == version
}

// commit is the build metadata of a version that was built from a commit, without changes.
var commit = regexp.MustCompile(`^\+[0-9a-f]{12}$`)

// versionProblem says why results of a suite do not belong into the folder of a version.
func versionProblem(of, folder string) string {
	base, _, _ := strings.Cut(of, "+")
	switch {
	case !semver.IsValid(of):
		return fmt.Sprintf("was made by a suite without a version (%q)", of)
	case base != folder:
		return fmt.Sprintf("was made by the suite at %s, and is in the folder of %s", of, folder)
	case !commit.MatchString(semver.Build(of)):
		return fmt.Sprintf("was made by a suite that was not built from a commit, or was changed (%q)", of)
	}
	return ""
}

func (result Result) implementationProblem() string {
	implementation := result.Report.Implementation
	if implementation == nil {
		return "does not say whose results these are"
	}
	stated := implementation.Stated
	switch err := stated.Validate(); {
	case err != nil:
		return "implementation: " + err.Error()
	case implementation.Read == nil:
		return "is about several runtimes, and a result is about one: make a run for each"
	case implementation.Version() == "":
		return "has no version of the implementation: none is stated, and none could be read that all targets have"
	case stated.Folder() != result.Folder || stated.File(implementation.Version()) != result.Name:
		return fmt.Sprintf("belongs into the file %s/%s%s", stated.Folder(), stated.File(implementation.Version()), reportEnding)
	}
	return ""
}

// traitProblems say in what a report does not have all traits of a release's profile, decided on every target.
func traitProblems(report published.Report, release Release, profiles map[string][]string) []string {
	holds, found := profiles[report.Profile]
	if !found {
		return []string{fmt.Sprintf("is about profile %q, which is not published", report.Profile)}
	}
	var targets []string
	for _, target := range report.Targets {
		targets = append(targets, target.Target)
	}
	slices.Sort(targets)
	if unique := slices.Compact(slices.Clone(targets)); len(targets) == 0 || len(unique) < len(targets) {
		return []string{"names no target, or one of them twice"}
	}
	want := map[string]Trait{}
	for _, trait := range release.Traits {
		if slices.Contains(holds, trait.Profile) {
			want[trait.ID] = trait
		}
	}
	var problems []string
	add := func(format string, values ...any) { problems = append(problems, fmt.Sprintf(format, values...)) }
	for _, trait := range report.Traits {
		known, found := want[trait.Trait]
		delete(want, trait.Trait)
		var on []string
		for _, verdict := range trait.Verdicts {
			on = append(on, verdict.Target)
			if verdict.Verdict == reports.Inconclusive || verdict.Verdict == reports.NotRun {
				add("%s on %s is not decided: %s", trait.Trait, verdict.Target, verdict.Verdict)
			} else if verdict.Kind != "" {
				add("%s on %s is decided and inconclusive at once", trait.Trait, verdict.Target)
			}
		}
		slices.Sort(on)
		switch {
		case !found:
			add("%s is no trait of profile %s at %s, or is there twice", trait.Trait, report.Profile, release.Version)
		case trait.Statement != known.Statement || trait.Documented != known.Documented || trait.Profile != known.Profile:
			add("%s does not say what it says at %s", trait.Trait, release.Version)
		case !slices.Equal(on, targets):
			add("%s has not one verdict on each target", trait.Trait)
		}
	}
	for _, trait := range release.Traits {
		if _, missing := want[trait.ID]; missing {
			add("%s is missing, a trait of profile %s at %s", trait.ID, report.Profile, release.Version)
		}
	}
	return problems
}

// recomputedProblem says in what a report does not follow from its traits and targets.
func recomputedProblem(report published.Report) string {
	again := report.Recompute(false)
	switch {
	case again.Verdict != report.Verdict || again.Reason != report.Reason:
		return fmt.Sprintf("says %s (%s), and its traits amount to %s (%s)", report.Verdict, report.Reason, again.Verdict, again.Reason)
	case again.Counts != report.Counts:
		return fmt.Sprintf("counts %+v, and its traits amount to %+v", report.Counts, again.Counts)
	}
	for i, target := range again.Targets {
		if target.Counts != report.Targets[i].Counts {
			return fmt.Sprintf("counts %+v on %s, and its traits amount to %+v", report.Targets[i].Counts, target.Target, target.Counts)
		}
	}
	// Reports of v0.1.0 do not group their targets.
	if report.Kinds != nil && !reflect.DeepEqual(again.Kinds, report.Kinds) {
		return "groups its targets into other kinds than they and their traits amount to"
	}
	if got, want := report.Implementation, again.Implementation; got != nil && want.Read != nil && (got.Read == nil || *got.Read != *want.Read) {
		return fmt.Sprintf("says that it read %+v of its targets, and they have %+v", got.Read, *want.Read)
	}
	return ""
}

// evidenceProblem says in what a report does not follow from what the run saw.
func (result Result) evidenceProblem(suite Suite) string {
	run, err := unpack(result.evidence)
	if err != nil {
		return "has damaged evidence: " + result.Name + evidenceEnding + " " + err.Error()
	}
	if !suite.judges(result.Version) {
		return sameVerdicts(result.Report, published.New(run))
	}
	rendered, err := published.Render(run)
	if err != nil {
		return err.Error()
	}
	if !bytes.Equal(rendered, result.content) {
		return cmp.Or(sameVerdicts(result.Report, published.New(run)), "is not the report of the run beside it")
	}
	for _, result := range run.Results {
		// A decided result of a kind would be left as it is by who judges it again.
		if result.Kind != "" {
			return fmt.Sprintf("has evidence in which %s on %s is %s and of kind %q, which cannot be judged again", result.Trait, result.Target,
				result.Verdict, result.Kind)
		}
	}
	judged, err := suite.Judge(run)
	if err != nil {
		return "has evidence that cannot be judged: " + err.Error()
	}
	if len(judged.Results) != len(run.Results) {
		return "has evidence that cannot be judged"
	}
	var differing []string
	for i, again := range judged.Results {
		if before := run.Results[i]; before.Verdict != again.Verdict {
			differing = append(differing, fmt.Sprintf("%s on %s is %s, and what was seen amounts to %s (%s)",
				again.Trait, again.Target, before.Verdict, again.Verdict, again.Reason))
		}
	}
	return strings.Join(differing, "; ")
}

// sameVerdicts names the first verdict in which two reports differ, empty when they differ in none.
func sameVerdicts(report, evidence published.Report) string {
	verdicts := map[reports.Planned]reports.Verdict{}
	for _, trait := range evidence.Traits {
		for _, each := range trait.Verdicts {
			verdicts[reports.Planned{Trait: trait.Trait, Target: each.Target}] = each.Verdict
		}
	}
	for _, trait := range report.Traits {
		for _, each := range trait.Verdicts {
			if before := verdicts[reports.Planned{Trait: trait.Trait, Target: each.Target}]; before != each.Verdict {
				return fmt.Sprintf("says that %s on %s is %s, and the run beside it that it is %s", trait.Trait, each.Target, each.Verdict,
					cmp.Or(string(before), "not planned"))
			}
		}
	}
	return ""
}

// evidenceLimit is how large evidence may become when it is unpacked.
const evidenceLimit = 512 << 20

// unpack reads the run that is the evidence of a report. Its error continues a sentence about the file.
func unpack(packed []byte) (reports.Run, error) {
	reader, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return reports.Run{}, fmt.Errorf("is not packed with gzip: %w", err)
	}
	content, err := io.ReadAll(io.LimitReader(reader, evidenceLimit+1))
	if err != nil {
		return reports.Run{}, fmt.Errorf("cannot be unpacked: %w", err)
	}
	if len(content) > evidenceLimit {
		return reports.Run{}, errors.New("becomes too large when it is unpacked")
	}
	return reports.Decode(content)
}

// pack is the inverse of unpack. The same run gives the same bytes.
func pack(run reports.Run) ([]byte, error) {
	content, err := reports.Encode(run)
	if err != nil {
		return nil, err
	}
	var packed bytes.Buffer
	writer, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := writer.Write(content); err != nil {
		return nil, err
	}
	if err := writer.Close(); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}

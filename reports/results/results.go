// Package results is what implementations publish: a folder of reports for each version of the suite and each implementation. It verifies
// them, adds one, and writes the page about all of them.
//
//	results/VERSION/ORGANIZATION-PROJECT/PROJECT-VERSION.yaml          the report
//	results/VERSION/ORGANIZATION-PROJECT/PROJECT-VERSION.run.json.gz   what it rests on
//	results/VERSION/ORGANIZATION-PROJECT/README.md                     how to come by it again
//	results/RESULTS.md                                                 the page about all of them
//	results/README.md                                                  the rules
package results

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/semver"

	"sharedpid.example/reports"
	"sharedpid.example/reports/internal/legible"
	"sharedpid.example/reports/published"
)

const (
	// PageFile is the name of the page about all results.
	PageFile = "RESULTS.md"
	// readme is the name of the rules, and of what an implementation says of its results.
	readme         = "README.md"
	reportEnding   = ".yaml"
	evidenceEnding = ".run.json.gz"
)

// Release is a released version of the suite with its traits, in the order of their ids.
type Release struct {
	Version string
	Traits  []Trait
}

// Trait is what a release says of a trait.
type Trait struct {
	ID         string `json:"trait"`
	Profile    string `json:"profile"`
	Documented bool   `json:"documented,omitempty"`
	Statement  string `json:"statement"`
}

// Suite is what results are held to.
type Suite struct {
	Version  string    // of this suite, which can judge the looks of its own results again
	Releases []Release // all that there are, the newest first
	// Profiles are those that may be published, each with the names of the profiles whose traits it has.
	Profiles map[string][]string
	Judge    func(reports.Run) (reports.Run, error) // judges the looks of a run again
}

// Result is one published report with its place.
type Result struct {
	Version  string // of the suite, the name of the folder
	Folder   string // the implementation's, in that of the version
	Name     string // of the files, without an ending
	Report   published.Report
	evidence []byte // packed; nil where there is none
	content  []byte // of the report, as it stands in its file
}

// Path is where the report is, below the folder of all results and with slashes.
func (result Result) Path() string {
	return result.Version + "/" + result.Folder + "/" + result.Name + reportEnding
}

// Title names the implementation and its version.
func (result Result) Title() string {
	implementation := result.Report.Implementation
	return legible.Line(implementation.Stated.Project + " " + implementation.Version())
}

// Problem is one thing that is wrong with a file of the results.
type Problem struct{ File, What, NextStep string }

// String is the problem in one line.
func (problem Problem) String() string {
	return fmt.Sprintf("%s: %s; next step: %s", problem.File, legible.Line(problem.What), problem.NextStep)
}

// read returns all results below a folder that can be read, in their order, and what is wrong with the others. The error says that the
// folder itself cannot be read.
func read(root string) ([]Result, []Problem, error) {
	versions, err := os.ReadDir(root)
	if err != nil {
		return nil, nil, reports.NewInputError("cannot read the results: %w", err)
	}
	var all []Result
	var problems []Problem
	add := func(file, what, nextStep string) {
		problems = append(problems, Problem{filepath.Join(root, file), what, nextStep})
	}
	for _, version := range versions {
		name := version.Name()
		if name == readme || name == PageFile {
			continue
		}
		if !version.IsDir() || semver.Canonical(name) != name || semver.Prerelease(name) != "" {
			add(name, "is no folder of a released version, such as v1.2.3", "remove it, or publish it with sharedpid publish")
			continue
		}
		folders, err := os.ReadDir(filepath.Join(root, name))
		if err != nil {
			return nil, nil, reports.NewInputError("cannot read the results: %w", err)
		}
		for _, folder := range folders {
			if !folder.IsDir() {
				add(filepath.Join(name, folder.Name()), "is no folder of an implementation", "move it into one, or remove it")
				continue
			}
			found, wrong, err := readFolder(root, name, folder.Name())
			if err != nil {
				return nil, nil, reports.NewInputError("cannot read the results: %w", err)
			}
			all, problems = append(all, found...), append(problems, wrong...)
		}
	}
	slices.SortFunc(all, func(a, b Result) int {
		return cmp.Or(semver.Compare(b.Version, a.Version), cmp.Compare(a.Folder, b.Folder), cmp.Compare(a.Name, b.Name))
	})
	return all, problems, nil
}

// readFolder reads the results of one implementation.
func readFolder(root, version, folder string) ([]Result, []Problem, error) {
	path := filepath.Join(root, version, folder)
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, nil, err
	}
	files := map[string][]byte{}
	var results []Result
	var problems []Problem
	for _, entry := range entries {
		name := entry.Name()
		known := name == readme || strings.HasSuffix(name, reportEnding) || strings.HasSuffix(name, evidenceEnding)
		if !known || !entry.Type().IsRegular() {
			problems = append(problems, Problem{filepath.Join(path, name),
				"is neither a report (.yaml), nor evidence (.run.json.gz), nor README.md", "remove it"})
			continue
		}
		if files[name], err = os.ReadFile(filepath.Join(path, name)); err != nil {
			return nil, nil, err
		}
	}
	for _, entry := range entries {
		name, isReport := strings.CutSuffix(entry.Name(), reportEnding)
		content, found := files[entry.Name()]
		if !isReport || !found {
			continue
		}
		result := Result{Version: version, Folder: folder, Name: name, content: content, evidence: files[name+evidenceEnding]}
		if result.Report, err = published.Read(content); err != nil {
			problems = append(problems, Problem{filepath.Join(path, entry.Name()), err.Error(), "publish the run again with sharedpid publish"})
		} else {
			results = append(results, result)
		}
		if !strings.Contains(string(files[readme]), entry.Name()) {
			problems = append(problems, Problem{filepath.Join(path, readme), "does not say how " + entry.Name() + " came about, or is missing",
				"publish the run again with sharedpid publish, or name the file there"})
		}
	}
	for _, entry := range entries {
		if name, isEvidence := strings.CutSuffix(entry.Name(), evidenceEnding); isEvidence && files[name+reportEnding] == nil {
			problems = append(problems, Problem{filepath.Join(path, entry.Name()), "is evidence of no report: there is no " + name + reportEnding,
				"publish the run again with sharedpid publish, or remove the file"})
		}
	}
	return results, problems, nil
}

package results

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"

	"sharedpid.example/reports"
	"sharedpid.example/reports/internal/markup"
	"sharedpid.example/reports/published"
)

// Publish adds a run to the results below a folder, and writes the page about all of them anew. It returns the path of the report. With
// problems nothing is written: the run cannot be published.
func Publish(root string, run reports.Run, anonymous bool, suite Suite) (path string, problems []Problem, err error) {
	run = run.Complete()
	result, err := newResult(run, anonymous)
	if err != nil {
		return "", nil, err
	}
	for _, wrong := range result.problems(suite) {
		problems = append(problems, Problem{"run " + run.ID, wrong.what, wrong.nextStep})
	}
	if len(problems) > 0 {
		return "", problems, nil
	}
	path = filepath.Join(root, filepath.FromSlash(result.Path()))
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", nil, err
	}
	evidence := filepath.Join(folder, result.Name+evidenceEnding)
	if result.evidence == nil {
		if err := os.RemoveAll(evidence); err != nil { // of the same version, published with names before
			return "", nil, err
		}
	} else if err := os.WriteFile(evidence, result.evidence, 0o644); err != nil {
		return "", nil, err
	}
	if err := os.WriteFile(path, result.content, 0o644); err != nil {
		return "", nil, err
	}
	if err := result.describe(filepath.Join(folder, readme)); err != nil {
		return "", nil, err
	}
	return path, nil, WritePage(root)
}

// newResult is the result of a run, in the place that it belongs to.
func newResult(run reports.Run, anonymous bool) (Result, error) {
	result := Result{Report: published.New(run)}
	if anonymous {
		result.Report = published.NewAnonymous(run)
	}
	result.Version, _, _ = strings.Cut(run.SuiteVersion, "+")
	if implementation := result.Report.Implementation; implementation != nil {
		result.Folder, result.Name = implementation.Stated.Folder(), implementation.Stated.File(implementation.Version())
	}
	var err error
	if result.content, err = yaml.Marshal(result.Report); err != nil {
		return Result{}, err
	}
	if !anonymous {
		result.evidence, err = pack(run)
	}
	return result, err
}

// describe writes what is said of the result in the README beside it. What else stands there is kept.
func (result Result) describe(path string) error {
	content, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	file := result.Name + reportEnding
	if strings.Contains(string(content), file) {
		return nil
	}
	stated := result.Report.Implementation.Stated
	var text strings.Builder
	text.Write(content)
	if len(content) == 0 {
		fmt.Fprintf(&text, "# %s\n\n%s, %s. Contact: %s\n", markup.Text(stated.Project), markup.Text(stated.Organization), markup.Link(stated.URL),
			markup.Text(stated.Contact))
	}
	fmt.Fprintf(&text, "\n## %s\n\nReport: [%s](%[2]s). To come by it again, with the suite at %s:\n\n```\n%s\n```\n", markup.Text(result.Title()), file,
		markup.Text(result.Report.Suite.Version), strings.ReplaceAll(strings.Join(result.Report.Reproduce, "\n"), "```", ""))
	return os.WriteFile(path, []byte(text.String()), 0o644)
}

// WritePage writes the page about all results below a folder. Those that cannot be read are left out: Verify names them.
func WritePage(root string) error {
	all, _, err := read(root)
	if err != nil {
		return err
	}
	path := filepath.Join(root, PageFile)
	if err := os.WriteFile(path+".new", Page(all), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// Package readers reads the reports of a run as others do: each form with a reader that is not the suite's own, and as bytes that reach a
// terminal.
package readers

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"unicode/utf8"

	"github.com/joshdk/go-junit"
	"golang.org/x/net/html"
	"sigs.k8s.io/yaml"

	"sharedpid.example/reports"
	"sharedpid.example/reports/internal/legible"
	"sharedpid.example/reports/published"
)

// ProgressFile is what a run said while it went on, where that is kept beside its reports.
const ProgressFile = "progress.txt"

// all are the readers of each file.
var all = map[string]func(content []byte) error{
	reports.RunFile: readRun, "junit.xml": readJUnit, "report.yaml": readYAML, "report.html": readHTML, "summary.md": notEmpty, ProgressFile: notEmpty,
}

// Problems says in a line each what is wrong with the reports in a folder. One that is not there is no problem: a run that was ended early
// has none.
func Problems(folder string) []string {
	var problems []string
	for file, read := range all {
		content, err := os.ReadFile(filepath.Join(folder, file))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil {
			err = errors.Join(read(content), harmless(content))
		}
		if err != nil {
			problems = append(problems, legible.Line(fmt.Sprintf("%s: %v", file, err)))
		}
	}
	slices.Sort(problems)
	return problems
}

// harmless fails for what is no text, and for characters that command a terminal or reverse a line.
func harmless(content []byte) error {
	if !utf8.Valid(content) {
		return errors.New("is not UTF-8")
	}
	shown := []byte(legible.Text(string(content)))
	if bytes.Equal(shown, content) {
		return nil
	}
	at := 0
	for at < min(len(shown), len(content)) && shown[at] == content[at] {
		at++
	}
	return fmt.Errorf("has at byte %d what is no printable text: %.40q", at, content[at:])
}

func readRun(content []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(content))
	var value map[string]any
	if err := decoder.Decode(&value); err != nil {
		return err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return errors.New("goes on after its end")
	}
	_, err := reports.Decode(content)
	return err
}

func readJUnit(content []byte) error {
	decoder := xml.NewDecoder(bytes.NewReader(content)) // strict
	for {
		if _, err := decoder.Token(); err == io.EOF {
			break
		} else if err != nil {
			return err
		}
	}
	_, err := junit.Ingest(content)
	return err
}

func readYAML(content []byte) error {
	var value map[string]any
	if err := yaml.UnmarshalStrict(content, &value); err != nil {
		return err
	}
	_, err := published.Read(content)
	return err
}

func readHTML(content []byte) error {
	page, err := html.Parse(bytes.NewReader(content))
	if err != nil {
		return err
	}
	if !bytes.HasSuffix(bytes.TrimSpace(content), []byte("</html>")) {
		return errors.New("is cut short")
	}
	for node := range page.Descendants() {
		if node.Type == html.ElementNode && node.Data == "script" {
			return errors.New("has a script")
		}
	}
	return nil
}

func notEmpty(content []byte) error {
	if len(content) == 0 {
		return errors.New("is empty")
	}
	return nil
}

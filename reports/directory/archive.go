package directory

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"slices"

	"sharedpid.example/reports"
	"sharedpid.example/reports/junit"
)

// worth is the order in which forms go into an archive that is too small for all.
var worth = []string{runFile, markdownFile, junitFile, yamlFile, htmlFile}

// Archive returns the forms of a run in a tar that is compressed by gzip, of at most this many bytes. Where they do not fit, those that
// are worth least are left out and named: all of them are made from run.json.
func Archive(run reports.Run, limit int) (content []byte, leftOut []string, err error) {
	run = run.Complete()
	rendered := map[string][]byte{}
	for _, form := range forms(junit.Options{}) {
		if rendered[form.file], err = form.render(run); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", form.file, err)
		}
	}
	for _, names := range fewerAndFewer() {
		if content, err = pack(names, rendered); err != nil {
			return nil, nil, err
		}
		if len(content) <= limit {
			return content, leftOutOf(names), nil
		}
	}
	return nil, leftOutOf(nil), nil
}

// fewerAndFewer are the choices of forms, the best one first. The last ones are without run.json, where it alone is too large.
func fewerAndFewer() [][]string {
	var choices [][]string
	for kept := len(worth); kept > 0; kept-- {
		choices = append(choices, worth[:kept])
	}
	return append(choices, []string{markdownFile, junitFile}, []string{markdownFile})
}

func leftOutOf(names []string) []string {
	return slices.DeleteFunc(slices.Clone(worth), func(name string) bool { return slices.Contains(names, name) })
}

func pack(names []string, contents map[string][]byte) ([]byte, error) {
	var packed bytes.Buffer
	compressed, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	writer := tar.NewWriter(compressed)
	for _, name := range names {
		if err := writer.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(contents[name]))}); err != nil {
			return nil, err
		}
		if _, err := writer.Write(contents[name]); err != nil {
			return nil, err
		}
	}
	err = errors.Join(writer.Close(), compressed.Close())
	return packed.Bytes(), err
}

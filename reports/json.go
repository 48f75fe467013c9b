package reports

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"unicode/utf16"
)

// RunFile is the name of the file that holds the JSON form of a run.
const RunFile = "run.json"

// InputError is an error about what was given: a file that is no run, runs with nothing in common. It is no verdict about
// anything, and what was asked for did not take place.
type InputError struct{ Err error }

// Error returns what is wrong, in one line.
func (err *InputError) Error() string { return err.Err.Error() }

// Unwrap returns the error behind it.
func (err *InputError) Unwrap() error { return err.Err }

// NewInputError makes an InputError as fmt.Errorf makes an error.
func NewInputError(format string, arguments ...any) error {
	return &InputError{fmt.Errorf(format, arguments...)}
}

// Encode returns the JSON form of a run, completed.
func Encode(run Run) ([]byte, error) {
	run = run.Complete()
	results, looks := run.Results, run.Looks
	run.Results, run.Looks = []Result{}, nil
	whole, err := encodeIndented(run, "")
	if err != nil {
		return nil, err
	}
	// The results and looks of thousands of targets are most of it, and encoded at once they take several times the memory of what is
	// written. No string of JSON holds a line break, so that this is their place.
	before, after, found := bytes.Cut(whole, []byte(noResults))
	after, ended := bytes.CutSuffix(after, []byte("\n}\n"))
	if !found || !ended {
		return nil, errors.New("the JSON form has no place for results")
	}
	var content bytes.Buffer
	content.Write(before)
	content.WriteString(strings.TrimSuffix(noResults, "[]"))
	if err := encodeList(&content, results); err != nil {
		return nil, err
	}
	content.Write(after)
	if len(looks) > 0 {
		content.WriteString(",\n  \"looks\": ")
		if err := encodeList(&content, looks); err != nil {
			return nil, err
		}
	}
	content.WriteString("\n}\n")
	return content.Bytes(), nil
}

// noResults is an empty list of results in the JSON form.
const noResults = "\n  \"results\": []"

// encodeList writes a list that stands in an object, one element after the other.
func encodeList[T any](content *bytes.Buffer, list []T) error {
	const before = "    "
	if len(list) == 0 {
		content.WriteString("[]")
		return nil
	}
	separator := "[\n"
	for i := range list {
		element, err := encodeIndented(list[i], before)
		if err != nil {
			return err
		}
		content.WriteString(separator + before)
		separator = ",\n"
		content.Write(bytes.TrimSuffix(element, []byte("\n")))
	}
	content.WriteString("\n  ]")
	return nil
}

func encodeIndented(value any, before string) ([]byte, error) {
	var content bytes.Buffer
	encoder := json.NewEncoder(&content)
	encoder.SetIndent(before, "  ")
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(value)
	return printable(content.Bytes()), err
}

// printable is JSON in which what is not printable stands as an escape, which means the same: none of it reaches the terminal of whoever
// looks at the file.
func printable(content []byte) []byte {
	if bytes.IndexFunc(content, unprintable) < 0 {
		return content
	}
	var escaped bytes.Buffer
	escaped.Grow(len(content) + 64)
	for _, char := range string(content) {
		if !unprintable(char) {
			escaped.WriteRune(char)
			continue
		}
		for _, unit := range utf16.Encode([]rune{char}) {
			fmt.Fprintf(&escaped, "\\u%04x", unit)
		}
	}
	return escaped.Bytes()
}

// unprintable tells of a character of JSON, which has no other control characters than ends of lines.
func unprintable(char rune) bool { return char != '\n' && !strconv.IsPrint(char) }

// Read reads the JSON form of a run from a file: of SchemaVersion, or of the version before it, which is translated. Its error is
// an InputError of one line that names the path.
func Read(path string) (Run, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return Run{}, NewInputError("cannot read the run: %w", err)
	}
	run, err := Decode(content)
	if err != nil {
		return Run{}, NewInputError("%s %w", path, err)
	}
	return run, nil
}

// Decode reads the JSON form of a run as Read does. Its error continues a sentence that begins with the name of what was read.
func Decode(content []byte) (Run, error) {
	var header struct {
		SchemaVersion *int   `json:"schemaVersion"`
		SuiteVersion  string `json:"suiteVersion"`
	}
	if err := json.Unmarshal(content, &header); err != nil {
		return Run{}, fmt.Errorf("is not a %s: %s", RunFile, jsonProblem(err))
	}
	if header.SchemaVersion == nil {
		return Run{}, errors.New("is not a " + RunFile + ": it has no schemaVersion")
	}
	version := *header.SchemaVersion
	switch version {
	case SchemaVersion:
	case 1:
		var err error
		if content, err = fromVersion1(content); err != nil {
			return Run{}, fmt.Errorf("is not a %s of schema version 1: %s", RunFile, jsonProblem(err))
		}
	default:
		return Run{}, fmt.Errorf("has schema version %d and this suite reads version %d and 1: "+
			"read it with the suite that wrote it (%q), or run again",
			version, SchemaVersion, header.SuiteVersion)
	}
	var run Run
	if err := json.Unmarshal(content, &run); err != nil {
		return Run{}, fmt.Errorf("is not a %s of schema version %d: %s", RunFile, version, jsonProblem(err))
	}
	return run, nil
}

// jsonProblem says what is wrong with a text that is no JSON, or not of the form that is read.
func jsonProblem(err error) string {
	var wrong *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &wrong):
		kind, _, _ := strings.Cut(wrong.Value, " ")
		if wrong.Field == "" {
			return fmt.Sprintf("its value is no object, but of type %s", kind)
		}
		return fmt.Sprintf("%s has a value of the wrong type: %s", wrong.Field, kind)
	case errors.As(err, &syntax) && strings.HasPrefix(syntax.Error(), "unexpected end"):
		return "it is cut off, or empty"
	case errors.As(err, &syntax):
		return fmt.Sprintf("it is no JSON at byte %d", syntax.Offset)
	}
	return err.Error()
}

// version1Names are the keys of schema version 1 that are called something else today. What a result was expected to be is
// renamed with what an access was, and then dropped, since no result has such a key today.
var version1Names = map[string]string{
	"subjects": "targets", "subject": "target", "deviation": "knownDeviation", "selection": "narrowed", "expected": "want",
}

// fromVersion1 translates the JSON form of schema version 1 to that of the present one.
func fromVersion1(content []byte) ([]byte, error) {
	var run map[string]any
	if err := json.Unmarshal(content, &run); err != nil {
		return nil, err
	}
	rename(run)
	run["schemaVersion"] = SchemaVersion
	if narrowed, found := run["narrowed"]; found {
		run["narrowed"] = []any{narrowed}
	}
	return json.Marshal(run)
}

// rename gives the keys of all objects in the value their names of today.
func rename(value any) {
	switch value := value.(type) {
	case []any:
		for _, each := range value {
			rename(each)
		}
	case map[string]any:
		for old, each := range value {
			rename(each)
			if name, found := version1Names[old]; found {
				delete(value, old)
				value[name] = each
			}
		}
	}
}

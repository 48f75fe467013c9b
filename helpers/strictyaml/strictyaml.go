// Package strictyaml reads YAML files that people write, and says in their words what is wrong with one.
package strictyaml

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// Read reads a YAML file into a value. A key that the value has no field for, one that stands there twice and a value of another
// type are errors, and so is a second document. An error is one line that names the file.
func Read(path string, into any) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err // names the path
	}
	if err := yaml.UnmarshalStrict(content, into); err != nil {
		return fmt.Errorf("%s: %s", path, problem(err))
	}
	// The library reads the first document, and leaves others unread.
	documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
	_, _ = documents.Read()
	if second, err := documents.Read(); err == nil && len(bytes.TrimSpace(second)) > 0 {
		return fmt.Errorf("%s: holds several documents, which lines of --- divide; want one", path)
	}
	return nil
}

var (
	// libraries are the names of what was called, which tell a reader of the file nothing.
	libraries = regexp.MustCompile(
		`^(error converting YAML to JSON: |error unmarshaling JSON: |while decoding JSON: |yaml: |unmarshal errors: |json: )+`)
	unknown = regexp.MustCompile(`^unknown field "(.*)"$`)
)

// problem is what an error of the library says, in words of YAML.
func problem(err error) string {
	if wrong := (*json.UnmarshalTypeError)(nil); errors.As(err, &wrong) {
		where := "the file is"
		if wrong.Field != "" {
			where = wrong.Field + " has"
		}
		return fmt.Sprintf("%s a value of the wrong type: %s", where, yamlType(wrong.Value))
	}
	if strings.Contains(err.Error(), resource.ErrFormatWrong.Error()) {
		return "a quantity is malformed; one is such as 100m or 16Mi"
	}
	text := libraries.ReplaceAllString(strings.Join(strings.Fields(err.Error()), " "), "")
	return unknown.ReplaceAllString(text, `there is no field "$1"`)
}

// yamlType is what YAML calls a type of JSON.
func yamlType(name string) string {
	switch name, _, _ := strings.Cut(name, " "); name {
	case "object":
		return "a mapping"
	case "array":
		return "a list"
	case "string":
		return "text"
	case "bool":
		return "true or false"
	default:
		return "a " + name
	}
}

package strictyaml

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestErrorsAreOneLineInWordsOfTheFile(t *testing.T) {
	type person struct {
		Name string `json:"name"`
		Age  int    `json:"age"`
	}
	for content, want := range map[string]string{
		"name: a\nage: 2\n":               "",
		"---\nname: a\nage: 2\n---\n":     "",
		"name: a\nage: 2\n---\nname: b\n": "holds several documents",
		"name: a\nagge: 2\n":              `there is no field "agge"`,
		"name: a\nname: b\n":              `line 2: key "name" already set in map`,
		"name: a\nage: old\n":             "age has a value of the wrong type: text",
		"name: [a]\n":                     "name has a value of the wrong type: a list",
		"[a]\n":                           "the file is a value of the wrong type: a list",
		"name: a\n\tage: 2\n":             "line 2: found a tab character that violates indentation",
	} {
		path := filepath.Join(t.TempDir(), "file.yaml")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		var read person
		err := Read(path, &read)
		if want == "" {
			if err != nil || read != (person{"a", 2}) {
				t.Errorf("%q is read as %+v, %v", content, read, err)
			}
			continue
		}
		if err == nil || !strings.HasPrefix(err.Error(), path+": "+want) || strings.ContainsAny(err.Error(), "\n{") {
			t.Errorf("%q: error is %v, want %q", content, err, want)
		}
	}
	if err := Read(filepath.Join(t.TempDir(), "none"), &person{}); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("error is %v", err)
	}
}

// FuzzRead reads what people may write, and says in one line what is wrong with it.
func FuzzRead(f *testing.F) {
	f.Add("a: 1\nb: [x, y]\n")
	f.Add("a: &x {b: *x}\n")
	f.Add("\xff\xfe\x00")
	f.Fuzz(func(t *testing.T, content string) {
		path := filepath.Join(t.TempDir(), "any.yaml")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		var into struct {
			A int
			B []string
			C map[string]string
		}
		if err := Read(path, &into); err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("the error has several lines: %q", err)
		}
	})
}

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"sharedpid.example/helpers/workspace"
)

// TestMutantsFitTheCode says in a moment what running them all says after minutes.
func TestMutantsFitTheCode(t *testing.T) {
	root, err := workspace.Root()
	if err != nil {
		t.Fatal(err)
	}
	var mutants []mutant
	if err := yaml.UnmarshalStrict(list, &mutants); err != nil || len(mutants) == 0 {
		t.Fatalf("%d mutants, %v", len(mutants), err)
	}
	names := map[string]bool{}
	for _, each := range mutants {
		content, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(each.File)))
		if err != nil {
			t.Fatal(err)
		}
		if found := strings.Count(string(content), each.Original); found != 1 {
			t.Errorf("%s: %s holds the original %d times, and must hold it once", each.Name, each.File, found)
		}
		if names[each.Name] || each.Original == each.Replacement {
			t.Errorf("%s: there are two of the name, or nothing is replaced", each.Name)
		}
		names[each.Name] = true
	}
}

package suites

import (
	"flag"
	"os"
	"testing"
)

var updateCatalogue = flag.Bool("update-catalogue", false, "write suites/CATALOGUE.md anew")

func TestCatalogueIsCurrent(t *testing.T) {
	page, err := Catalogue(Traits())
	if err != nil {
		t.Fatal(err)
	}
	comparePage(t, "CATALOGUE.md", page, *updateCatalogue)
}

// comparePage compares what the code says with the page that was generated from it, or writes the page anew.
func comparePage(t *testing.T, path, want string, update bool) {
	t.Helper()
	if update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the code says; run: make catalogue", path)
	}
}

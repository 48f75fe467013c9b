package suites

import (
	"flag"
	"os"
	"testing"
)

var updateCatalogue = flag.Bool("update-catalogue", false, "write suites/CATALOGUE.md anew")

func TestCatalogueIsCurrent(t *testing.T) {
	const path = "CATALOGUE.md"
	want := Catalogue(Traits())
	if *updateCatalogue {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the traits say; run: make catalogue", path)
	}
}

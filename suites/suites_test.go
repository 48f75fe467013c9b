package suites

import (
	"os"
	"testing"

	"sharedpid.example/helpers/suite"
)

// TestTraits holds every trait to what the engine, the reports and the catalogue need of it.
func TestTraits(t *testing.T) {
	if err := suite.Validate(Traits()); err != nil {
		t.Error(err)
	}
	for _, trait := range Traits() {
		if _, err := os.Stat(trait.Group() + ".go"); err != nil {
			t.Errorf("%s does not stand in a file of its group: %v", trait.ID, err)
		}
		if trait.Documented && len(trait.Causes) == 0 {
			t.Errorf("%s is a claim of the article and says nothing of causes", trait.ID)
		}
	}
}

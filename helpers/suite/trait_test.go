package suite

import (
	"context"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
)

func traitIDs(traits []Trait) (ids []string) {
	for _, trait := range traits {
		ids = append(ids, trait.ID)
	}
	return ids
}

func TestSelect(t *testing.T) {
	traits := []Trait{{ID: "a/one", Profile: Article}, {ID: "a/two", Profile: Core}, {ID: "b/three", Profile: Full}}
	for _, test := range []struct {
		profile  Profile
		patterns []string
		want     []string
		words    string
	}{
		{Article, nil, []string{"a/one"}, ""},
		{Core, nil, []string{"a/one", "a/two"}, ""},
		{Full, nil, []string{"a/one", "a/two", "b/three"}, ""},
		{Full, []string{"b/*", "a/one"}, []string{"a/one", "b/three"}, ""},
		{Full, []string{"*/t*"}, []string{"a/two", "b/three"}, ""},
		{Full, []string{"a/*", "a/one"}, []string{"a/one", "a/two"}, ""},
		{Core, []string{"a/*", "b/*"}, nil, `no trait of profile core matches "b/*"; one of profile full does`},
		{Full, []string{"c/*"}, nil, `no trait of profile full matches "c/*"; sharedpid list --profile full shows all traits`},
		{Core, []string{"["}, nil, `"[" is no pattern`},
		{"all", nil, nil, `no profile "all"`},
	} {
		selected, err := Select(traits, test.profile, test.patterns)
		if (err == nil) != (test.words == "") {
			t.Errorf("%s %v: %v", test.profile, test.patterns, err)
		}
		if err != nil {
			expectError(t, err, test.words)
		}
		expectEqual(t, "selected", traitIDs(selected), test.want)
	}
}

func TestLabels(t *testing.T) {
	for profile, want := range map[Profile][]string{
		Article: {"article", "core", "full"}, Core: {"core", "full"}, Full: {"full"},
	} {
		labels := Trait{ID: "group/name", Profile: profile, Documented: profile == Article}.Labels()
		expectEqual(t, "profiles", labels["profile"], want)
		documented := "false"
		if profile == Article {
			documented = "true"
		}
		if labels["group"][0] != "group" || labels["documented"][0] != documented {
			t.Errorf("labels are %v", labels)
		}
	}
}

func TestATraitIsControlledByItsProbesAsWell(t *testing.T) {
	pair := newFixture("pair", "one")
	control := &Probe[int]{Name: "control", Fixtures: []Fixture{unshared(pair), pair}}
	for _, test := range []struct {
		trait Trait
		want  bool
	}{
		{newTrait("a/a", passes, pair), false},
		{newTrait("a/a", passes, pair, unshared(pair)), true},
		{Trait{Fixtures: []Fixture{pair}, Needs: []Need{control}}, true},
	} {
		if test.trait.Controlled() != test.want {
			t.Errorf("controlled is %t with %v", !test.want, test.trait.Fixtures)
		}
	}
	var names []string
	for _, fixture := range (Trait{Fixtures: []Fixture{pair}, Needs: []Need{control, control}}).AllFixtures() {
		names = append(names, fixture.Name)
	}
	expectEqual(t, "fixtures", names, []string{"pair", "pair-unshared"})
}

func TestValidate(t *testing.T) {
	good := newTrait("a/good", passes, newFixture("pair", "one"))
	with := func(change func(*Trait)) []Trait {
		bad := newTrait("a/bad", passes)
		change(&bad)
		return []Trait{good, bad}
	}
	destroying := newTrait("a/destroying", passes, newFixture("pair", "one"))
	destroying.Destroys = destroying.Fixtures
	for name, test := range map[string]struct {
		traits []Trait
		words  string
	}{
		"good":           {with(func(*Trait) {}), ""},
		"MAY":            {with(func(trait *Trait) { trait.Statement = "A Pod MAY." }), ""},
		"twice":          {with(func(trait *Trait) { trait.ID = "a/good" }), "trait a/good stands there twice"},
		"id":             {with(func(trait *Trait) { trait.ID = "bad" }), "is not GROUP/NAME"},
		"statement":      {with(func(trait *Trait) { trait.Statement = "A Pod must." }), "no MUST"},
		"source":         {with(func(trait *Trait) { trait.Sources = nil }), "a/bad has no source"},
		"check":          {with(func(trait *Trait) { trait.Check = nil }), "a/bad has no check"},
		"profile":        {with(func(trait *Trait) { trait.Profile = "all" }), `no profile "all"`},
		"shared fixture": {[]Trait{good, newTrait("a/other", passes, newFixture("pair", "one"))}, ""},
		"other fixture": {with(func(trait *Trait) { trait.Fixtures = []Fixture{stable(newFixture("pair"))} }),
			"another fixture is called pair"},
		"control of one name": {with(func(trait *Trait) {
			trait.Fixtures = []Fixture{{Name: "pair", Unshared: true, Objects: func() ([]runtime.Object, error) { return nil, nil }}}
		}), "another fixture is called pair"},
		"other fixture of a probe": {with(func(trait *Trait) {
			trait.Needs = []Need{&Probe[int]{Name: "probe", Fixtures: []Fixture{stable(newFixture("pair"))}}}
		}), "another fixture is called pair"},
		"destroyed under a look": {[]Trait{good, destroying}, "trait a/good looks at the fixture pair, which a/destroying destroys"},
		"destroyed under a probe": {[]Trait{{ID: "a/x", Statement: "MUST", Sources: good.Sources, Profile: Core, Check: passes,
			Needs: []Need{&Probe[int]{Name: "p", Fixtures: good.Fixtures}}}, destroying}, ""},
		"destroyed twice": {[]Trait{destroying, {ID: "a/too", Statement: "MUST", Sources: good.Sources, Profile: Core, Check: passes,
			Destroys: good.Fixtures}}, "traits a/destroying and a/too both destroy the fixture pair"},
	} {
		t.Run(name, func(t *testing.T) {
			err := Validate(test.traits)
			if test.words != "" {
				expectError(t, err, test.words)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
	err := Validate([]Trait{{ID: "x"}, {ID: "a/y", Statement: "MUST"}})
	expectError(t, err, "GROUP/NAME", "a/y has no source")
}

func TestTraitsAreBegunByTheirCost(t *testing.T) {
	slow := func(id string) Trait {
		return Trait{ID: id, Slow: true, Check: func(context.Context, *Session, Judge) error { return nil }}
	}
	given := []Trait{{ID: "a/c"}, slow("b/z"), {ID: "a/a"}, slow("b/a"), {ID: "a/b"}}
	expectEqual(t, "order", traitIDs(byCost(given)), []string{"b/a", "b/z", "a/a", "a/b", "a/c"})
	if !slices.Equal(traitIDs(given), []string{"a/c", "b/z", "a/a", "b/a", "a/b"}) {
		t.Error("the given list was changed")
	}
}

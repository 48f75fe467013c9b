package suite

import "testing"

func TestTooNew(t *testing.T) {
	fixture := Fixture{Newer: []string{"spec.a was sent as 1 and is unset", "b is invalid"}}
	for name, test := range map[string]struct {
		fixture Fixture
		answers []string
		want    bool
	}{
		"stored as it was":      {fixture, nil, false},
		"a field is dropped":    {fixture, []string{"spec.a was sent as 1 and is unset"}, true},
		"what is left is wrong": {fixture, []string{"Pod x: b is invalid: it is empty"}, true},
		"both":                  {fixture, []string{"spec.a was sent as 1 and is unset", "b is invalid"}, true},
		"a field is changed":    {fixture, []string{"spec.a was sent as 1 and is 2"}, false},
		"another one as well":   {fixture, []string{"spec.a was sent as 1 and is unset", "spec.c was sent as 1 and is unset"}, false},
		"nothing is newer":      {Fixture{}, []string{"spec.a was sent as 1 and is unset"}, false},
	} {
		if got := test.fixture.TooNew(test.answers...); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

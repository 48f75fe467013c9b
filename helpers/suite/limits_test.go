package suite

import (
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"
)

// TestEveryLimitHasAName of its own, and a default.
func TestEveryLimitHasAName(t *testing.T) {
	limits := DefaultLimits()
	names := LimitNames()
	different := slices.Compact(slices.Sorted(slices.Values(names)))
	if fields := reflect.TypeFor[Limits]().NumField(); len(names) != fields || len(different) != fields {
		t.Fatalf("%d names %v of %d limits", len(names), names, fields)
	}
	values := map[*time.Duration]bool{}
	for _, each := range limits.named() {
		values[each.value] = true
		if *each.value <= 0 {
			t.Errorf("limit %s has no default", each.name)
		}
	}
	if len(values) != len(names) {
		t.Error("two names are of one limit")
	}
}

func TestStretchedLimits(t *testing.T) {
	stretched, defaults := DefaultLimits().Stretched(1.5), DefaultLimits()
	for i, each := range stretched.named() {
		want := *defaults.named()[i].value * 3 / 2
		if each.name == "prompt-deletion" || each.name == "stream-end" {
			want = *defaults.named()[i].value // a statement names it
		}
		if *each.value != want {
			t.Errorf("%s is %s, want %s", each.name, *each.value, want)
		}
	}
	if len(stretched.Changed()) != len(LimitNames())-2 || len(defaults.Changed()) != 0 {
		t.Errorf("changed are %v, and %v of the defaults", stretched.Changed(), defaults.Changed())
	}
	if set, err := stretched.With("prompt-deletion", time.Minute); err != nil || set.PromptDeletion != time.Minute {
		t.Errorf("a statement's limit that is asked for by name is %s, %v", set.PromptDeletion, err)
	}
}

func TestLimitsWithOneChanged(t *testing.T) {
	limits, err := DefaultLimits().With("exec", time.Hour)
	want := DefaultLimits()
	want.Exec = time.Hour
	if err != nil || limits != want || !maps.Equal(limits.Changed(), map[string]string{"exec": "1h0m0s"}) {
		t.Errorf("%v: %+v, changed %v", err, limits, limits.Changed())
	}
	_, err = limits.With("execs", time.Hour)
	expectError(t, err, `no limit "execs"`, "image-pull, start-failure")
	for _, value := range []time.Duration{0, -time.Second} {
		if unchanged, err := limits.With("exec", value); err == nil || unchanged != want {
			t.Errorf("a limit of %s: %v", value, err)
		}
	}
}

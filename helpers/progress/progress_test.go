package progress

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestStepShowsThatItRunsAndHowLongItTook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shown strings.Builder
		var step Step = NewPrinter(&shown).Step
		err := step(t.Context(), "build", func(context.Context) error {
			time.Sleep(32 * time.Second)
			return nil
		})
		want := "==> build\n    build: still at it after 15s\n    build: still at it after 30s\n    build: 32s\n"
		if err != nil || shown.String() != want {
			t.Errorf("it showed %q, %v; want %q", shown.String(), err, want)
		}
	})
}

func TestStepThatFailsNamesItself(t *testing.T) {
	var shown strings.Builder
	cause := errors.New("no space")
	err := NewPrinter(&shown).Step(t.Context(), "build", func(context.Context) error { return cause })
	if !errors.Is(err, cause) || err.Error() != "build: no space" || !strings.Contains(shown.String(), "build: failed after") {
		t.Errorf("it showed %q, %v", shown.String(), err)
	}
}

package legible

import (
	"math"
	"testing"
	"time"
	"unicode/utf8"
)

func TestText(t *testing.T) {
	for text, want := range map[string]string{
		"plain\n\ttext": "plain\n\ttext", "a\r\nb": "a\nb", "a\rb": `a\rb`, "\x00\x1b[31m\xff": `\x00\x1b[31m\xff`, "\u202eevil": `\u202eevil`,
		"\ufffd": "\ufffd", "ü€😀": "ü€😀", "\u0085\u2028": `\u0085\u2028`, "\ufffe": `\ufffe`, "\x7f\a": `\x7f\a`,
	} {
		if got := Text(text); got != want {
			t.Errorf("Text(%q) = %q, want %q", text, got, want)
		}
	}
	if got, want := Line(" a \n\t b\u00a0c "), `a b\u00a0c`; got != want {
		t.Errorf("Line gives %q, want %q", got, want)
	}
}

func TestWhatIsTooLongIsCut(t *testing.T) {
	if got := Shorten("äöü äöü", 5); got != "äöü…" {
		t.Errorf("Shorten gives %q", got)
	}
	for limit := range 8 {
		if got := Cut("äöüx", limit); len(got) > limit || !utf8.ValidString(got) {
			t.Errorf("Cut to %d gives %q", limit, got)
		}
	}
	for shown, want := range map[int]string{1: "a and 2 more", 2: "a, b and 1 more", 3: "a, b, c"} {
		if got := List([]string{"a", "b", "c"}, shown); got != want {
			t.Errorf("List of %d gives %q, want %q", shown, got, want)
		}
	}
}

func TestTimes(t *testing.T) {
	for length, want := range map[float64]string{
		0: "0.0 s", 1.25: "1.2 s", 59.96: "60.0 s", 60: "1 min 00 s", 3723: "62 min 03 s", -1: "0.0 s", math.NaN(): "0.0 s", math.Inf(1): "0.0 s",
	} {
		if got := Duration(length); got != want {
			t.Errorf("Duration(%v) = %q, want %q", length, got, want)
		}
	}
	if got := Timestamp(time.Date(2026, 1, 2, 4, 4, 5, 6, time.FixedZone("", 3600))); got != "2026-01-02T03:04:05Z" ||
		Timestamp(time.Time{}) != "" {
		t.Errorf("Timestamp gives %q, and of no time %q", got, Timestamp(time.Time{}))
	}
}

package reports

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

func TestWriteTerminalColours(t *testing.T) {
	var plain, coloured bytes.Buffer
	for to, colour := range map[*bytes.Buffer]bool{&plain: false, &coloured: true} {
		if err := WriteTerminal(to, sample(), colour); err != nil {
			t.Fatal(err)
		}
	}
	if strings.Contains(plain.String(), "\x1b") {
		t.Errorf("colours in plain text:\n%s", plain.String())
	}
	stripped := coloured.String()
	for _, code := range colours {
		stripped = strings.ReplaceAll(stripped, "\x1b["+code+"m", "")
	}
	if stripped = strings.ReplaceAll(stripped, "\x1b[0m", ""); stripped != plain.String() || coloured.Len() == plain.Len() {
		t.Errorf("colours change the text:\n%s\nwithout:\n%s", coloured.String(), plain.String())
	}
}

func TestColourNeedsATerminal(t *testing.T) {
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if Colour(file) {
		t.Error("a file is no terminal")
	}
}

func TestColourIsWhatTheTerminalAndItsReaderWant(t *testing.T) {
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("no pseudoterminal: ", err)
	}
	defer terminal.Close()
	for _, test := range []struct {
		noColour, kind string
		want           bool
	}{{"", "xterm", true}, {"1", "xterm", false}, {"", "dumb", false}} {
		t.Setenv("NO_COLOR", test.noColour)
		t.Setenv("TERM", test.kind)
		if got := Colour(terminal); got != test.want {
			t.Errorf("NO_COLOR=%s TERM=%s: colour is %t, want %t", test.noColour, test.kind, got, test.want)
		}
	}
}

func FuzzTerminal(f *testing.F) {
	f.Add("reason\nmore", "\x1b]0;title\a", "a\rb", 1.5)
	f.Fuzz(func(t *testing.T, reason, output, name string, length float64) {
		var text bytes.Buffer
		if err := WriteTerminal(&text, hostile(reason, output, name, length), false); err != nil {
			t.Fatal(err)
		}
		if printable(text.String()) != text.String() {
			t.Errorf("what a container printed reaches the terminal: %q", text.String())
		}
	})
}

package terminal

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"sharedpid.example/reports"
	"sharedpid.example/reports/internal/golden"
	"sharedpid.example/reports/internal/legible"
	"sharedpid.example/reports/internal/sample"
)

func TestColoursChangeNoText(t *testing.T) {
	var plain, coloured bytes.Buffer
	for to, colour := range map[*bytes.Buffer]bool{&plain: false, &coloured: true} {
		if err := Render(to, sample.Small(), colour); err != nil {
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

func TestGolden(t *testing.T) {
	for file, run := range map[string]reports.Run{
		"terminal.txt": sample.Small(), "side-by-side.txt": sample.SideBySide(), "partial.txt": sample.Partial(),
		"set-up-failed.txt": sample.SetUpFailed(), "many-nodes.txt": sample.ManyNodes(),
	} {
		var text bytes.Buffer
		if err := Render(&text, run, false); err != nil {
			t.Fatal(err)
		}
		golden.Compare(t, file, text.Bytes())
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
		if err := Render(&text, sample.Hostile(reason, output, name, length), false); err != nil {
			t.Fatal(err)
		}
		if legible.Text(text.String()) != text.String() {
			t.Errorf("what a container printed reaches the terminal: %q", text.String())
		}
	})
}

package findings

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"sharedpid.example/reports"
	"sharedpid.example/reports/internal/golden"
	"sharedpid.example/reports/internal/sample"
)

func TestGolden(t *testing.T) {
	for file, run := range map[string]reports.Run{"findings.md": sample.SideBySide(), "partial.md": sample.Partial()} {
		content, err := Render(run)
		if err != nil {
			t.Fatal(err)
		}
		golden.Compare(t, file, content)
	}
}

func TestWriteTellsBadInputFromAFailedWriter(t *testing.T) {
	var page bytes.Buffer
	err := Write(filepath.Join(t.TempDir(), "none"), &page)
	if input := (*reports.InputError)(nil); !errors.As(err, &input) || page.Len() > 0 {
		t.Errorf("of no file: %v, and %d bytes; want an InputError and nothing written", err, page.Len())
	}
	run := filepath.Join("..", "testdata", reports.RunFile)
	if err := Write(run, &page); err != nil || !strings.HasPrefix(page.String(), "# What real runtimes") {
		t.Errorf("%v, and the page is %q", err, page.String())
	}
	if err := Write(run, full{}); !errors.Is(err, errFull) {
		t.Errorf("%v, want %v", err, errFull)
	}
}

var errFull = errors.New("no space left")

// full is a writer that takes nothing.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

func FuzzFindings(f *testing.F) {
	f.Add("reason\nmore", "\x00\x1b```\n</details>\xff\ufffe", "a|b", 1.5)
	f.Add("> <script>", "e.example/> <script>\n# x", "<b>", -1e300)
	f.Fuzz(func(t *testing.T, reason, output, name string, length float64) {
		content, err := Render(sample.Hostile(reason, output, name, length))
		if err != nil {
			t.Fatal(err)
		}
		if !utf8.Valid(content) {
			t.Error("not UTF-8")
		}
		fence := ""
		for line := range strings.Lines(string(content)) {
			line = strings.TrimSuffix(line, "\n")
			switch {
			case fence != "":
				if line == fence {
					fence = ""
				}
			case strings.HasPrefix(line, "```"):
				fence = strings.TrimSuffix(line, "text")
			default:
				rest := strings.NewReplacer("<details><summary>Evidence</summary>", "", "</details>", "", "<br>", "").Replace(line)
				for _, label := range []string{"- **See:** <https://", "- **It follows from:** <https://", "- **See:** <http://",
					"- **It follows from:** <http://"} {
					if address, found := strings.CutPrefix(rest, label); found && strings.HasSuffix(address, ">") {
						rest = strings.TrimSuffix(address, ">")
					}
				}
				if strings.ContainsAny(rest, "<>") {
					t.Errorf("markup in %q", line)
				}
			}
		}
		if fence != "" {
			t.Error("a block of code has no end")
		}
	})
}

package findings

import (
	"strings"
	"testing"
	"unicode/utf8"

	"sharedpid.example/reports"
	"sharedpid.example/reports/internal/golden"
	"sharedpid.example/reports/internal/sample"
)

func TestGolden(t *testing.T) {
	golden.CompareEach(t, Render, map[string]reports.Run{"findings.md": sample.SideBySide(), "partial.md": sample.Partial()})
}

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

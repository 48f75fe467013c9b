package matrix

import (
	"strings"
	"testing"
	"unicode/utf8"

	"sharedpid.example/reports"
	"sharedpid.example/reports/internal/golden"
	"sharedpid.example/reports/internal/sample"
)

func TestGolden(t *testing.T) {
	render := func(runs []Named) ([]byte, error) { return Render(runs), nil }
	golden.CompareEach(t, render, map[string][]Named{
		"matrix.md": {
			{"v1.37.2-containerd2.4.2-runc1.5.2", sample.Of(reports.Conformant, "node")}, {"side-by-side", sample.SideBySide()},
			{"v1.36.3", sample.Of(reports.Unsupported, "node")}, {"partial", sample.Partial()}, {"failed", sample.SetUpFailed()},
		},
	})
}

func FuzzRender(f *testing.F) {
	f.Add("reason\nmore", "\x00\x1b```\n|\xff\ufffe", "a|b <script>", 1.5)
	f.Fuzz(func(t *testing.T, reason, output, name string, length float64) {
		page := Render([]Named{{name, sample.Hostile(reason, output, name, length)}})
		if !utf8.Valid(page) {
			t.Error("not UTF-8")
		}
		rows := 0
		for line := range strings.Lines(string(page)) {
			if strings.Contains(line, "<script") {
				t.Errorf("markup in %q", line)
			}
			if strings.HasPrefix(line, "| 1 |") {
				rows++
			}
		}
		if rows != 1 {
			t.Errorf("the only target has %d rows", rows)
		}
	})
}

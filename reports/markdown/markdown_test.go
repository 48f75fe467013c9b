package markdown

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"sharedpid.example/reports"
	"sharedpid.example/reports/internal/golden"
	"sharedpid.example/reports/internal/sample"
)

func TestGolden(t *testing.T) {
	for file, run := range map[string]reports.Run{
		"summary.md": sample.Small(), "side-by-side.md": sample.SideBySide(), "partial.md": sample.Partial(),
		"set-up-failed.md": sample.SetUpFailed(), "many-nodes.md": sample.ManyNodes(),
	} {
		content, err := Render(run)
		if err != nil {
			t.Fatal(err)
		}
		golden.Compare(t, file, content)
	}
}

func TestMarkdownStaysBelowTheLimitOfJobSummaries(t *testing.T) {
	run := reports.Run{}
	reason, output := strings.Repeat("|", 1<<10), strings.Repeat("`", 64<<10)
	for i := range 5000 {
		run.Results = append(run.Results, reports.Result{
			Trait: fmt.Sprintf("a/%d", i), Target: string(rune('a' + i)), Verdict: reports.Nonconformant,
			Reason: reason, Evidence: []reports.Evidence{{Output: output}},
		})
	}
	content, err := Render(run)
	if err != nil {
		t.Fatal(err)
	}
	if len(content) > 1<<20 {
		t.Errorf("%d bytes, GitHub shows 1 MiB", len(content))
	}
	if !strings.Contains(string(content), " more rows are in run.json") {
		t.Error("nothing says that rows were left out")
	}
}

func TestMarkdownGrid(t *testing.T) {
	content, err := Render(sample.Rich(3))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"\n| Trait | worker-1 | worker-2 | worker-3/crun |\n|---|:-:|:-:|:-:|\n",
		"\n| lifecycle/orphans-are-reaped | ✅ | ☑️ | ❌ |\n",
		"\n| visibility/shell-sees-nginx | ✅ | ✅ | ⏳ |\n",
	} {
		if !strings.Contains(string(content), want) {
			t.Errorf("the summary has no %q:\n%s", want, content)
		}
	}
	if content, err = Render(sample.Rich(1)); err != nil || strings.Contains(string(content), "Traits by target") {
		t.Errorf("one target has a grid, %v", err)
	}
}

func FuzzMarkdown(f *testing.F) {
	f.Add("reason\nmore", "\x00\x1b```\n</details>\xff\ufffe", "a|b", 1.5)
	f.Add("\\|", "````\r\n~~~", "\\", -1e300)
	f.Fuzz(func(t *testing.T, reason, output, name string, length float64) {
		content, err := Render(sample.Hostile(reason, output, name, length))
		if err != nil {
			t.Fatal(err)
		}
		if !utf8.Valid(content) {
			t.Error("not UTF-8")
		}
		columns, fence := 0, ""
		for line := range strings.Lines(string(content)) {
			line = strings.TrimSuffix(line, "\n")
			switch {
			case fence != "":
				if line == fence {
					fence = ""
				} else if strings.HasPrefix(strings.TrimSpace(line), fence) {
					t.Errorf("the block of code ends early at %q", line)
				}
			case strings.HasPrefix(line, "```"):
				fence = strings.TrimSuffix(line, "text")
			case strings.HasPrefix(line, "|"):
				found := strings.Count(line, "|")
				if columns != 0 && found != columns {
					t.Errorf("a row of %d cells in a table of %d: %q", found, columns, line)
				}
				columns = found
			default:
				columns = 0
				if rest := strings.NewReplacer("<details><summary>Evidence</summary>", "", "</details>", "").Replace(line); strings.ContainsAny(rest,
					"<>") {
					t.Errorf("markup in %q", line)
				}
			}
		}
		if fence != "" {
			t.Error("a block of code has no end")
		}
	})
}

package reports

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestMarkdownTextIsNoMarkup(t *testing.T) {
	for text, want := range map[string]string{
		"a|b\n# c":              `a&#124;b \# c`,
		"<b>&amp;":              `&lt;b&gt;&amp;amp;`,
		"[x](http://e.example)": `\[x\](http\://e.example)`,
		"`x` *y* __z__ $1$":     "\\`x\\` \\*y\\* \\_\\_z\\_\\_ \\$1\\$",
		"\x1b[31m\u202e":        `\\x1b\[31m\\u202e`,
	} {
		if got := markdownText(text); got != want {
			t.Errorf("markdownText(%q) = %s, want %s", text, got, want)
		}
	}
}

func TestMarkdownStaysBelowTheLimitOfJobSummaries(t *testing.T) {
	run := Run{}
	for i := range 5000 {
		run.Results = append(run.Results, Result{
			Trait: "a/b", Subject: string(rune('a' + i)), Verdict: Nonconformant,
			Reason: strings.Repeat("|", 1<<10), Evidence: []Evidence{{Output: strings.Repeat("`", 64<<10)}},
		})
	}
	content, err := writeMarkdown(run)
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
	content, err := writeMarkdown(richSample(3))
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
	if content, err = writeMarkdown(richSample(1)); err != nil || strings.Contains(string(content), "Traits by subject") {
		t.Errorf("one subject has a grid, %v", err)
	}
}

func FuzzMarkdown(f *testing.F) {
	f.Add("reason\nmore", "\x00\x1b```\n</details>\xff\ufffe", "a|b", 1.5)
	f.Add("\\|", "````\r\n~~~", "\\", -1e300)
	f.Fuzz(func(t *testing.T, reason, output, name string, length float64) {
		content, err := writeMarkdown(hostile(reason, output, name, length))
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
				if rest := strings.NewReplacer("<details><summary>Evidence</summary>", "", "</details>", "").Replace(line); strings.ContainsAny(rest, "<>") {
					t.Errorf("markup in %q", line)
				}
			}
		}
		if fence != "" {
			t.Error("a block of code has no end")
		}
	})
}

package reports

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/net/html"
)

// page parses the report as a browser does.
func page(t testing.TB, run Run) (*html.Node, []byte) {
	t.Helper()
	content, err := writeHTML(run)
	if err != nil {
		t.Fatal(err)
	}
	if !utf8.Valid(content) {
		t.Error("not UTF-8")
	}
	root, err := html.Parse(strings.NewReader(string(content)))
	if err != nil {
		t.Fatal(err)
	}
	return root, content
}

// elements are the elements with the name, all of them without one.
func elements(root *html.Node, name string) []*html.Node {
	var found []*html.Node
	for node := range root.Descendants() {
		if node.Type == html.ElementNode && (name == "" || node.Data == name) {
			found = append(found, node)
		}
	}
	return found
}

func attribute(node *html.Node, name string) string {
	for _, each := range node.Attr {
		if each.Key == name {
			return each.Val
		}
	}
	return ""
}

func text(node *html.Node) string {
	var all strings.Builder
	for each := range node.Descendants() {
		if each.Type == html.TextNode {
			all.WriteString(each.Data)
		}
	}
	return all.String()
}

// checkHarmless finds whatever the page could run or load, and attributes and elements that the template does not write.
func checkHarmless(t testing.TB, root *html.Node) {
	t.Helper()
	for _, node := range elements(root, "") {
		if slices.Contains([]string{"script", "img", "iframe", "object", "embed", "link", "video", "audio", "base", "image", "use", "foreignObject"}, node.Data) {
			t.Errorf("the page has an element %s", node.Data)
		}
		for _, each := range node.Attr {
			if strings.HasPrefix(each.Key, "on") || each.Key == "style" || each.Key == "src" {
				t.Errorf("%s has the attribute %s=%q", node.Data, each.Key, each.Val)
			}
			if each.Key == "href" && !strings.HasPrefix(each.Val, "#") && !strings.HasPrefix(each.Val, "https://") {
				t.Errorf("%s leads to %q", node.Data, each.Val)
			}
		}
	}
	if style := text(elements(root, "style")[0]); strings.Contains(style, "url(") || strings.Contains(style, "@import") {
		t.Error("the style loads something")
	}
}

func TestHTMLShowsHostileContentHarmlessly(t *testing.T) {
	root, content := page(t, richSample(3))
	checkHarmless(t, root)
	for _, want := range []string{`\x1b[31mred\x1b[0m\x00\xff\u202eevil`, "&lt;script&gt;alert(1)", "[cut here: the rest is in run.json]"} {
		if !strings.Contains(string(content), want) {
			t.Errorf("the page does not show %q", want)
		}
	}
}

// TestHTMLShowsWhatTheRunHolds looks for each thing that a reader is promised.
func TestHTMLShowsWhatTheRunHolds(t *testing.T) {
	root, _ := page(t, richSample(3))
	shown := strings.Join(strings.Fields(text(root)), " ")
	for _, want := range []string{
		"1 of 30 conformant although a deviation is expected: lifecycle/orphans-are-reaped",
		"containerd://2.4.2", "6.18.2", "crun 1.28", "registry.example/nginx@sha256:",
		"More accurately. A signal needs equal uids or CAP_KILL.",
		"the runtime gives containers CAP_SYS_PTRACE", "compare CapEff in /proc/self/status",
		"cat: can't open '/proc/7/environ': Permission denied exit code 1, EACCES",
		"Control: a Pod that does not share",
		"This deviation was expected", "A deviation was expected here and is gone",
		"Not as expected: 2.", "305 of 308 cells are as uids and capabilities say", "Yama's ptrace_scope 1 forbids to attach",
		"profile full", "of 30 results are shown",
	} {
		if !strings.Contains(shown, want) {
			t.Errorf("the page does not show %q", want)
		}
	}
	if strings.Index(shown, "What the article claims") > strings.Index(shown, "All traits Verdict") {
		t.Error("the article's claims do not come first")
	}
}

func TestHTMLBeginsWithWhatWentWrong(t *testing.T) {
	root, _ := page(t, richSample(14))
	var listed []string
	for _, list := range elements(root, "ul") {
		if attribute(list, "class") == "failures" {
			for _, item := range elements(list, "li") {
				listed = append(listed, strings.Join(strings.Fields(text(item)), " "))
			}
		}
	}
	if len(listed) != 9 || !strings.HasPrefix(listed[0], "nonconformant credentials/access-matrix on worker-2: uid 1000 may read root") ||
		!strings.HasPrefix(listed[1], "vanished lifecycle/orphans-are-reaped") || listed[8] != "and 8 more" {
		t.Errorf("what went wrong begins with %q", listed)
	}
	if root, _ = page(t, runOf(Conformant, "node")); strings.Contains(text(elements(root, "header")[0]), "conformant a/b") {
		t.Error("what went well is listed as a failure")
	}
}

func TestHTMLLinksLeadSomewhere(t *testing.T) {
	run := richSample(3)
	run.Results = append(run.Results, run.Results[0], Result{Trait: "A/B!", Subject: "worker-1"}, Result{Trait: "a/b", Subject: "worker 1"})
	root, _ := page(t, run)
	places := map[string]bool{}
	for _, node := range elements(root, "") {
		if id := attribute(node, "id"); id != "" {
			if places[id] {
				t.Errorf("two elements have the id %s", id)
			}
			places[id] = true
		}
	}
	for _, link := range elements(root, "a") {
		if target, inside := strings.CutPrefix(attribute(link, "href"), "#"); inside && !places[target] {
			t.Errorf("%q leads to #%s, which is nowhere", text(link), target)
		}
	}
}

// TestHTMLFilters finds, for each choice, the rule that keeps results, and the results that it keeps. A browser shows the rest.
func TestHTMLFilters(t *testing.T) {
	run := richSample(14)
	root, content := page(t, run)
	run = complete(run)
	outcomes := run.besideList()
	filters := newHTMLFilters(run, outcomes)
	var results []*html.Node
	for _, node := range elements(root, "details") {
		if strings.HasPrefix(attribute(node, "class"), "result ") {
			results = append(results, node)
		}
	}
	if len(results) != len(outcomes) {
		t.Fatalf("%d results are shown, want %d", len(results), len(outcomes))
	}
	values := map[string]func(Result) string{
		"verdict": func(outcome Result) string { return string(outcome.Verdict) }, "group": Result.Group,
		"node": filters.nodeOf, "runtime": filters.runtimeOf,
	}
	for _, filter := range filters.shown() {
		for i, choice := range filter.Choices {
			class := fmt.Sprintf("%s-%d", filter.Property, i)
			rule := fmt.Sprintf(`.filters:has(#filter-%s [value="%d"]:checked) + .results > .%s{--%s:initial}`, filter.Property, i, class, filter.Property)
			if !strings.Contains(string(content), rule) {
				t.Errorf("no rule for %s %s", filter.Name, choice)
			}
			for j, outcome := range outcomes {
				kept := slices.Contains(strings.Fields(attribute(results[j], "class")), class)
				if kept != (values[filter.Property](outcome) == choice) {
					t.Errorf("%s %s: kept is %t for %s on %s", filter.Name, choice, kept, outcome.Trait, outcome.Subject)
				}
			}
		}
	}
	if len(filters.shown()) != 4 || !filters.node.List {
		t.Errorf("filters are %v, want four, nodes as a list", filters.shown())
	}
}

func TestHTMLOfManySubjectsStaysSmall(t *testing.T) {
	run := largeSample(50, 100)
	for i := range run.Results {
		if i%2 == 0 {
			run.Results[i].Verdict = Nonconformant
		}
		run.Results[i].Evidence = append(run.Results[i].Evidence, Evidence{Output: strings.Repeat("<&>", 100_000)})
	}
	_, content := page(t, run)
	if len(content) > 15<<20 {
		t.Errorf("%d bytes for 50 traits on 100 subjects, want at most 15 MB", len(content))
	}
}

func TestTreeOrderKeepsEveryProcessOnce(t *testing.T) {
	processes := []Process{{PID: 9, PPID: 1}, {PID: 1}, {PID: 3, PPID: 4}, {PID: 4, PPID: 3}, {PID: 5, PPID: 5}, {PID: 6, PPID: 9}}
	ordered, depths := treeOrder(processes)
	var got []string
	for i, process := range ordered {
		got = append(got, fmt.Sprint(process.PID, "@", depths[i]))
	}
	if want := "1@0 9@1 6@2 5@0 3@0 4@1"; strings.Join(got, " ") != want {
		t.Errorf("order is %v, want %s", got, want)
	}
}

func TestReloadMarksWhatEndsAndWhatIsNew(t *testing.T) {
	run := richSample(1)
	reloads := htmlReloads(run.outcomes())
	if len(reloads) != 1 {
		t.Fatalf("%d reloads are drawn, want one", len(reloads))
	}
	for tree, mark := range map[*processTree]string{&reloads[0].Before: "ends", &reloads[0].After: "new"} {
		for _, box := range tree.Boxes {
			if worker := box.Arguments == "nginx: worker process"; worker != (box.Mark == mark) || worker != (box.Line != "") {
				t.Errorf("%s: process %d %s is marked %q, line %q", tree.Title, box.PID, box.Arguments, box.Mark, box.Line)
			}
		}
	}
}

func TestAccessMapsShareAndMark(t *testing.T) {
	run := richSample(4)
	maps := accessMaps(run.outcomes())
	if len(maps) != 2 || maps[0].Subjects != "worker-2" || maps[1].Subjects != "worker-1, worker-3/crun, worker-4" {
		t.Fatalf("%d maps, of %v; want one of worker-2, and one that the others share", len(maps), maps)
	}
	if maps[0].Wrong != 2 || maps[1].Wrong != 0 || maps[1].Less != 1 {
		t.Errorf("%d and %d cells are wrong, %d narrowed; want 2, 0 and 1", maps[0].Wrong, maps[1].Wrong, maps[1].Less)
	}
	cells := 0
	for _, panel := range maps[0].Panels {
		cells += len(panel.Cells)
	}
	if want := 7 * 4 * 11; cells != want {
		t.Errorf("%d cells are drawn, want %d", cells, want)
	}
}

// checkWellFormed finds elements that are not closed in their order, which a browser would close for itself wherever it likes.
func checkWellFormed(t testing.TB, content []byte) {
	t.Helper()
	var open []string
	tokens := html.NewTokenizer(bytes.NewReader(content))
	for {
		switch kind := tokens.Next(); kind {
		case html.ErrorToken:
			if tokens.Err() != io.EOF || len(open) > 0 {
				t.Errorf("the page ends inside of %v: %v", open, tokens.Err())
			}
			return
		case html.StartTagToken:
			name, _ := tokens.TagName()
			if void := string(name); void != "meta" && void != "br" && void != "input" {
				open = append(open, void)
			}
		case html.EndTagToken:
			name, _ := tokens.TagName()
			if len(open) == 0 || open[len(open)-1] != string(name) {
				t.Fatalf("%s is closed inside of %v", name, open)
			}
			open = open[:len(open)-1]
		}
	}
}

func TestHTMLIsWellFormed(t *testing.T) {
	for _, run := range []Run{{}, sample(), richSample(1), richSample(14), hostile("</details>", "<!--", "'\">", 1)} {
		_, content := page(t, run)
		checkWellFormed(t, content)
	}
}

func FuzzHTML(f *testing.F) {
	f.Add("reason\nmore", "\x00\x1b</pre><script>x</script>\xff\ufffe", `a/b" onclick="x`, 1.5)
	f.Add("https://e.example/\"><b", "javascript:x", "<style>*{}</style>", -1e300)
	f.Fuzz(func(t *testing.T, reason, output, name string, length float64) {
		run := hostile(reason, output, name, length)
		// The pictures are drawn from hostile evidence as well.
		run.Results[1].Trait, run.Results[1].Documented = reloadTrait, true
		run.Results[1].Evidence = append(run.Results[1].Evidence, run.Results[1].Evidence...)
		root, content := page(t, run)
		checkWellFormed(t, content)
		checkHarmless(t, root)
		if shown := string(content); printable(shown) != shown {
			t.Error("the page holds what is not printable")
		}
		if len(elements(root, "body")) != 1 || len(elements(root, "main")) != 1 || len(elements(root, "style")) != 1 {
			t.Error("the page is not as the template has it")
		}
	})
}

// BenchmarkWrite is what a run waits for after each trait.
func BenchmarkWrite(b *testing.B) {
	run := largeSample(60, 1)
	directory := b.TempDir()
	for b.Loop() {
		if err := Write(directory, run); err != nil {
			b.Fatal(err)
		}
	}
}

package html

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/net/html"

	"sharedpid.example/reports"
	"sharedpid.example/reports/internal/golden"
	"sharedpid.example/reports/internal/legible"
	"sharedpid.example/reports/internal/sample"
)

// page parses the report as a browser does.
func page(t testing.TB, run reports.Run) (*html.Node, []byte) {
	t.Helper()
	content, err := Render(run)
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
		if slices.Contains([]string{"script", "img", "iframe", "object", "embed", "link", "video", "audio", "base", "image", "use",
			"foreignObject"}, node.Data) {
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
	root, content := page(t, sample.Rich(3))
	checkHarmless(t, root)
	for _, want := range []string{`\x1b[31mred\x1b[0m\x00\xff\u202eevil`, "&lt;script&gt;alert(1)", "[cut here: the rest is in run.json]"} {
		if !strings.Contains(string(content), want) {
			t.Errorf("the page does not show %q", want)
		}
	}
}

// TestHTMLShowsWhatTheRunHolds looks for each thing that a reader is promised.
func TestHTMLShowsWhatTheRunHolds(t *testing.T) {
	root, _ := page(t, sample.Rich(3))
	shown := strings.Join(strings.Fields(text(root)), " ")
	for _, want := range []string{
		"1 of 30 conformant although a deviation is known: lifecycle/orphans-are-reaped",
		"containerd://2.4.2", "6.18.2", "crun 1.28", "registry.example/nginx@sha256:",
		"More accurately. A signal needs equal uids or CAP_KILL.",
		"the runtime gives containers CAP_SYS_PTRACE", "compare CapEff in /proc/self/status",
		"cat: can't open '/proc/7/environ': Permission denied exit code 1, EACCES",
		"Control: a Pod that does not share",
		"This deviation is known", "A deviation was known here and is resolved",
		"Not as the rules say: 2.", "305 of 308 cells are as uids and capabilities say", "Yama's ptrace_scope 1 forbids to attach",
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
	root, _ := page(t, sample.Rich(14))
	var listed []string
	for _, list := range elements(root, "ul") {
		if attribute(list, "class") == "failures" {
			for _, item := range elements(list, "li") {
				listed = append(listed, strings.Join(strings.Fields(text(item)), " "))
			}
		}
	}
	if len(listed) != 9 || !strings.HasPrefix(listed[0], "nonconformant credentials/access-matrix on worker-2: uid 1000 may read root") ||
		!strings.HasPrefix(listed[1], "resolved lifecycle/orphans-are-reaped") || listed[8] != "and 8 more" {
		t.Errorf("what went wrong begins with %q", listed)
	}
	if root, _ = page(t, sample.Of(reports.Conformant, "node")); strings.Contains(text(elements(root, "header")[0]), "conformant a/b") {
		t.Error("what went well is listed as a failure")
	}
}

func TestHTMLLinksLeadSomewhere(t *testing.T) {
	run := sample.Rich(3)
	run.Results = append(run.Results, run.Results[0], reports.Result{Trait: "A/B!", Target: "worker-1"},
		reports.Result{Trait: "a/b", Target: "worker 1"})
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
	run := sample.Rich(14)
	root, content := page(t, run)
	run = run.Complete()
	outcomes := run.Outcomes()
	filters := newFilters(run.Targets, outcomes)
	var results []*html.Node
	for _, node := range elements(root, "details") {
		if strings.HasPrefix(attribute(node, "class"), "result ") {
			results = append(results, node)
		}
	}
	if len(results) != len(outcomes) {
		t.Fatalf("%d results are shown, want %d", len(results), len(outcomes))
	}
	values := map[string]func(reports.Result) string{
		"verdict": func(outcome reports.Result) string { return string(outcome.Verdict) }, "group": reports.Result.Group,
		"node": filters.nodeOf, "runtime": filters.runtimeOf,
	}
	for _, filter := range filters.shown() {
		for i, choice := range filter.Choices {
			class := fmt.Sprintf("%s-%d", filter.Property, i)
			rule := fmt.Sprintf(`.filters:has(#filter-%s [value="%d"]:checked) + .results > .%s{--%s:initial}`, filter.Property, i, class,
				filter.Property)
			if !strings.Contains(string(content), rule) {
				t.Errorf("no rule for %s %s", filter.Name, choice)
			}
			for j, outcome := range outcomes {
				kept := slices.Contains(strings.Fields(attribute(results[j], "class")), class)
				if kept != (values[filter.Property](outcome) == choice) {
					t.Errorf("%s %s: kept is %t for %s on %s", filter.Name, choice, kept, outcome.Trait, outcome.Target)
				}
			}
		}
	}
	if len(filters.shown()) != 4 || !filters.node.List {
		t.Errorf("filters are %v, want four, nodes as a list", filters.shown())
	}
}

func TestHTMLOfManyTargetsStaysSmall(t *testing.T) {
	t.Parallel()
	run := sample.Large(50, 100)
	output := strings.Repeat("<&>", 100_000) // one for all: it would not fit the memory 5,000 times
	for i := range run.Results {
		if i%2 == 0 {
			run.Results[i].Verdict = reports.Nonconformant
		}
		run.Results[i].Evidence = append(run.Results[i].Evidence, reports.Evidence{Output: output})
	}
	content, err := Render(run)
	if err != nil {
		t.Fatal(err)
	}
	if len(content) > 15<<20 {
		t.Errorf("%d bytes for 50 traits on 100 targets, want at most 15 MB", len(content))
	}
}

func TestTreeOrderKeepsEveryProcessOnce(t *testing.T) {
	processes := []reports.Process{{PID: 9, PPID: 1}, {PID: 1}, {PID: 3, PPID: 4}, {PID: 4, PPID: 3}, {PID: 5, PPID: 5}, {PID: 6, PPID: 9}}
	ordered, depths := treeOrder(processes)
	var got []string
	for i, process := range ordered {
		got = append(got, fmt.Sprint(process.PID, "@", depths[i]))
	}
	if want := "1@0 9@1 6@2 5@0 3@0 4@1"; strings.Join(got, " ") != want {
		t.Errorf("order is %v, want %s", got, want)
	}
}

// changesOf are the pairs of process trees that the page of a run draws.
func changesOf(run reports.Run) []processChange {
	outcomes := run.Outcomes()
	return processChanges(outcomes, newResults(run, outcomes, newFilters(run.Targets, outcomes)))
}

func TestPairMarksWhatEndsAndWhatIsNew(t *testing.T) {
	changes := changesOf(sample.Rich(1))
	if len(changes) != 1 {
		t.Fatalf("%d pairs are drawn, want one", len(changes))
	}
	for tree, mark := range map[*processTree]string{&changes[0].Before: "ends", &changes[0].After: "new"} {
		for _, box := range tree.Boxes {
			if worker := box.Arguments == "nginx: worker process"; worker != (box.Mark == mark) || worker != (box.Line != "") {
				t.Errorf("%s: process %d %s is marked %q, line %q", tree.Title, box.PID, box.Arguments, box.Mark, box.Line)
			}
		}
	}
}

// TestPairsAreKnownByTheirEvidence takes any trait: what is drawn follows from titles and places alone.
func TestPairsAreKnownByTheirEvidence(t *testing.T) {
	list := func(title, where string, pids ...int) reports.Evidence {
		evidence := reports.Evidence{Title: title, Where: where}
		for _, pid := range pids {
			evidence.Processes = append(evidence.Processes, reports.Process{PID: pid})
		}
		return evidence
	}
	before, after := list("processes before the kill", "p/c", 1, 2), list("processes after the kill", "p/c", 1, 3)
	for name, test := range map[string]struct {
		evidence []reports.Evidence
		want     string // numbers before and after
	}{
		"a pair": {[]reports.Evidence{before, {Title: "kill", Where: "p/c"}, after}, "2 3"},
		"the last look counts": {[]reports.Evidence{
			list("processes before", "p/c", 1, 9), before, list("processes after the kill", "p/c", 1), after,
		}, "2 3"},
		"the first pair counts": {[]reports.Evidence{
			before, after, list("processes before TERM", "p/c", 1, 3), list("processes after TERM", "p/c", 1, 4),
		}, "2 3"},
		"places side by side": {[]reports.Evidence{
			before, list("processes before the kill", "q/c", 1, 7), after, list("processes after the kill", "q/c", 1, 8),
		}, "2 3"},
		"another place":       {[]reports.Evidence{before, list("processes after the kill", "q/c", 1, 3)}, ""},
		"no processes":        {[]reports.Evidence{before, list("processes after the kill", "p/c")}, ""},
		"other titles":        {[]reports.Evidence{list("processes", "p/c", 1, 2), list("processes later", "p/c", 1, 3)}, ""},
		"the wrong way round": {[]reports.Evidence{after, before}, ""},
	} {
		run := sample.Of(reports.Conformant, "node")
		run.Results[0].Evidence = test.evidence
		got := ""
		for _, change := range changesOf(run) {
			got += fmt.Sprintf("%d %d", change.Before.Boxes[1].PID, change.After.Boxes[1].PID)
		}
		if got != test.want {
			t.Errorf("%s: drawn are %q, want %q", name, got, test.want)
		}
	}
}

func TestThePauseProcessIsKnownByItsContainer(t *testing.T) {
	for _, test := range []struct{ container, argument, want string }{
		{"pause", "/usr/bin/pod", "pause"}, {"shell", "/pause", "shell"}, {"", "/pause", ""},
	} {
		process := reports.Process{PID: 1, Container: test.container, Arguments: []string{test.argument}}
		if got := processOwner(process); got != test.want {
			t.Errorf("process 1 %s of the container %q is called %q, want %q", test.argument, test.container, got, test.want)
		}
	}
}

func TestGolden(t *testing.T) {
	golden.CompareEach(t, Render, map[string]reports.Run{
		"report.html": sample.Small(), "partial.html": sample.Partial(), "set-up-failed.html": sample.SetUpFailed(),
		"many-nodes.html": sample.ManyNodes(), "side-by-side.html": sample.SideBySide(),
	})
}

// TestEachPodHasAnAccessMapOfItsOwn: process 1 of one Pod is not that of another, and its headings stand in two lines where they are long.
func TestEachPodHasAnAccessMapOfItsOwn(t *testing.T) {
	cell := func(operation string) []reports.Access {
		return []reports.Access{{Caller: "root", Target: "pause", Operation: operation, Want: "allowed", Observed: "allowed"}}
	}
	maps := accessMaps([]reports.Result{{Target: "node", Evidence: []reports.Evidence{
		{Where: "files", Access: cell("environ")}, {Where: "calls", Access: cell("process_vm_readv")}, {Where: "files", Access: cell("mem")},
	}}})
	if len(maps) != 2 || maps[0].Pod != "files" || maps[1].Pod != "calls" || maps[0].Targets != "" {
		t.Fatalf("%+v", maps)
	}
	var headings []string
	for _, column := range slices.Concat(maps[0].Panels[0].Columns, maps[1].Panels[0].Columns) {
		headings = append(headings, column.Text)
	}
	if got := strings.Join(headings, " "); got != "environ mem process_vm_ readv" {
		t.Errorf("headings are %s", got)
	}
	if maps[1].Panels[0].Height-maps[0].Panels[0].Height != accessLine {
		t.Errorf("the panels are %d and %d high", maps[0].Panels[0].Height, maps[1].Panels[0].Height)
	}
}

func TestAccessMapsShareAndMark(t *testing.T) {
	run := sample.Rich(4)
	maps := accessMaps(run.Outcomes())
	if len(maps) != 2 || maps[0].Targets != "worker-2" || maps[1].Targets != "worker-1, worker-3/crun, worker-4" {
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
	for _, run := range []reports.Run{{}, sample.Small(), sample.Rich(1), sample.Rich(14), sample.Hostile("</details>", "<!--", "'\">", 1)} {
		_, content := page(t, run)
		checkWellFormed(t, content)
	}
}

func FuzzHTML(f *testing.F) {
	f.Add("reason\nmore", "\x00\x1b</pre><script>x</script>\xff\ufffe", `a/b" onclick="x`, 1.5)
	f.Add("https://e.example/\"><b", "javascript:x", "<style>*{}</style>", -1e300)
	f.Fuzz(func(t *testing.T, reason, output, name string, length float64) {
		run := sample.Hostile(reason, output, name, length)
		// The pictures are drawn from hostile evidence as well.
		run.Results[1].Documented = true
		evidence := run.Results[1].Evidence[0]
		for _, title := range []string{beforeTitle, afterTitle} {
			evidence.Title = title + name
			run.Results[1].Evidence = append(run.Results[1].Evidence, evidence)
		}
		root, content := page(t, run)
		checkWellFormed(t, content)
		checkHarmless(t, root)
		if shown := string(content); legible.Text(shown) != shown {
			t.Error("the page holds what is not printable")
		}
		if len(changesOf(run)) != 1 {
			t.Error("no process tree is drawn")
		}
		if len(elements(root, "body")) != 1 || len(elements(root, "main")) != 1 || len(elements(root, "style")) != 1 {
			t.Error("the page is not as the template has it")
		}
	})
}

// TestScrollersAreNotNested: in a scroller within a scroller the reader has two bars, and moves the wrong one.
func TestScrollersAreNotNested(t *testing.T) {
	scrolls := regexp.MustCompile(`(?m)^ *([^{}\n]+) \{[^}]*overflow(?:-x|-y)?: auto`)
	var selectors []string
	for _, rule := range scrolls.FindAllStringSubmatch(style, -1) {
		selectors = append(selectors, strings.Split(rule[1], ", ")...)
	}
	if !slices.Contains(selectors, "pre") || !slices.Contains(selectors, ".scroll") {
		t.Fatalf("scrollers are %q", selectors)
	}
	for _, run := range []reports.Run{sample.Rich(3), sample.Partial()} {
		content, err := Render(run)
		if err != nil {
			t.Fatal(err)
		}
		page, err := html.Parse(bytes.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		var walk func(element *html.Node, outer string)
		walk = func(element *html.Node, outer string) {
			if name := scroller(element, selectors); name != "" {
				if outer != "" {
					t.Errorf("%s scrolls within %s", name, outer)
				}
				outer = name
			}
			for child := range element.ChildNodes() {
				walk(child, outer)
			}
		}
		walk(page, "")
	}
}

// scroller is the selector of a scroller that an element matches, empty when it is none. Selectors are an element or a class.
func scroller(element *html.Node, selectors []string) string {
	if element.Type != html.ElementNode {
		return ""
	}
	names := []string{element.Data}
	for _, attribute := range element.Attr {
		if attribute.Key == "class" {
			for _, class := range strings.Fields(attribute.Val) {
				names = append(names, "."+class)
			}
		}
	}
	for _, name := range names {
		if slices.Contains(selectors, name) {
			return name
		}
	}
	return ""
}

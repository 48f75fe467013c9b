package suites

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestBadInput runs this very binary with input that must be refused: one line, exit code 2, nothing created.
func TestBadInput(t *testing.T) {
	directory := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(directory, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	unanswered := "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts: [{name: a, context: {cluster: a, user: a}}]\n" +
		"clusters: [{name: a, cluster: {server: 'https://127.0.0.1:1'}}]\nusers: [{name: a, user: {}}]\n"
	for name, test := range map[string]struct {
		arguments []string
		words     string
	}{
		"unknown flag":         {[]string{"-profle=core"}, "not defined: -profle"},
		"unknown profile":      {[]string{"-profile=all"}, `no profile "all"`},
		"unknown trait":        {[]string{"-trait=signals/nope"}, `matches "signals/nope"`},
		"malformed pattern":    {[]string{"-trait=["}, "syntax error in pattern"},
		"unknown label":        {[]string{"-labels=colour=red"}, `no label "colour"`},
		"label without traits": {[]string{"-labels=group=nope"}, "holds no trait"},
		"malformed label":      {[]string{"-labels=group"}, "label format error"},
		"malformed expression": {[]string{"-feature=("}, "flag -feature"},
		"unknown image":        {[]string{"-image=apache=x"}, `"apache"`},
		"malformed image":      {[]string{"-image=nginx=UPPER CASE"}, "nginx"},
		"argument":             {[]string{"core"}, `unexpected argument "core"`},
		"report directory":     {[]string{"-report-dir=/dev/null/reports"}, "report directory"},
		"missing kubeconfig":   {[]string{"-kubeconfig=" + filepath.Join(directory, "nope")}, "no such file"},
		"empty kubeconfig":     {[]string{"-kubeconfig=" + file("empty", "")}, "kubeconfig"},
		"malformed kubeconfig": {[]string{"-kubeconfig=" + file("malformed", "{{")}, "kubeconfig"},
		"unknown context":      {[]string{"-kubeconfig=" + file("config", unanswered), "-context=b"}, `"b"`},
		"API does not answer":  {[]string{"-kubeconfig=" + file("config", unanswered)}, "does not answer"},
		"unknown runtime":      {[]string{"-runtime=rusnc"}, `no runtime "rusnc"; the runtimes are runc, crun, runsc`},
		"runtime named twice":  {[]string{"-runtime=crun", "-runtime=crun"}, "crun is named twice"},
		"runtime on existing":  {[]string{"-runtime=crun", "-kubeconfig=" + file("config", unanswered)}, "-runtime-class"},
		"no expectations":      {[]string{"-expect=" + filepath.Join(directory, "nope")}, "no such file"},
		"malformed list":       {[]string{"-expect=" + file("list", "- {runtime: crun}")}, "entry 1: trait is missing"},
		"unknown engine":       {[]string{"-engine=rkt"}, `engine "rkt" is not known`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			arguments := append([]string{"-test.run=^TestConformance$", "-report-dir=" + t.TempDir()}, test.arguments...)
			command := exec.CommandContext(t.Context(), os.Args[0], arguments...)
			output, _ := command.CombinedOutput()
			if code := command.ProcessState.ExitCode(); code != ExitBadInput {
				t.Errorf("exit code is %d, want %d\n%s", code, ExitBadInput, output)
			}
			if !strings.Contains(string(output), test.words) {
				t.Errorf("output lacks %q:\n%s", test.words, output)
			}
		})
	}
}

func TestSelect(t *testing.T) {
	all := Traits()
	selected, err := Select(all, Article, []string{"signals/*"})
	if err != nil || len(selected) == 0 || len(selected) == len(all) {
		t.Errorf("signals/* selects %d of %d, %v", len(selected), len(all), err)
	}
	for _, trait := range selected {
		if trait.Group() != "signals" {
			t.Errorf("signals/* selects %s", trait.ID)
		}
	}
}

// TestTraits holds every trait to what the reports and the catalogue need of it.
func TestTraits(t *testing.T) {
	seen := map[string]bool{}
	for _, trait := range Traits() {
		if seen[trait.ID] {
			t.Errorf("%s stands there twice", trait.ID)
		}
		seen[trait.ID] = true
		if !strings.Contains(trait.Statement, "MUST") && !strings.Contains(trait.Statement, "MAY") {
			t.Errorf("%s: the statement has no word of RFC 2119: %s", trait.ID, trait.Statement)
		}
		if len(trait.Sources) == 0 || trait.Check == nil || trait.Profile == "" {
			t.Errorf("%s lacks sources, a check or a profile", trait.ID)
		}
		if _, err := os.Stat(trait.Group() + "s.go"); err != nil {
			if _, err := os.Stat(trait.Group() + ".go"); err != nil {
				t.Errorf("%s does not stand in a file of its group", trait.ID)
			}
		}
	}
}

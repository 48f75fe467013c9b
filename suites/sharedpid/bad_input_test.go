package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// unanswered is a kubeconfig of a cluster that does not answer.
const unanswered = "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts: [{name: a, context: {cluster: a, user: a}}]\n" +
	"clusters: [{name: a, cluster: {server: 'https://127.0.0.1:1'}}]\nusers: [{name: a, user: {}}]\n"

// TestBadInput gives the command input that must be refused: one line that names the cause, exit code 2, nothing created.
func TestBadInput(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	directory := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(directory, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	config := file("config", unanswered)
	for name, test := range map[string]struct {
		arguments []string
		words     string
	}{
		"unknown command":           {[]string{"rnu"}, `unknown command "rnu"`},
		"unknown flag":              {[]string{"run", "--profle=core"}, "unknown flag: --profle"},
		"flag of another command":   {[]string{"run", "--fault=hidepid"}, "unknown flag: --fault"},
		"old spelling":              {[]string{"run", "-profile=core"}, "unknown shorthand flag"},
		"unknown profile":           {[]string{"run", "--profile=all"}, `no profile "all"`},
		"unknown trait":             {[]string{"run", "--trait=signals/nope"}, `matches "signals/nope"`},
		"malformed pattern":         {[]string{"run", "--trait=["}, "syntax error in pattern"},
		"malformed pattern to skip": {[]string{"run", "--skip-trait=["}, "syntax error in pattern"},
		"nothing to skip":           {[]string{"run", "--skip-trait=signals/nope"}, `matches "signals/nope"`},
		"nothing left":              {[]string{"run", "--skip-trait=*/*"}, "holds no trait"},
		"unknown image":             {[]string{"run", "--image=apache=x"}, `"apache"`},
		"malformed image":           {[]string{"run", "--image=nginx=UPPER CASE"}, "nginx"},
		"malformed mirror":          {[]string{"run", "--image-registry=mirror"}, "--image-registry"},
		"argument":                  {[]string{"run", "core"}, `unknown command "core"`},
		"report directory":          {[]string{"run", "--report-dir=/dev/null/reports"}, "/dev/null/reports"},
		"missing kubeconfig":        {[]string{"run", "--kubeconfig=" + filepath.Join(directory, "nope")}, "no such file"},
		"empty kubeconfig":          {[]string{"run", "--kubeconfig=" + file("empty", "")}, "kubeconfig"},
		"malformed kubeconfig":      {[]string{"run", "--kubeconfig=" + file("malformed", "{{")}, "kubeconfig"},
		"unknown context":           {[]string{"run", "--kubeconfig=" + config, "--context=b"}, `"b"`},
		"API does not answer":       {[]string{"run", "--kubeconfig=" + config}, "does not answer"},
		"unknown runtime":           {[]string{"run", "--runtime=rusnc"}, `no runtime "rusnc"`},
		"runtime named twice":       {[]string{"run", "--runtime=crun", "--runtime=crun"}, "crun is named twice"},
		"runtime on existing":       {[]string{"run", "--runtime=crun", "--kubeconfig=" + config}, "--runtime-class"},
		"keep on existing":          {[]string{"run", "--keep", "--kubeconfig=" + config}, "--keep"},
		"engine on existing":        {[]string{"run", "--engine=podman", "--kubeconfig=" + config}, "--engine"},
		"class named twice": {[]string{
			"run",
			"--runtime-class=a",
			"--runtime-class=a",
			"--kubeconfig=" + config,
		}, `"a" is named twice`},
		"no known deviations":          {[]string{"run", "--known-deviations=" + filepath.Join(directory, "nope")}, "no such file"},
		"malformed known deviations":   {[]string{"run", "--known-deviations=" + file("list", "- {runtime: crun}")}, "entry 1: trait is missing"},
		"unknown engine":               {[]string{"run", "--engine=rkt"}, `"rkt"`},
		"cluster name that is a path":  {[]string{"run", "--cluster-name=../../x"}, "--cluster-name"},
		"cluster name with capitals":   {[]string{"run", "--cluster-name=Mine"}, "--cluster-name"},
		"missing kind configuration":   {[]string{"run", "--kind-config=" + filepath.Join(directory, "nope")}, "no such file"},
		"malformed kind configuration": {[]string{"run", "--kind-config=" + file("kind", "kind: Cluster\nnods: []\n")}, "nods"},
		"no traits at once":            {[]string{"run", "--parallel=0"}, "--parallel"},
		"no requests":                  {[]string{"run", "--requests-per-second=0"}, "--requests-per-second"},
		"no patience":                  {[]string{"run", "--patience=0"}, "--patience"},
		"patience that is no number":   {[]string{"run", "--patience=NaN"}, "--patience"},
		"unknown limit":                {[]string{"run", "--limit=strat=1m"}, `no limit "strat"`},
		"malformed limit":              {[]string{"run", "--limit=start=soon"}, "NAME=DURATION"},
		"limit of nothing":             {[]string{"run", "--limit=start=-1s"}, "no time to wait"},
		"missing options file":         {[]string{"run", "--config=" + filepath.Join(directory, "nope")}, "no such file"},
		"unknown option":               {[]string{"run", "--config=" + file("unknown.yaml", "profle: core\n")}, `no option "profle"`},
		"option twice":                 {[]string{"run", "--config=" + file("twice.yaml", "profile: core\nprofile: full\n")}, "profile"},
		"option in an option":          {[]string{"run", "--config=" + file("nested.yaml", "profile: {a: b}\n")}, "profile"},
		"list for one value":           {[]string{"run", "--config=" + file("list.yaml", "profile: [core, full]\n")}, "not a list"},
		"wrong type":                   {[]string{"run", "--config=" + file("type.yaml", "parallel: many\n")}, "parallel"},
		"unknown fault":                {[]string{"faults", "--fault=hidpid"}, `no fault "hidpid"`},
		"fault named twice":            {[]string{"faults", "--fault=hidepid", "--fault=hidepid"}, "named twice"},
		"faults on existing":           {[]string{"faults", "--kubeconfig=" + config}, "unknown flag: --kubeconfig"},
		"nothing to judge":             {[]string{"judge"}, "accepts 1 arg"},
		"missing run":                  {[]string{"judge", filepath.Join(directory, "nope")}, "no such file"},
		"damaged run":                  {[]string{"judge", file("damaged.json", `{"schemaVersion": 2, "results": [`)}, "damaged.json"},
		"run of another schema":        {[]string{"judge", file("schema.json", `{"schemaVersion": 99}`)}, "schema version 99"},
		"run without looks":            {[]string{"judge", "testdata/without-looks.json"}, "no looks"},
		"diff of one":                  {[]string{"diff", "a"}, "accepts 2 arg"},
		"diff of nothing":              {[]string{"diff", "a", "b"}, "no such file"},
		"bench of nothing":             {[]string{"bench"}, "requires at least 1 arg"},
		"findings of nothing":          {[]string{"findings", "a"}, "no such file"},
		"clean with an argument":       {[]string{"clean", "all"}, `unknown command "all"`},
		"clean of no cluster":          {[]string{"clean", "--cluster-name=nobodys"}, "no run on this machine has left a cluster nobodys"},
		"setup of an unknown runtime":  {[]string{"setup", "--runtime=rusnc"}, `no runtime "rusnc"`},
	} {
		t.Run(name, func(t *testing.T) {
			reports := filepath.Join(t.TempDir(), "reports")
			arguments := test.arguments
			if arguments[0] == "run" && !strings.Contains(strings.Join(arguments, " "), "--report-dir") {
				arguments = append(arguments[:len(arguments):len(arguments)], "--report-dir="+reports)
			}
			// Were the input taken, the interrupted run would create nothing.
			ctx, cancel := context.WithCancel(t.Context())
			if name != "API does not answer" {
				cancel()
			}
			defer cancel()
			var stdout, stderr bytes.Buffer
			if code := execute(ctx, arguments, &stdout, &stderr); code != exitBadInput {
				t.Errorf("exit code is %d, want %d", code, exitBadInput)
			}
			lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
			last := lines[len(lines)-1]
			if !strings.HasPrefix(last, "error: ") || !strings.Contains(last, test.words) {
				t.Errorf("the last line lacks %q: %s", test.words, stderr.String())
			}
			if name != "API does not answer" && len(lines) != 1 {
				t.Errorf("want one line, not %d: %s", len(lines), stderr.String())
			}
			if _, err := os.Stat(reports); err == nil && name != "API does not answer" {
				t.Error("a report directory was made")
			}
		})
	}
}

package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sharedpid.example/helpers/provision/engine"
)

// unanswered is a kubeconfig of a cluster that does not answer.
const unanswered = "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts: [{name: a, context: {cluster: a, user: a}}]\n" +
	"clusters: [{name: a, cluster: {server: 'https://127.0.0.1:1'}}]\nusers: [{name: a, user: {}}]\n"

// TestBadInput gives the command input that must be refused: one line that names the cause, exit code 2, nothing created.
func TestBadInput(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	asked := engines(t)
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
		"unknown command": {[]string{"rnu"}, `there is no command "rnu"; sharedpid --help`},
		"unknown flag": {
			[]string{"run", "--profle=core"},
			"there is no flag --profle; sharedpid run --help shows the flags",
		},
		"flag of another command":   {[]string{"run", "--fault=hidepid"}, "there is no flag --fault"},
		"old spelling":              {[]string{"run", "-profile=core"}, "flags begin with two dashes"},
		"unknown profile":           {[]string{"run", "--profile=all"}, `--profile: there is no profile "all"`},
		"unknown trait":             {[]string{"run", "--trait=signals/nope"}, `matches "signals/nope"`},
		"malformed pattern":         {[]string{"run", "--trait=["}, `--trait: "[" is no pattern`},
		"malformed pattern to skip": {[]string{"run", "--skip-trait=["}, `--skip-trait: "[" is no pattern`},
		"nothing to skip":           {[]string{"run", "--skip-trait=signals/nope"}, `matches "signals/nope"`},
		"level that does not exist": {[]string{"run", "--pod-security=strict"}, `--pod-security: there is no level "strict"; the levels are`},
		"nothing left at a level":   {[]string{"run", "--pod-security=restricted"}, "holds no trait"},
		"nothing left":              {[]string{"run", "--skip-trait=*/*"}, "holds no trait"},
		"unknown image":             {[]string{"run", "--image=apache=x"}, `"apache"`},
		"malformed image":           {[]string{"run", "--image=nginx=UPPER CASE"}, "nginx"},
		"malformed mirror":          {[]string{"run", "--image-registry=mirror"}, "--image-registry"},
		"argument":                  {[]string{"run", "core"}, `sharedpid run takes no argument and was given ["core"]`},
		"report directory":          {[]string{"run", "--report-dir=/dev/null/reports"}, "/dev/null/reports"},
		"missing kubeconfig":        {[]string{"run", "--kubeconfig=" + filepath.Join(directory, "nope")}, "no such file"},
		"empty kubeconfig":          {[]string{"run", "--kubeconfig=" + file("empty", "")}, "no cluster to reach stands there"},
		"malformed kubeconfig":      {[]string{"run", "--kubeconfig=" + file("malformed", "{{")}, "is no kubeconfig"},
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
		"no known deviations": {[]string{"run", "--known-deviations=" + filepath.Join(directory, "nope")}, "no such file"},
		"malformed known deviations": {
			[]string{"run", "--known-deviations=" + file("list", "- {runtime: crun}")},
			"entry 1: trait is missing",
		},
		"unknown engine":              {[]string{"run", "--engine=rkt"}, `"rkt"`},
		"cluster name that is a path": {[]string{"run", "--cluster-name=../../x"}, "--cluster-name"},
		"cluster name with capitals":  {[]string{"run", "--cluster-name=Mine"}, "--cluster-name"},
		"missing kind configuration":  {[]string{"run", "--kind-config=" + filepath.Join(directory, "nope")}, "no such file"},
		"malformed kind configuration": {
			[]string{"run", "--kind-config=" + file("kind", "kind: Cluster\nnods: []\n")},
			`there is no field "nods"`,
		},
		"no traits at once":          {[]string{"run", "--parallel=0"}, "--parallel"},
		"no requests":                {[]string{"run", "--requests-per-second=0"}, "--requests-per-second"},
		"no patience":                {[]string{"run", "--patience=0"}, "--patience"},
		"patience that is no number": {[]string{"run", "--patience=NaN"}, "--patience"},
		"unknown limit":              {[]string{"run", "--limit=strat=1m"}, `no limit "strat"`},
		"malformed limit":            {[]string{"run", "--limit=start=soon"}, "NAME=DURATION"},
		"limit of nothing":           {[]string{"run", "--limit=start=-1s"}, "no time to wait"},
		"missing options file":       {[]string{"run", "--config=" + filepath.Join(directory, "nope")}, "no such file"},
		"unknown option":             {[]string{"run", "--config=" + file("unknown.yaml", "profle: core\n")}, `no option "profle"`},
		"option twice": {
			[]string{"run", "--config=" + file("twice.yaml", "profile: core\nprofile: full\n")},
			`twice.yaml: line 2: key "profile" already set`,
		},
		"option in an option": {[]string{"run", "--config=" + file("nested.yaml", "profile: {a: b}\n")}, "profile"},
		"list for one value":  {[]string{"run", "--config=" + file("list.yaml", "profile: [core, full]\n")}, "not a list"},
		"wrong type": {
			[]string{"run", "--config=" + file("type.yaml", "parallel: many\n")},
			`type.yaml: parallel: "many" does not fit; want a whole number`,
		},
		"adaptation of what is judged": {
			[]string{"run", "--adapt=" + file("judged.yaml", "pod: {securityContext: {runAsUser: 0}}\n"), "--kubeconfig=" + config},
			`there is no field "securityContext"`,
		},
		"adaptation with a label of the suite's": {
			[]string{"run", "--adapt=" + file("own.yaml", "pod: {labels: {sharedpid/run: x}}\n"), "--kubeconfig=" + config},
			"sharedpid/run is the suite's own label",
		},
		"adaptation with a malformed label": {
			[]string{"run", "--adapt=" + file("label.yaml", "namespace: {labels: {a b: x}}\n"), "--kubeconfig=" + config},
			"namespace.labels",
		},
		"missing adaptation":     {[]string{"run", "--adapt=" + filepath.Join(directory, "nope")}, "no such file"},
		"missing implementation": {[]string{"run", "--implementation=" + filepath.Join(directory, "nope")}, "no such file"},
		"implementation with an unknown field": {
			[]string{"run", "--implementation=" + file("unknown-field.yaml", "organisation: x\n")},
			`there is no field "organisation"; it has organization, project, url, contact and version`,
		},
		"implementation without a contact": {
			[]string{"run", "--implementation=" + file("contact.yaml", "{organization: a, project: b, url: https://example.com}\n")},
			"contact.yaml: contact is missing",
		},
		"verify of nothing":         {[]string{"verify", filepath.Join(directory, "nope")}, "cannot read the results"},
		"verify of no results":      {[]string{"verify", t.TempDir()}, "has no results: sharedpid publish adds some"},
		"publish of nothing":        {[]string{"publish"}, "sharedpid publish takes RUN and was given nothing"},
		"publish of no run":         {[]string{"publish", "--results=" + directory, filepath.Join(directory, "nope")}, "no such file"},
		"a page of a run":           {[]string{"publish", "--page", "--results=" + directory, directory}, "takes no RUN"},
		"namespace that is no name": {[]string{"run", "--namespace=A/b", "--kubeconfig=" + config}, `"A/b" is no name of a namespace`},
		"check of no cluster":       {[]string{"check"}, "nothing to check beforehand for a cluster that is created"},
		"rights of nobody":          {[]string{"rights", "--service-account=robot"}, `"robot" is not of the form NAMESPACE/NAME`},
		"result without a namespace": {
			[]string{"run", "--result-config-map=result", "--kubeconfig=" + config}, "name one that stays with --namespace",
		},
		"result that is no name": {
			[]string{"run", "--result-config-map=A/b", "--namespace=team", "--kubeconfig=" + config}, `"A/b" is no name of a ConfigMap`,
		},
		"Job without a namespace":     {[]string{"job", "--suite-image=a"}, "--namespace: name the namespace"},
		"Job without an image":        {[]string{"job", "--namespace=team"}, "--suite-image: name the suite's own image"},
		"Job of a malformed image":    {[]string{"job", "--namespace=team", "--suite-image=A B"}, `"A B" is no reference`},
		"Job of a missing adaptation": {[]string{"job", "--namespace=team", "--suite-image=a", "--adapt=" + filepath.Join(directory, "nope")}, "no such file"},
		"Job elsewhere":               {[]string{"job", "--namespace=team", "--kubeconfig=" + config}, "there is no flag --kubeconfig"},
		"plugin without an image":     {[]string{"sonobuoy"}, "--suite-image: name the suite's own image"},
		"images of no profile":        {[]string{"images", "list", "--profile=all"}, `there is no profile "all"`},
		"unknown command of images":   {[]string{"images", "push"}, `"push"`},
		"copy to nowhere":             {[]string{"images", "copy"}, "takes HOST/PATH and was given nothing"},
		"copy to no registry":         {[]string{"images", "copy", "mirror"}, `mirror "mirror": want HOST[:PORT][/PATH]`},
		"copy from no registry":       {[]string{"images", "copy", "example.com", "--image-registry=mirror"}, "--image-registry: mirror"},
		"load of nothing":             {[]string{"images", "load", filepath.Join(directory, "nope"), "localhost:1"}, "no such file"},
		"load of no archive":          {[]string{"images", "load", file("hello.tar", "hello"), "localhost:1"}, "hello.tar is damaged"},
		"unknown CRI":                 {[]string{"run", "--cri=cri-o"}, `no implementation "cri-o" of the CRI`},
		"runtimes over another CRI":   {[]string{"run", "--cri=cri-dockerd", "--runtime=crun"}, "--cri cri-dockerd has one runtime alone"},
		"unknown version":             {[]string{"setup", "--kubernetes=1.2.3"}, `version "1.2.3" is not known`},
		"matrix of no version":        {[]string{"matrix", "--runc=2"}, `version "2" is not known`},
		"matrix of no run":            {[]string{"matrix", filepath.Join(directory, "nope")}, "no such file"},
		"unknown fault":               {[]string{"faults", "--fault=hidpid"}, `no fault "hidpid"`},
		"fault named twice":           {[]string{"faults", "--fault=hidepid", "--fault=hidepid"}, "named twice"},
		"faults on existing":          {[]string{"faults", "--kubeconfig=" + config}, "there is no flag --kubeconfig"},
		"upgrade to nothing newer": {
			[]string{"upgrade", "--kubernetes=1.34.4", "--from-kubernetes=1.36.3"},
			"--from-kubernetes: 1.36.3 is newer than 1.34.4",
		},
		"machine without time":          {[]string{"machine", "--time-limit=0s"}, "--time-limit"},
		"machine of an unknown module":  {[]string{"machine", "--security-module=smack"}, "only apparmor and selinux"},
		"machine of a module with kind": {[]string{"machine", "--security-module=selinux", "--kind"}, "--kind"},
		"machine without patience":      {[]string{"machine", "--patience=0"}, "--patience"},
		"text for a number":             {[]string{"run", "--patience=x"}, `--patience: "x" does not fit; want a number, such as 2.5`},
		"text for a whole number":       {[]string{"run", "--parallel=2.5"}, `--parallel: "2.5" does not fit; want a whole number`},
		"number beyond all":             {[]string{"run", "--requests-per-second=1e99"}, `--requests-per-second: "1e99" does not fit`},
		"text for true or false":        {[]string{"run", "--keep=maybe"}, `--keep: "maybe" does not fit; want true or false`},
		"flag without its value":        {[]string{"setup", "--engine"}, "--engine needs a value: --engine=ENGINE"},
		"number for true or false":      {[]string{"run", "--config=" + file("keep.yaml", "keep: 3\n")}, `keep: "3" does not fit`},
		"options that are a list": {
			[]string{"run", "--config=" + file("options.yaml", "[a]\n")},
			"the file is a value of the wrong type: a list",
		},
		"options that are no YAML": {
			[]string{"run", "--config=" + file("no.yaml", "a: b: c\n")},
			"no.yaml: mapping values are not allowed",
		},
		"kubeconfig of another kind": {
			[]string{"run", "--kubeconfig=" + file("pod", "apiVersion: v1\nkind: Pod\n")},
			"is no kubeconfig",
		},
		"kubeconfig that is text": {[]string{"run", "--kubeconfig=" + file("text", "hello\n")}, "is no kubeconfig"},
		"deviations that are one": {
			[]string{"run", "--known-deviations=" + file("one", "runtime: crun\n")},
			"a value of the wrong type",
		},
		"unknown field of a deviation": {
			[]string{"run", "--known-deviations=" + file("field", "- {runtme: crun}\n")},
			`there is no field "runtme"`,
		},
		"run that is a list":  {[]string{"judge", file("list.json", "[]")}, "its value is no object, but of type array"},
		"run that is no JSON": {[]string{"judge", file("text.json", "hello")}, "it is no JSON at byte 1"},
		"run with a wrong field": {
			[]string{"judge", file("wrong.json", `{"schemaVersion": 2, "results": 5}`)},
			"results has a value of the wrong type",
		},
		"nothing to judge": {[]string{"judge"}, "sharedpid judge takes RUN and was given nothing"},
		"missing run":      {[]string{"judge", filepath.Join(directory, "nope")}, "no such file"},
		"damaged run": {
			[]string{"judge", file("damaged.json", `{"schemaVersion": 2, "results": [`)},
			"damaged.json is not a run.json: it is cut off",
		},
		"run of another schema":                      {[]string{"judge", file("schema.json", `{"schemaVersion": 99}`)}, "schema version 99"},
		"run without looks":                          {[]string{"judge", "testdata/without-looks.json"}, "no looks"},
		"diff of one":                                {[]string{"diff", "a"}, `sharedpid diff takes OLD NEW and was given ["a"]`},
		"diff of nothing":                            {[]string{"diff", "a", "b"}, "no such file"},
		"bench of nothing":                           {[]string{"bench"}, "sharedpid bench takes RUN ... and was given nothing"},
		"findings of nothing":                        {[]string{"findings", "a"}, "no such file"},
		"keeping what failed on a cluster that goes": {[]string{"run", "--keep-failed"}, "--keep-failed leaves Pods on a cluster that stays"},
		"going on upon a cluster that is new":        {[]string{"run", "--resume=a", "--report-dir=a"}, "--resume goes on upon the cluster where the run began"},
		"clean with an argument":                     {[]string{"clean", "all"}, `sharedpid clean takes no argument and was given ["all"]`},
		"clean of no cluster": {
			[]string{"clean", "--cluster-name=nobodys"},
			"no run on this machine has left a cluster nobodys",
		},
		"no kubeconfig named":                  {[]string{"run", "--kubeconfig="}, "--kubeconfig has an empty value: give it one, --kubeconfig=FILE, or leave it out"},
		"no context named":                     {[]string{"check", "--context="}, "--context has an empty value"},
		"no namespace named":                   {[]string{"run", "--namespace=", "--kubeconfig=" + config}, "--namespace has an empty value"},
		"no report directory named":            {[]string{"run", "--report-dir="}, "--report-dir has an empty value"},
		"no cluster named":                     {[]string{"clean", "--cluster-name="}, "--cluster-name has an empty value"},
		"no node named":                        {[]string{"run", "--node=", "--kubeconfig=" + config}, "--node has an empty value"},
		"no class named":                       {[]string{"run", "--runtime-class=a", "--runtime-class=", "--kubeconfig=" + config}, "--runtime-class has an empty value"},
		"no node image named":                  {[]string{"setup", "--node-image="}, "--node-image has an empty value"},
		"no condition named":                   {[]string{"conditions", "--condition="}, "--condition has an empty value"},
		"unknown condition":                    {[]string{"conditions", "--condition=rain"}, `there is no condition "rain"; the conditions are all, standing, chaos, policy-forbids-sharing`},
		"conditions never":                     {[]string{"conditions", "--times=0"}, "--times: 0 times try nothing; give 1 or more"},
		"kubeconfig without a current context": {[]string{"run", "--kubeconfig=" + file("no-context", strings.Replace(unanswered, "context: a\n", "context: ''\n", 1))}, "or one named with --context"},
		"kubeconfig without its cluster":       {[]string{"run", "--kubeconfig=" + file("no-cluster", strings.Replace(unanswered, "clusters: [{name: a,", "clusters: [{name: b,", 1))}, "no cluster to reach stands there"},
		"kubeconfig with a missing authority": {
			[]string{"run", "--kubeconfig=" + file("authority", strings.Replace(unanswered, "{server:", "{certificate-authority: /nope/ca.crt, server:", 1))},
			"unable to read certificate-authority /nope/ca.crt",
		},
		"kubeconfig with no address": {
			[]string{"run", "--kubeconfig=" + file("address", strings.Replace(unanswered, "https://127.0.0.1:1", "not an address%%", 1))},
			`"not an address%%" is no address of a server: want one such as https://example.com:6443`,
		},
		"kubeconfig that is a directory":     {[]string{"run", "--kubeconfig=" + directory}, "is a directory"},
		"options that are a directory":       {[]string{"run", "--config=" + directory}, "is a directory"},
		"deviations that are a directory":    {[]string{"run", "--known-deviations=" + directory}, "is a directory"},
		"malformed node selector":            {[]string{"run", "--node-selector=a in (", "--kubeconfig=" + config}, `"a in (" is no label selector, such as pool=gpu`},
		"unknown choice of nodes":            {[]string{"run", "--nodes=some", "--kubeconfig=" + config}, "the choices are all and one-of-each-kind"},
		"kind configuration on existing":     {[]string{"run", "--kind-config=" + config, "--kubeconfig=" + config}, "leave one of them out"},
		"image without a reference":          {[]string{"run", "--image=nginx"}, "want NAME=REFERENCE, where NAME is one of nginx"},
		"infinite patience":                  {[]string{"run", "--patience=Inf"}, "no factor from 0.1 to 1000"},
		"limit without a value":              {[]string{"run", "--limit=start"}, "want NAME=DURATION, such as start=2m; the names are"},
		"going on with nothing":              {[]string{"run", "--resume=" + filepath.Join(directory, "nope"), "--report-dir=" + filepath.Join(directory, "nope"), "--kubeconfig=" + config}, "no such file"},
		"versions of another node image":     {[]string{"run", "--node-image=kind", "--kubernetes=1.36.3"}, "leave one of them out"},
		"malformed node image":               {[]string{"setup", "--node-image=A B"}, "neither kind, nor local, nor a reference"},
		"unknown version of containerd":      {[]string{"run", "--containerd=9"}, "the known ones are 1.7.31"},
		"unknown version to upgrade from":    {[]string{"upgrade", "--from-runc=x"}, "the known ones are 1.2.9"},
		"rights in no namespace":             {[]string{"rights", "--namespace=A/b"}, `"A/b" is no name of a namespace`},
		"list of no profile":                 {[]string{"list", "--profile=x"}, "the profiles are article, core and full"},
		"Job in no namespace":                {[]string{"job", "--namespace=A/b", "--suite-image=a"}, `"A/b" is no name of a namespace`},
		"check of no registry":               {[]string{"images", "check", "--image-registry=x"}, "such as registry.example.com or registry:5000"},
		"save to nowhere":                    {[]string{"images", "save"}, "takes FILE and was given nothing"},
		"clean of two":                       {[]string{"clean", "--kubeconfig=" + config, "--cluster-name=x"}, "give one of them"},
		"findings of two":                    {[]string{"findings", "a", "b"}, `takes RUN and was given ["a" "b"]`},
		"verify of two":                      {[]string{"verify", "a", "b"}, `takes RESULTS and was given ["a" "b"]`},
		"version with an argument":           {[]string{"version", "x"}, "sharedpid version takes no argument"},
		"flag of the command itself":         {[]string{"--profile=core"}, "there is no flag --profile; sharedpid --help shows the flags"},
		"adaptation that is a kubeconfig":    {[]string{"run", "--adapt=" + config}, `there is no field "apiVersion"`},
		"cluster name that is too long":      {[]string{"run", "--cluster-name=" + strings.Repeat("a", 80)}, "want at most 50 of the characters"},
		"input that is no terminal to pause": {[]string{"run", "--pause-on-failure"}, "--pause-on-failure"},
		"setup of an unknown runtime":        {[]string{"setup", "--runtime=rusnc"}, `no runtime "rusnc"`},
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
			start := time.Now()
			if code := execute(ctx, arguments, &stdout, &stderr); code != exitBadInput {
				t.Errorf("exit code is %d, want %d", code, exitBadInput)
			}
			if took := time.Since(start); took > longestRefusal && name != "API does not answer" {
				t.Errorf("it took %s", took)
			}
			lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
			last := lines[len(lines)-1]
			if !strings.HasPrefix(last, "error: ") || !strings.Contains(last, test.words) {
				t.Errorf("the last line lacks %q: %s", test.words, stderr.String())
			}
			for _, library := range []string{"strconv", " json: ", " yaml: ", "unmarshal", "interface {}", "arg(s)", "struct"} {
				if strings.Contains(last, library) {
					t.Errorf("a library speaks: %s", last)
				}
			}
			if name != "API does not answer" && len(lines) != 1 {
				t.Errorf("want one line, not %d: %s", len(lines), stderr.String())
			}
			if _, err := os.Stat(reports); err == nil && name != "API does not answer" {
				t.Error("a report directory was made")
			}
		})
	}
	if made := filesBelow(t, cache); len(made) > 0 {
		t.Errorf("in the cache directory there are %q", made)
	}
	if content, err := os.ReadFile(asked); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("container engines were asked: %s, %v", content, err)
	}
}

// filesBelow are the files below a folder.
func filesBelow(t *testing.T, folder string) (paths []string) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// longestRefusal is how long bad input may take: there is nothing to wait for.
const longestRefusal = 2 * time.Second

// engines puts container engines first in the search path that keep what they are asked in a file, and fail.
func engines(t *testing.T) (asked string) {
	t.Helper()
	folder := t.TempDir()
	asked = filepath.Join(folder, "asked")
	for _, name := range engine.Names() {
		program := "#!/bin/sh\necho \"$0 $*\" >>" + asked + "\nexit 1\n"
		if err := os.WriteFile(filepath.Join(folder, name), []byte(program), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", folder+string(os.PathListSeparator)+os.Getenv("PATH"))
	return asked
}

// TestACredentialPluginThatIsMissingIsOneLine although its library has many to say.
func TestACredentialPluginThatIsMissingIsOneLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config")
	content := strings.Replace(unanswered, "user: {}",
		"user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: no-such-plugin, interactiveMode: Never}}", 1)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	if code := execute(t.Context(), []string{"check", "--kubeconfig=" + path}, &stdout, &stderr); code != exitBadInput {
		t.Errorf("exit code is %d", code)
	}
	if said := strings.TrimSpace(stderr.String()); strings.Contains(said, "\n") || !strings.Contains(said, "no-such-plugin") {
		t.Errorf("it says %q", said)
	}
}

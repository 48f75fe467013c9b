package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// badInput is input that must be refused.
type badInput struct {
	arguments []string
	words     string // of the line that says why
	asked     bool   // the API is asked before
}

// expectRefused gives the command input that must be refused in a last line with certain words. Unless an API is asked it is the only
// line, and no report directory is made.
func expectRefused(t *testing.T, arguments []string, words string, asked bool) {
	t.Helper()
	reports := filepath.Join(t.TempDir(), "reports")
	if arguments[0] == "run" && !strings.Contains(strings.Join(arguments, " "), "--report-dir") && !strings.Contains(strings.Join(arguments, " "), "--resume") {
		arguments = append(arguments[:len(arguments):len(arguments)], "--report-dir="+reports)
	}
	// Were the input taken, the interrupted run would create nothing.
	ctx, cancel := context.WithCancel(t.Context())
	if !asked {
		cancel()
	}
	defer cancel()
	var stdout, stderr bytes.Buffer
	start := time.Now()
	if code := execute(ctx, arguments, &stdout, &stderr); code != exitBadInput {
		t.Errorf("exit code is %d, want %d", code, exitBadInput)
	}
	if took := time.Since(start); took > longestRefusal {
		t.Errorf("it took %s", took)
	}
	lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
	last := lines[len(lines)-1]
	if !strings.HasPrefix(last, "error: ") || !strings.Contains(last, words) {
		t.Errorf("the last line lacks %q: %s", words, stderr.String())
	}
	for _, library := range []string{"strconv", " json: ", " yaml: ", "unmarshal", "interface {}", "arg(s)", "struct", "regular expression"} {
		if strings.Contains(last, library) {
			t.Errorf("a library speaks: %s", last)
		}
	}
	if strings.ContainsAny(stderr.String(), "\x1b\r\x00\a") {
		t.Errorf("a terminal would be told: %q", stderr.String())
	}
	if !asked && len(lines) != 1 {
		t.Errorf("want one line, not %d: %s", len(lines), stderr.String())
	}
	if _, err := os.Stat(reports); err == nil && !asked {
		t.Error("a report directory was made")
	}
	cached, err := filepath.Glob(filepath.Join(os.Getenv("XDG_CACHE_HOME"), "*", "*"))
	if err != nil || len(cached) > 0 {
		t.Errorf("in the cache directory was made %q, %v", cached, err)
	}
}

// refuseAll gives the command each input, of which none may leave anything in the cache directory or know another kubeconfig.
func refuseAll(t *testing.T, inputs map[string]badInput) {
	t.Helper()
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	for name, input := range inputs {
		t.Run(name, func(t *testing.T) { expectRefused(t, input.arguments, input.words, input.asked) })
	}
}

// writer returns what writes files into one directory.
func writer(t *testing.T) func(name, content string) string {
	directory := t.TempDir()
	return func(name, content string) string {
		path := filepath.Join(directory, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
}

// kubeconfigOf is a kubeconfig with these fields of its cluster and of its user.
func kubeconfigOf(cluster, user string) string {
	return "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts: [{name: a, context: {cluster: a, user: a}}]\n" +
		"clusters: [{name: a, cluster: {" + cluster + "}}]\nusers: [{name: a, user: {" + user + "}}]\n"
}

// answering is a kubeconfig of a server that gives one answer to all.
func answering(t *testing.T, code int, contentType, body string) string {
	server := httptest.NewServer(http.HandlerFunc(func(writer http.ResponseWriter, _ *http.Request) {
		writer.Header().Set("Content-Type", contentType)
		writer.WriteHeader(code)
		fmt.Fprint(writer, body)
	}))
	t.Cleanup(server.Close)
	return kubeconfigOf("server: '"+server.URL+"'", "")
}

func TestBadKubeconfigs(t *testing.T) {
	file := writer(t)
	silent := "server: 'https://127.0.0.1:1'"
	inputs := map[string]badInput{"a context and no kubeconfig": {arguments: []string{"run", "--context=a"}, words: `context "a" does not exist`}}
	for name, test := range map[string]struct{ content, words string }{
		"no server":                       {kubeconfigOf("insecure-skip-tls-verify: true", ""), `no server found for cluster "a"`},
		"authority that is no base64":     {kubeconfigOf(silent+", certificate-authority-data: '%%%'", ""), "in a field whose name ends in -data is no base64"},
		"authority that is no PEM":        {kubeconfigOf(silent+", certificate-authority-data: aGVsbG8=", ""), "mend what it has of certificates"},
		"missing token":                   {kubeconfigOf(silent, "tokenFile: /none/token"), "open /none/token: no such file"},
		"missing client certificate":      {kubeconfigOf(silent, "client-certificate: /none/c, client-key: /none/k"), "unable to read client-cert /none/c"},
		"client certificate without key":  {kubeconfigOf(silent, "client-certificate-data: aGVsbG8="), "client-key"},
		"address that is malformed":       {kubeconfigOf("server: 'https://%zz'", ""), `"https://%zz" is no address of a server`},
		"address of another protocol":     {kubeconfigOf("server: 'ftp://127.0.0.1:1'", ""), `"ftp://127.0.0.1:1" is no address of a server`},
		"plugin without a version":        {kubeconfigOf(silent, "exec: {command: none}"), "apiVersion must be specified"},
		"password and token for one user": {kubeconfigOf(silent, "token: a, username: b, password: c"), "more than one authentication method"},
	} {
		inputs[name] = badInput{arguments: []string{"run", "--kubeconfig=" + file(strings.ReplaceAll(name, " ", "-"), test.content)}, words: test.words}
	}
	for name, test := range map[string]struct{ content, words string }{
		"page of the web":       {answering(t, 200, "text/html", "<html>hello</html>"), "is no API of Kubernetes"},
		"JSON of something":     {answering(t, 200, "application/json", `{"hello": 1}`), "is no API of Kubernetes"},
		"nothing at the path":   {answering(t, 404, "text/html", "<html>none</html>"), "is no API of Kubernetes"},
		"token that is refused": {answering(t, 401, "text/plain", "no"), "does not accept the kubeconfig's credentials"},
		"answer with escapes":   {answering(t, 500, "text/plain", "\x1b[2J\x1b]52;c;aGk=\a\r\nboom"), `\x1b[2J`},
		"certificate of nobody": {kubeconfigOf("server: '"+untrusted(t)+"'", ""), "certificate"},
	} {
		inputs[name] = badInput{[]string{"run", "--kubeconfig=" + file(strings.ReplaceAll(name, " ", "-"), test.content)}, test.words, true}
	}
	inputs["check of a page"] = badInput{[]string{"check", "--kubeconfig=" + file("page", answering(t, 200, "text/html", "<p>"))}, "is no API of Kubernetes", true}
	inputs["clean without an answer"] = badInput{[]string{"clean", "--kubeconfig=" + file("unanswered", unanswered)}, "does not answer", true}
	inputs["missing for clean"] = badInput{[]string{"clean", "--kubeconfig=/none/config"}, "/none/config: no such file", true}
	refuseAll(t, inputs)
}

// untrusted is the address of a server whose certificate no authority has signed.
func untrusted(t *testing.T) string {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL
}

func TestBadKubeconfigOfTheEnvironment(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("KUBECONFIG", writer(t)("config", "{{"))
	expectRefused(t, []string{"run", "--context=a"}, "--context a: is no kubeconfig", false)
}

func TestBadCacheDirectory(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", "relative")
	expectRefused(t, []string{"setup"}, "set HOME or XDG_CACHE_HOME", true)
}

func TestBadFiles(t *testing.T) {
	file := writer(t)
	config := "--kubeconfig=" + file("config", unanswered)
	deviation := func(changed, to string) string {
		sound := "- {runtime: crun, trait: signals/pause-survives, versions: \">=1.5\", reason: a, link: \"https://a\"}\n"
		return strings.ReplaceAll(sound, changed, to)
	}
	inputs := map[string]badInput{}
	for flag, files := range map[string]map[string]struct{ content, words string }{
		"--adapt": {
			"unknown operator":            {"pod: {tolerations: [{key: a, operator: Maybe}]}\n", `pod.tolerations[0].operator: Unsupported value: "Maybe"`},
			"unknown effect":              {"pod: {tolerations: [{key: a, effect: Never}]}\n", `pod.tolerations[0].effect: Unsupported value: "Never"`},
			"malformed quantity":          {"container: {resources: {limits: {memory: lots}}}\n", "a quantity is malformed; one is such as"},
			"quantity below nothing":      {"container: {resources: {limits: {memory: -1}}}\n", "container.resources.limits[memory]"},
			"more asked than allowed":     {"container: {resources: {requests: {memory: 2Gi}, limits: {memory: 1Gi}}}\n", "must not be more than the limit 1Gi"},
			"class that is no name":       {"pod: {priorityClassName: A B}\n", `pod.priorityClassName: Invalid value: "A B"`},
			"account that is no name":     {"pod: {serviceAccountName: A B}\n", `pod.serviceAccountName: Invalid value: "A B"`},
			"Secret that is no name":      {"pod: {imagePullSecrets: [A B]}\n", `pod.imagePullSecrets: Invalid value: "A B"`},
			"adaptation that is a list":   {"[]\n", "the file is a value of the wrong type: a list"},
			"annotation that is no name":  {"pod: {annotations: {a b: x}}\n", "pod.annotations"},
			"two adaptations in one file": {"pod: {priorityClassName: a}\n---\npod: {priorityClassName: b}\n", "holds several documents"},
		},
		"--known-deviations": {
			"malformed range":           {deviation(">=1.5", ">>1"), `the version range ">>1" is malformed`},
			"deviation twice":           {deviation("", "") + deviation("", ""), "entry 2: signals/pause-survives of crun stands there twice"},
			"deviation of no trait":     {deviation("signals/pause-survives", "a/b"), `there is no trait "a/b"`},
			"deviation of no runtime":   {deviation("crun", "rusnc"), `there is no runtime "rusnc"; known are`},
			"deviation without address": {deviation("https://a", "ftp://a"), "is no address that begins with https://"},
			"empty deviations":          {"", "holds no list; an empty one is []"},
		},
		"--config": {
			"options in options":      {"config: x\n", `there is no option "config"`},
			"option without a value":  {"profile: null\n", "profile has a value that is neither text, a number nor true or false"},
			"mapping in a list":       {"trait: [{a: b}]\n", "trait has a value that is neither text"},
			"options of two kinds":    {"profile: core\n---\nprofile: full\n", "holds several documents"},
			"escapes for an option":   {"\x1b[2J: x\n", "control characters are not allowed"},
			"bytes that are no text":  {"\x00\xff\xfe", "control characters are not allowed"},
			"value that holds itself": {"a: &a [*a]\n", "contains itself"},
			"lists without end":       {"profile: " + strings.Repeat("[", 20_000), "exceeded max depth"},
			"option of another one":   {"fault: hidepid\n", `there is no option "fault"`},
		},
		"--kind-config": {
			"empty configuration":           {"", `not kind "" of apiVersion ""`},
			"configuration of another kind": {"kind: Pod\napiVersion: v1\n", `not kind "Pod" of apiVersion "v1"`},
		},
		"--implementation": {
			"address that is none": {"{organization: a, project: b, url: nope, contact: c}\n", `"nope" is no address of the web`},
			"empty implementation": {"", "organization is missing"},
		},
	} {
		for name, test := range files {
			arguments := []string{"run", flag + "=" + file(strings.ReplaceAll(name, " ", "-"), test.content)}
			if flag == "--adapt" {
				arguments = append(arguments, config)
			}
			inputs[name] = badInput{arguments: arguments, words: test.words}
		}
	}
	for name, test := range map[string]struct{ content, words string }{
		"empty run":                     {"", "it is cut off, or empty"},
		"version that is text":          {`{"schemaVersion": "2"}`, "schemaVersion has a value of the wrong type"},
		"version below nothing":         {`{"schemaVersion": -1}`, "has schema version -1 and this suite reads version 2 and 1"},
		"run that goes on":              {`{"schemaVersion": 2, "results": []} x`, "it is no JSON at byte 37"},
		"run that is nothing":           {"null", "it has no schemaVersion"},
		"run behind a byte order mark":  {"\ufeff{\"schemaVersion\": 2}", "it is no JSON at byte 1"},
		"trait that is a number":        {`{"schemaVersion": 2, "plan": [{"trait": 5}]}`, "plan.trait has a value of the wrong type"},
		"results that are escapes":      {`{"schemaVersion": 2, "results": "\u001b[2J"}`, "results has a value of the wrong type"},
		"run that is nothing but marks": {strings.Repeat("[", 20_000), "is not a run.json"},
	} {
		inputs[name] = badInput{arguments: []string{"judge", file(strings.ReplaceAll(name, " ", "-")+".json", test.content)}, words: test.words}
	}
	ofCore := file("core.json", `{"schemaVersion": 2, "id": "a", "profile": "core", "targets": [], "plan": [], "results": []}`)
	ofFull := file("full.json", `{"schemaVersion": 2, "id": "b", "profile": "full", "targets": [], "plan": [], "results": []}`)
	inputs["bench of two profiles"] = badInput{arguments: []string{"bench", ofCore, ofFull}, words: "compare runs of one profile"}
	inputs["diff of nothing in common"] = badInput{arguments: []string{"diff", ofCore, ofFull}, words: "no trait on a target in common"}
	inputs["diff with a file that is missing"] = badInput{arguments: []string{"diff", ofCore, "/none/run.json"}, words: "no such file"}
	inputs["judge of a directory without a run"] = badInput{arguments: []string{"judge", t.TempDir()}, words: "run.json: no such file"}
	inputs["results that are a file"] = badInput{arguments: []string{"verify", ofCore}, words: "name the folder of all results"}
	inputs["report directory that is a file"] = badInput{arguments: []string{"run", "--report-dir=" + ofCore, config}, words: "choose another one"}
	refuseAll(t, inputs)
}

func TestBadFlags(t *testing.T) {
	config := "--kubeconfig=" + writer(t)("config", unanswered)
	inputs := map[string]badInput{}
	for words, arguments := range map[string]string{
		"--image: nginx is named twice; leave one":                   "run --image=nginx=a --image=nginx=b " + config,
		"without a scheme":                                           "run --image-registry=https://mirror.example/a",
		`mirror "mirror.example/UPPER"`:                              "run --image-registry=mirror.example/UPPER",
		`--runtime-class: "A/B" is no name of a RuntimeClass`:        "run --runtime-class=A/B " + config,
		"cannot read the run: open /none: no such file":              "run --resume=/none " + config,
		"the run goes on in a, and --report-dir names b":             "run --resume=a --report-dir=b " + config,
		"--cri is about a cluster that is created":                   "run --cri=cri-dockerd " + config,
		"--cluster-name is about a cluster that is created":          "run --cluster-name=a " + config,
		"--kubernetes is about a cluster that is created":            "run --kubernetes=1.37.2 " + config,
		`node image "UPPER" is neither kind, nor local`:              "run --node-image=UPPER",
		`"/none" is no directory; name the volume`:                   "run --sonobuoy-results=/none " + config,
		`"\x1b[2J*" is no pattern of trait ids`:                      "run --trait=\x1b[2J*",
		`--node: "A/B" is no name of a node`:                         "run --node=A/B " + config,
		"-3 traits at once check nothing":                            "run --parallel=-3",
		`"99999999999999999999" does not fit; want a whole number`:   "run --parallel=99999999999999999999",
		`version "9" is not known; the known ones are`:               "upgrade --from-kubernetes=9",
		`there is no implementation "docker" of the CRI`:             "matrix --kubernetes=all --cri=docker",
		`sharedpid list takes no argument and was given ["extra"]`:   "list extra",
		`"a/" is not of the form NAMESPACE/NAME`:                     "rights --service-account=a/",
		`"B/c" is no name of a namespace`:                            "job --namespace=B/c --suite-image=a",
		`--suite-image: "A:B:C" is no reference`:                     "sonobuoy --suite-image=A:B:C",
		"--known-deviations: open /none: no such file":               "sonobuoy --suite-image=a --known-deviations=/none",
		`sharedpid images load takes FILE HOST/PATH and was given [`: "images load a",
		`engine "rkt" is not known; the engines are`:                 "setup --engine=rkt",
		"there is no flag --kind-config; sharedpid setup --help":     "setup --kind-config=a",
		`--profile: there is no profile "none"`:                      "machine --profile=none",
		"0 traits at once check nothing":                             "faults --parallel=0",
	} {
		inputs[arguments] = badInput{arguments: strings.Split(arguments, " "), words: words}
	}
	refuseAll(t, inputs)
}

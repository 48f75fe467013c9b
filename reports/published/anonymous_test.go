package published

import (
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"sharedpid.example/reports"
	"sharedpid.example/reports/internal/golden"
	"sharedpid.example/reports/internal/sample"
)

// private is a run on a cluster whose names are nobody's business.
func private() reports.Run {
	run := sample.Of(reports.Nonconformant, "db7.internal.example/gvisor", "db7.internal.example", "db70")
	run.Cluster.Name = "prod-eu"
	run.Arguments = []string{
		"--profile=core", "--kubeconfig=/home/jane/prod", "--context=prod-eu", "--namespace=payments", "--node=db70", "--image-registry=registry.corp/mirror",
		"--runtime-class=gvisor",
	}
	run.Images = map[string]string{"nginx": "registry.corp/mirror/library/nginx@sha256:00"}
	run.Narrowed = []string{"--node=db70"}
	run.LeftOut = []reports.LeftOut{{Name: "db8", Reason: "is cordoned, as db7 was"}}
	run.Looks = []reports.Look{{Target: "db70", Question: "exec on db70"}}
	run.Adapted = []string{"pod.nodeSelector kubernetes.io/hostname=db70"}
	run.Results[0].Reason = "payments/article on db7 and db70 (10.1.2.3:10250, fe80::1) at 12:30:01, not on xdb70; db7.internal.example."
	run.Results[1].Cause = "db8 has it too"
	run.Results[2].Evidence = []reports.Evidence{{Output: "prod-eu"}}
	return run
}

func TestAnonymousHasNoNames(t *testing.T) {
	report := NewAnonymous(private())
	content, err := yaml.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"db7", "db8", "prod-eu", "jane", "payments", "corp", "10.1.2.3", "fe80"} {
		if strings.Contains(strings.ReplaceAll(string(content), "xdb70", ""), word) {
			t.Errorf("%q is published in\n%s", word, content)
		}
	}
	if want := "NAMESPACE/article on node-1 and node-2 (ADDRESS:10250, ADDRESS) at 12:30:01, not on xdb70; node-1."; !slices.ContainsFunc(
		report.Traits[0].Verdicts, func(verdict TraitVerdict) bool { return verdict.Target == "node-1/gvisor" && verdict.Reason == want }) {
		t.Errorf("verdicts are %+v, want one with %q", report.Traits[0].Verdicts, want)
	}
	if got := strings.Join(report.Reproduce, ""); got != "sharedpid run --profile=core --kubeconfig=KUBECONFIG --context=CONTEXT "+
		"--namespace=NAMESPACE --node=node-2 --image-registry=IMAGE-REGISTRY --runtime-class=gvisor" {
		t.Errorf("reproduced by %s", got)
	}
	if !report.Anonymous || report.LeftOut[0].Name != "node-3" || report.Narrowed[0] != "--node=node-2" {
		t.Errorf("the report is %+v", report)
	}
	checkSchema(t, reportSchema(t), content)
	golden.Compare(t, "anonymous.yaml", content)
}

// TestAnonymousKeepsVerdicts shows that nothing but names is changed.
func TestAnonymousKeepsVerdicts(t *testing.T) {
	for name, run := range map[string]reports.Run{"small": sample.Small(), "rich": sample.Rich(3), "partial": sample.Partial()} {
		got, want := NewAnonymous(run), New(run)
		if got.Verdict != want.Verdict || got.Counts != want.Counts || len(got.Traits) != len(want.Traits) || got.Partial != want.Partial ||
			got.Suite != want.Suite || (got.Implementation == nil) != (want.Implementation == nil) {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}

//go:build inside

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/yaml"

	"sharedpid.example/fixtures/images"
	"sharedpid.example/helpers/archive"
	"sharedpid.example/helpers/incluster"
	"sharedpid.example/helpers/progress"
	"sharedpid.example/helpers/provision"
	"sharedpid.example/helpers/provision/engine"
	"sharedpid.example/helpers/release"
	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
)

// team is the namespace that runs are given.
const team = "team"

// suiteImage is the name of the suite's image on the nodes.
const suiteImage = "sharedpid.example/sharedpid:inside"

// TestInside makes runs inside of a kind cluster, with an image of the suite and the rights that it publishes, and compares them with one
// from outside.
func TestInside(t *testing.T) {
	inside := newInside(t)
	inside.loadImage(t, suiteImage, "sharedpid", []string{"amd64", "arm64"}, func(file string) *exec.Cmd {
		return exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", file, "sharedpid.example/suites/sharedpid")
	})
	t.Run("restricted", inside.testRestricted)
	t.Run("baseline", func(t *testing.T) { inside.testJob(t, "baseline", "--pod-security=baseline") })
	var outside string
	t.Run("privileged", func(t *testing.T) { outside = inside.testJob(t, "privileged") })
	t.Run("interrupted", inside.testInterrupted)
	t.Run("bad input", inside.testBadInput)
	t.Run("Sonobuoy", func(t *testing.T) { inside.testSonobuoy(t, outside) })
}

// inside is a kind cluster with what a test needs of it.
type inside struct {
	cluster    *provision.Cluster
	client     *kubernetes.Clientset
	engine     *engine.Engine
	node       string
	kubeconfig string
	testImages []string // flags that name the test images that the nodes hold
	reports    string   // folder for those of runs from outside
}

func newInside(t *testing.T) *inside {
	t.Helper()
	working, _ := podmanWithNodeImage(t)
	printer := progress.NewPrinter(os.Stderr)
	cluster, err := provision.Obtain(t.Context(), provision.Options{
		ClusterName: "sharedpid-inside", Engine: "podman", NodeImage: "local", Keep: os.Getenv("KEEP") != "",
	}, printer)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	made := &inside{
		cluster: cluster, engine: working, node: "sharedpid-inside-control-plane", reports: t.TempDir(),
		kubeconfig: filepath.Join(t.TempDir(), "kubeconfig"),
	}
	if made.client, err = kubernetes.NewForConfig(cluster.Configuration); err != nil {
		t.Fatal(err)
	}
	// Inside there is no checkout, and nobody knows how the images of this one are called.
	for _, image := range images.All() {
		local, err := images.LocalReference(checkoutRoot(t), image.Name)
		if err != nil {
			t.Fatal(err)
		}
		made.testImages = append(made.testImages, "--image="+image.Name+"="+local)
	}
	made.writeKubeconfig(t)
	made.routeServices(t)
	return made
}

// routeServices makes the API's Service lead to it: kind-config.yaml leaves out kube-proxy, and a Pod has no other address of the API.
func (inside *inside) routeServices(t *testing.T) {
	t.Helper()
	service, err := inside.client.CoreV1().Services("default").Get(t.Context(), "kubernetes", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	node, err := inside.client.CoreV1().Nodes().Get(t.Context(), inside.node, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	address := slices.IndexFunc(node.Status.Addresses, func(address corev1.NodeAddress) bool { return address.Type == corev1.NodeInternalIP })
	rule := []string{"PREROUTING", "--table", "nat", "--destination", service.Spec.ClusterIP, "--protocol", "tcp", "--dport", "443",
		"--jump", "DNAT", "--to-destination", node.Status.Addresses[address].Address + ":6443"}
	_, _ = inside.engine.Output(t.Context(), slices.Concat([]string{"exec", inside.node, "iptables", "--delete"}, rule)...) // of a kept cluster
	inside.must(t, slices.Concat([]string{"exec", inside.node, "iptables", "--append"}, rule)...)
}

func (inside *inside) writeKubeconfig(t *testing.T) {
	t.Helper()
	from, config := inside.cluster.Configuration, clientcmdapi.NewConfig()
	config.Clusters["a"] = &clientcmdapi.Cluster{Server: from.Host, CertificateAuthorityData: from.CAData}
	config.AuthInfos["a"] = &clientcmdapi.AuthInfo{ClientCertificateData: from.CertData, ClientKeyData: from.KeyData}
	config.Contexts["a"] = &clientcmdapi.Context{Cluster: "a", AuthInfo: "a"}
	config.CurrentContext = "a"
	if err := clientcmd.WriteToFile(*config, inside.kubeconfig); err != nil {
		t.Fatal(err)
	}
}

// loadImage builds a program for architectures, and loads an image of it into the node.
func (inside *inside) loadImage(t *testing.T, reference, program string, architectures []string, build func(file string) *exec.Cmd) {
	t.Helper()
	folder := t.TempDir()
	var programs []release.Program
	for _, architecture := range architectures {
		file := filepath.Join(folder, program+"-"+architecture)
		command := build(file)
		command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+architecture)
		if output, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, output)
		}
		programs = append(programs, release.Program{Architecture: architecture, File: file})
	}
	index, err := release.Image(program, programs, nil, time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag(reference)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(folder, "image.tar")
	if err := archive.Write(t.Context(), file, []archive.Image{{Tag: tag, Content: index}}); err != nil {
		t.Fatal(err)
	}
	inside.must(t, "cp", file, inside.node+":/image.tar")
	inside.must(t, "exec", inside.node, "ctr", "--namespace=k8s.io", "images", "import", "--all-platforms", "/image.tar")
	inside.must(t, "exec", inside.node, "rm", "/image.tar")
}

func (inside *inside) must(t *testing.T, arguments ...string) string {
	t.Helper()
	output, err := inside.engine.Output(t.Context(), arguments...)
	if err != nil {
		t.Fatal(err)
	}
	return output
}

func (inside *inside) createNamespace(t *testing.T, name, level string) {
	t.Helper()
	namespaces := inside.client.CoreV1().Namespaces()
	_ = namespaces.Delete(t.Context(), name, metav1.DeleteOptions{})
	await(t, "the namespace "+name+" of a run before to be gone", func() bool {
		_, err := namespaces.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
			Name: name, Labels: map[string]string{"pod-security.kubernetes.io/enforce": level},
		}}, metav1.CreateOptions{})
		return err == nil
	})
}

func await(t *testing.T, what string, there func() bool) {
	t.Helper()
	for start := time.Now(); !there(); time.Sleep(200 * time.Millisecond) {
		if time.Since(start) > 10*time.Minute {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// apply prints a manifest with the command, applies it with kubectl as an administrator does, and returns its Job.
func (inside *inside) apply(t *testing.T, arguments ...string) batchv1.Job {
	t.Helper()
	manifest := printed(t, append([]string{"job", "--suite-image=" + suiteImage, "--namespace=" + team}, arguments...)...)
	inside.must(t, "exec", inside.node, "kubectl", "delete", "job", "sharedpid", "--namespace="+team, "--ignore-not-found", "--wait")
	file := written(t, filepath.Join(t.TempDir(), "job.yaml"), manifest)
	inside.must(t, "cp", file, inside.node+":/job.yaml")
	inside.must(t, "exec", inside.node, "kubectl", "apply", "--filename=/job.yaml")
	documents := strings.Split(manifest, "---\n")
	var job batchv1.Job
	if err := yaml.UnmarshalStrict([]byte(documents[len(documents)-1]), &job); err != nil || job.Kind != "Job" {
		t.Fatalf("the last document is a %s, %v", job.Kind, err)
	}
	return job
}

// result is the ConfigMap of a result.
func (inside *inside) result(t *testing.T) *corev1.ConfigMap {
	t.Helper()
	result, err := inside.client.CoreV1().ConfigMaps(team).Get(t.Context(), incluster.ResultName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// ended waits for the end of a Job, and returns its log.
func (inside *inside) ended(t *testing.T) string {
	t.Helper()
	await(t, "the end of the Job", func() bool {
		job, err := inside.client.BatchV1().Jobs(team).Get(t.Context(), "sharedpid", metav1.GetOptions{})
		return err == nil && job.Status.Succeeded+job.Status.Failed > 0
	})
	return inside.must(t, "exec", inside.node, "kubectl", "logs", "--namespace="+team, "job/sharedpid")
}

// testRestricted asks the API whether it takes the Job's own Pod where the restricted level is enforced.
func (inside *inside) testRestricted(t *testing.T) {
	inside.createNamespace(t, team, "restricted")
	job := inside.apply(t, "--profile=core")
	defer inside.must(t, "exec", inside.node, "kubectl", "delete", "job", "sharedpid", "--namespace="+team, "--wait")
	await(t, "the Job's Pod, which the restricted level admits", func() bool {
		pods, err := inside.client.CoreV1().Pods(team).List(t.Context(), metav1.ListOptions{LabelSelector: batchv1.JobNameLabel + "=" + job.Name})
		return err == nil && len(pods.Items) > 0
	})
}

// testJob compares a run of a Job in a namespace that enforces a Pod Security level with one from outside. It returns the reports of
// that one.
func (inside *inside) testJob(t *testing.T, level string, selection ...string) string {
	inside.createNamespace(t, team, level)
	arguments := slices.Concat([]string{"--profile=core", "--patience=4"}, selection, inside.testImages)
	outside := filepath.Join(inside.reports, level)
	run(t, append([]string{"run", "--kubeconfig=" + inside.kubeconfig, "--namespace=" + team, "--report-dir=" + outside}, arguments...)...)
	start := time.Now()
	inside.apply(t, arguments...)
	log := inside.ended(t)
	t.Logf("the Job took %.0f s; its log:\n%s", time.Since(start).Seconds(), log)
	for _, words := range []string{"this is a Pod: its cluster is taken", "may Pods share here: yes", "fetch them with: kubectl get configmap"} {
		if !strings.Contains(log, words) {
			t.Errorf("the log lacks %q", words)
		}
	}
	result := inside.result(t)
	if result.Data[incluster.VerdictKey] != string(reports.Conformant) || result.Data[incluster.ExitCodeKey] != "0" {
		t.Errorf("the ConfigMap says %q", result.Data)
	}
	packed := result.BinaryData[incluster.ReportsKey]
	t.Logf("the reports take %d KiB of the ConfigMap; left out: %q", len(packed)>>10, result.Data[incluster.LeftOutKey])
	sameVerdicts(t, outside, unpacked(t, packed))
	inside.nothingLeft(t)
	return outside
}

// unpacked are the reports of an archive, in a directory.
func unpacked(t *testing.T, packed []byte) string {
	t.Helper()
	directory := t.TempDir()
	compressed, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	for reader := tar.NewReader(compressed); ; {
		header, err := reader.Next()
		if err == io.EOF {
			return directory
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		written(t, filepath.Join(directory, filepath.Base(header.Name)), string(content))
	}
}

// sameVerdicts compares two runs trait by trait, and with the command.
func sameVerdicts(t *testing.T, outside, inside string) {
	t.Helper()
	verdicts := func(directory string) map[string]string {
		run, err := reports.Read(filepath.Join(directory, reports.RunFile))
		if err != nil {
			t.Fatal(err)
		}
		all := map[string]string{}
		for _, result := range run.Results {
			all[result.Trait] = string(result.Verdict)
		}
		return all
	}
	from, within := verdicts(outside), verdicts(inside)
	if !maps.Equal(from, within) || len(from) == 0 {
		t.Errorf("from outside: %v\nfrom inside: %v", from, within)
	}
	var counts []string
	for _, verdict := range slices.Sorted(maps.Values(from)) {
		counts = append(counts, verdict)
	}
	t.Logf("%d traits with the same verdicts, %d of them conformant", len(from), len(slices.DeleteFunc(counts, func(each string) bool {
		return each != string(reports.Conformant)
	})))
	t.Log(printed(t, "diff", outside, inside))
}

// nothingLeft tells whether a run left something in its namespace.
func (inside *inside) nothingLeft(t *testing.T) {
	t.Helper()
	left := inside.must(t, "exec", inside.node, "kubectl", "get", "pods,deployments,daemonsets,jobs,configmaps,secrets",
		"--namespace="+team, "--selector="+suite.RunLabel, "--output=name")
	if left != "" {
		t.Errorf("the run left %s", left)
	}
}

// testInterrupted deletes the Job's Pod in the middle of the run.
func (inside *inside) testInterrupted(t *testing.T) {
	inside.apply(t, append([]string{"--profile=core", "--patience=4"}, inside.testImages...)...)
	await(t, "Pods of the run", func() bool {
		pods, err := inside.client.CoreV1().Pods(team).List(t.Context(), metav1.ListOptions{LabelSelector: suite.RunLabel})
		return err == nil && len(pods.Items) > 3
	})
	start := time.Now()
	inside.must(t, "exec", inside.node, "kubectl", "delete", "job", "sharedpid", "--namespace="+team, "--cascade=foreground", "--wait")
	t.Logf("the clean-up took %.0f s", time.Since(start).Seconds())
	inside.nothingLeft(t)
	result := inside.result(t)
	if result.Data[incluster.VerdictKey] != string(reports.Inconclusive) || result.Data[incluster.ExitCodeKey] != "3" {
		t.Errorf("the ConfigMap says %q", result.Data)
	}
	interrupted, err := reports.Read(filepath.Join(unpacked(t, result.BinaryData[incluster.ReportsKey]), reports.RunFile))
	if err != nil || !strings.Contains(interrupted.SetupError, "interrupted") {
		t.Errorf("%q, %v", interrupted.SetupError, err)
	}
}

// testBadInput makes runs that cannot be made, and wants one line that says why, and exit code 2.
func (inside *inside) testBadInput(t *testing.T) {
	template := inside.apply(t, "--trait=namespace/pause-is-pid-1").Spec.Template.Spec
	inside.ended(t)
	for title, test := range map[string]struct {
		change func(*testing.T, *corev1.PodSpec)
		words  string
	}{
		"no such namespace": {func(_ *testing.T, spec *corev1.PodSpec) {
			spec.Containers[0].Args = []string{"run", "--namespace=nope", "--report-dir=/tmp/reports"}
		}, "namespace"},
		"no right to the ConfigMap": {func(_ *testing.T, spec *corev1.PodSpec) {
			args := spec.Containers[0].Args
			args[len(args)-1] = "--result-config-map=other"
		}, "the result cannot be kept"},
		"no writable report directory": {func(_ *testing.T, spec *corev1.PodSpec) {
			spec.Containers[0].VolumeMounts[0].ReadOnly = true
		}, "cannot make the report directory /tmp/reports: read-only file system"},
		"full volume": {func(_ *testing.T, spec *corev1.PodSpec) {
			spec.Volumes[0].EmptyDir = &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory, SizeLimit: new(resource.MustParse("128Ki"))}
		}, "no space left on device"},
		"no token": {func(_ *testing.T, spec *corev1.PodSpec) {
			spec.AutomountServiceAccountToken = new(false)
		}, "this is a Pod without a service account's token"},
		"token of a deleted service account": {inside.mountDeadToken, "does not accept the token in"},
	} {
		t.Run(title, func(t *testing.T) {
			pods := inside.client.CoreV1().Pods(team)
			spec := template.DeepCopy()
			test.change(t, spec)
			made, err := pods.Create(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{GenerateName: "bad-"}, Spec: *spec}, metav1.CreateOptions{})
			if err != nil {
				t.Fatal(err)
			}
			var code int32
			await(t, "the end of the Pod", func() bool {
				found, err := pods.Get(t.Context(), made.Name, metav1.GetOptions{})
				if err != nil || len(found.Status.ContainerStatuses) == 0 || found.Status.ContainerStatuses[0].State.Terminated == nil {
					return false
				}
				code = found.Status.ContainerStatuses[0].State.Terminated.ExitCode
				return true
			})
			log, err := pods.GetLogs(made.Name, &corev1.PodLogOptions{}).DoRaw(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimSpace(string(log)), "\n")
			last := lines[len(lines)-1]
			t.Logf("exit code %d: %s", code, last)
			if code != exitBadInput || !strings.HasPrefix(last, "error: ") || !strings.Contains(last, test.words) {
				t.Errorf("want exit code %d and %q:\n%s", exitBadInput, test.words, log)
			}
			inside.nothingLeft(t)
		})
	}
}

// mountDeadToken gives a Pod the token of a service account that is deleted afterwards: the API takes it for as good as an expired one.
func (inside *inside) mountDeadToken(t *testing.T, spec *corev1.PodSpec) {
	t.Helper()
	accounts := inside.client.CoreV1().ServiceAccounts(team)
	const dead = "dead"
	if _, err := accounts.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: dead}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	token := inside.must(t, "exec", inside.node, "kubectl", "create", "token", dead, "--namespace="+team)
	if err := accounts.Delete(t.Context(), dead, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err := inside.client.CoreV1().Secrets(team).Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: dead},
		StringData: map[string]string{"token": token, "namespace": team, "ca.crt": string(inside.cluster.Configuration.CAData)},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	spec.AutomountServiceAccountToken = new(false)
	spec.Volumes = append(spec.Volumes, corev1.Volume{Name: dead, VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: dead}}})
	spec.Containers[0].VolumeMounts = append(spec.Containers[0].VolumeMounts,
		corev1.VolumeMount{Name: dead, MountPath: "/var/run/secrets/kubernetes.io/serviceaccount", ReadOnly: true})
}

// sonobuoyModule is the real Sonobuoy, whose aggregator and worker run from an image made of its binary.
const (
	sonobuoyModule = "github.com/vmware-tanzu/sonobuoy"
	sonobuoyImage  = "sharedpid.example/sonobuoy:inside"
)

func (inside *inside) testSonobuoy(t *testing.T, outside string) {
	folder := t.TempDir()
	module := filepath.Join(checkoutRoot(t), "helpers", "incluster", "modules", "sonobuoy")
	build := func(file string) *exec.Cmd {
		command := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", file, sonobuoyModule)
		command.Dir = module
		return command
	}
	inside.loadImage(t, sonobuoyImage, "sonobuoy", []string{runtime.GOARCH}, build)
	sonobuoy := filepath.Join(folder, "sonobuoy")
	command := build(sonobuoy)
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	do := func(arguments ...string) string {
		t.Helper()
		command := exec.Command(sonobuoy, append(arguments, "--kubeconfig="+inside.kubeconfig)...)
		command.Dir = folder
		output, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("sonobuoy %s: %v: %s", strings.Join(arguments, " "), err, output)
		}
		return strings.TrimSpace(string(output))
	}
	plugin := written(t, filepath.Join(folder, "plugin.yaml"), printed(t,
		append([]string{"sonobuoy", "--suite-image=" + suiteImage, "--profile=core", "--patience=4", "--namespace=" + team}, inside.testImages...)...))
	start := time.Now()
	do("delete", "--wait")
	t.Cleanup(func() { do("delete", "--wait") })
	// The cluster has no DNS, as kind-config.yaml says, and the run needs none.
	do("run", "--plugin="+plugin, "--sonobuoy-image="+sonobuoyImage, "--image-pull-policy=IfNotPresent", "--skip-preflight=dnscheck", "--wait=10")
	t.Log(do("status"))
	do("retrieve", ".", "--filename=results.tar.gz")
	t.Logf("Sonobuoy took %.0f s", time.Since(start).Seconds())
	summary := exec.Command(sonobuoy, "results", filepath.Join(folder, "results.tar.gz"), "--plugin=sharedpid")
	output, err := summary.CombinedOutput()
	t.Logf("%s", output)
	if err != nil || !strings.Contains(string(output), "Status: passed") {
		t.Errorf("the results are %s, %v", output, err)
	}
	into := filepath.Join(folder, "results")
	if err := os.Mkdir(into, 0o755); err != nil {
		t.Fatal(err)
	}
	if output, err := exec.Command("tar", "-xzf", filepath.Join(folder, "results.tar.gz"), "-C", into).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	sameVerdicts(t, outside, filepath.Join(into, "plugins", "sharedpid", "results", "global"))
	inside.nothingLeft(t)
}

package provision

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	kindexec "sigs.k8s.io/kind/pkg/exec"

	"sharedpid.example/fixtures/images"
	"sharedpid.example/fixtures/runtimes"
	"sharedpid.example/reports"
)

func TestClusterIsCreatedAndDeleted(t *testing.T) {
	machine := newMachine(t)
	cluster := machine.obtain(Options{ClusterName: "mine"})
	image := cluster.Description.NodeImage
	want := reports.Cluster{Name: "mine", KubernetesVersion: "v1.37.2", Origin: "created", Engine: "docker", NodeImage: image}
	if cluster.Description != want || !strings.HasPrefix(image, "localhost/sharedpid/node:") {
		t.Errorf("the cluster is %+v", cluster.Description)
	}
	if cluster.Configuration.Host != machine.api {
		t.Errorf("its API is at %s, want %s", cluster.Configuration.Host, machine.api)
	}
	if !strings.Contains(machine.asked(), "run --rm --privileged") {
		t.Error("nobody asked whether the engine runs privileged containers")
	}
	machine.close(cluster)
	machine.close(cluster)
	machine.did("create mine", "delete mine")
	if left := machine.files("mine"); !slices.Equal(left, []string{"lock"}) {
		t.Errorf("left are %v", left)
	}
	// The nodes are killed before, since podman waits for them otherwise.
	if !strings.Contains(machine.asked(), "kill mine-control-plane\n") {
		t.Errorf("the engine was asked\n%s", machine.asked())
	}
}

// TestNodesOfNerdctlAreRemovedAtOnce: kind does not delete those that were killed.
func TestNodesOfNerdctlAreRemovedAtOnce(t *testing.T) {
	machine := newMachine(t)
	machine.write(filepath.Join(machine.folder, "nerdctl"), docker)
	machine.close(machine.obtain(Options{ClusterName: "mine", Engine: "nerdctl"}))
	if asked := machine.asked(); !strings.Contains(asked, "rm --force --volumes mine-control-plane\n") || strings.Contains(asked, "kill ") {
		t.Errorf("the engine was asked\n%s", asked)
	}
}

func TestKeptClusterIsFoundUntilItIsCleaned(t *testing.T) {
	machine := newMachine(t)
	cluster := machine.obtain(Options{Keep: true})
	machine.close(cluster)
	machine.close(cluster)
	command := "kubectl --kubeconfig " + filepath.Join(machine.cache, "clusters", "sharedpid", "kubeconfig")
	if strings.Count(machine.shown.String(), command) != 1 {
		t.Errorf("it is not told once how to reach the cluster:\n%s", machine.shown.String())
	}
	again := machine.obtain(Options{})
	if again.Description.Origin != "kept" {
		t.Errorf("the kept cluster is %+v", again.Description)
	}
	machine.close(again)
	machine.did("create sharedpid")
	if err := clean(t.Context(), "", machine.printer, machine.open); err != nil {
		t.Error(err)
	}
	machine.did("create sharedpid", "delete sharedpid")
	if left := machine.files("sharedpid"); !slices.Equal(left, []string{"lock"}) {
		t.Errorf("left are %v", left)
	}
}

// leave lets a run end as by SIGKILL: its cluster and its record stay, its lock goes.
func (machine *machine) leave(cluster *Cluster) {
	if err := cluster.kind.release(); err != nil {
		machine.t.Fatal(err)
	}
}

func TestKeptClusterThatCannotBeReachedStays(t *testing.T) {
	machine := newMachine(t)
	cluster := machine.obtain(Options{Keep: true})
	machine.close(cluster)
	if err := os.Remove(cluster.kind.folder.kubeconfig()); err != nil {
		t.Fatal(err)
	}
	_, err := obtain(t.Context(), Options{}, machine.printer, machine.open)
	if err == nil || !strings.Contains(err.Error(), "kubeconfig of the cluster sharedpid") || !strings.Contains(err.Error(), "make clean") {
		t.Errorf("error is %v", err)
	}
	machine.did("create sharedpid")
}

func TestClusterOfAKilledRunIsFoundAndDeleted(t *testing.T) {
	machine := newMachine(t)
	machine.leave(machine.obtain(Options{}))
	machine.close(machine.obtain(Options{}))
	machine.did("create sharedpid", "delete sharedpid")
}

func TestClusterThatCannotBeUsedIsReplaced(t *testing.T) {
	for why, change := range map[string]func(*machine, *record, *Options){
		"its creation was cut short":    func(_ *machine, ours *record, _ *Options) { ours.Ready = false },
		"it has another node image":     func(_ *machine, ours *record, _ *Options) { ours.Image = "older" },
		"it has other runtime handlers": func(_ *machine, _ *record, options *Options) { options.Runtimes = []string{"runc"} },
		"its nodes no longer run":       func(machine *machine, _ *record, _ *Options) { machine.engineFails("exec") },
	} {
		t.Run(why, func(t *testing.T) {
			machine := newMachine(t)
			cluster := machine.obtain(Options{Keep: true})
			machine.close(cluster)
			ours, _, err := cluster.kind.folder.read()
			if err != nil {
				t.Fatal(err)
			}
			var options Options
			change(machine, &ours, &options)
			if err := cluster.kind.folder.write(ours); err != nil {
				t.Fatal(err)
			}
			replacement := machine.obtain(options)
			machine.did("create sharedpid", "delete sharedpid", "create sharedpid")
			if replacement.Description.Origin != "created" || !strings.Contains(machine.shown.String(), why) {
				t.Errorf("it was not said that %s:\n%s", why, machine.shown.String())
			}
			machine.close(replacement)
			machine.did("create sharedpid", "delete sharedpid", "create sharedpid", "delete sharedpid")
		})
	}
}

func TestClusterOfSomebodyElseIsRefusedAndLeftAlone(t *testing.T) {
	machine := newMachine(t)
	machine.exist = []string{"theirs"}
	kubeconfig := filepath.Join(machine.cache, "clusters", "theirs", "kubeconfig")
	machine.write(kubeconfig, "theirs")
	_, err := obtain(t.Context(), Options{ClusterName: "theirs"}, machine.printer, machine.open)
	if err == nil || !strings.Contains(err.Error(), "this project did not create") || !strings.Contains(err.Error(), "--cluster-name") {
		t.Errorf("error is %v", err)
	}
	// Nor is anything removed when their cluster is gone.
	machine.exist = nil
	machine.close(machine.obtain(Options{ClusterName: "another"}))
	ours, err := hold(nil, "theirs", machine.open)
	if err != nil {
		t.Fatal(err)
	}
	defer ours.release()
	if err := ours.folder.forget(); err != nil {
		t.Error(err)
	}
	if err := ours.destroy(t.Context()); err == nil || !strings.Contains(err.Error(), "not ours") {
		t.Errorf("error is %v, want a refusal", err)
	}
	if _, err := os.Stat(kubeconfig); err != nil {
		t.Error(err)
	}
	machine.did("create another", "delete another")
}

func TestClusterInAnotherEngineIsNotForgotten(t *testing.T) {
	machine := newMachine(t)
	folder, err := clusterFolder("sharedpid")
	if err != nil {
		t.Fatal(err)
	}
	machine.write(folder.record(), `{"engine":"podman","ready":true,"kept":true}`)
	_, err = obtain(t.Context(), Options{}, machine.printer, machine.open)
	if err == nil || !strings.Contains(err.Error(), "is in podman; run make clean") {
		t.Errorf("error is %v", err)
	}
	if _, found, err := folder.read(); err != nil || !found {
		t.Errorf("the record is gone: %v", err)
	}
	machine.did()
}

func TestDamagedRecordIsAnError(t *testing.T) {
	machine := newMachine(t)
	folder, err := clusterFolder("sharedpid")
	if err != nil {
		t.Fatal(err)
	}
	machine.write(folder.record(), `{"engine":`)
	for _, err := range []error{
		second(obtain(t.Context(), Options{}, machine.printer, machine.open)), clean(t.Context(), "", machine.printer, machine.open),
	} {
		if err == nil || !strings.Contains(err.Error(), folder.record()) {
			t.Errorf("error is %v, want one that names the record", err)
		}
	}
	machine.did()
}

func second(_ *Cluster, err error) error { return err }

func TestNameIsHeldByOneRun(t *testing.T) {
	machine := newMachine(t)
	cluster := machine.obtain(Options{})
	_, err := obtain(t.Context(), Options{}, machine.printer, machine.open)
	if err == nil || !strings.Contains(err.Error(), "another run is using the cluster sharedpid") {
		t.Errorf("error is %v", err)
	}
	if err := clean(t.Context(), "", machine.printer, machine.open); err == nil || !strings.Contains(err.Error(), "another run is using") {
		t.Errorf("error is %v, want one about the cluster in use", err)
	}
	machine.close(cluster)
	machine.close(machine.obtain(Options{}))
}

func TestFailedCreationLeavesNothingAndSaysWhy(t *testing.T) {
	machine := newMachine(t)
	machine.creation = func() error {
		return &kindexec.RunError{
			Command: []string{"docker", "exec", "sharedpid-control-plane", "kubeadm", "init"},
			Output:  []byte(today), Inner: errors.New("exit status 1"),
		}
	}
	_, err := obtain(t.Context(), Options{Keep: true}, machine.printer, machine.open)
	for _, want := range []string{
		"create cluster sharedpid", "error execution phase wait-control-plane", "Starting control-plane",
		"the kubelet of sharedpid-control-plane: failed to run Kubelet: no cgroups", "next step: ", "journalctl -u kubelet",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want one with %q", err, want)
		}
	}
	if strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "asm_amd64") {
		t.Errorf("error shows a stack trace: %v", err)
	}
	machine.did("create sharedpid", "delete sharedpid")
	if left := machine.files("sharedpid"); !slices.Equal(left, []string{"lock"}) {
		t.Errorf("left are %v", left)
	}
}

func TestInterruptedCreationEndsAndLeavesNothing(t *testing.T) {
	machine := newMachine(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	// As kind's library, the creation knows nothing of ctx. It fails once its nodes have been looked for, to be killed,
	// for the second time.
	ended, looks := make(chan struct{}), 0
	machine.looked = func() {
		if looks++; looks == 2 {
			close(ended)
		}
	}
	machine.creation = func() error {
		cancel()
		<-ended
		return errors.New("the node is gone")
	}
	machine.deletion = func() error {
		select {
		case <-ended:
		default:
			t.Error("the cluster is deleted while it is created")
		}
		return nil
	}
	_, err := obtain(ctx, Options{}, machine.printer, machine.open)
	if !errors.Is(err, context.Canceled) || !strings.HasPrefix(err.Error(), "interrupted (") ||
		strings.Contains(err.Error(), "the node is gone") {
		t.Errorf("error is %v, want that of an interrupt", err)
	}
	if shown := machine.shown.String(); strings.Contains(shown, "failed") {
		t.Errorf("an interrupt is shown as a failure:\n%s", shown)
	}
	machine.did("create sharedpid", "delete sharedpid")
	if !strings.Contains(machine.asked(), "kill sharedpid-control-plane\n") {
		t.Errorf("the engine was asked\n%s", machine.asked())
	}
}

func TestClusterThatCannotBeDeletedStaysRecorded(t *testing.T) {
	machine := newMachine(t)
	cluster := machine.obtain(Options{})
	machine.deletion = func() error { return errors.New("device busy") }
	err := cluster.Close(t.Context())
	if err == nil || !strings.Contains(err.Error(), "the cluster sharedpid is left behind: device busy; run make clean") {
		t.Errorf("error is %v", err)
	}
	if err := clean(t.Context(), "", machine.printer, machine.open); err == nil || !strings.Contains(err.Error(), "device busy") {
		t.Errorf("error is %v, want the cluster that is left", err)
	}
	machine.deletion = nil
	if err := clean(t.Context(), "", machine.printer, machine.open); err != nil {
		t.Error(err)
	}
	if left := machine.files("sharedpid"); !slices.Equal(left, []string{"lock"}) {
		t.Errorf("left are %v", left)
	}
}

func TestDeletionThatOutlastsItsTimeLeavesTheRecord(t *testing.T) {
	machine := newMachine(t)
	cluster := machine.obtain(Options{})
	ctx, cancel := context.WithCancel(t.Context())
	deleted := make(chan struct{})
	machine.deletion = func() error {
		cancel()
		<-deleted
		return nil
	}
	err := cluster.kind.destroy(ctx)
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "left behind") || !strings.Contains(err.Error(), "make clean") {
		t.Errorf("error is %v", err)
	}
	if _, found, err := cluster.kind.folder.read(); err != nil || !found {
		t.Errorf("the record is gone: %v", err)
	}
	close(deleted)
}

func TestCloseWorksAfterAnInterrupt(t *testing.T) {
	machine := newMachine(t)
	cluster := machine.obtain(Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := cluster.Close(ctx); err != nil {
		t.Error(err)
	}
	machine.did("create sharedpid", "delete sharedpid")
}

func TestClusterWhoseAPIDoesNotAnswerIsDeleted(t *testing.T) {
	machine := newMachine(t)
	silent := httptest.NewServer(http.NotFoundHandler())
	machine.api = silent.URL
	silent.Close()
	_, err := obtain(t.Context(), Options{Keep: true}, machine.printer, machine.open)
	if err == nil || !strings.Contains(err.Error(), "the API at "+silent.URL+" does not answer") {
		t.Errorf("error is %v", err)
	}
	machine.did("create sharedpid", "delete sharedpid")
}

func TestEngineThatCannotRunNodesSaysSoBeforeACreation(t *testing.T) {
	machine := newMachine(t)
	machine.engineFails("run")
	_, err := obtain(t.Context(), Options{}, machine.printer, machine.open)
	if err == nil || !strings.Contains(err.Error(), "docker cannot run privileged containers") {
		t.Errorf("error is %v", err)
	}
	machine.did()
}

func TestWhatIsMissingIsNamedWithTheCommandThatProvidesIt(t *testing.T) {
	for name, test := range map[string]struct {
		change  func(*machine)
		options Options
		words   []string
	}{
		"engine": {func(machine *machine) { machine.engineFails("info") }, Options{Engine: "docker"},
			[]string{"no working container engine: docker info", "docker cannot info", "make e2e", "sharedpid setup", "--kubeconfig"}},
		"node image": {func(machine *machine) { machine.engineFails("image") }, Options{NodeImage: "local"},
			[]string{"the node image localhost/sharedpid/node:", "is not built", "make e2e", "sharedpid setup"}},
		"runtime": {func(*machine) {}, Options{Runtimes: []string{"runc", "crun"}},
			[]string{"the runtime crun is not built", "sharedpid setup --runtime crun"}},
		"checkout": {func(machine *machine) { machine.t.Chdir(machine.folder) }, Options{}, []string{"not inside a checkout", "--kubeconfig"}},
	} {
		t.Run(name, func(t *testing.T) {
			machine := newMachine(t)
			test.change(machine)
			_, err := obtain(t.Context(), test.options, machine.printer, machine.open)
			for _, words := range test.words {
				if err == nil || !strings.Contains(err.Error(), words) {
					t.Errorf("error is %v, want one with %q", err, words)
				}
			}
			machine.did()
		})
	}
}

func TestNodesGetTheHandlers(t *testing.T) {
	machine := newMachine(t)
	set := runtimes.Set{Folder: "/faults", Handlers: []runtimes.Handler{
		{Name: "healthy", Binary: "healthy"}, {Name: "hidepid", Binary: "hidepid"},
	}}
	cluster := machine.obtain(Options{Handlers: set})
	defer machine.close(cluster)
	nodes := machine.requested.Nodes
	if len(nodes) != 1 || len(nodes[0].ExtraMounts) != 1 || nodes[0].ExtraMounts[0].HostPath != "/faults" {
		t.Errorf("the nodes are %+v", nodes)
	}
	if patches := strings.Join(machine.requested.ContainerdConfigPatches, ""); !strings.Contains(patches, `runtimes."hidepid"`) {
		t.Errorf("containerd is told\n%s", patches)
	}
	client := fake.NewClientset()
	for range 2 { // a kept cluster has them already
		if err := cluster.CreateRuntimeClasses(t.Context(), client); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"healthy", "hidepid"} {
		class, err := client.NodeV1().RuntimeClasses().Get(t.Context(), name, metav1.GetOptions{})
		if err != nil || class.Handler != name || class.Labels["app.kubernetes.io/managed-by"] != "sharedpid" {
			t.Errorf("RuntimeClass %s is %+v, %v", name, class, err)
		}
	}
	client.PrependReactor("create", "runtimeclasses", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, errors.New("no rights")
	})
	if err := cluster.CreateRuntimeClasses(t.Context(), client); err == nil || err.Error() != "RuntimeClass healthy: no rights" {
		t.Errorf("error is %v, want one that names the class", err)
	}
}

func TestRuntimesAreAskedForTheirVersionsOnANode(t *testing.T) {
	machine := newMachine(t)
	cluster := machine.obtain(Options{Runtimes: []string{"runc"}})
	defer machine.close(cluster)
	if versions := cluster.RuntimeVersions(t.Context(), "node"); len(versions) != 1 || versions["runc"] != "1.5.2" {
		t.Errorf("versions are %v", versions)
	}
	if printed, err := cluster.Output(t.Context(), "node", "sh", "word"); err != nil || printed != "word" {
		t.Errorf("the node printed %q, %v", printed, err)
	}
	machine.engineFails("exec")
	if versions := cluster.RuntimeVersions(t.Context(), "node"); len(versions) != 0 {
		t.Errorf("of a node that does not answer versions are %v", versions)
	}
}

func TestImagesAreLocalWhereTheNodeHoldsThem(t *testing.T) {
	machine := newMachine(t)
	cluster := machine.obtain(Options{})
	defer machine.close(cluster)
	local, err := cluster.Images(images.Sources{}, corev1.Node{})
	if err != nil || !strings.HasPrefix(local["nginx"], "localhost/sharedpid/nginx:") {
		t.Errorf("on the local node image nginx is %s, %v", local["nginx"], err)
	}
	cluster.Description.NodeImage = "kindest/node:v1"
	if published, err := cluster.Images(images.Sources{}, corev1.Node{}); err != nil || !strings.HasPrefix(published["nginx"], "docker.io/") {
		t.Errorf("on another node image nginx is %s, %v", published["nginx"], err)
	}
	holder := corev1.Node{Status: corev1.NodeStatus{Images: []corev1.ContainerImage{{Names: []string{local["nginx"]}}}}}
	if held, err := cluster.Images(images.Sources{}, holder); err != nil || held["nginx"] != local["nginx"] {
		t.Errorf("on a node that holds it nginx is %s, %v", held["nginx"], err)
	}
}

func TestExistingClusterIsReachedAndLeftAsItIs(t *testing.T) {
	machine := newMachine(t)
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	machine.write(kubeconfig, machine.kubeconfig("theirs"))
	cluster, err := Obtain(t.Context(), Options{Kubeconfig: kubeconfig}, machine.printer)
	if err != nil {
		t.Fatal(err)
	}
	want := reports.Cluster{Name: "theirs", KubernetesVersion: "v1.37.2", Origin: "existing"}
	if cluster.Description != want {
		t.Errorf("the cluster is %+v", cluster.Description)
	}
	if _, err := cluster.Output(t.Context(), "node", "true"); err == nil || !strings.Contains(err.Error(), "did not create") {
		t.Errorf("error is %v, want a refusal", err)
	}
	machine.close(cluster)
	machine.did()
	if machine.asked() != "" {
		t.Errorf("an engine was asked\n%s", machine.asked())
	}
	content, err := os.ReadFile(kubeconfig)
	if err != nil || string(content) != machine.kubeconfig("theirs") {
		t.Errorf("the kubeconfig became %s, %v", content, err)
	}
}

// TestARecordIsReplacedAndNotWrittenOver: whoever is killed meanwhile leaves a whole one.
func TestARecordIsReplacedAndNotWrittenOver(t *testing.T) {
	folder := folder(t.TempDir())
	if err := folder.write(record{Engine: "docker"}); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(folder.record())
	if err != nil {
		t.Fatal(err)
	}
	old := filepath.Join(t.TempDir(), "old") // a second name of the file as it was
	if err := os.Link(folder.record(), old); err != nil {
		t.Fatal(err)
	}
	if err := folder.write(record{Engine: "podman", Kept: true}); err != nil {
		t.Fatal(err)
	}
	if after, err := os.ReadFile(old); err != nil || string(after) != string(before) {
		t.Errorf("the file of the record before holds %s, %v; want what it held: %s", after, err, before)
	}
	if ours, found, err := folder.read(); err != nil || !found || ours.Engine != "podman" || !ours.Kept {
		t.Errorf("the record is %+v, %t, %v", ours, found, err)
	}
	if entries, err := os.ReadDir(string(folder)); err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v, %v; want the record alone", entries, err)
	}
}

//go:build registry || inside

package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
	"sigs.k8s.io/yaml"

	"sharedpid.example/fixtures/images"
	"sharedpid.example/fixtures/node"
	"sharedpid.example/helpers/provision"
	"sharedpid.example/helpers/provision/engine"
	"sharedpid.example/helpers/workspace"
	"sharedpid.example/reports"
)

// TestRegistry goes the way of machines that reach a registry: the node image is pulled under the name that kind gives it, by the engine
// and by kind's library, and the nodes, which hold no test image, pull these by digest. What stands in for Docker Hub is a registry
// of the test's own, with the images of the local node image. How podman and containerd are told of it is not a thing to ask of users.
func TestRegistry(t *testing.T) {
	working, local := podmanWithNodeImage(t)
	hub := serveHub(t)
	builder := startNode(t, working, local)
	overrides := pushTestImages(t, hub, builder)
	reference := pushNodeImage(t, hub, builder)
	t.Setenv("CONTAINERS_REGISTRIES_CONF", hub.registriesConf(t))
	cluster := []string{"--engine=podman", "--node-image=" + reference}

	run(t, append([]string{"setup"}, cluster...)...)
	pulled := engine.Qualified(reference)
	if !working.HasImage(t.Context(), pulled) {
		t.Fatalf("after the set-up the engine does not hold %s", pulled)
	}
	removeImage(t, working, pulled) // kind's library pulls it again
	t.Cleanup(func() { removeImage(t, working, pulled) })
	directory := t.TempDir()
	run(t, slices.Concat([]string{"run", "--profile=full", "--cluster-name=sharedpid-registry", "--report-dir=" + directory,
		"--kind-config=" + hub.kindConfig(t)}, cluster, overrides)...)

	content, err := os.ReadFile(filepath.Join(directory, "run.json"))
	if err != nil {
		t.Fatal(err)
	}
	done, err := reports.Decode(content)
	if err != nil {
		t.Fatal(err)
	}
	if done.Cluster.NodeImage != pulled {
		t.Errorf("the nodes are of %s, want %s", done.Cluster.NodeImage, pulled)
	}
	if manifest := "/v2/kindest/node/manifests/" + pulled[strings.Index(pulled, "sha256:"):]; hub.count(manifest, false) < 2 {
		t.Errorf("the engine and kind's library asked for %s %d times", manifest, hub.count(manifest, false))
	}
	for _, override := range overrides {
		_, image, _ := strings.Cut(strings.TrimPrefix(override, "--image="), "=")
		digest, err := name.NewDigest(image)
		if err != nil {
			t.Fatal(err)
		}
		if manifest := "/v2/" + digest.RepositoryStr() + "/manifests/" + digest.DigestStr(); hub.count(manifest, true) == 0 {
			t.Errorf("no node asked for %s", manifest)
		}
	}
}

// run runs the command as a person does, and wants it to end well.
func run(t *testing.T, arguments ...string) {
	t.Helper()
	start := time.Now()
	if code := execute(t.Context(), arguments, os.Stdout, os.Stderr); code != 0 {
		t.Fatalf("sharedpid %s: exit code %d", strings.Join(arguments, " "), code)
	}
	t.Logf("sharedpid %s: %.0f s", arguments[0], time.Since(start).Seconds())
}

func podmanWithNodeImage(t *testing.T) (*engine.Engine, string) {
	t.Helper()
	working, err := engine.Detect(t.Context(), "podman")
	if err != nil {
		t.Fatal(err)
	}
	if err := working.Prepare(); err != nil {
		t.Fatal(err)
	}
	local, err := node.Reference(checkoutRoot(t), node.Versions{})
	if err != nil {
		t.Fatal(err)
	}
	if !working.HasImage(t.Context(), local) {
		t.Fatalf("the node image %s is not built; run: make node-image", local)
	}
	return working, local
}

func checkoutRoot(t *testing.T) string {
	t.Helper()
	root, err := workspace.Root()
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// hub is a registry that stands in for Docker Hub. It listens on loopback for this machine, and on an address of it for the nodes.
type hub struct {
	port, address string

	mutex sync.Mutex
	asked []question
}

type question struct {
	path   string
	remote bool // not from this machine
}

// serveHub starts a registry for the time of the test. It takes images from this machine alone.
func serveHub(t *testing.T) *hub {
	t.Helper()
	made := &hub{address: ownAddress(t)}
	serve := registry.New(registry.WithBlobHandler(registry.NewDiskBlobHandler(t.TempDir())), registry.Logger(log.New(io.Discard, "", 0)))
	listener, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		host, _, err := net.SplitHostPort(request.RemoteAddr)
		remote := err != nil || !net.ParseIP(host).IsLoopback()
		if remote && request.Method != http.MethodGet && request.Method != http.MethodHead {
			http.Error(response, "this registry takes images from its own machine alone", http.StatusForbidden)
			return
		}
		made.mutex.Lock()
		made.asked = append(made.asked, question{request.URL.Path, remote})
		made.mutex.Unlock()
		serve.ServeHTTP(response, request)
	}))
	server.Listener.Close()
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	_, made.port, err = net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// ownAddress is an address of this machine that a container's network leads to.
func ownAddress(t *testing.T) string {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, each := range addresses {
		if network, ok := each.(*net.IPNet); ok && network.IP.To4() != nil && network.IP.IsGlobalUnicast() {
			return network.IP.String()
		}
	}
	t.Fatal("this machine has no address beside loopback, and its containers would not reach the registry")
	return ""
}

// here is the registry's name on this machine.
func (hub *hub) here() string { return net.JoinHostPort("127.0.0.1", hub.port) }

// count tells how often a path was asked for, by nodes or by this machine.
func (hub *hub) count(path string, remote bool) int {
	hub.mutex.Lock()
	defer hub.mutex.Unlock()
	count := 0
	for _, each := range hub.asked {
		if each == (question{path, remote}) {
			count++
		}
	}
	return count
}

// registriesConf is the file that makes the registry podman's mirror of Docker Hub, see containers-registries.conf(5).
func (hub *hub) registriesConf(t *testing.T) string {
	t.Helper()
	return written(t, filepath.Join(t.TempDir(), "registries.conf"), fmt.Sprintf(
		"[[registry]]\nlocation = \"docker.io\"\n[[registry.mirror]]\nlocation = %q\ninsecure = true\n", hub.here()))
}

// kindConfig is the suite's kind configuration, with the registry as containerd's mirror of Docker Hub.
func (hub *hub) kindConfig(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(checkoutRoot(t), provision.DefaultClusterConfig))
	if err != nil {
		t.Fatal(err)
	}
	var configuration v1alpha4.Cluster
	if err := yaml.UnmarshalStrict(content, &configuration); err != nil {
		t.Fatal(err)
	}
	hosts := t.TempDir()
	written(t, filepath.Join(hosts, "docker.io", "hosts.toml"), fmt.Sprintf(
		"server = \"https://registry-1.docker.io\"\n[host.\"http://%s\"]\ncapabilities = [\"pull\", \"resolve\"]\n",
		net.JoinHostPort(hub.address, hub.port)))
	configuration.ContainerdConfigPatches = append(configuration.ContainerdConfigPatches,
		"[plugins.\"io.containerd.grpc.v1.cri\".registry]\n  config_path = \"/etc/containerd/certs.d\"\n")
	for i := range configuration.Nodes {
		configuration.Nodes[i].ExtraMounts = append(configuration.Nodes[i].ExtraMounts,
			v1alpha4.Mount{HostPath: hosts, ContainerPath: "/etc/containerd/certs.d", Readonly: true})
	}
	if content, err = yaml.Marshal(configuration); err != nil {
		t.Fatal(err)
	}
	return written(t, filepath.Join(t.TempDir(), "kind-config.yaml"), string(content))
}

func written(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// nodeContainer is a container of the local node image in which containerd alone runs.
type nodeContainer struct {
	engine *engine.Engine
	name   string
}

func startNode(t *testing.T, working *engine.Engine, image string) nodeContainer {
	t.Helper()
	container := nodeContainer{working, fmt.Sprintf("%sregistry-%d", node.ContainerPrefix, os.Getpid())}
	t.Cleanup(func() { _, _ = working.Output(context.Background(), "rm", "--force", "--volumes", container.name) })
	container.must(t, "run", "--detach", "--privileged", "--network=none", "--name="+container.name, "--stop-signal=SIGTERM",
		"--entrypoint=/usr/local/bin/containerd", image)
	for start := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		_, err := working.Output(t.Context(), "exec", container.name, "ctr", "version")
		if err == nil {
			return container
		}
		if time.Since(start) > time.Minute {
			t.Fatal(err)
		}
	}
}

func (container nodeContainer) must(t *testing.T, arguments ...string) {
	t.Helper()
	if _, err := container.engine.Output(t.Context(), arguments...); err != nil {
		t.Fatal(err)
	}
}

func (container nodeContainer) ctr(t *testing.T, arguments ...string) {
	t.Helper()
	container.must(t, append([]string{"exec", container.name, "ctr", "--namespace=k8s.io", "images"}, arguments...)...)
}

// pushTestImages moves the test images out of the node into the registry, under the names and tags of the published ones, and returns
// the flags that name them by digest.
func pushTestImages(t *testing.T, hub *hub, container nodeContainer) []string {
	t.Helper()
	var overrides []string
	for _, image := range images.All() {
		local, err := images.LocalReference(checkoutRoot(t), image.Name)
		if err != nil {
			t.Fatal(err)
		}
		published, err := name.NewTag(image.Familiar())
		if err != nil {
			t.Fatal(err)
		}
		archive := filepath.Join(t.TempDir(), image.Name+".tar")
		container.ctr(t, "export", "/image.tar", local)
		container.must(t, "cp", container.name+":/image.tar", archive)
		content, err := tarball.ImageFromPath(archive, nil)
		if err != nil {
			t.Fatal(err)
		}
		to, err := name.NewTag(hub.here() + "/" + published.RepositoryStr() + ":" + published.TagStr())
		if err != nil {
			t.Fatal(err)
		}
		if err := remote.Write(to, content, remote.WithContext(t.Context())); err != nil {
			t.Fatal(err)
		}
		digest, err := content.Digest()
		if err != nil {
			t.Fatal(err)
		}
		overrides = append(overrides, "--image="+image.Name+"="+image.Familiar()+"@"+digest.String())
		container.ctr(t, "rm", "--sync", local, image.Familiar())
	}
	container.must(t, "exec", container.name, "rm", "/image.tar")
	return overrides
}

// pushNodeImage pushes what the container has become, and returns the reference of the form that kind's own default has.
func pushNodeImage(t *testing.T, hub *hub, container nodeContainer) string {
	t.Helper()
	var versions node.Versions
	known := versions.Parts()[0].Known
	tag := "kindest/node:v" + known[len(known)-1]
	const committed = "localhost/sharedpid/without-test-images:latest"
	container.must(t, "stop", container.name)
	container.must(t, "commit", "--change", `ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]`, "--change", "CMD []",
		"--change", "ENV container=docker", "--change", "STOPSIGNAL SIGRTMIN+3", container.name, committed)
	defer removeImage(t, container.engine, committed)
	digest := filepath.Join(t.TempDir(), "digest")
	container.must(t, "push", "--quiet", "--tls-verify=false", "--digestfile="+digest, committed, hub.here()+"/"+tag)
	content, err := os.ReadFile(digest)
	if err != nil {
		t.Fatal(err)
	}
	return tag + "@" + strings.TrimSpace(string(content))
}

func removeImage(t *testing.T, working *engine.Engine, reference string) {
	t.Helper()
	if _, err := working.Output(context.Background(), "rmi", reference); err != nil {
		t.Error(err)
	}
}

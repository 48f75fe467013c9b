package engine

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestParseBoundingSet(t *testing.T) {
	for _, test := range []struct {
		name, status string
		want         bool
	}{
		{"a user who is not root", "Name:\tx\nCapEff:\t0000000000000000\nCapBnd:\t000001ffffffffff\n", true},
		{"root of a machine without it", "CapEff:\t000001fffeffffff\nCapBnd:\t000001fffeffffff\n", false},
	} {
		bounding, err := parseBoundingSet(test.status)
		if got := bounding&(1<<capSysResource) != 0; err != nil || got != test.want {
			t.Errorf("%s: CAP_SYS_RESOURCE is %t, %v; want %t", test.name, got, err, test.want)
		}
	}
	for _, status := range []string{"Name:\tx\n", "CapBnd:\tmany\n"} {
		if _, err := parseBoundingSet(status); err == nil {
			t.Errorf("%q is no error", status)
		}
	}
}

func TestHostNeedsNothingWhereNothingIsMissing(t *testing.T) {
	host := Host{CgroupVersion: 2, HasSysResource: true, OpenFiles: 1024}
	if host.KubeadmPatches() != nil || host.ContainerdPatches() != nil || host.containersConf() != "" {
		t.Errorf("an ordinary host gets %q %q %q", host.KubeadmPatches(), host.ContainerdPatches(), host.containersConf())
	}
}

func TestHostWithHybridCgroupsAndFewCapabilities(t *testing.T) {
	host := Host{CgroupVersion: 1, OpenFiles: 20000, Processes: 4000}
	for _, want := range []string{"nofile=20000:20000", "nproc=4000:4000", `runtime = "runc"`} {
		if conf := host.containersConf(); !strings.Contains(conf, want) {
			t.Errorf("containers.conf lacks %s:\n%s", want, conf)
		}
	}
	if !strings.Contains(strings.Join(host.KubeadmPatches(), ""), "failCgroupV1: false") {
		t.Error("the kubelet is not told to accept cgroup version 1")
	}
	if !strings.Contains(strings.Join(host.ContainerdPatches(), ""), "restrict_oom_score_adj = true") {
		t.Error("containerd is not told to restrict oom scores")
	}
}

// install puts a script of the shell on PATH under the name of a program, in front of the machine's own ones, and returns
// the folder that it is in. The script finds its folder in $HERE.
func install(t *testing.T, name, text string) string {
	t.Helper()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HERE", folder)
	t.Setenv("PATH", folder+":/usr/bin:/bin")
	return folder
}

// said returns what a script wrote into a file of its folder.
func said(t *testing.T, folder, file string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(folder, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// needy is an engine called podman on a machine that needs a configuration for it.
func needy(t *testing.T) *Engine {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv(configurationVariable, "")
	return &Engine{Name: "podman", Host: Host{CgroupVersion: 1, HasSysResource: true, KernelModules: filepath.Join(t.TempDir(), "modules")}}
}

func TestMissingPackages(t *testing.T) {
	install(t, "dpkg-query", `case $3 in
		podman) printf 'install ok installed';;
		runc) printf 'deinstall ok config-files';;
		*) echo "no packages found matching $3" >&2; exit 1;;
	esac`)
	installApt(t)
	missing, err := missingPackages(t.Context(), []string{"podman", "runc", "conmon"})
	if err != nil || !slices.Equal(missing, []string{"runc", "conmon"}) {
		t.Errorf("missing are %v, %v; want runc and conmon", missing, err)
	}
}

// installApt puts an apt-get beside the last script that was installed, which records its arguments.
func installApt(t *testing.T) {
	t.Helper()
	script := "#!/bin/sh\necho \"$DEBIAN_FRONTEND $*\" >>$HERE/apt\n"
	if err := os.WriteFile(filepath.Join(os.Getenv("HERE"), "apt-get"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
}

func plainly(ctx context.Context, _ string, f func(context.Context) error) error { return f(ctx) }

func TestInstallPackages(t *testing.T) {
	folder := install(t, "dpkg-query", "exit 1")
	installApt(t)
	err := InstallPackages(t.Context(), plainly, "runc", "conmon")
	if os.Geteuid() != 0 {
		if err == nil || !strings.Contains(err.Error(), "sudo apt-get install -y runc conmon") {
			t.Errorf("error is %v, want one with the command", err)
		}
		return
	}
	want := "noninteractive update -q\nnoninteractive install -q -y --no-install-recommends runc conmon\n"
	if got := said(t, folder, "apt"); err != nil || got != want {
		t.Errorf("apt-get was asked\n%s%v; want\n%s", got, err, want)
	}
}

func TestNothingIsInstalledThatIsThere(t *testing.T) {
	folder := install(t, "dpkg-query", "printf 'install ok installed'")
	installApt(t)
	if err := InstallPackages(t.Context(), plainly, "runc"); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(folder, "apt")); err == nil {
		t.Error("apt-get was started")
	}
}

func TestInstallSaysWhatToDoElsewhere(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := Install(t.Context(), plainly); err == nil || !strings.Contains(err.Error(), "neither Debian nor Ubuntu") {
		t.Errorf("error is %v, want one for other systems", err)
	}
}

func TestDetectRefusesAnUnknownEngine(t *testing.T) {
	if _, err := Detect(t.Context(), "rkt"); err == nil || !strings.Contains(err.Error(), "docker, podman, nerdctl") {
		t.Errorf("error is %v, want one that lists the engines", err)
	}
}

func TestDetectSaysWhatEachEngineAnswered(t *testing.T) {
	t.Setenv("PATH", install(t, "docker", "echo 'Cannot connect to the daemon' >&2; exit 1"))
	_, err := Detect(t.Context(), "")
	if !errors.Is(err, ErrNone) {
		t.Fatalf("error is %v, want ErrNone", err)
	}
	for _, answer := range []string{"Cannot connect to the daemon", "podman is not installed", "nerdctl is not installed"} {
		if !strings.Contains(err.Error(), answer) {
			t.Errorf("error %v lacks %q", err, answer)
		}
	}
}

func TestDetectChangesNothing(t *testing.T) {
	install(t, "podman", `test -z "$CONTAINERS_CONF"`)
	cache := filepath.Join(t.TempDir(), "cache")
	t.Setenv("XDG_CACHE_HOME", cache)
	t.Setenv(configurationVariable, "")
	before := os.Environ()
	engine, err := Detect(t.Context(), "podman")
	if err != nil || engine.Name != "podman" {
		t.Fatalf("found %+v, %v", engine, err)
	}
	if _, err := os.Stat(cache); err == nil {
		t.Error("the cache directory was made")
	}
	if after := os.Environ(); !slices.Equal(before, after) {
		t.Errorf("the environment became %v", after)
	}
}

func TestPrepareGivesPodmanItsConfiguration(t *testing.T) {
	install(t, "podman", `cat "$CONTAINERS_CONF"`)
	engine := needy(t)
	if err := engine.Prepare(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(engine.Host.KernelModules); err != nil {
		t.Error(err)
	}
	if printed, err := engine.Output(t.Context(), "info"); err != nil || !strings.Contains(printed, `runtime = "runc"`) {
		t.Errorf("podman reads %q, %v", printed, err)
	}
	if value := os.Getenv(configurationVariable); value != "" {
		t.Errorf("the process has the configuration %s", value)
	}
	// It is prepared again before each cluster.
	if err := engine.Prepare(); err != nil {
		t.Error(err)
	}
}

func TestPrepareLeavesAlone(t *testing.T) {
	for name, change := range map[string]func(*Engine){
		"the user's own configuration": func(*Engine) { t.Setenv(configurationVariable, "/etc/mine.conf") },
		"a host that needs none":       func(engine *Engine) { engine.Host.CgroupVersion = 2 },
		"another engine":               func(engine *Engine) { engine.Name, engine.Host.KernelModules = "docker", "/none/at/all" },
	} {
		engine := needy(t)
		change(engine)
		if err := engine.Prepare(); err != nil || len(engine.Command("info").Environment) != 0 {
			t.Errorf("%s: the environment is %v, %v", name, engine.Command("info").Environment, err)
		}
	}
	engine := needy(t)
	engine.Host.KernelModules = "/none/at/all"
	if err := engine.Prepare(); err == nil || !strings.Contains(err.Error(), "/none/at/all") {
		t.Errorf("error is %v, want one that names the folder", err)
	}
}

func TestLendGivesTheProcessTheEnvironmentForAsLongAsAnybodyNeedsIt(t *testing.T) {
	engine := needy(t)
	if err := engine.Prepare(); err != nil {
		t.Fatal(err)
	}
	value := func() string { return os.Getenv(configurationVariable) }
	failure := errors.New("no cluster")
	err := engine.Lend(func() error {
		if err := engine.Lend(func() error { return nil }); err != nil {
			t.Error(err)
		}
		if value() == "" {
			t.Error("an inner call took the environment from the outer one")
		}
		return failure
	})
	if !errors.Is(err, failure) || value() != "" {
		t.Errorf("error is %v, and the process keeps %q", err, value())
	}
}

func TestCheckPrivileged(t *testing.T) {
	folder := install(t, "docker", `echo "$*" >$HERE/asked; echo 'operation not permitted' >&2; exit 1`)
	err := (&Engine{Name: "docker"}).CheckPrivileged(t.Context(), "node:1")
	for _, words := range []string{"docker cannot run privileged containers", "operation not permitted"} {
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("error is %v, want one with %q", err, words)
		}
	}
	if asked := said(t, folder, "asked"); !strings.Contains(asked, "--privileged") || !strings.HasSuffix(asked, "node:1\n") {
		t.Errorf("docker was asked %q", asked)
	}
}

func TestQualified(t *testing.T) {
	for reference, want := range map[string]string{
		"node:v1":                     "docker.io/library/node:v1",
		"kindest/node:v1@sha256:0123": "docker.io/kindest/node:v1@sha256:0123",
		"docker.io/kindest/node:v1":   "docker.io/kindest/node:v1",
		"localhost/sharedpid/node:v1": "localhost/sharedpid/node:v1",
		"registry:5000/node:v1":       "registry:5000/node:v1",
	} {
		if got := Qualified(reference); got != want {
			t.Errorf("%s is %s, want %s", reference, got, want)
		}
	}
}

func TestHasImageAsksForAnImageThatTheEngineFinds(t *testing.T) {
	install(t, "podman", `test "$4" = docker.io/kindest/node:v1 || exit 1`)
	engine := &Engine{Name: "podman"}
	if !engine.HasImage(t.Context(), "kindest/node:v1") || engine.HasImage(t.Context(), "kindest/node:v2") {
		t.Error("podman is not asked for the image of Docker Hub")
	}
}

func TestStorageIsAskedOfEnginesThatTell(t *testing.T) {
	install(t, "docker", `echo "$2"`)
	if folder, err := (&Engine{Name: "docker"}).Storage(t.Context()); err != nil || !strings.Contains(folder, "DockerRootDir") {
		t.Errorf("docker was asked for %q, %v", folder, err)
	}
	if folder, err := (&Engine{Name: "nerdctl"}).Storage(t.Context()); err != nil || folder != "" {
		t.Errorf("nerdctl keeps images in %q, %v", folder, err)
	}
}

func TestRemoveContainersRemovesThoseOfThePrefixOnly(t *testing.T) {
	folder := install(t, "docker", `echo "$*" >>$HERE/asked; test $1 = rm || printf '%s\n' build-1 other my-build-2 build-3`)
	engine := &Engine{Name: "docker"}
	removed, err := engine.RemoveContainers(t.Context(), "build-")
	if err != nil || !slices.Equal(removed, []string{"build-1", "build-3"}) {
		t.Errorf("removed are %v, %v", removed, err)
	}
	if asked := said(t, folder, "asked"); !strings.HasSuffix(asked, "\nrm --force --volumes build-1 build-3\n") {
		t.Errorf("docker was asked\n%s", asked)
	}
	if removed, err := engine.RemoveContainers(t.Context(), "none-"); err != nil || len(removed) != 0 {
		t.Errorf("removed are %v, %v", removed, err)
	}
}

package engine

import (
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

func TestNotInstalled(t *testing.T) {
	answer := "podman install ok installed\nrunc deinstall ok config-files\n"
	if got := notInstalled([]string{"podman", "runc", "conmon"}, answer); !slices.Equal(got, []string{"runc", "conmon"}) {
		t.Errorf("missing are %v, want runc and conmon", got)
	}
}

func TestFindRefusesAnUnknownEngine(t *testing.T) {
	if _, err := Find(t.Context(), "rkt"); err == nil || !strings.Contains(err.Error(), "docker, podman, nerdctl") {
		t.Errorf("error is %v, want one that lists the engines", err)
	}
}

func TestFindSaysWhatEachEngineAnswered(t *testing.T) {
	directory := t.TempDir()
	client := "#!/bin/sh\necho 'Cannot connect to the daemon' >&2; exit 1\n"
	if err := os.WriteFile(filepath.Join(directory, "docker"), []byte(client), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", directory+":/bin")
	t.Setenv("CONTAINERS_CONF", "/dev/null")
	_, err := Find(t.Context(), "docker")
	if !errors.Is(err, ErrNone) || !strings.Contains(err.Error(), "Cannot connect to the daemon") {
		t.Errorf("error is %v, want ErrNone with the client's own words", err)
	}
}

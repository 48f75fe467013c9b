package provision

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCleanRemovesWhatKilledBuildsLeft(t *testing.T) {
	machine := newMachine(t)
	left := []string{"node-image-1/root.tar", "test-images-2/nginx.tar", "runtimes/older/crun/crun", "machine-3/disk.img"}
	stay := []string{"faults/faulty-runtime", "containers.conf", "clusters/mine/lock"}
	for _, path := range append(left, stay...) {
		machine.write(filepath.Join(machine.cache, path), "")
	}
	machine.write(filepath.Join(machine.folder, "containers"), "sharedpid-node-image-1\nsharedpid-machine-3\nmine\n")
	if err := Clean(t.Context(), "", machine.printer); err != nil {
		t.Fatal(err)
	}
	for _, path := range left {
		if _, err := os.Stat(filepath.Join(machine.cache, strings.Split(path, "/")[0], strings.Split(path, "/")[1])); err == nil {
			t.Errorf("%s is left", path)
		}
	}
	for _, path := range stay {
		if _, err := os.Stat(filepath.Join(machine.cache, path)); err != nil {
			t.Error(err)
		}
	}
	for _, container := range []string{"sharedpid-node-image-1", "sharedpid-machine-3"} {
		if !strings.Contains(machine.asked(), "rm --force --volumes "+container+"\n") {
			t.Errorf("the engine was asked\n%s", machine.asked())
		}
	}
	for _, shown := range []string{"delete container sharedpid-node-image-1", "delete " + filepath.Join(machine.cache, "node-image-1")} {
		if !strings.Contains(machine.shown.String(), shown) {
			t.Errorf("it was not shown: %s", shown)
		}
	}
	machine.did()
}

func TestCleanOutsideOfACheckoutLeavesRuntimes(t *testing.T) {
	machine := newMachine(t)
	machine.write(filepath.Join(machine.cache, "runtimes/some/crun/crun"), "")
	machine.write(filepath.Join(machine.cache, "runtimes/some/.new-1/crun"), "")
	t.Chdir(t.TempDir())
	if err := clean(t.Context(), "", machine.printer, machine.open); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(machine.cache, "runtimes/some/crun/crun")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(machine.cache, "runtimes/some/.new-1")); err == nil {
		t.Error("an unfinished runtime is left")
	}
}

func TestCleanLeavesABuildThatRuns(t *testing.T) {
	machine := newMachine(t)
	running := filepath.Join(machine.cache, "node-image-1", "root.tar")
	machine.write(running, "")
	unlock, err := tryBuildLock(machine.cache)
	if err != nil || unlock == nil {
		t.Fatal(err)
	}
	if err := clean(t.Context(), "", machine.printer, machine.open); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(running); err != nil || !strings.Contains(machine.shown.String(), "another process builds") {
		t.Errorf("%v; it showed\n%s", err, machine.shown.String())
	}
	if err := unlock(); err != nil {
		t.Error(err)
	}
}

func TestCleanGoesOnAfterAnError(t *testing.T) {
	machine := newMachine(t)
	machine.leave(machine.obtain(Options{ClusterName: "b"}))
	folder, err := clusterFolder("a")
	if err != nil {
		t.Fatal(err)
	}
	machine.write(folder.record(), `{"engine":"nerdctl"}`)
	machine.write(filepath.Join(machine.cache, "node-image-1", "root.tar"), "")
	err = clean(t.Context(), "", machine.printer, machine.open)
	const want = "the cluster a is left behind: no working container engine"
	if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
		t.Errorf("error is %v, want one line about the cluster a", err)
	}
	machine.did("create b", "delete b")
	if _, err := os.Stat(filepath.Join(machine.cache, "node-image-1")); err == nil {
		t.Error("what a build left stays")
	}
}

func TestCleanOfOneCluster(t *testing.T) {
	machine := newMachine(t)
	machine.leave(machine.obtain(Options{ClusterName: "a", Keep: true}))
	machine.leave(machine.obtain(Options{ClusterName: "b", Keep: true}))
	if err := clean(t.Context(), "c", machine.printer, machine.open); err == nil || !strings.Contains(
		err.Error(), "has left a cluster c; there are: a, b",
	) {
		t.Errorf("of a cluster that is not there: %v", err)
	}
	if err := clean(t.Context(), "a", machine.printer, machine.open); err != nil {
		t.Fatal(err)
	}
	machine.did("create a", "create b", "delete a")
}

func TestBesides(t *testing.T) {
	one, other := os.ErrExist, os.ErrClosed
	if besides(nil, nil) != nil || besides(one, nil) != one || besides(nil, other) != other {
		t.Error("nothing beside an error changes it")
	}
	if err := besides(one, other); err.Error() != "file already exists; besides, file already closed" {
		t.Errorf("both are %v", err)
	}
}

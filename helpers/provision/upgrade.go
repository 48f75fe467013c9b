package provision

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"sharedpid.example/fixtures/node"
	"sharedpid.example/helpers/provision/engine"
	"sharedpid.example/helpers/workspace"
)

// replacedPrograms are what an upgrade puts in the place of a node's own, as they lie in a node image.
var replacedPrograms = []string{
	"/usr/bin/kubelet", "/usr/bin/kubeadm", "/usr/bin/kubectl",
	"/usr/local/bin/containerd", "/usr/local/bin/containerd-shim-runc-v2", "/usr/local/bin/ctr", "/usr/local/sbin/runc", "/kind/version",
}

// upgradeFolder is where the programs wait in the node.
const upgradeFolder = "/sharedpid-upgrade"

// Upgrade gives a worker the kubelet, containerd and runc of the cluster's local node image, and restarts the services, while the Pods
// on it go on: as a package of a distribution does it, and kubeadm's steps for a node without the drain. It returns when the services run;
// the kubelet may still have to tell so.
func (cluster *Cluster) Upgrade(ctx context.Context, worker string) error {
	ours := cluster.kind
	if ours == nil {
		return errors.New("nodes of a cluster that exists are not upgraded")
	}
	root, err := workspace.Root()
	if err != nil {
		return err
	}
	image, err := node.Reference(root, cluster.options.NodeVersions)
	if err != nil {
		return err
	}
	// From now on the worker is another one than was asked for: a later run does not take it for that.
	known, _, err := ours.folder.read()
	if err != nil {
		return err
	}
	known.Worker = image
	if err := ours.folder.write(known); err != nil {
		return err
	}
	return cluster.printer.Step(ctx, "upgrade "+worker, func(ctx context.Context) error {
		if err := carry(ctx, ours.engine, image, worker); err != nil {
			return err
		}
		_, err := ours.engine.Output(ctx, "exec", worker, "sh", "-c", upgradeScript())
		return err
	})
}

// carry copies the programs of an image into a folder of a running node.
func carry(ctx context.Context, working *engine.Engine, image, worker string) error {
	cache, err := workspace.Cache()
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp(cache, node.FolderPrefix)
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	source := node.ContainerPrefix + strings.TrimPrefix(filepath.Base(folder), node.FolderPrefix)
	if _, err := working.Output(ctx, "create", "--network=none", "--name="+source, image); err != nil {
		return err
	}
	defer func() {
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		_, _ = working.Output(late, "rm", "--force", "--volumes", source) // Clean finds it by its name
	}()
	if _, err := working.Output(ctx, "exec", worker, "mkdir", "-p", upgradeFolder); err != nil {
		return err
	}
	for _, program := range replacedPrograms {
		file := filepath.Join(folder, path.Base(program))
		if _, err := working.Output(ctx, "cp", source+":"+program, file); err != nil {
			return err
		}
		if _, err := working.Output(ctx, "cp", file, worker+":"+upgradeFolder+"/"+path.Base(program)); err != nil {
			return err
		}
	}
	return nil
}

// upgradeScript puts the programs in place, where a running one of the old ones keeps its file, and restarts the services.
func upgradeScript() string {
	steps := []string{"systemctl stop kubelet"}
	for _, program := range replacedPrograms {
		steps = append(steps, fmt.Sprintf("mv -f %s/%s %s", upgradeFolder, path.Base(program), program))
	}
	return strings.Join(append(steps, "rmdir "+upgradeFolder, "systemctl restart containerd",
		"kubeadm upgrade node --skip-phases=preflight", // as kind skips it: it refuses cgroup version 1
		"systemctl start kubelet"), " && ")
}

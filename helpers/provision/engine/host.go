package engine

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Host is what a node in a container inherits from the machine it runs on.
type Host struct {
	CgroupVersion  int    // 1 or 2; the hybrid layout counts as 1, since its controllers are version 1
	HasSysResource bool   // CAP_SYS_RESOURCE is in this process's bounding set: root on this machine can have it
	OpenFiles      uint64 // hard limit RLIMIT_NOFILE of this process
	Processes      uint64 // hard limit RLIMIT_NPROC of this process, at most kernel.pid_max: podman lowers its own to that
	KernelModules  string // folder that kind mounts into its nodes, whether it exists or not
}

// capSysResource is the number of CAP_SYS_RESOURCE in capability sets, see capabilities(7) and linux/capability.h.
const capSysResource = 24

// ReadHost looks at /proc, /sys and this process's limits.
func ReadHost() (Host, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return Host{}, err
	}
	bounding, err := parseBoundingSet(string(status))
	if err != nil {
		return Host{}, err
	}
	var files, processes unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return Host{}, fmt.Errorf("getrlimit: %w", err)
	}
	if err := unix.Getrlimit(unix.RLIMIT_NPROC, &processes); err != nil {
		return Host{}, fmt.Errorf("getrlimit: %w", err)
	}
	pidMax, err := os.ReadFile("/proc/sys/kernel/pid_max")
	if err != nil {
		return Host{}, err
	}
	largest, err := strconv.ParseUint(strings.TrimSpace(string(pidMax)), 10, 64)
	if err != nil {
		return Host{}, fmt.Errorf("kernel.pid_max: %w", err)
	}
	host := Host{
		CgroupVersion: 1, HasSysResource: bounding&(1<<capSysResource) != 0,
		OpenFiles: files.Max, Processes: min(processes.Max, largest), KernelModules: "/lib/modules",
	}
	// Only a pure version 2 hierarchy has this file at the root of the mount, see cgroups(7).
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		host.CgroupVersion = 2
	}
	return host, nil
}

// parseBoundingSet reads the capabilities that no process started from here can exceed. The effective set would
// mislead: it is empty for a user who is not root, whose docker daemon lacks nothing.
func parseBoundingSet(status string) (uint64, error) {
	for line := range strings.Lines(status) {
		if value, found := strings.CutPrefix(line, "CapBnd:"); found {
			return strconv.ParseUint(strings.TrimSpace(value), 16, 64)
		}
	}
	return 0, fmt.Errorf("/proc/self/status has no CapBnd line")
}

// KubeadmPatches returns the kubeadm configuration patches, in kind's form, that a node on this host needs.
// From version 1.35 the kubelet refuses cgroup version 1 unless told otherwise. Its cgroup driver is that of SystemdCgroup.
func (host Host) KubeadmPatches() []string {
	if host.CgroupVersion != 1 {
		return nil
	}
	return []string{"kind: KubeletConfiguration\nfailCgroupV1: false\ncgroupDriver: cgroupfs\n"}
}

// SystemdCgroup tells whether the node's runtimes ask its systemd for cgroups, as kind has it, or make them alone. With
// version 1 systemd's way has runc freeze each container that it starts, which fails now and then on a busy
// machine ("unable to freeze": the kernel's version 1 freezer gives no guarantee while processes appear).
func (host Host) SystemdCgroup() bool { return host.CgroupVersion == 2 }

// ContainerdPatches returns the containerd configuration patches, in kind's form, that a node on this host needs.
// Without CAP_SYS_RESOURCE nobody may lower an oom score, and a sandbox asks for a negative one.
func (host Host) ContainerdPatches() []string {
	var patches []string
	if !host.HasSysResource {
		patches = append(patches, "[plugins.\"io.containerd.grpc.v1.cri\"]\n  restrict_oom_score_adj = true\n")
	}
	if !host.SystemdCgroup() {
		patches = append(patches, "[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc.options]\n  SystemdCgroup = false\n")
	}
	return patches
}

// containersConf returns the containers.conf(5) with which podman can run a node here, empty when the
// engine's own settings will do: crun before 1.9 refuses the hybrid cgroup layout, kind lifts podman's limit of 2048
// processes in a container with version 2 only, and podman asks for higher limits than a process without
// CAP_SYS_RESOURCE may set.
func (host Host) containersConf() string {
	var conf strings.Builder
	if !host.HasSysResource {
		fmt.Fprintf(&conf, "[containers]\ndefault_ulimits = [\"nofile=%[1]d:%[1]d\", \"nproc=%[2]d:%[2]d\"]\n",
			host.OpenFiles, host.Processes)
	}
	if host.CgroupVersion == 1 {
		if conf.Len() == 0 {
			conf.WriteString("[containers]\n")
		}
		conf.WriteString("pids_limit = 0\n[engine]\nruntime = \"runc\"\n")
	}
	return conf.String()
}

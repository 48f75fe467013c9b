package sample

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"sharedpid.example/reports"
)

// Rich is a run as a large cluster gives it: every verdict, pictures, deviations and hostile content, on so many nodes.
func Rich(nodes int) reports.Run {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	run := reports.Run{
		SchemaVersion: reports.SchemaVersion, ID: "k3x9q2ab", SuiteVersion: "v0.4.0", Profile: "full", Start: start, Seconds: 96.4,
		Cluster: reports.Cluster{Name: "sharedpid", KubernetesVersion: "v1.37.2", Origin: "created", Engine: "podman",
			NodeImage: "localhost/sharedpid-node:4f1d"},
		Images: map[string]string{
			"nginx":   "registry.example/nginx@sha256:6f2a9c1f4c1a0b7be2a4c6b3a7f2c7d3b6f4a8a1e3e0f0c1d2b3a4958677a1b2",
			"busybox": "registry.example/busybox@sha256:0b1c2d3e4f5061728394a5b6c7d8e9f00112233445566778899aabbccddeeff0",
		},
		Phases: []reports.Phase{
			{Name: "cluster", Start: start, Seconds: 12.8}, {Name: "node ready", Start: start.Add(12800 * time.Millisecond), Seconds: 4.9},
			{Name: "profile full", Start: start.Add(17700 * time.Millisecond), Seconds: 74},
			{Name: "clean-up", Start: start.Add(92 * time.Second), Seconds: 4.4},
		},
	}
	for i := range nodes {
		target := reports.Target{
			ID: fmt.Sprintf("worker-%d", i+1), Node: fmt.Sprintf("worker-%d", i+1), Runtime: "containerd://2.4.2", RuntimeVersion: "runc 1.5.0",
			Kubelet: "v1.37.2", Kernel: "6.18.2", CgroupVersion: "v2", OSImage: "Debian GNU/Linux 13 (trixie)", Architecture: "amd64",
		}
		if i%3 == 2 {
			target.RuntimeClass, target.RuntimeHandler, target.RuntimeVersion = "crun", "crun", "crun 1.28"
			target.ID += "/crun"
		}
		run.Targets = append(run.Targets, target)
	}
	for i, trait := range traits {
		for j, target := range run.Targets {
			run.Plan = append(run.Plan, reports.Planned{Trait: trait.id, Target: target.ID})
			if trait.id == "visibility/shell-sees-nginx" && j == nodes-1 {
				continue
			}
			result := sampleResult(trait.id, trait.statement, target.ID, j)
			result.Start = start.Add(time.Duration(17700+i*900+j*300) * time.Millisecond)
			result.Seconds = 1.5 + float64((i*7+j*3)%11)
			run.Results = append(run.Results, result)
		}
	}
	return run
}

var traits = []struct{ id, statement string }{
	{"admission/host-pid-excluded", "A Pod that asks for hostPID and for sharing MUST be rejected."},
	{"credentials/access-matrix", "Every cell MUST be as uids, capabilities and dumpability say."},
	{"credentials/uid-mismatch-denies",
		"A process of another uid MUST be denied environ, root, cwd, exe, fd and maps with EACCES, and signals with EPERM."},
	{"credentials/user-namespace", "With hostUsers: false all containers MUST share one user namespace."},
	{"filesystem/config-through-proc-root", "nginx.conf read through /proc/PID/root MUST be byte for byte what nginx has."},
	{"inits/systemd-refuses", "systemd as start command MUST exit with code 1, and MUST NOT come up."},
	{"lifecycle/orphans-are-reaped", "An orphan MUST become a child of pause and leave no zombie."},
	{"namespace/pause-is-pid-1", "Process 1 of every container MUST be the Pod's pause, and no container's start process may be 1."},
	{"signals/hup-respawns-workers",
		"SIGHUP from a sibling container MUST make nginx replace all its workers while its master stays and goes on serving."},
	{"visibility/shell-sees-nginx", "One container MUST see the other's processes."},
}

func sampleResult(trait, statement, target string, number int) reports.Result {
	zero, one := 0, 1
	result := reports.Result{
		Trait: trait, Target: target, Statement: statement, Profile: "core", Verdict: reports.Conformant, Reason: "observed as stated",
		Sources: []string{"https://man7.org/linux/man-pages/man7/pid_namespaces.7.html",
			"https://kubernetes.io/docs/tasks/configure-pod-container/share-process-namespace/"},
		Namespace: "sharedpid-k3x9q2ab", Requests: 4,
	}
	list := func(title, where string, workers ...int) reports.Evidence {
		return reports.Evidence{Title: title, Where: where, Command: "ps", Processes: sampleProcesses(workers...)}
	}
	switch trait {
	case "admission/host-pid-excluded":
		result.Evidence = []reports.Evidence{{Title: "a Pod with both", Where: "API", Command: "kubectl create -f host-pid.yaml",
			Output: "spec.shareProcessNamespace: Invalid value: true: ShareProcessNamespace and HostPID cannot both be enabled\n", ExitCode: &one}}
	case "credentials/access-matrix":
		result.Evidence = []reports.Evidence{{Title: "the whole matrix", Where: "access", Access: sampleAccess(number == 1)}}
		if number == 1 {
			result.Verdict, result.Reason = reports.Nonconformant, "uid 1000 may read root of the nginx master: want EACCES"
			result.Cause = "the runtime gives containers CAP_SYS_PTRACE"
			result.NextStep = "compare CapEff in /proc/self/status with the securityContext"
		}
	case "credentials/uid-mismatch-denies":
		result.Profile, result.Documented = "article", true
		result.Article = "For arguments UNIX permissions are too kind: any uid reads them. " +
			"Capabilities, dumpability, user namespaces and security modules decide besides."
		result.Evidence = []reports.Evidence{
			{Title: "uid 1000 against root", Where: "access/visitor", Command: "cat /proc/7/environ",
				Output: "cat: can't open '/proc/7/environ': Permission denied\n", ExitCode: &one, Errno: "EACCES"},
			{Title: "uid 1000 against root", Where: "access/visitor", Command: "kill -URG 7",
				Output: "sh: can't kill pid 7: Operation not permitted\n", ExitCode: &one, Errno: "EPERM"},
		}
	case "credentials/user-namespace":
		result.Profile, result.Verdict = "full", reports.Unsupported
		result.Reason = "the node's kernel has no id-mapped mounts for its root file system"
	case "filesystem/config-through-proc-root":
		result.Profile, result.Documented = "article", true
		result.Article = "/proc/PID/root of the nginx master does not need CAP_SYS_PTRACE from an equal root container."
		result.Evidence = []reports.Evidence{{Title: "nginx.conf", Where: "article/shell", Command: "head -n 4 /proc/7/root/etc/nginx/nginx.conf",
			Output: "worker_processes 2;\nerror_log /dev/stderr;\npid /tmp/nginx.pid;\nevents {}\n", ExitCode: &zero}}
		result.Control = []reports.Evidence{list("processes seen from the shell", "article-unshared/shell")}
	case "inits/systemd-refuses":
		result.Profile, result.Documented = "article", true
		result.Article = "The container does start: systemd then exits with code 1, and the kubelet restarts it."
		result.Verdict, result.Kind = reports.Inconclusive, reports.NotStarted
		result.Reason = "Pod systemd: ErrImagePull: dial tcp: lookup registry.example: no such host"
		result.Cause, result.NextStep = "the node cannot pull a test image", "name a registry that the node reaches with --image-registry"
		result.Diagnosis = "events of Pod systemd:\n  Failed to pull image \"systemd\"\n" + strings.Repeat("  Back-off pulling image\n", 40)
	case "lifecycle/orphans-are-reaped":
		result.Evidence = []reports.Evidence{{Title: "hostile output", Where: "lifecycle/shell", Command: "printf '<script>alert(1)</script>'",
			Output: "<script>alert(1)</script>\x1b[31mred\x1b[0m\x00\xff\u202eevil </pre>" + strings.Repeat("A<&>", 50_000), ExitCode: &zero}}
		if number == 1 {
			result.Verdict, result.Reason = reports.Nonconformant, "a zombie is left"
			result.KnownDeviation = &reports.Deviation{
				Runtime: "runc", Versions: ">=1.5", Trait: trait, Reason: "zombies are left",
				Consequence: "The process table fills up.", Link: "https://example.org/issues/1",
			}
		}
		if number == 2 {
			result.KnownDeviation = &reports.Deviation{Runtime: "crun", Versions: "<2", Trait: trait, Reason: "zombies were left",
				Link: "https://example.org/issues/2"}
		}
	case "namespace/pause-is-pid-1":
		result.Profile, result.Documented = "article", true
		result.Evidence = []reports.Evidence{list("processes", "article/shell", 30, 31)}
		result.Control = []reports.Evidence{{Title: "processes", Where: "article-unshared/shell", Command: "ps",
			Processes: []reports.Process{{PID: 1, State: "S", Container: "shell", Arguments: []string{"sh"}}}}}
	case "signals/hup-respawns-workers":
		result.Profile, result.Documented = "article", true
		result.Article = "A signal needs equal uids or CAP_KILL. It does not need the CAP_SYS_PTRACE that the article's shell has."
		result.Evidence = []reports.Evidence{
			list("processes before SIGHUP from shell", "reload/shell", 35, 36),
			{Title: "SIGHUP to the nginx master", Where: "reload/shell", Command: "kill -HUP 7", ExitCode: &zero},
			list("processes after SIGHUP from shell", "reload/shell", 48, 49),
			{Title: "HTTP after SIGHUP", Where: "reload/shell", Command: "wget -q -O - http://127.0.0.1/", Output: "served by nginx\n",
				ExitCode: &zero},
		}
		result.Control = []reports.Evidence{{Title: "processes seen from the shell", Where: "article-unshared/shell", Command: "ps",
			Processes: []reports.Process{{PID: 1, State: "S", Container: "shell", Arguments: []string{"sh"}}}}}
	case "visibility/shell-sees-nginx":
		result.Profile, result.Documented = "article", true
		result.Evidence = []reports.Evidence{list("processes seen from the shell", "article/shell", 30, 31)}
	}
	return result
}

func sampleProcesses(workers ...int) []reports.Process {
	list := []reports.Process{
		{PID: 1, UID: 65535, State: "S", Container: "pause", Arguments: []string{"/pause"}},
		{PID: 7, State: "S", Container: "nginx", Arguments: []string{"nginx: master process nginx -g daemon off;"}},
	}
	for _, worker := range workers {
		list = append(list, reports.Process{PID: worker, PPID: 7, UID: 101, State: "S", Container: "nginx",
			Arguments: []string{"nginx: worker process"}})
	}
	list = append(list, reports.Process{PID: 20, State: "S", Container: "shell", Arguments: []string{"sh"}})
	slices.SortFunc(list, func(a, b reports.Process) int { return a.PID - b.PID })
	return list
}

// sampleAccess is a matrix of 7 callers, 4 targets and 11 operations.
func sampleAccess(wrong bool) []reports.Access {
	var cells []reports.Access
	for i, caller := range []string{"root with CAP_SYS_PTRACE", "root", "root without CAP_KILL", "root without capabilities", "uid 1000",
		"uid 1000 with CAP_SYS_PTRACE added", "the worker's uid"} {
		for j, target := range []string{"nginx master", "nginx worker", "process with CAP_SYS_PTRACE", "pause"} {
			for _, operation := range []string{"signal", "cmdline", "status", "environ", "cwd", "root", "exe", "fd", "maps", "mem", "ns"} {
				cell := reports.Access{Caller: caller, Target: target, Operation: operation, Want: "EACCES",
					Rule: "other uid or gid, and the caller has no CAP_SYS_PTRACE"}
				switch {
				case operation == "cmdline" || operation == "status":
					cell.Want, cell.Rule = "allowed", "any uid may read it"
				case i == 0:
					cell.Want, cell.Rule = "allowed", "the caller has CAP_SYS_PTRACE"
				case operation == "signal" && i > 1 && (i > 3 && !(i == 6 && j == 1) || j == 1 || j == 3):
					cell.Want, cell.Rule = "EPERM", "other uid, and the caller has no CAP_KILL"
				case operation == "signal":
					cell.Want, cell.Rule = "allowed", "equal uids"
				case i == 1 && j == 0 || i == 6 && j == 1:
					cell.Want, cell.Rule = "allowed", "equal uids and gids, dumpable, and the caller has all capabilities of the target"
				}
				if operation == "mem" && i == 6 && j == 1 {
					cell.Want, cell.Rule, cell.Narrowed = "EACCES", "Yama's ptrace_scope 1 forbids to attach", "yama"
				}
				cell.Observed = cell.Want
				if wrong && i == 4 && j == 0 && (operation == "root" || operation == "environ") {
					cell.Observed = "allowed"
				}
				cells = append(cells, cell)
			}
		}
	}
	return cells
}

// Large is a run of so many traits on so many targets, with the evidence that such traits have.
func Large(count, targets int) reports.Run {
	small := Rich(targets)
	run := small
	run.Plan, run.Results = nil, nil
	byTarget := map[string][]reports.Result{}
	for _, result := range small.Results {
		byTarget[result.Target] = append(byTarget[result.Target], result)
	}
	for _, target := range run.Targets {
		for i := range count {
			result := byTarget[target.ID][i%len(byTarget[target.ID])]
			if i >= len(traits) {
				result.Trait += fmt.Sprintf("-%d", i/len(traits))
			}
			run.Plan = append(run.Plan, result.Planned())
			run.Results = append(run.Results, result)
		}
	}
	return run
}

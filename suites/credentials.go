package suites

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sharedpid.example/helpers/pod"
	"sharedpid.example/reports"
)

var (
	siblingsScene          = Scene{Name: "siblings", Manifest: "siblings.yaml", Still: true}
	siblingsUnsharedScene  = Scene{Name: "siblings-unshared", Manifest: "siblings.yaml", Unshared: true, Still: true}
	fileModesUnsharedScene = Scene{Name: "file-modes-unshared", Manifest: "file-modes.yaml", Unshared: true, Still: true}
	accessScene            = Scene{Name: "access-matrix", Manifest: "access-matrix.yaml"}
	userNamespaceScene     = Scene{Name: "user-namespace", Manifest: "file-modes.yaml", Later: true, Change: func(pod *corev1.Pod) {
		pod.Spec.HostUsers = new(bool)
	}}
)

// The rules of the kernel that the access matrix is judged by.
var (
	ptraceSource = "https://man7.org/linux/man-pages/man2/ptrace.2.html#:~:text=Ptrace%20access%20mode%20checking"
	killSource   = "https://man7.org/linux/man-pages/man2/kill.2.html"
	capSource    = "https://man7.org/linux/man-pages/man7/capabilities.7.html"
	criSource    = "https://github.com/kubernetes/cri-api/blob/master/pkg/apis/runtime/v1/api.proto"
)

var credentialTraits = []Trait{
	{
		ID:         "credentials/uid-mismatch-denies",
		Statement:  "A sibling of another uid without capabilities MUST be denied a process's environment, memory map, files and working directory with EACCES, and signals with EPERM.",
		Profile:    Article,
		Documented: true,
		Article:    "\"Only UNIX permissions\" leaves out capabilities, dumpability, user namespaces and security modules.",
		Sources:    []string{ptraceSource, killSource},
		Scenes:     []Scene{siblingsScene},
		Causes: []Cause{
			{"must be refused", "the visitor has capabilities or a uid that its securityContext does not give it, or a user namespace maps both uids to one", "compare Uid and CapEff in /proc/self/status of the container with its securityContext"},
		},
		Check: func(ctx context.Context, stage *Stage, g gomega.Gomega) error {
			// The tracer finds the process: from the visitor /proc may be mounted so as to hide it.
			owner, err := stage.Find(ctx, siblingsScene, "tracer", "processes seen from the tracer", ownerSleep...)
			if err != nil {
				return err
			}
			commands := []string{"grep -E '^[^ ]+ /proc ' /proc/self/mounts"}
			for _, operation := range guardedOperations {
				commands = append(commands, fmt.Sprintf(operation.command, owner.PID))
			}
			observations, err := stage.Look(ctx, siblingsScene, "visitor", "uid 1000 against root", commands...)
			if err != nil {
				return err
			}
			after, err := stage.processes(ctx, siblingsScene, "tracer", "processes afterwards", time.Now())
			if err != nil {
				return err
			}
			if still, err := one(after, ownerSleep...); err != nil || still.StartTime != owner.StartTime {
				return fmt.Errorf("the process that was looked at ended meanwhile")
			}
			judgeDenials(g, parseHidepid(observations[0].Output), observations[1:])
			return nil
		},
	},
	{
		ID:        "credentials/same-uid-allows",
		Statement: "Two containers of one uid without capabilities MUST be allowed to read each other's environment and files, and to signal each other.",
		Profile:   Core,
		Sources:   []string{ptraceSource, killSource},
		Scenes:    []Scene{fileModesScene, fileModesUnsharedScene},
		Causes: []Cause{
			{"", "something narrows what equal uids allow: a security module, hidepid, a seccomp profile, or processes that were made undumpable", "look at /proc/self/attr/current, /proc/self/mounts and Seccomp in /proc/self/status of the container"},
		},
		Check: func(ctx context.Context, stage *Stage, g gomega.Gomega) error {
			owner, err := stage.Find(ctx, fileModesScene, "visitor", "processes seen from a container of the same uid", ownerSleep...)
			if err != nil {
				return err
			}
			looked, err := stage.Look(ctx, fileModesScene, "visitor", "uid 1000 against uid 1000", fmt.Sprintf("cat /proc/%d/environ", owner.PID),
				fmt.Sprintf("cat /proc/%d/root/files/readable", owner.PID), fmt.Sprintf("kill -0 %d", owner.PID))
			if err != nil {
				return err
			}
			judgeSameUID(g, looked[0], looked[1], looked[2])
			unshared, err := stage.Processes(ctx, fileModesUnsharedScene, "visitor", "processes seen from a container of the same uid")
			if err != nil {
				return err
			}
			judgeOwnerIsNotVisible(g, unshared, visitorSleep)
			return nil
		},
	},
	{
		ID:        "credentials/access-matrix",
		Statement: "What each process may do to each other one in the Pod MUST be what the kernel's rules say for their uids, gids, capabilities and dumpability.",
		Profile:   Core,
		Article:   "\"Only UNIX permissions\" is one of four rules: the matrix shows all of them at work.",
		Sources:   []string{ptraceSource, killSource, capSource, "https://man7.org/linux/man-pages/man5/proc.5.html"},
		Scenes:    []Scene{accessScene},
		Causes: []Cause{
			{"EPERM", "a seccomp profile or a security module refuses what the rules allow", "look at Seccomp in /proc/self/status and at /proc/self/attr/current of the caller"},
			{"", "the runtime's kernel has rules of its own, or something narrows them that the suite does not detect", "look at the cell's rule in the report and at the node's security modules"},
		},
		Check: func(ctx context.Context, stage *Stage, g gomega.Gomega) error {
			matrix, err := accessOf(ctx, stage)
			if err != nil {
				return err
			}
			if matrix.unseen != "" {
				return matrix.unseen
			}
			stage.recordAccess("who may do what", matrix.cells...)
			judgeAccess(g, matrix.cells)
			return nil
		},
	},
	{
		ID:        "credentials/capabilities-as-requested",
		Statement: "Processes that are started in a container by exec MUST have the capabilities that its securityContext adds and lacks, and no others of those that matter between siblings.",
		Profile:   Core,
		Sources:   []string{criSource, "https://kubernetes.io/docs/tasks/configure-pod-container/security-context/"},
		Scenes:    []Scene{accessScene},
		Causes: []Cause{
			{"CAP_SYS_PTRACE", "the runtime grants or strips CAP_SYS_PTRACE whatever the container asks for", "compare the runtime's default capabilities with the container's CapEff"},
			{"", "the runtime does not apply the container's capabilities to exec", "compare CapEff of an exec with that of the container's start process"},
		},
		Check: func(ctx context.Context, stage *Stage, g gomega.Gomega) error {
			matrix, err := accessOf(ctx, stage)
			if err != nil {
				return err
			}
			stage.recordCredentials(matrix.callers)
			judgeCapabilities(g, matrix.callers)
			return nil
		},
	},
	{
		ID:        "credentials/root-without-ptrace",
		Statement: "Root with the default capabilities MUST be allowed to read the environment and the files of a sibling's process that is root with the same capabilities: CAP_SYS_PTRACE is not needed.",
		Profile:   Core,
		Article:   "/proc/PID/root of the nginx master does not need the CAP_SYS_PTRACE that the article's shell has.",
		Sources:   []string{ptraceSource},
		Scenes:    []Scene{accessScene},
		Causes:    []Cause{{"", "something narrows what equal credentials allow: a security module, or containers that do not get the same default capabilities", "compare CapEff and /proc/self/attr/current of the two containers"}},
		Check: checkAccess("root against the nginx master, equal in uid and capabilities", func(accessMatrix) []accessClaim {
			return []accessClaim{{accessAllowed, callerRoot, targetMaster, []string{"environ", "root", "maps"}}}
		}),
	},
	{
		ID:        "credentials/ptrace-crosses-uids",
		Statement: "Root with the default capabilities MUST be denied the environment and files of processes of other uids, and MUST be allowed them with CAP_SYS_PTRACE.",
		Profile:   Core,
		Sources:   []string{ptraceSource, capSource},
		Scenes:    []Scene{accessScene},
		Causes: []Cause{
			{"must be EACCES", "the runtime grants CAP_SYS_PTRACE to containers that do not ask for it, or the uids are not apart", "compare CapEff of the container with its securityContext"},
			{"must be allowed", "the runtime or an admission policy strips CAP_SYS_PTRACE that the container asks for", "compare CapEff of the container with its securityContext; some managed platforms refuse CAP_SYS_PTRACE"},
		},
		Check: checkAccess("root against other uids, without CAP_SYS_PTRACE and with it", func(matrix accessMatrix) []accessClaim {
			var claims []accessClaim
			for _, target := range matrix.targets {
				if target.UID == 0 {
					continue // an older pause runs as root, and is no process of another uid
				}
				operations := []string{"environ", "root", "exe"}
				claims = append(claims, accessClaim{"EACCES", callerRoot, target.name, operations}, accessClaim{accessAllowed, callerTracer, target.name, operations})
			}
			return claims
		}),
	},
	{
		ID:        "credentials/capability-subset-rule",
		Statement: "Of two processes of root, the one that lacks a capability of the other MUST be denied its environment and files, and MUST be allowed to signal it.",
		Profile:   Core,
		Sources:   []string{ptraceSource, killSource},
		Scenes:    []Scene{accessScene},
		Causes:    []Cause{{"", "the runtime does not give the containers the capabilities that they ask for", "compare CapPrm and CapEff of both processes with the securityContexts"}},
		Check: checkAccess("root with fewer capabilities than its target", func(accessMatrix) []accessClaim {
			return []accessClaim{
				{"EACCES", callerRootBare, targetMaster, []string{"environ", "root"}},
				{accessAllowed, callerRootBare, targetMaster, []string{"signal"}},
				{"EACCES", callerRoot, targetTracer, []string{"environ", "root"}},
				{accessAllowed, callerRoot, targetTracer, []string{"signal"}},
			}
		}),
	},
	{
		ID:        "credentials/ptrace-inert-for-non-root",
		Statement: "CAP_SYS_PTRACE that is added to a container of a non-root user MUST NOT become effective, and MUST NOT grant anything.",
		Profile:   Core,
		Sources:   []string{capSource, "https://github.com/kubernetes/kubernetes/issues/56374"},
		Scenes:    []Scene{accessScene},
		Causes:    []Cause{{"", "the runtime puts added capabilities into the ambient set, or starts the process as another user", "look at Uid, CapAmb and CapEff in /proc/self/status of the container"}},
		Check: func(ctx context.Context, stage *Stage, g gomega.Gomega) error {
			matrix, err := accessOf(ctx, stage)
			if err != nil {
				return err
			}
			caller := matrix.caller(callerInert)
			stage.recordCredentials([]accessParty{caller})
			g.Expect(caller.UID).To(gomega.Equal(1000), "the caller must run as the uid that its securityContext names")
			g.Expect(caller.Effective).To(gomega.BeZero(), "capabilities added to a non-root user must not be effective, CapEff is %016x", caller.Effective)
			if matrix.unseen != "" {
				return fmt.Errorf("whether the capability grants anything cannot be looked at: %w", errors.New(string(matrix.unseen)))
			}
			stage.recordAccess("uid 1000 to whose container CAP_SYS_PTRACE was added", matrix.of(callerInert)...)
			for _, target := range []string{targetMaster, targetWorker, targetTracer} {
				for _, operation := range []string{"environ", "root"} {
					cell := matrix.cell(callerInert, target, operation)
					g.Expect(cell.Observed).To(gomega.Equal(cell.Expected), "%s of the %s is %s to uid 1000, must be %s", operation, target, cell.Observed, cell.Expected)
				}
			}
			return nil
		},
	},
	{
		ID:        "credentials/user-namespace",
		Statement: "With hostUsers: false, all containers of the Pod MUST share one user namespace that is not the node's, and the rules MUST hold inside it.",
		Profile:   Full,
		Sources: []string{
			"https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/127-user-namespaces",
			"https://man7.org/linux/man-pages/man7/user_namespaces.7.html",
			"https://github.com/kubernetes/kubernetes/issues/117159",
		},
		Scenes: []Scene{userNamespaceScene},
		Causes: []Cause{{"", "the containers of the Pod do not share the sandbox's user namespace", "compare /proc/self/ns/user and /proc/self/uid_map of the containers"}},
		Check:  checkUserNamespace,
	},
}

// accessOf returns the subject's access matrix, which several traits rest on.
func accessOf(ctx context.Context, stage *Stage) (accessMatrix, error) {
	return once(stage, "access matrix", func(stage *Stage) (accessMatrix, error) { return lookAtAccess(ctx, stage) })
}

// accessClaim says what a caller must meet with a target: "allowed" or an errno.
type accessClaim struct {
	want, caller, target string
	operations           []string
}

// checkAccess is the check of a trait that claims some cells of the matrix, and leaves those as evidence.
func checkAccess(title string, claims func(accessMatrix) []accessClaim) func(context.Context, *Stage, gomega.Gomega) error {
	return func(ctx context.Context, stage *Stage, g gomega.Gomega) error {
		matrix, err := accessOf(ctx, stage)
		if err != nil {
			return err
		}
		if matrix.unseen != "" {
			return matrix.unseen
		}
		claimed := claims(matrix)
		var cells []reports.Access
		for _, claim := range claimed {
			for _, operation := range claim.operations {
				cells = append(cells, matrix.cell(claim.caller, claim.target, operation))
			}
		}
		stage.recordCredentials(matrix.callers)
		stage.recordAccess(title, cells...)
		judgeClaims(g, matrix, claimed)
		return nil
	}
}

// recordAccess keeps cells of the matrix as evidence.
func (stage *Stage) recordAccess(title string, cells ...reports.Access) {
	stage.Record(accessScene, reports.Evidence{Title: title, Where: accessScene.Name, Access: cells})
}

// recordCredentials keeps who the callers are as evidence.
func (stage *Stage) recordCredentials(callers []accessParty) {
	var text strings.Builder
	for _, caller := range callers {
		fmt.Fprintf(&text, "%s: uid %d, gid %d, CapEff %016x\n", caller.name, caller.UID, caller.GID, caller.Effective)
	}
	stage.Record(accessScene, reports.Evidence{Title: "credentials of the callers", Where: accessScene.Name, Command: "cat /proc/self/status", Output: text.String()})
}

func (matrix accessMatrix) caller(name string) accessParty {
	for _, caller := range matrix.callers {
		if caller.name == name {
			return caller
		}
	}
	panic("the access matrix has no caller " + name)
}

// of returns the cells of one caller.
func (matrix accessMatrix) of(caller string) []reports.Access {
	return slices.DeleteFunc(slices.Clone(matrix.cells), func(cell reports.Access) bool { return cell.Caller != caller })
}

// judgeClaims holds cells to what is claimed of them. A cell that the platform was detected to narrow is held to what
// the platform allows.
func judgeClaims(g gomega.Gomega, matrix accessMatrix, claims []accessClaim) {
	g.Expect(claims).NotTo(gomega.BeEmpty(), "there must be a process of another uid")
	for _, claim := range claims {
		for _, operation := range claim.operations {
			cell, want, why := matrix.cell(claim.caller, claim.target, operation), claim.want, ""
			if cell.Narrowed != "" {
				want, why = cell.Expected, " under "+cell.Narrowed
			}
			g.Expect(cell.Observed).To(gomega.Equal(want), "%s of the %s by %s is %s, must be %s%s", operation, claim.target, claim.caller, cell.Observed, want, why)
		}
	}
}

// judgeAccess holds every cell to its rule, and names all that differ.
func judgeAccess(g gomega.Gomega, cells []reports.Access) {
	var differing []string
	for _, cell := range cells {
		if cell.Observed != cell.Expected {
			differing = append(differing, fmt.Sprintf("%s of the %s by %s is %s, must be %s (%s)", cell.Operation, cell.Target, cell.Caller, cell.Observed, cell.Expected, cell.Rule))
		}
	}
	const shown = 3
	g.Expect(differing).To(gomega.BeEmpty(), "%d of %d cells differ from the kernel's rules: %s", len(differing), len(cells), strings.Join(differing[:min(shown, len(differing))], "; "))
}

// judgeCapabilities compares the effective capabilities with the securityContexts of fixtures/access-matrix.yaml.
func judgeCapabilities(g gomega.Gomega, callers []accessParty) {
	for _, caller := range callers {
		ptrace, kill := caller.Effective&capSysPtrace != 0, caller.Effective&capKill != 0
		g.Expect(ptrace).To(gomega.Equal(caller.name == callerTracer), "%s: CAP_SYS_PTRACE is effective: %t", caller.name, ptrace)
		switch caller.name {
		case callerTracer, callerRoot:
			g.Expect(kill).To(gomega.BeTrue(), "%s: CAP_KILL, which every runtime gives by default, is not effective", caller.name)
		case callerRootLessKill:
			g.Expect(kill).To(gomega.BeFalse(), "%s: CAP_KILL is dropped and still effective", caller.name)
			g.Expect(caller.Effective).NotTo(gomega.BeZero(), "%s: only CAP_KILL is dropped, and nothing is left", caller.name)
		case callerRootKill:
			g.Expect(caller.Effective).To(gomega.BeEquivalentTo(capKill), "%s: CAP_KILL alone must be effective, CapEff is %016x", caller.name, caller.Effective)
		default:
			g.Expect(caller.Effective).To(gomega.BeZero(), "%s: no capability must be effective, CapEff is %016x", caller.name, caller.Effective)
		}
	}
}

func judgeSameUID(g gomega.Gomega, environ, file, signal pod.Observation) {
	g.Expect(environ.ExitCode).To(gomega.BeZero(), "the environment of a process of the same uid must be readable, errno %s", environ.Errno())
	g.Expect(environ.Output).To(gomega.ContainSubstring("PATH="), "the environment that was read must be a container's")
	g.Expect(file.Output).To(gomega.Equal("canary-for-everyone"), "a file of a process of the same uid must be readable, errno %s", file.Errno())
	g.Expect(signal.ExitCode).To(gomega.BeZero(), "a process of the same uid must take signals, errno %s", signal.Errno())
}

// checkUserNamespace looks at the Pod of fixtures/file-modes.yaml in a user namespace of its own.
func checkUserNamespace(ctx context.Context, stage *Stage, g gomega.Gomega) error {
	if err := stage.supportsUserNamespaces(ctx); err != nil {
		return err
	}
	visitor, err := stage.Look(ctx, userNamespaceScene, "visitor", "user namespace of one container", "readlink /proc/self/ns/user", "cat /proc/self/uid_map")
	if err != nil {
		return err
	}
	owner, err := stage.Find(ctx, userNamespaceScene, "visitor", "processes seen from a container of the same uid", ownerSleep...)
	if err != nil {
		return err
	}
	looked, err := stage.Look(ctx, userNamespaceScene, "visitor", "uid 1000 against uid 1000 in one user namespace",
		fmt.Sprintf("readlink /proc/%d/ns/user", owner.PID), fmt.Sprintf("cat /proc/%d/environ", owner.PID),
		fmt.Sprintf("cat /proc/%d/root/files/readable", owner.PID), fmt.Sprintf("kill -0 %d", owner.PID),
		fmt.Sprintf("cat /proc/%d/root/files/private", owner.PID))
	if err != nil {
		return err
	}
	g.Expect(strings.Fields(visitor[1].Output)).NotTo(gomega.Equal([]string{"0", "0", "4294967295"}), "the Pod must not be in the node's user namespace")
	g.Expect(looked[0].Output).To(gomega.Equal(visitor[0].Output), "the containers must be in one user namespace")
	judgeSameUID(g, looked[1], looked[2], looked[3])
	g.Expect(looked[4].Errno()).To(gomega.Equal("EACCES"), "the private file must be denied, it gave %s", quote(looked[4].Output))
	return nil
}

// supportsUserNamespaces asks the node whether the subject's runtime handler can have Pods in user namespaces, as
// the CRI reports it since Kubernetes 1.30.
func (stage *Stage) supportsUserNamespaces(ctx context.Context) error {
	node, err := stage.scenes.client.CoreV1().Nodes().Get(ctx, stage.subject.Node, metav1.GetOptions{})
	if err != nil {
		return err
	}
	for _, handler := range node.Status.RuntimeHandlers {
		if handler.Name == stage.subject.RuntimeHandler {
			if handler.Features == nil || handler.Features.UserNamespaces == nil || !*handler.Features.UserNamespaces {
				return unsupported(fmt.Sprintf("the runtime handler %q of node %s reports no support for user namespaces", handler.Name, node.Name))
			}
			return nil
		}
	}
	return unsupported(fmt.Sprintf("node %s reports no features of the runtime handler %q, so none for user namespaces", node.Name, stage.subject.RuntimeHandler))
}

// guardedOperations are what the kernel guards of a process, each with the errno of its refusal: proc(5) asks
// for ptrace access, kill(2) for an equal uid or CAP_KILL.
var guardedOperations = []struct{ command, errno string }{
	{"cat /proc/%d/environ", "EACCES"},
	{"ls /proc/%d/root/", "EACCES"},
	{"ls /proc/%d/cwd/", "EACCES"},
	{"head -c 1 /proc/%d/exe", "EACCES"},
	{"ls /proc/%d/fd", "EACCES"},
	{"cat /proc/%d/maps", "EACCES"},
	{"kill -0 %d", "EPERM"},
}

// ownerSleep is the start process of the containers called owner.
var ownerSleep = []string{"sleep", "1000000"}

// judgeDenials takes one observation for each guarded operation. Where /proc hides the process, ENOENT or EPERM is as
// good a refusal.
func judgeDenials(g gomega.Gomega, hidden hidepid, observations []pod.Observation) {
	g.Expect(observations).To(gomega.HaveLen(len(guardedOperations)))
	for i, operation := range guardedOperations {
		observation := observations[i]
		refusals := []string{operation.errno}
		if hidden.level != "" && operation.errno == "EACCES" {
			refusals = append(refusals, "ENOENT", "EPERM")
		}
		g.Expect(refusals).To(gomega.ContainElement(observation.Errno()),
			"%s must be refused with %s, it ended with %d: %s", observation.Command, operation.errno, observation.ExitCode, quote(observation.Output))
	}
}

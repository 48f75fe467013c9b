package suites

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"sharedpid.example/helpers/process"
	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
	"sharedpid.example/suites/access"
)

var (
	accessFixture        = suite.Fixture{Name: "access-matrix", Objects: manifest("access-matrix.yaml")}
	userNamespaceFixture = suite.Fixture{
		Name: "user-namespace", Objects: manifest("file-modes.yaml"), Change: inUserNamespace, Newer: []string{hostUsersDropped},
	}
	userNamespaceUnsharedFixture = suite.Fixture{
		Name: "user-namespace-unshared", Objects: manifest("file-modes.yaml"), Unshared: true, Change: inUserNamespace,
		Newer: []string{hostUsersDropped},
	}
)

func inUserNamespace(pod *corev1.Pod) { pod.Spec.HostUsers = new(bool) }

var credentialTraits = []suite.Trait{
	{
		ID: "credentials/uid-mismatch-denies",
		Statement: "A sibling of another uid without capabilities MUST be denied a process's environment, memory map, files and working " +
			"directory with EACCES, and signals with EPERM.",
		Profile:    suite.Article,
		Documented: true,
		Article:    "\"Only UNIX permissions\" leaves out capabilities, dumpability, user namespaces and security modules.",
		Sources:    []string{ptraceSource, killSource},
		Fixtures:   []suite.Fixture{siblingsFixture},
		Causes: []suite.Cause{
			notVisible,
			{
				Words:    "must be refused",
				Cause:    "the visitor has capabilities or a uid that its securityContext does not give it, or a user namespace maps both uids to one",
				NextStep: "compare Uid and CapEff in /proc/self/status of the container with its securityContext",
			},
		},
		Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
			// The tracer finds the process: from the visitor /proc may be mounted so as to hide it.
			target, err := session.Find(ctx, siblingsFixture, "tracer", "processes seen from the tracer", owner)
			if err != nil {
				return err
			}
			commands := []string{"grep -E '^[^ ]+ /proc ' /proc/self/mounts"}
			for _, operation := range guardedOperations {
				commands = append(commands, fmt.Sprintf(operation.command, target.PID))
			}
			observations, err := session.Exec(ctx, siblingsFixture, "visitor", "uid 1000 against root", commands...)
			if err != nil {
				return err
			}
			after, err := session.ProcessesNow(ctx, siblingsFixture, "tracer", "processes afterwards")
			if err != nil {
				return err
			}
			still, found := after.PID(target.PID)
			judge.Precondition.Expect(found && still.StartTime == target.StartTime).To(gomega.BeTrue(),
				"the process that was looked at ended meanwhile")
			judgeDenials(judge, access.ParseHidepid(observations[0].Output), observations[1:])
			return nil
		},
	},
	{
		ID: "credentials/same-uid-allows",
		Statement: "Two containers of one uid without capabilities MUST be allowed to read each other's environment and files, and to " +
			"signal each other.",
		Profile:  suite.Core,
		Sources:  []string{ptraceSource, killSource},
		Fixtures: []suite.Fixture{fileModesFixture, fileModesUnsharedFixture},
		Causes: []suite.Cause{
			{
				Cause:    "something narrows what equal uids allow: a security module, hidepid, a seccomp profile, or undumpable processes",
				NextStep: "look at /proc/self/attr/current, /proc/self/mounts and Seccomp in /proc/self/status of the container",
			},
		},
		Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
			target, err := session.Find(ctx, fileModesFixture, "visitor", "processes seen from a container of the same uid", owner)
			if err != nil {
				return err
			}
			looked, err := session.Exec(ctx, fileModesFixture, "visitor", "uid 1000 against uid 1000", fmt.Sprintf(
				"cat /proc/%d/environ", target.PID,
			),
				fmt.Sprintf("cat /proc/%d/root/files/readable", target.PID), fmt.Sprintf("kill -URG %d", target.PID))
			if err != nil {
				return err
			}
			if err := explainSameUID(ctx, session, fileModesFixture, target, looked[:3]); err != nil {
				return err
			}
			judgeSameUID(judge, looked[0], looked[1], looked[2])
			unshared, err := session.Processes(ctx, fileModesUnsharedFixture, "visitor", "processes seen from a container of the same uid")
			if err != nil {
				return err
			}
			judgeOwnerIsNotVisible(judge, unshared, visitorSleep)
			return nil
		},
	},
	{
		ID: "credentials/access-matrix",
		Statement: "What each process may do to each other one in the Pod MUST be what the kernel's rules say for their uids, gids, " +
			"capabilities and dumpability.",
		Profile: suite.Core,
		Article: "\"Only UNIX permissions\" is one of four rules: the matrix shows all of them at work.",
		Sources: []string{ptraceSource, killSource, capSource, "https://man7.org/linux/man-pages/man5/proc.5.html"},
		Needs:   []suite.Need{accessMatrix},
		Causes: []suite.Cause{
			{
				Words:    "EPERM",
				Cause:    "a seccomp profile or a security module refuses what the rules allow",
				NextStep: "look at Seccomp in /proc/self/status and at /proc/self/attr/current of the caller",
			},
			{
				Cause:    "the runtime's kernel has rules of its own, or something narrows them that the suite does not detect",
				NextStep: "look at the cell's rule in the report and at the node's security modules",
			},
		},
		Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
			matrix, err := seenMatrix(ctx, session)
			if err != nil {
				return err
			}
			recordAccess(session, accessFixture, "who may do what", matrix.Cells...)
			judgeAccess(judge, matrix.Cells)
			return nil
		},
	},
	{
		ID: "credentials/capabilities-as-requested",
		Statement: "Processes that are started in a container by exec MUST have the capabilities that its securityContext adds and lacks, " +
			"and no others of those that matter between siblings.",
		Profile: suite.Core,
		Sources: []string{criSource, "https://kubernetes.io/docs/tasks/configure-pod-container/security-context/"},
		Needs:   []suite.Need{accessMatrix},
		Causes: []suite.Cause{
			{
				Words:    "is effective: ",
				Cause:    "the runtime grants or strips that capability whatever the container asks for",
				NextStep: "compare the runtime's default capabilities with the container's CapEff",
			},
			{
				Cause:    "the runtime does not apply the container's capabilities to exec",
				NextStep: "compare CapEff of an exec with that of the container's start process",
			},
		},
		Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
			looked, err := accessMatrix.Of(ctx, session)
			if err != nil {
				return err
			}
			recordCredentials(session, accessFixture, looked.Callers...)
			judgeCapabilities(judge, looked.Callers)
			return nil
		},
	},
	{
		ID: "credentials/root-without-ptrace",
		Statement: "Root with the default capabilities MUST be allowed to read the environment and the files of a sibling's process that is " +
			"root with the same capabilities: CAP_SYS_PTRACE is not needed.",
		Profile: suite.Core,
		Article: "/proc/PID/root of the nginx master does not need the CAP_SYS_PTRACE that the article's shell has.",
		Sources: []string{ptraceSource},
		Needs:   []suite.Need{accessMatrix},
		Causes: []suite.Cause{{
			Cause:    "something narrows what equal credentials allow: a security module, or containers of other default capabilities",
			NextStep: "compare CapEff and /proc/self/attr/current of the two containers",
		}},
		Check: checkAccess("root against the nginx master, equal in uid and capabilities", func(access.Matrix) []accessClaim {
			return []accessClaim{{access.Allowed, access.CallerRoot, access.TargetMaster, []string{"environ", "root", "maps"}}}
		}),
	},
	{
		ID: "credentials/ptrace-crosses-uids",
		Statement: "Root with the default capabilities MUST be denied the environment and files of processes of other uids, and MUST be " +
			"allowed them with CAP_SYS_PTRACE.",
		Profile: suite.Core,
		Sources: []string{ptraceSource, capSource},
		Needs:   []suite.Need{accessMatrix},
		Causes: []suite.Cause{
			{
				Words:    "must be EACCES",
				Cause:    "the runtime grants CAP_SYS_PTRACE to containers that do not ask for it, or the uids are not apart",
				NextStep: "compare CapEff of the container with its securityContext",
			},
			{
				Words:    "must be allowed",
				Cause:    "the runtime or an admission policy strips CAP_SYS_PTRACE that the container asks for",
				NextStep: "compare CapEff of the container with its securityContext; some managed platforms refuse CAP_SYS_PTRACE",
			},
		},
		Check: checkAccess("root against other uids, without CAP_SYS_PTRACE and with it", func(matrix access.Matrix) []accessClaim {
			var claims []accessClaim
			for _, target := range matrix.Targets {
				if target.UID == 0 {
					continue // an older pause runs as root, and is no process of another uid
				}
				operations := []string{"environ", "root", "exe"}
				claims = append(claims, accessClaim{"EACCES", access.CallerRoot, target.Name, operations},
					accessClaim{access.Allowed, access.CallerTracer, target.Name, operations})
			}
			return claims
		}),
	},
	{
		ID: "credentials/capability-subset-rule",
		Statement: "Of two processes of root, the one that lacks a capability of the other MUST be denied its environment and files, and " +
			"MUST be allowed to signal it.",
		Profile: suite.Core,
		Sources: []string{ptraceSource, killSource},
		Needs:   []suite.Need{accessMatrix},
		Causes: []suite.Cause{{
			Cause:    "the runtime does not give the containers the capabilities that they ask for",
			NextStep: "compare CapPrm and CapEff of both processes with the securityContexts",
		}},
		Check: checkAccess("root with fewer capabilities than its target", func(access.Matrix) []accessClaim {
			return []accessClaim{
				{"EACCES", access.CallerRootBare, access.TargetMaster, []string{"environ", "root"}},
				{access.Allowed, access.CallerRootBare, access.TargetMaster, []string{"signal"}},
				{"EACCES", access.CallerRoot, access.TargetTracer, []string{"environ", "root"}},
				{access.Allowed, access.CallerRoot, access.TargetTracer, []string{"signal"}},
			}
		}),
	},
	{
		ID: "credentials/perfmon-reads-memory-maps",
		Statement: "CAP_PERFMON or CAP_SYS_ADMIN, of the initial user namespace, MAY let a container read the environment and the memory " +
			"maps of processes of any uid, as newer kernels do. Either MUST NOT open their memory, files, root or working directory.",
		Profile: suite.Full,
		Article: "On newer kernels a profiler's sidecar with CAP_PERFMON reads the secrets in every environment of the Pod.",
		Sources: []string{capSource, ptraceSource, "https://man7.org/linux/man-pages/man5/proc_pid_maps.5.html"},
		Needs:   []suite.Need{accessMatrix},
		Causes: []suite.Cause{
			{
				Words:    "is EACCES, must be allowed",
				Cause:    "something narrows the kernel's rules: a seccomp profile, or a security module that the suite does not detect",
				NextStep: "look at Seccomp in /proc/self/status and at /proc/self/attr/current of the caller",
			},
			{
				Cause:    "the runtime gives the container more than it asks for, or its kernel has rules of its own",
				NextStep: "look at the cell's rule in the report, and compare CapEff of the container with its securityContext",
			},
		},
		Check: checkPerfmon,
	},
	{
		ID:        "credentials/ptrace-inert-for-non-root",
		Statement: "CAP_SYS_PTRACE that is added to a container of a non-root user MUST NOT become effective, and MUST NOT grant anything.",
		Profile:   suite.Core,
		Sources:   []string{capSource, "https://github.com/kubernetes/kubernetes/issues/56374"},
		Needs:     []suite.Need{accessMatrix},
		Causes: []suite.Cause{{
			Cause:    "the runtime puts added capabilities into the ambient set, or starts the process as another user",
			NextStep: "look at Uid, CapAmb and CapEff in /proc/self/status of the container",
		}},
		Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
			looked, err := accessMatrix.Of(ctx, session)
			if err != nil {
				return err
			}
			caller := looked.Caller(access.CallerInert)
			recordCredentials(session, accessFixture, caller)
			judge.Claim.Expect(caller.UID).To(gomega.Equal(1000), "the caller must run as the uid that its securityContext names")
			judge.Claim.Expect(caller.Effective).To(gomega.BeZero(),
				"capabilities added to a non-root user must not be effective, CapEff is %016x", caller.Effective)
			judge.Precondition.Expect(looked.Unseen).To(gomega.BeEmpty(), "whether the capability grants anything cannot be looked at")
			recordAccess(session, accessFixture, "uid 1000 to whose container CAP_SYS_PTRACE was added", looked.Of(access.CallerInert)...)
			for _, target := range []string{access.TargetMaster, access.TargetWorker, access.TargetTracer} {
				for _, operation := range []string{"environ", "root"} {
					cell := looked.Cell(access.CallerInert, target, operation)
					judgeDecided(judge, cell)
					judge.Claim.Expect(cell.Observed).To(gomega.Equal(cell.Want),
						"%s of the %s is %s to uid 1000, must be %s", operation, target, cell.Observed, cell.Want)
				}
			}
			return nil
		},
	},
	{
		ID: "credentials/unconfined-is-unfiltered",
		Statement: "A container with CAP_SYS_PTRACE that asks for the seccomp profile Unconfined MUST have no seccomp filter, which could " +
			"refuse it ptrace(2) and process_vm_readv(2) on a sibling.",
		Profile: suite.Core,
		Sources: []string{
			"https://kubernetes.io/docs/reference/node/seccomp/", criSource, ptraceSource,
			"https://man7.org/linux/man-pages/man2/seccomp.2.html", "https://man7.org/linux/man-pages/man5/proc_pid_status.5.html",
		},
		Fixtures: []suite.Fixture{seccompFixture, hostPIDFixture},
		Causes: []suite.Cause{
			{
				Words:    "is not visible",
				Cause:    ownNamespaces.Cause,
				NextStep: ownNamespaces.NextStep,
			},
			{
				Cause:    "the runtime has a profile of its own for containers that ask for none",
				NextStep: "look at linux.seccomp in the container's config.json on the node, and at the runtime's default profile",
			},
		},
		Check: checkUnfiltered,
	},
	{
		ID: "credentials/user-namespace",
		Statement: "With hostUsers: false, all containers of the Pod MUST share one user namespace that is not the node's, and the rules " +
			"MUST hold inside it.",
		Profile: suite.Full,
		Sources: []string{
			"https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/127-user-namespaces",
			"https://man7.org/linux/man-pages/man7/user_namespaces.7.html",
			"https://github.com/kubernetes/kubernetes/issues/117159",
		},
		Requires:       []suite.Requirement{userNamespaces},
		WhenNotStarted: []suite.Requirement{startInUserNamespace},
		Fixtures:       []suite.Fixture{userNamespaceFixture, userNamespaceUnsharedFixture, fileModesFixture},
		Causes: []suite.Cause{sharesUnasked, {
			Cause:    "the containers of the Pod do not share the sandbox's user namespace",
			NextStep: "compare /proc/self/ns/user and /proc/self/uid_map of the containers",
		}},
		Check: checkUserNamespace,
	},
	systemCallsTrait, debuggedTrait, groupsPolicyTrait,
}

// accessClaim says what a caller must meet with a target: "allowed" or an errno.
type accessClaim struct {
	want, caller, target string
	operations           []string
}

// checkAccess is the check of a trait that claims some cells of the matrix, and leaves those as evidence.
func checkAccess(title string, claims func(access.Matrix) []accessClaim) func(context.Context, *suite.Session, suite.Judge) error {
	return func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
		matrix, err := seenMatrix(ctx, session)
		if err != nil {
			return err
		}
		claimed := claims(matrix)
		var cells []reports.Access
		for _, claim := range claimed {
			for _, operation := range claim.operations {
				cells = append(cells, matrix.Cell(claim.caller, claim.target, operation))
			}
		}
		recordCredentials(session, accessFixture, slices.Concat(matrix.Callers, matrix.Targets)...)
		recordAccess(session, accessFixture, title, cells...)
		judgeClaims(judge, matrix, claimed)
		return nil
	}
}

// judgeClaims holds cells to what is claimed of them. A cell that the platform was detected to narrow is held to what
// the platform allows; what a security module refuses of a claim cannot be had on the platform.
func judgeClaims(judge suite.Judge, matrix access.Matrix, claims []accessClaim) {
	judge.Precondition.Expect(claims).NotTo(gomega.BeEmpty(), "there must be a process of another uid")
	for _, claim := range claims {
		for _, operation := range claim.operations {
			cell, want, why := matrix.Cell(claim.caller, claim.target, operation), claim.want, ""
			if err := excuseCell(matrix, cell); err != nil && want == access.Allowed {
				judge.Stop(err)
			}
			if cell.Narrowed != "" {
				want, why = cell.Want, " under "+cell.Narrowed
			}
			judgeDecided(judge, cell)
			judge.Claim.Expect(cell.Observed).To(gomega.Equal(want),
				"%s of the %s by %s is %s, must be %s%s", operation, claim.target, claim.caller, cell.Observed, want, why)
		}
	}
}

// excuseCell is the error of a check that claims a cell which a security module refuses, nil for every other cell.
func excuseCell(matrix access.Matrix, cell reports.Access) error {
	if cell.Narrowed == "" {
		return nil
	}
	caller := matrix.Caller(cell.Caller)
	if cell.Narrowed != access.SecurityModule(caller.Label) {
		return nil
	}
	return excuse(caller, matrix.Target(cell.Target), fmt.Sprintf("%s of the %s by %s is %s",
		cell.Operation, cell.Target, cell.Caller, cell.Observed))
}

// judgeDecided holds that cells show what the kernel answered. Where a command itself failed, nothing is known of its target.
func judgeDecided(judge suite.Judge, cells ...reports.Access) {
	for _, cell := range cells {
		judge.Precondition.Expect(access.Decided(cell.Observed)).To(gomega.BeTrue(),
			"%s of the %s by %s could not be tried, it %s", cell.Operation, cell.Target, cell.Caller, quote(cell.Observed))
	}
}

// judgeAccess holds every cell to its rule, and names all that differ. A caller whose commands fail accuses nobody: by its other cells
// the rules of its kernel cannot be told.
func judgeAccess(judge suite.Judge, cells []reports.Access) {
	undecided := map[string]bool{}
	for _, cell := range cells {
		undecided[cell.Caller] = undecided[cell.Caller] || !access.Decided(cell.Observed)
	}
	var differing []string
	for _, cell := range cells {
		if cell.Observed != cell.Want && !undecided[cell.Caller] {
			differing = append(differing,
				fmt.Sprintf("%s of the %s by %s is %s, must be %s (%s)", cell.Operation, cell.Target, cell.Caller, cell.Observed, cell.Want, cell.Rule))
		}
	}
	const shown = 3
	judge.Claim.Expect(differing).To(gomega.BeEmpty(),
		"%d of %d cells differ from the kernel's rules: %s", len(differing), len(cells), strings.Join(
			differing[:min(shown, len(differing))], "; ",
		))
	judgeDecided(judge, cells...)
}

// siblingCapability matters between siblings and is given by no runtime by default. One caller of
// fixtures/manifests/access-matrix.yaml asks for it.
type siblingCapability struct {
	name   string
	bit    uint64
	caller string
}

var (
	// memoryCapabilities are those that newer kernels let read what describes memory.
	memoryCapabilities = []siblingCapability{
		{"CAP_PERFMON", access.CapPerfmon, access.CallerPerfmon},
		{"CAP_SYS_ADMIN", access.CapSysAdmin, access.CallerAdmin},
	}
	siblingCapabilities = append([]siblingCapability{{"CAP_SYS_PTRACE", access.CapSysPtrace, access.CallerTracer}}, memoryCapabilities...)
)

// judgeCapabilities compares the effective capabilities with the securityContexts of fixtures/manifests/access-matrix.yaml.
func judgeCapabilities(judge suite.Judge, callers []access.Party) {
	for _, caller := range callers {
		for _, capability := range siblingCapabilities {
			effective := caller.Effective&capability.bit != 0
			judge.Claim.Expect(effective).To(gomega.Equal(caller.Name == capability.caller),
				"%s: %s is effective: %t", caller.Name, capability.name, effective)
		}
		kill := caller.Effective&access.CapKill != 0
		switch caller.Name {
		case access.CallerTracer, access.CallerRoot, access.CallerPerfmon, access.CallerAdmin:
			judge.Claim.Expect(kill).To(gomega.BeTrue(), "%s: CAP_KILL, which every runtime gives by default, is not effective", caller.Name)
		case access.CallerRootLessKill:
			judge.Claim.Expect(kill).To(gomega.BeFalse(), "%s: CAP_KILL is dropped and still effective", caller.Name)
			judge.Claim.Expect(caller.Effective).NotTo(gomega.BeZero(), "%s: only CAP_KILL is dropped, and nothing is left", caller.Name)
		case access.CallerRootKill:
			judge.Claim.Expect(caller.Effective).To(gomega.BeEquivalentTo(access.CapKill),
				"%s: CAP_KILL alone must be effective, CapEff is %016x", caller.Name, caller.Effective)
		default:
			judge.Claim.Expect(caller.Effective).To(gomega.BeZero(),
				"%s: no capability must be effective, CapEff is %016x", caller.Name, caller.Effective)
		}
	}
}

// checkPerfmon says what this cluster's kernels do with CAP_PERFMON and CAP_SYS_ADMIN between siblings.
func checkPerfmon(ctx context.Context, session *suite.Session, judge suite.Judge) error {
	looked, err := accessMatrix.Of(ctx, session)
	if err != nil {
		return err
	}
	if looked.WithoutPerfmon != "" {
		return &suite.Unsupported{Reason: "a container that asks for CAP_PERFMON does not start: " + looked.WithoutPerfmon}
	}
	if looked.absent != nil {
		return looked.absent
	}
	matrix := looked.Matrix
	for _, capability := range memoryCapabilities {
		title := capability.name + " reads the environment and the memory maps of processes of other uids here"
		if matrix.Cell(capability.caller, access.TargetWorker, "maps").Observed != access.Allowed {
			title = capability.name + " opens nothing of processes of other uids here"
		}
		recordAccess(session, accessFixture, title, matrix.Of(capability.caller)...)
	}
	for _, capability := range memoryCapabilities {
		judge.Precondition.Expect(matrix.Caller(capability.caller).Effective&capability.bit).NotTo(gomega.BeZero(),
			"%s is not effective in the container that asks for it: credentials/capabilities-as-requested is about that", capability.name)
		judgeAccess(judge, matrix.Of(capability.caller))
	}
	return nil
}

// explainSameUID asks whether a security module narrows what judgeSameUID is given.
func explainSameUID(
	ctx context.Context, session *suite.Session, fixture suite.Fixture, target process.Process, looked []suite.ExecResult,
) error {
	for i, operation := range []string{"environ", "root", "signal"} {
		if err := explainRefusal(ctx, session, fixture, "visitor", target, operation, looked[i]); err != nil {
			return err
		}
	}
	return nil
}

func judgeSameUID(judge suite.Judge, environ, file, signal suite.ExecResult) {
	judgeRun(judge, environ, file, signal)
	judge.Claim.Expect(environ.ExitCode).To(gomega.BeZero(),
		"the environment of a process of the same uid must be readable, errno %s", environ.Errno())
	judge.Claim.Expect(environ.Output).To(gomega.ContainSubstring("PATH="), "the environment that was read must be a container's")
	judge.Claim.Expect(file.Output).To(gomega.Equal("canary-for-everyone"),
		"a file of a process of the same uid must be readable, errno %s", file.Errno())
	judge.Claim.Expect(signal.ExitCode).To(gomega.BeZero(), "a process of the same uid must take signals, errno %s", signal.Errno())
}

// hostUsersDropped is how session.Changes says that the API does not know hostUsers: it is no admission that changes the Pod.
const hostUsersDropped = "spec.hostUsers was sent as false and is unset"

// lookAtUserNamespace prints the user namespace of a container, its uid_map, and which kernel it has.
var lookAtUserNamespace = []string{"readlink /proc/self/ns/user", "cat /proc/self/uid_map", "cat /proc/sys/kernel/random/boot_id"}

// checkUserNamespace looks at the Pod of fixtures/file-modes.yaml in a user namespace of its own.
func checkUserNamespace(ctx context.Context, session *suite.Session, judge suite.Judge) error {
	if err := known(ctx, session, userNamespaceFixture, "hostUsers"); err != nil {
		return err
	}
	// The other Pod comes up beside it: when neither starts there is not the time for one after the other.
	if _, err := session.Changes(ctx, userNamespaceUnsharedFixture); err != nil {
		return suite.ControlFailed(err)
	}
	visitor, err := session.Exec(ctx, userNamespaceFixture, "visitor", "user namespace of one container", lookAtUserNamespace...)
	if err != nil {
		return err
	}
	node, err := session.Exec(ctx, fileModesFixture, "visitor", "user namespace of a Pod in the node's", lookAtUserNamespace...)
	if err != nil {
		return suite.ControlFailed(err)
	}
	judgeMapped(judge, visitor, node)
	target, err := session.Find(ctx, userNamespaceFixture, "visitor", "processes seen from a container of the same uid", owner)
	if err != nil {
		return err
	}
	looked, err := session.Exec(ctx, userNamespaceFixture, "visitor", "uid 1000 against uid 1000 in one user namespace",
		fmt.Sprintf("readlink /proc/%d/ns/user", target.PID), fmt.Sprintf("cat /proc/%d/environ", target.PID),
		fmt.Sprintf("cat /proc/%d/root/files/readable", target.PID), fmt.Sprintf("kill -URG %d", target.PID),
		fmt.Sprintf("cat /proc/%d/root/files/private", target.PID))
	if err != nil {
		return err
	}
	judgeRun(judge, looked...)
	if err := explainRefusal(ctx, session, userNamespaceFixture, "visitor", target, "ns", looked[0]); err != nil {
		return err
	}
	judge.Precondition.Expect(looked[0].Answer()).NotTo(gomega.BeEmpty(),
		"the user namespace of the sibling cannot be read: %s", quote(looked[0].Output))
	judge.Claim.Expect(looked[0].Output).To(gomega.Equal(visitor[0].Output), "the containers must be in one user namespace")
	if err := explainSameUID(ctx, session, userNamespaceFixture, target, looked[1:4]); err != nil {
		return err
	}
	judgeSameUID(judge, looked[1], looked[2], looked[3])
	judge.Claim.Expect(looked[4].Errno()).To(gomega.Equal("EACCES"), "the private file must be denied, it gave %s", quote(looked[4].Output))
	unshared, err := session.Processes(ctx, userNamespaceUnsharedFixture, "visitor", "processes seen from the visitor")
	if err != nil {
		return suite.ControlFailed(err)
	}
	judgeOwnerIsNotVisible(judge, unshared, visitorSleep)
	return nil
}

// judgeMapped takes what lookAtUserNamespace showed in a Pod with hostUsers: false and in one without. The latter is in the node's
// user namespace, where the same number and the same kernel mean the same namespace. Under a kernel of the Pod's own nothing can be told.
func judgeMapped(judge suite.Judge, mapped, node []suite.ExecResult) {
	for _, each := range slices.Concat(mapped, node) {
		judge.Precondition.Expect(each.Answer()).NotTo(gomega.BeEmpty(), "%s shows nothing: %s", each.Command, quote(each.Output))
	}
	judge.Precondition.Expect(len(strings.Fields(mapped[1].Output))%3).To(gomega.BeZero(), "no uid_map: %s", quote(mapped[1].Output))
	judge.Precondition.Expect(mapped[2].Output).To(gomega.Equal(node[2].Output), "the Pods do not have one kernel")
	judge.Claim.Expect(mapped[0].Output).NotTo(gomega.Equal(node[0].Output),
		"the Pod must not be in the node's user namespace, its uid_map is %s", quote(mapped[1].Output))
}

// startInUserNamespace is whether Pods in user namespaces start on the node, whatever its runtime reports.
var startInUserNamespace = startsUnshared("Pods in user namespaces that start", "a Pod in a user namespace",
	userNamespaceUnsharedFixture, "visitor", "owner")

// userNamespaces asks the node whether the target's runtime handler can have Pods in user namespaces, as the CRI reports it
// since Kubernetes 1.30.
var userNamespaces = suite.Requirement{
	Name: "user namespaces",
	Missing: func(ctx context.Context, session *suite.Session) (string, error) {
		node, err := session.Node(ctx)
		if err != nil {
			return "", err
		}
		wanted := session.Target().RuntimeHandler
		at := slices.IndexFunc(node.Status.RuntimeHandlers, func(handler corev1.NodeRuntimeHandler) bool { return handler.Name == wanted })
		if at < 0 {
			return fmt.Sprintf("node %s reports no features of the runtime handler %q, so none for user namespaces", node.Name, wanted), nil
		}
		features := node.Status.RuntimeHandlers[at].Features
		if features == nil || features.UserNamespaces == nil || !*features.UserNamespaces {
			return fmt.Sprintf("the runtime handler %q of node %s reports no support for user namespaces", wanted, node.Name), nil
		}
		return "", nil
	},
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
	{"kill -URG %d", "EPERM"},
}

// judgeDenials takes one observation for each guarded operation. Where /proc hides the process, ENOENT or EPERM is as
// good a refusal. What succeeds accuses; what fails in another way than promised neither shows the refusal nor accuses.
func judgeDenials(judge suite.Judge, hidden access.Hidepid, observations []suite.ExecResult) {
	judge.Precondition.Expect(observations).To(gomega.HaveLen(len(guardedOperations)))
	for i, observation := range observations {
		judge.Claim.Expect(observation.ExitCode).NotTo(gomega.BeZero(), "%s must be refused with %s, it gave %s",
			observation.Command, guardedOperations[i].errno, quote(observation.Output))
	}
	judgeRun(judge, observations...)
	for i, operation := range guardedOperations {
		observation := observations[i]
		refusals := []string{operation.errno}
		if hidden.Level != "" && operation.errno == "EACCES" {
			refusals = append(refusals, "ENOENT", "EPERM")
		}
		judge.Precondition.Expect(refusals).To(gomega.ContainElement(observation.Errno()),
			"%s was not refused with %s, it ended with %d: %s",
			observation.Command, operation.errno, observation.ExitCode, quote(observation.Output))
	}
}

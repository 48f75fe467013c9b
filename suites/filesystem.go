package suites

import (
	"context"
	"fmt"

	"github.com/onsi/gomega"

	"sharedpid.example/helpers/process"
	"sharedpid.example/helpers/suite"
)

var filesystemTraits = []suite.Trait{
	{
		ID:        "filesystem/volumes-through-proc-root",
		Statement: "A permitted sibling MUST read through /proc/PID/root the volumes that only the other container mounts, Secrets included.",
		Profile:   suite.Core,
		Sources:   []string{rootPage, taskPage},
		Fixtures:  []suite.Fixture{siblingsFixture, siblingsUnsharedFixture},
		Causes: []suite.Cause{{
			Cause:    "the containers share a mount namespace, or something narrows access to /proc/PID/root",
			NextStep: "look at /proc/self/mounts of both containers and at the access matrix",
		}},
		Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
			had, err := session.Exec(ctx, siblingsFixture, "owner", "volumes of the owner, at their own path", "cat /secret/canary /scratch/canary")
			if err != nil {
				return err
			}
			judge.Precondition.Expect(had[0].Output).To(gomega.Equal("canary-in-a-secret-volumecanary in an emptyDir\n"),
				"the owner itself must have both files")
			target, err := session.Find(ctx, siblingsFixture, "tracer", "processes seen from the tracer", owner)
			if err != nil {
				return err
			}
			root := rootOf(target)
			looked, err := session.Exec(ctx, siblingsFixture, "tracer", "volumes of the sibling, through /proc and at their own path",
				"cat "+root+"/secret/canary", "cat "+root+"/scratch/canary", "cat /secret/canary", "cat /scratch/canary")
			if err != nil {
				return err
			}
			if err := explainRefusal(ctx, session, siblingsFixture, "tracer", target, "root", looked[:2]...); err != nil {
				return err
			}
			judgeVolumes(judge, looked)
			unshared, err := session.Processes(ctx, siblingsUnsharedFixture, "tracer", "processes seen from the tracer")
			if err != nil {
				return err
			}
			judgeOwnerIsNotVisible(judge, unshared, tracerSleep)
			return nil
		},
	},
	{
		ID: "filesystem/write-through-proc-root",
		Statement: "A permitted sibling MUST be able to write into another container's file system through /proc/PID/root, and MUST get " +
			"EROFS where readOnlyRootFilesystem is set.",
		Profile:  suite.Core,
		Article:  "What is readable through /proc/PID/root is writable as well, as far as modes allow.",
		Sources:  []string{rootPage, "https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#security-context-1"},
		Fixtures: []suite.Fixture{siblingsFixture, siblingsUnsharedFixture},
		Causes: []suite.Cause{
			{
				Words:    "read-only root file system",
				Cause:    "the runtime does not mount the container's root read-only",
				NextStep: "look at root.readonly in the container's config.json on the node",
			},
			{
				Cause:    "the container's root file system is read-only although nobody asked for it",
				NextStep: "look at root.readonly in the container's config.json on the node",
			},
		},
		Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
			writable, err := session.Find(ctx, siblingsFixture, "tracer", "processes seen from the tracer", owner)
			if err != nil {
				return err
			}
			sealed, err := session.Find(ctx, siblingsFixture, "tracer", "processes seen from the tracer", sealed)
			if err != nil {
				return err
			}
			before, err := session.Exec(ctx, siblingsFixture, "owner", "the file before it is written", "cat /written")
			if err != nil {
				return err
			}
			writes, err := session.ExecOnce(ctx, siblingsFixture, "tracer", "writes through /proc",
				"echo written by a sibling >"+rootOf(writable)+"/written", "touch "+rootOf(sealed)+"/written")
			if err != nil {
				return err
			}
			for i, target := range []process.Process{writable, sealed} {
				if err := explainRefusal(ctx, session, siblingsFixture, "tracer", target, "root", writes[i]); err != nil {
					return err
				}
			}
			after, err := session.Exec(ctx, siblingsFixture, "owner", "the file after it was written", "cat /written")
			if err != nil {
				return err
			}
			judgeWrites(judge, writes[0], writes[1], before[0], after[0])
			unshared, err := session.Processes(ctx, siblingsUnsharedFixture, "tracer", "processes seen from the tracer")
			if err != nil {
				return err
			}
			judgeOwnerIsNotVisible(judge, unshared, tracerSleep)
			return nil
		},
	},
	{
		ID:         "filesystem/config-through-proc-root",
		Statement:  "A permitted sibling MUST read the files of another container through /proc/PID/root, byte for byte.",
		Profile:    suite.Article,
		Documented: true,
		Article:    "Root in a container with equal capabilities does not need CAP_SYS_PTRACE for the nginx master; it does for the workers.",
		Sources:    []string{rootPage},
		Fixtures:   []suite.Fixture{articleFixture, articleUnsharedFixture},
		Causes: []suite.Cause{
			blindControl,
			sharesUnasked,
			notVisible,
			{
				Words:    "own as well",
				Cause:    "the containers share a mount namespace",
				NextStep: "compare /proc/self/ns/mnt of both containers",
			},
			{
				Words:    "not the same as",
				Cause:    "/proc/PID/root leads elsewhere than to the container's root directory",
				NextStep: "compare ls -li of the file through /proc/PID/root with the one in the container itself",
			},
			{
				Cause:    "a security module, hidepid or a seccomp profile narrows what the ptrace access check permits",
				NextStep: "look at /proc/self/attr/current, at Seccomp in /proc/self/status and at /proc/self/mounts of the caller",
			},
		},
		Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
			target, err := session.Find(ctx, articleFixture, "shell", "processes seen from the shell", master)
			if err != nil {
				return err
			}
			// One file that is mounted into nginx and one of its image.
			files := []string{"/etc/nginx/nginx.conf", "/etc/nginx/mime.types"}
			var through, own []string
			for _, file := range files {
				through = append(through, "cat "+rootOf(target)+file, "cat "+file)
				own = append(own, "cat "+file)
			}
			read, err := session.Exec(ctx, articleFixture, "shell", "read through /proc, and at the same path of the shell", through...)
			if err != nil {
				return err
			}
			if err := explainRefusal(ctx, session, articleFixture, "shell", target, "root", read[0], read[2]); err != nil {
				return err
			}
			had, err := session.Exec(ctx, articleFixture, "nginx", "what nginx has", own...)
			if err != nil {
				return err
			}
			for i := range files {
				judgeSameFile(judge, had[i], read[2*i], read[2*i+1], i == 0)
			}
			unshared, err := session.Processes(ctx, articleUnsharedFixture, "shell", "processes seen from the shell")
			if err != nil {
				return err
			}
			judgeNginxIsNotVisible(judge, unshared)
			return nil
		},
	},
	{
		ID:         "filesystem/modes-still-hold",
		Statement:  "Behind /proc/PID/root, a file's mode MUST deny a non-root sibling of another uid than the file's.",
		Profile:    suite.Article,
		Documented: true,
		Sources: []string{
			rootPage,
			"https://man7.org/linux/man-pages/man7/path_resolution.7.html",
		},
		Fixtures: []suite.Fixture{fileModesFixture},
		Causes: []suite.Cause{
			notVisible,
			{
				Words:    "must be denied",
				Cause:    "the visitor runs as another user than its securityContext says, or with capabilities that pass over modes",
				NextStep: "compare Uid and CapEff in /proc/self/status of the container with its securityContext",
			},
			{
				Cause:    "a security module, hidepid or a seccomp profile narrows what the ptrace access check permits",
				NextStep: "look at /proc/self/attr/current, at Seccomp in /proc/self/status and at /proc/self/mounts of the caller",
			},
		},
		Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
			target, err := session.Find(ctx, fileModesFixture, "visitor", "processes seen from the visitor, uid 1000", owner)
			if err != nil {
				return err
			}
			root := rootOf(target) + "/files/"
			reads, err := session.Exec(ctx, fileModesFixture, "visitor", "files of the sibling, read by uid 1000",
				"cat "+root+"readable", "cat "+root+"private", "ls -ln "+root+"..data/private")
			if err != nil {
				return err
			}
			if err := explainRefusal(ctx, session, fileModesFixture, "visitor", target, "root", reads[0], reads[2]); err != nil {
				return err
			}
			judgeModesHold(judge, reads[0], reads[1], reads[2])
			return nil
		},
	},
	imageVolumesTrait,
	attachTrait, watchTrait,
}

// rootOf is the root directory of a process, as a sibling that sees it reaches it.
func rootOf(target process.Process) string { return fmt.Sprintf("/proc/%d/root", target.PID) }

func judgeVolumes(judge suite.Judge, looked []suite.ExecResult) {
	judgeRun(judge, looked...)
	judge.Claim.Expect(looked[0].Output).To(gomega.Equal("canary-in-a-secret-volume"),
		"the file of the Secret was not read, errno %s", looked[0].Errno())
	judge.Claim.Expect(looked[1].Output).To(gomega.Equal("canary in an emptyDir\n"),
		"the file of the emptyDir was not read, errno %s", looked[1].Errno())
	for _, own := range looked[2:] {
		// The Pod says that the sibling does not mount them: a runtime that mounts them all the same shares more than pids.
		judge.Claim.Expect(own.Errno()).To(gomega.Equal("ENOENT"), "the volume must not be mounted in the sibling: %s", own.Command)
	}
}

func judgeWrites(judge suite.Judge, written, refused, before, after suite.ExecResult) {
	judgeRun(judge, written, refused, before, after)
	judge.Precondition.Expect(before.Errno()).To(gomega.Equal("ENOENT"), "the file must not exist before it is written")
	judge.Claim.Expect(written.ExitCode).To(gomega.BeZero(), "the file was not written, errno %s", written.Errno())
	judge.Claim.Expect(after.Output).To(gomega.Equal("written by a sibling\n"),
		"what was written does not appear in the other container, errno %s", after.Errno())
	judge.Claim.Expect(refused.Errno()).To(gomega.Equal("EROFS"),
		"a write to a read-only root file system must be refused, it ended with %d: %s", refused.ExitCode, quote(refused.Output))
}

// judgeSameFile compares a file read through /proc with the owner's own and with what the reader's own file system has
// there. Of a file that the Pod mounts into the owner alone, a copy at the reader's own path shows one mount namespace; of a
// file of the owner's image it only shows that the reader's image has it too.
func judgeSameFile(judge suite.Judge, own, through, here suite.ExecResult, mounted bool) {
	judgeRun(judge, own, through, here)
	judge.Precondition.Expect(own.ExitCode).To(gomega.BeZero(), "nginx must have the file: %s", own.Output)
	if mounted {
		judge.Claim.Expect(here.Output).NotTo(gomega.Equal(own.Output), "the file that is mounted into nginx alone is the sibling's own as well")
	}
	judge.Precondition.Expect(here.Errno()).To(gomega.Equal("ENOENT"), "the file must not be the sibling's own")
	judge.Claim.Expect(through.ExitCode).To(gomega.BeZero(), "the sibling must read it, errno %s", through.Errno())
	judge.Claim.Expect(through.Output == own.Output).To(gomega.BeTrue(),
		"%d bytes were read, not the same as the %d bytes that nginx has", len(through.Output), len(own.Output))
}

func judgeModesHold(judge suite.Judge, readable, private, listing suite.ExecResult) {
	judgeRun(judge, readable, private, listing)
	judge.Claim.Expect(readable.Output).To(gomega.Equal("canary-for-everyone"),
		"a file that everyone may read must be reached, errno %q", readable.Errno())
	judge.Precondition.Expect(listing.ExitCode).To(gomega.BeZero(), "the private file must exist: %s", listing.Output)
	judge.Precondition.Expect(listing.Output).To(gomega.HavePrefix("-rw-------"), "the private file must have mode 0600")
	judge.Claim.Expect(private.Errno()).To(gomega.Equal("EACCES"), "the private file must be denied, it gave %s", quote(private.Output))
}

package suites

import (
	"context"
	"fmt"

	"github.com/onsi/gomega"

	"sharedpid.example/helpers/pod"
)

var fileModesScene = Scene{Name: "file-modes", Manifest: "file-modes.yaml", Still: true}

const rootPage = "https://man7.org/linux/man-pages/man5/proc_pid_root.5.html"

var filesystemTraits = []Trait{
	{
		ID:        "filesystem/volumes-through-proc-root",
		Statement: "A permitted sibling MUST read through /proc/PID/root the volumes that only the other container mounts, Secrets included.",
		Profile:   Core,
		Sources:   []string{rootPage, taskPage},
		Scenes:    []Scene{siblingsScene, siblingsUnsharedScene},
		Causes:    []Cause{{"", "the containers share a mount namespace, or something narrows access to /proc/PID/root", "look at /proc/self/mounts of both containers and at the access matrix"}},
		Check: func(ctx context.Context, stage *Stage, g gomega.Gomega) error {
			root, err := rootOf(ctx, stage, siblingsScene, "tracer", ownerSleep...)
			if err != nil {
				return err
			}
			looked, err := stage.Look(ctx, siblingsScene, "tracer", "volumes of the sibling, through /proc and at their own path",
				"cat "+root+"/secret/canary", "cat "+root+"/scratch/canary", "cat /secret/canary", "cat /scratch/canary")
			if err != nil {
				return err
			}
			judgeVolumes(g, looked)
			unshared, err := stage.Processes(ctx, siblingsUnsharedScene, "tracer", "processes seen from the tracer")
			if err != nil {
				return err
			}
			judgeOwnerIsNotVisible(g, unshared, tracerSleep)
			return nil
		},
	},
	{
		ID:        "filesystem/write-through-proc-root",
		Statement: "A permitted sibling MUST be able to write into another container's file system through /proc/PID/root, and MUST get EROFS where readOnlyRootFilesystem is set.",
		Profile:   Core,
		Article:   "What is readable through /proc/PID/root is writable as well, as far as modes allow.",
		Sources:   []string{rootPage, "https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#security-context-1"},
		Scenes:    []Scene{siblingsScene, siblingsUnsharedScene},
		Causes: []Cause{
			{"read-only root file system", "the runtime does not mount the container's root read-only", "look at root.readonly in the container's config.json on the node"},
			{"", "the container's root file system is read-only although nobody asked for it", "look at root.readonly in the container's config.json on the node"},
		},
		Check: func(ctx context.Context, stage *Stage, g gomega.Gomega) error {
			writable, err := rootOf(ctx, stage, siblingsScene, "tracer", ownerSleep...)
			if err != nil {
				return err
			}
			sealed, err := rootOf(ctx, stage, siblingsScene, "tracer", sealedSleep...)
			if err != nil {
				return err
			}
			before, err := stage.Look(ctx, siblingsScene, "owner", "the file before it is written", "cat /written")
			if err != nil {
				return err
			}
			writes, err := stage.Look(ctx, siblingsScene, "tracer", "writes through /proc",
				"echo written by a sibling >"+writable+"/written", "touch "+sealed+"/written")
			if err != nil {
				return err
			}
			after, err := stage.Look(ctx, siblingsScene, "owner", "the file after it was written", "cat /written")
			if err != nil {
				return err
			}
			judgeWrites(g, writes[0], writes[1], before[0], after[0])
			unshared, err := stage.Processes(ctx, siblingsUnsharedScene, "tracer", "processes seen from the tracer")
			if err != nil {
				return err
			}
			judgeOwnerIsNotVisible(g, unshared, tracerSleep)
			return nil
		},
	},
	{
		ID:         "filesystem/config-through-proc-root",
		Statement:  "A permitted sibling MUST read the files of another container through /proc/PID/root, byte for byte.",
		Profile:    Article,
		Documented: true,
		Article:    "Root in a container with equal capabilities does not need CAP_SYS_PTRACE for the nginx master; it does for the workers.",
		Sources:    []string{"https://man7.org/linux/man-pages/man5/proc_pid_root.5.html"},
		Scenes:     []Scene{articleScene, articleUnsharedScene},
		Check: func(ctx context.Context, stage *Stage, g gomega.Gomega) error {
			target, err := stage.Find(ctx, articleScene, "shell", "processes seen from the shell", nginxMaster)
			if err != nil {
				return err
			}
			// One file that is mounted into nginx and one of its image.
			files := []string{"/etc/nginx/nginx.conf", "/etc/nginx/mime.types"}
			var through, own []string
			for _, file := range files {
				through = append(through, fmt.Sprintf("cat /proc/%d/root%s", target.PID, file), "cat "+file)
				own = append(own, "cat "+file)
			}
			read, err := stage.Look(ctx, articleScene, "shell", "read through /proc, and at the same path of the shell", through...)
			if err != nil {
				return err
			}
			had, err := stage.Look(ctx, articleScene, "nginx", "what nginx has", own...)
			if err != nil {
				return err
			}
			for i := range files {
				judgeSameFile(g, had[i], read[2*i], read[2*i+1])
			}
			unshared, err := stage.Processes(ctx, articleUnsharedScene, "shell", "processes seen from the shell")
			if err != nil {
				return err
			}
			judgeNginxIsNotVisible(g, unshared)
			return nil
		},
	},
	{
		ID:         "filesystem/modes-still-hold",
		Statement:  "Behind /proc/PID/root, a file's mode MUST deny a non-root sibling of another uid than the file's.",
		Profile:    Article,
		Documented: true,
		Sources: []string{
			"https://man7.org/linux/man-pages/man5/proc_pid_root.5.html",
			"https://man7.org/linux/man-pages/man7/path_resolution.7.html",
		},
		Scenes: []Scene{fileModesScene},
		Check: func(ctx context.Context, stage *Stage, g gomega.Gomega) error {
			owner, err := stage.Find(ctx, fileModesScene, "visitor", "processes seen from the visitor, uid 1000", ownerSleep...)
			if err != nil {
				return err
			}
			root := fmt.Sprintf("/proc/%d/root/files/", owner.PID)
			reads, err := stage.Look(ctx, fileModesScene, "visitor", "files of the sibling, read by uid 1000",
				"cat "+root+"readable", "cat "+root+"private", "ls -ln "+root+"..data/private")
			if err != nil {
				return err
			}
			judgeModesHold(g, reads[0], reads[1], reads[2])
			return nil
		},
	},
}

// rootOf is the root directory of the process with these arguments, as a sibling that sees it reaches it.
func rootOf(ctx context.Context, stage *Stage, scene Scene, container string, arguments ...string) (string, error) {
	target, err := stage.Find(ctx, scene, container, "processes seen from "+container, arguments...)
	return fmt.Sprintf("/proc/%d/root", target.PID), err
}

// sealedSleep is the start process of the container with a read-only root file system.
var sealedSleep = []string{"sleep", "1000040"}

func judgeVolumes(g gomega.Gomega, looked []pod.Observation) {
	g.Expect(looked[0].Output).To(gomega.Equal("canary-in-a-secret-volume"), "the file of the Secret was not read, errno %s", looked[0].Errno())
	g.Expect(looked[1].Output).To(gomega.Equal("canary in an emptyDir\n"), "the file of the emptyDir was not read, errno %s", looked[1].Errno())
	for _, own := range looked[2:] {
		g.Expect(own.Errno()).To(gomega.Equal("ENOENT"), "the volume must not be mounted in the sibling: %s", own.Command)
	}
}

func judgeWrites(g gomega.Gomega, written, refused, before, after pod.Observation) {
	g.Expect(before.Errno()).To(gomega.Equal("ENOENT"), "the file must not exist before it is written")
	g.Expect(written.ExitCode).To(gomega.BeZero(), "the file was not written, errno %s", written.Errno())
	g.Expect(after.Output).To(gomega.Equal("written by a sibling\n"), "what was written does not appear in the other container, errno %s", after.Errno())
	g.Expect(refused.Errno()).To(gomega.Equal("EROFS"), "a write to a read-only root file system must be refused, it ended with %d: %s", refused.ExitCode, quote(refused.Output))
}

// judgeSameFile compares a file read through /proc with the owner's own and with what the reader's own file system has there.
func judgeSameFile(g gomega.Gomega, own, through, here pod.Observation) {
	g.Expect(own.ExitCode).To(gomega.BeZero(), "nginx must have the file: %s", own.Output)
	g.Expect(through.ExitCode).To(gomega.BeZero(), "the sibling must read it, errno %s", through.Errno())
	g.Expect(through.Output == own.Output).To(gomega.BeTrue(), "%d bytes were read, not the same as the %d bytes that nginx has", len(through.Output), len(own.Output))
	g.Expect(here.Errno()).To(gomega.Equal("ENOENT"), "the file must not be the sibling's own")
}

func judgeModesHold(g gomega.Gomega, readable, private, listing pod.Observation) {
	g.Expect(readable.Output).To(gomega.Equal("canary-for-everyone"), "a file that everyone may read must be reached, errno %q", readable.Errno())
	g.Expect(listing.ExitCode).To(gomega.BeZero(), "the private file must exist: %s", listing.Output)
	g.Expect(listing.Output).To(gomega.HavePrefix("-rw-------"), "the private file must have mode 0600")
	g.Expect(private.Errno()).To(gomega.Equal("EACCES"), "the private file must be denied, it gave %s", quote(private.Output))
}

package suites

import (
	"context"
	"fmt"

	"github.com/onsi/gomega"

	"sharedpid/helpers/pod"
)

var fileModesScene = Scene{Name: "file-modes", Manifest: "file-modes.yaml"}

var filesystemTraits = []Trait{
	{
		ID:         "filesystem/config-through-proc-root",
		Statement:  "A permitted sibling MUST read the files of another container through /proc/PID/root, byte for byte.",
		Profile:    Article,
		Documented: true,
		Article:    "Root in a container with equal capabilities does not need CAP_SYS_PTRACE for the nginx master; it does for the workers.",
		Sources:    []string{"https://man7.org/linux/man-pages/man5/proc_pid_root.5.html"},
		Scenes:     []Scene{articleScene, articleUnsharedScene},
		Check: func(ctx context.Context, stage *Stage, g gomega.Gomega) error {
			shared, err := stage.Processes(ctx, articleScene, "shell", "processes seen from the shell")
			if err != nil {
				return err
			}
			target, err := one(shared, nginxMaster)
			if err != nil {
				return err
			}
			// One file that is mounted into nginx and one of its image.
			files := []string{"/etc/nginx/nginx.conf", "/etc/nginx/mime.types"}
			for _, file := range files {
				through, err := stage.Look(ctx, articleScene, "shell", "read through /proc",
					fmt.Sprintf("cat /proc/%d/root%s", target.PID, file), "cat "+file)
				if err != nil {
					return err
				}
				own, err := stage.Look(ctx, articleScene, "nginx", "what nginx has", "cat "+file)
				if err != nil {
					return err
				}
				judgeSameFile(g, own[0], through[0], through[1])
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
			seen, err := stage.Processes(ctx, fileModesScene, "visitor", "processes seen from the visitor, uid 1000")
			if err != nil {
				return err
			}
			owner, err := one(seen, ownerSleep...)
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

package suites

import (
	"context"

	"github.com/onsi/gomega"

	"sharedpid.example/helpers/suite"
)

var (
	imageVolumeFixture = suite.Fixture{
		Name: "image-volume", Objects: manifest("image-volume.yaml"), Newer: imageVolumesChanged, Stable: true,
	}
	imageVolumeUnsharedFixture = suite.Fixture{
		Name: "image-volume-unshared", Objects: manifest("image-volume.yaml"), Unshared: true, Newer: imageVolumesChanged, Stable: true,
	}

	imageVolumesChanged = []string{", and none is kept"}
)

var imageVolumesTrait = suite.Trait{
	ID: "filesystem/image-volumes-through-proc-root",
	Statement: "A permitted sibling MUST read the files of an image that another container mounts as a volume through /proc/PID/root, MUST get " +
		"EROFS when it writes there, and MUST NOT have the volume at its own path.",
	Profile: suite.Full,
	Sources: []string{
		"https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/4639-oci-volume-source",
		"https://kubernetes.io/docs/tasks/configure-pod-container/image-volumes/", rootPage,
	},
	WhenNotStarted: []suite.Requirement{startWithImageVolume},
	Fixtures:       []suite.Fixture{imageVolumeFixture, imageVolumeUnsharedFixture},
	Causes: []suite.Cause{
		blindControl,
		sharesUnasked,
		notVisible,
		{
			Words:    "must not be mounted",
			Cause:    "the containers share a mount namespace, or the runtime mounts the volumes of one into all",
			NextStep: "compare /proc/self/ns/mnt and /proc/self/mounts of both containers",
		},
		{
			Words:    "read-only",
			Cause:    "the runtime mounts images so that they can be written",
			NextStep: "look at the mount's options in /proc/self/mounts of the container that has it",
		},
		{
			Cause:    "a security module, hidepid or a seccomp profile narrows what the ptrace access check permits",
			NextStep: "look at /proc/self/attr/current, at Seccomp in /proc/self/status and at /proc/self/mounts of the caller",
		},
	},
	Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
		if err := known(ctx, session, imageVolumeFixture, "images as volumes"); err != nil {
			return err
		}
		// The other Pod comes up beside it: when neither starts there is not the time for one after the other.
		if _, err := session.Changes(ctx, imageVolumeUnsharedFixture); err != nil {
			return suite.ControlFailed(err)
		}
		target, err := session.Find(ctx, imageVolumeFixture, "tracer", "processes seen from the tracer", owner)
		if err != nil {
			return err
		}
		const file = "/image/etc/nginx/mime.types"
		read, err := session.Exec(ctx, imageVolumeFixture, "tracer", "the image through /proc, and at the same path of the tracer",
			"cat "+rootOf(target)+file, "cat "+file)
		if err != nil {
			return err
		}
		written, err := session.ExecOnce(ctx, imageVolumeFixture, "tracer", "a write through /proc", "touch "+rootOf(target)+"/image/written")
		if err != nil {
			return err
		}
		if err := explainRefusal(ctx, session, imageVolumeFixture, "tracer", target, "root", read[0], written[0]); err != nil {
			return err
		}
		own, err := session.Exec(ctx, imageVolumeFixture, owner.Container, "the image in the container that mounts it", "cat "+file)
		if err != nil {
			return err
		}
		judgeImageVolume(judge, own[0], read[0], read[1], written[0])
		unshared, err := session.Processes(ctx, imageVolumeUnsharedFixture, "tracer", "processes seen from the tracer")
		if err != nil {
			return suite.ControlFailed(err)
		}
		judgeOwnerIsNotVisible(judge, unshared, tracerSleep)
		return nil
	},
}

// startWithImageVolume is whether Pods start that have an image as a volume: older runtimes do not know them.
var startWithImageVolume = startsUnshared("Pods with images as volumes that start", "a Pod with an image as a volume",
	imageVolumeUnsharedFixture, "owner", "tracer")

func judgeImageVolume(judge suite.Judge, own, through, here, written suite.ExecResult) {
	judgeRun(judge, own, through, here, written)
	judge.Precondition.Expect(own.ExitCode).To(gomega.BeZero(), "the container that mounts the image must read it: %s", quote(own.Output))
	judge.Precondition.Expect(own.Output).NotTo(gomega.BeEmpty(), "the file of the image is empty")
	judge.Claim.Expect(through.ExitCode).To(gomega.BeZero(), "the file of the image was not read, errno %s", through.Errno())
	judge.Claim.Expect(through.Output == own.Output).To(gomega.BeTrue(),
		"%d bytes were read, not the same as the %d bytes that the container itself reads", len(through.Output), len(own.Output))
	// The Pod says that the sibling does not mount it.
	judge.Claim.Expect(here.Errno()).To(gomega.Equal("ENOENT"), "the volume must not be mounted in the sibling: %s", here.Command)
	judge.Claim.Expect(written.Errno()).To(gomega.Equal("EROFS"),
		"a write to a volume that is an image, read-only, must be refused, it ended with %d: %s", written.ExitCode, quote(written.Output))
}

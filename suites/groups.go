package suites

import (
	"context"
	"fmt"
	"strings"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"sharedpid.example/helpers/suite"
)

var (
	groupsStrictFixture = suite.Fixture{Name: "groups-strict", Objects: manifest("groups.yaml"), Newer: groupsPolicyChanged, Stable: true}
	groupsMergeFixture  = suite.Fixture{
		Name: "groups-merge", Objects: manifest("groups.yaml"), Change: mergeGroups, Newer: groupsPolicyChanged, Stable: true,
	}

	groupsPolicyChanged = []string{
		"spec.securityContext.supplementalGroupsPolicy was sent as Strict and is unset",
		"spec.securityContext.supplementalGroupsPolicy was sent as Merge and is unset",
	}
)

func mergeGroups(pod *corev1.Pod) {
	pod.Spec.SecurityContext.SupplementalGroupsPolicy = new(corev1.SupplementalGroupsPolicyMerge)
}

// The groups of the manifest groups.yaml: one that the Pod gives, and one that nobody has.
const (
	groupOfPod    = "4310"
	groupOfNobody = "4311"
)

var groupsPolicyTrait = suite.Trait{
	ID: "credentials/supplemental-groups-policy",
	Statement: "A process MUST have the groups that its image gives its user with the policy Merge, MUST NOT have them with Strict, and a file " +
		"behind a sibling's /proc/PID/root that only a group may read MUST open to those alone that have the group.",
	Profile: suite.Full,
	Sources: []string{
		"https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/3619-supplemental-groups-policy",
		"https://kubernetes.io/docs/tasks/configure-pod-container/security-context/#supplementalgroupspolicy",
		"https://man7.org/linux/man-pages/man7/path_resolution.7.html", ptraceSource,
	},
	Requires: []suite.Requirement{groupsPolicies},
	Fixtures: []suite.Fixture{groupsStrictFixture, groupsMergeFixture},
	Causes: []suite.Cause{
		notVisible,
		{
			Words:    "of the image",
			Cause:    "the runtime does not follow supplementalGroupsPolicy, although the node says that it does",
			NextStep: "look at process.user.additionalGids in the container's config.json on the node, and at /etc/group of the image",
		},
		{
			Cause:    "the runtime does not give the container the Pod's supplementalGroups, or a security module narrows what groups open",
			NextStep: "look at Groups in /proc/self/status of the container, and at its process.user.additionalGids on the node",
		},
	},
	Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
		var ofImage string
		for _, fixture := range []suite.Fixture{groupsStrictFixture, groupsMergeFixture} {
			if err := known(ctx, session, fixture, "supplementalGroupsPolicy"); err != nil {
				return err
			}
			target, err := session.Find(ctx, fixture, "visitor", "processes seen from a container of the same user", owner)
			if err != nil {
				return err
			}
			root := rootOf(target)
			looked, err := session.Exec(ctx, fixture, "visitor", "groups, and files of the sibling that only a group may read",
				"grep -E '^(Uid|Groups|CapEff):' /proc/self/status", "ls -ln "+root+"/files",
				"cat "+root+"/files/pod", "cat "+root+"/files/nobody", "cat "+root+"/files/image")
			if err != nil {
				return err
			}
			merge, allowed := fixture.Name == groupsMergeFixture.Name, []suite.ExecResult{looked[1], looked[2]}
			if merge {
				allowed = append(allowed, looked[4])
			}
			if err := explainRefusal(ctx, session, fixture, "visitor", target, "root", allowed...); err != nil {
				return err
			}
			ofImage = judgeGroups(judge, merge, looked)
		}
		if ofImage == "" {
			return &suite.Unsupported{Reason: "the image of busybox gives root no group beside its own, so that no policy makes a difference; the " +
				"groups that the Pod gives hold"}
		}
		return nil
	},
}

// groupsPolicies asks the node whether its runtime follows supplementalGroupsPolicy: the kubelet refuses Pods with Strict where it does not.
var groupsPolicies = suite.Requirement{
	Name: "supplementalGroupsPolicy",
	Missing: func(ctx context.Context, session *suite.Session) (string, error) {
		node, err := session.Node(ctx)
		if err != nil {
			return "", err
		}
		if features := node.Status.Features; features == nil || features.SupplementalGroupsPolicy == nil || !*features.SupplementalGroupsPolicy {
			return fmt.Sprintf("node %s reports no support for supplementalGroupsPolicy", node.Name), nil
		}
		return "", nil
	},
}

// judgeGroups takes, of a visitor, its status, the list of the sibling's files, and these files: of the Pod's group, of one that nobody has,
// and of one that the image gives. It returns the last group, empty when the image gives none.
func judgeGroups(judge suite.Judge, merge bool, looked []suite.ExecResult) (ofImage string) {
	judgeRun(judge, looked...)
	status, files := statusLines(looked[0].Output), groupFiles(looked[1].Output)
	judge.Precondition.Expect(status["CapEff"]).To(gomega.Equal("0000000000000000"), "the visitor has capabilities, which may pass over modes")
	judge.Precondition.Expect(files["pod"]).To(gomega.Equal(groupOfPod), "no such file for group %s: %s", groupOfPod, quote(looked[1].Output))
	judge.Precondition.Expect(files["nobody"]).To(gomega.Equal(groupOfNobody), "no such file for group %s: %s", groupOfNobody,
		quote(looked[1].Output))
	groups := strings.Fields(status["Groups"])
	judge.Precondition.Expect(groups).NotTo(gomega.ContainElement(groupOfNobody), "the visitor has group %s, which nobody gives it", groupOfNobody)
	judge.Claim.Expect(groups).To(gomega.ContainElement(groupOfPod), "the visitor must have the group %s of the Pod", groupOfPod)
	judge.Claim.Expect(looked[2].Output).To(gomega.Equal("canary\n"), "the file of group %s must be read, errno %q", groupOfPod, looked[2].Errno())
	judge.Claim.Expect(looked[3].Errno()).To(gomega.Equal("EACCES"), "the file of group %s must be denied, it gave %s", groupOfNobody,
		quote(looked[3].Output))
	ofImage = files["image"]
	if ofImage == "" {
		return ""
	}
	if merge {
		judge.Claim.Expect(groups).To(gomega.ContainElement(ofImage), "with Merge the visitor must have the group %s of the image", ofImage)
		judge.Claim.Expect(looked[4].Output).To(gomega.Equal("canary\n"), "with Merge the file of group %s of the image must be read, errno %q",
			ofImage, looked[4].Errno())
		return ofImage
	}
	judge.Claim.Expect(groups).NotTo(gomega.ContainElement(ofImage), "with Strict the visitor must not have the group %s of the image", ofImage)
	judge.Claim.Expect(looked[4].Errno()).To(gomega.Equal("EACCES"), "with Strict the file of group %s of the image must be denied, it gave %s",
		ofImage, quote(looked[4].Output))
	return ofImage
}

// statusLines are the lines of /proc/PID/status by their names.
func statusLines(output string) map[string]string {
	found := map[string]string{}
	for line := range strings.Lines(output) {
		if name, value, cut := strings.Cut(line, ":"); cut {
			found[name] = strings.TrimSpace(value)
		}
	}
	return found
}

// groupFiles are the groups of files that only their groups may read, by name, as ls -ln lists them.
func groupFiles(output string) map[string]string {
	found := map[string]string{}
	for line := range strings.Lines(output) {
		if fields := strings.Fields(line); len(fields) > 4 && strings.HasPrefix(fields[0], "-rw-r-----") && fields[2] == "1" {
			found[fields[len(fields)-1]] = fields[3]
		}
	}
	return found
}

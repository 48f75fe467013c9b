// Package suites holds the traits of Pods that share a process namespace, one file a group.
// What checks them on a cluster is package helpers/suite; the kernel's rules that some of them rest on are in access.
package suites

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/runtime"

	"sharedpid.example/fixtures/manifests"
	"sharedpid.example/helpers/suite"
)

// Traits returns all traits, in the order of their ids.
func Traits() []suite.Trait {
	all := slices.Concat(namespaceTraits, visibilityTraits, signalTraits, filesystemTraits, credentialTraits, lifecycleTraits,
		initTraits, joinerTraits, admissionTraits, nodeTraits)
	for i := range all {
		if all[i].ID != startTrait && all[i].Group() != "admission" {
			all[i].WhenNotStarted = append(all[i].WhenNotStarted, joining)
		}
	}
	slices.SortFunc(all, func(a, b suite.Trait) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// Sources that several groups name.
const (
	taskPage      = "https://kubernetes.io/docs/tasks/configure-pod-container/share-process-namespace/"
	kep           = "https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/495-pod-pid-namespace"
	pidPage       = "https://man7.org/linux/man-pages/man7/pid_namespaces.7.html"
	rootPage      = "https://man7.org/linux/man-pages/man5/proc_pid_root.5.html"
	lifecyclePage = "https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/"
	killSource    = "https://man7.org/linux/man-pages/man2/kill.2.html"
	capSource     = "https://man7.org/linux/man-pages/man7/capabilities.7.html"
	ptraceSource  = "https://man7.org/linux/man-pages/man2/ptrace.2.html#:~:text=Ptrace%20access%20mode%20checking"
	criSource     = "https://github.com/kubernetes/cri-api/blob/v0.37.2/pkg/apis/runtime/v1/api.proto"
	pauseSource   = "https://github.com/kubernetes/kubernetes/blob/v1.37.2/build/pause/linux/pause.c"
)

// sharesUnasked is the cause of a control that fails, whichever trait it is: the cluster shares what was not asked for.
var sharesUnasked = suite.Cause{
	Control: true, Cause: "Pods that do not ask for it share a namespace all the same",
	NextStep: "look at the namespace option that the kubelet sends, and at the runtime's handling of mode CONTAINER",
}

// blindControl is the cause of controls whose container does not show what runs in it.
var blindControl = suite.Cause{
	Control: true, Words: "must see it", Cause: "the control's container does not show its own start process",
	NextStep: "look at the control's evidence below; with --image, check that the image starts what the suite's own does",
}

// notVisible is the cause of a process that is not seen from a sibling.
var notVisible = suite.Cause{
	Words: "is not visible", Cause: "the containers do not share a process namespace, or /proc is mounted with hidepid",
	NextStep: "in a Pod of two containers with shareProcessNamespace: true, readlink /proc/self/ns/pid must print the same in both, and " +
		"/proc/self/mounts must have no hidepid",
}

// ownNamespaces is the cause of containers that do not share although they are asked to.
var ownNamespaces = suite.Cause{
	Cause:    "the runtime gives each container a namespace of its own although the CRI asks for mode POD, or admission unsets the field",
	NextStep: "look at .spec.shareProcessNamespace of the Pod, then at the pid namespace in the containers' config.json on the node",
}

// manifest returns how a fixture reads its objects.
func manifest(file string) func() ([]runtime.Object, error) {
	return func() ([]runtime.Object, error) { return manifests.Read(file) }
}

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

// Causes of a control that fails: whichever trait it is, the cluster shares what was not asked for.
var sharesUnasked = suite.Cause{
	Control: true, Cause: "Pods that do not ask for it share a namespace all the same",
	NextStep: "look at the namespace option that the kubelet sends, and at the runtime's handling of mode CONTAINER",
}

// notShared is the cause of traits that need the namespace to be shared at all.
var notShared = []suite.Cause{sharesUnasked, {
	Cause:    "the runtime gives each container a namespace of its own although the CRI asks for mode POD, or admission unsets the field",
	NextStep: "look at .spec.shareProcessNamespace of the Pod, then at the pid namespace in the containers' config.json on the node",
}}

// manifest returns how a fixture reads its objects.
func manifest(file string) func() ([]runtime.Object, error) {
	return func() ([]runtime.Object, error) { return manifests.Read(file) }
}

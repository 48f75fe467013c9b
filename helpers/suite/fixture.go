package suite

import (
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"sharedpid.example/helpers/process"
)

// Fixture is a Pod, with what belongs to it, as it is put on the cluster for the traits that name it: once for each target.
// Fixtures of one name are one fixture.
type Fixture struct {
	Name string // of the Pod
	// Objects returns new copies of what is created: one Pod, Deployment, DaemonSet or Job, and Secrets and ConfigMaps that it uses.
	Objects func() ([]runtime.Object, error)
	// Unshared takes shareProcessNamespace out of the Pod: it is a control.
	Unshared bool
	// Change changes the Pod once more before it is created, nil for nothing.
	Change func(*corev1.Pod)
	// Newer is what the Pod asks for that an API may not know yet: words of how that API changes the Pod, as Session.Changes has them, or
	// refuses it. A trait of the Pod is decided there: it is unsupported.
	Newer []string
	// Stable says that no trait ends or replaces processes of the Pod, so that one snapshot from each container serves all.
	Stable bool
	// Settled tells whether a snapshot of a stable Pod shows all that its start processes start, nil when they start nothing.
	Settled func(process.Snapshot) bool
}

// change makes a Pod that of the fixture.
func (fixture Fixture) change(made *corev1.Pod) {
	if fixture.Unshared {
		made.Spec.ShareProcessNamespace = nil
	}
	if fixture.Change != nil {
		fixture.Change(made)
	}
}

// TooNew tells whether an API changed the Pod in what is newer than it alone, or refused it for that.
func (fixture Fixture) TooNew(answers ...string) bool {
	other := func(answer string) bool {
		return !slices.ContainsFunc(fixture.Newer, func(words string) bool { return strings.Contains(answer, words) })
	}
	return len(answers) > 0 && !slices.ContainsFunc(answers, other)
}

// Pods returns the Pods of the fixture as they are sent, those of its controllers as these make them, before they are bound to a
// target.
func (fixture Fixture) Pods() ([]*corev1.Pod, error) {
	objects, err := fixture.Objects()
	if err != nil {
		return nil, err
	}
	var pods []*corev1.Pod
	for _, object := range objects {
		var made *corev1.Pod
		switch object := object.(type) {
		case *corev1.Pod:
			made = object
		case *appsv1.Deployment:
			made = templated(object.Name, object.Spec.Template)
		case *appsv1.DaemonSet:
			made = templated(object.Name, object.Spec.Template)
		case *batchv1.Job:
			made = templated(object.Name, object.Spec.Template)
		default:
			continue
		}
		fixture.change(made)
		pods = append(pods, made)
	}
	return pods, nil
}

// Process is a process of a fixture that is known by its arguments.
type Process struct {
	Container string // in which it was started
	Arguments []string
}

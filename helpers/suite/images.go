package suite

import (
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// ImageNames are the names of the test images that Pods of these traits have, those of volumes among them, as manifests call them, without
// tags, sorted.
func ImageNames(traits []Trait) ([]string, error) {
	var names []string
	for _, trait := range traits {
		for _, fixture := range trait.AllFixtures() {
			objects, err := fixture.Objects()
			if err != nil {
				return nil, err
			}
			for _, object := range objects {
				var spec corev1.PodSpec
				switch object := object.(type) {
				case *corev1.Pod:
					spec = object.Spec
				case *appsv1.Deployment:
					spec = object.Spec.Template.Spec
				case *appsv1.DaemonSet:
					spec = object.Spec.Template.Spec
				case *batchv1.Job:
					spec = object.Spec.Template.Spec
				}
				for _, container := range slices.Concat(spec.InitContainers, spec.Containers) {
					name, _, _ := strings.Cut(container.Image, ":")
					names = append(names, name)
				}
				for _, volume := range spec.Volumes {
					if volume.Image != nil {
						name, _, _ := strings.Cut(volume.Image.Reference, ":")
						names = append(names, name)
					}
				}
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

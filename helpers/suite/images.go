package suite

import (
	"slices"
	"strings"
)

// ImageNames are the names of the test images that Pods of these traits have, those of volumes among them, as manifests call them, without
// tags, sorted.
func ImageNames(traits []Trait) ([]string, error) {
	var names []string
	for _, trait := range traits {
		for _, fixture := range trait.AllFixtures() {
			pods, err := fixture.Pods()
			if err != nil {
				return nil, err
			}
			for _, made := range pods {
				for _, container := range slices.Concat(made.Spec.InitContainers, made.Spec.Containers) {
					name, _, _ := strings.Cut(container.Image, ":")
					names = append(names, name)
				}
				for _, volume := range made.Spec.Volumes {
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

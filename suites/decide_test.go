package suites

import (
	"fmt"
	"testing"
)

func TestSubjectsAtOnceFitOnANode(t *testing.T) {
	with := func(scenes int) []Trait {
		var trait Trait
		for number := range scenes {
			trait.Scenes = append(trait.Scenes, Scene{Name: fmt.Sprint(number)})
		}
		return []Trait{trait, trait} // a scene that traits share is one Pod
	}
	for scenes, want := range map[int]int{0: 3, 10: 3, 32: 3, 33: 2, 48: 2, 49: 1, 200: 1} {
		if got := subjectsAtOnce(with(scenes)); got != want {
			t.Errorf("%d subjects with %d Pods each are decided at once, want %d", got, scenes, want)
		}
	}
}

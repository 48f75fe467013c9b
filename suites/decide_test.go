package suites

import (
	"fmt"
	"testing"
)

func TestRoomForSubjects(t *testing.T) {
	for scenes, want := range map[int]int{0: 96, 1: 96, 32: 3, 33: 2, 48: 2, 49: 1, 200: 1} {
		var trait Trait
		for number := range scenes {
			trait.Scenes = append(trait.Scenes, Scene{Name: fmt.Sprint(number)})
		}
		// A scene that traits share is one Pod.
		if got := room([]Trait{trait, trait}); got != want {
			t.Errorf("there is room for %d subjects with %d Pods each, want %d", got, scenes, want)
		}
	}
}

func TestSubjectsAtOnce(t *testing.T) {
	for _, test := range []struct{ room, cores, want int }{{2, 1, 1}, {2, 2, 1}, {2, 4, 2}, {2, 64, 2}, {96, 64, 3}, {1, 64, 1}, {2, 0, 1}} {
		if got := subjectsAtOnce(test.room, test.cores); got != test.want {
			t.Errorf("%d subjects at once with room for %d on %d cores, want %d", got, test.room, test.cores, test.want)
		}
	}
}

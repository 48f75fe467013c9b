package suites

import (
	"fmt"
	"slices"

	podsecurity "k8s.io/pod-security-admission/api"
	standards "k8s.io/pod-security-admission/policy"

	"sharedpid.example/helpers/suite"
)

// PodSecurity is the highest level of the Pod Security Standards that admits every Pod of a trait, and what keeps them from the next one.
// See https://kubernetes.io/docs/concepts/security/pod-security-standards/.
type PodSecurity struct {
	Level podsecurity.Level
	// Beyond says what the next level forbids of these Pods, in its own words, empty for restricted.
	Beyond []string
}

// PodSecurityOf returns the level at which a namespace may be enforced so that every Pod of these traits is admitted, by the newest
// version of the standards. An error says that a manifest cannot be read.
func PodSecurityOf(traits ...suite.Trait) (PodSecurity, error) {
	evaluator, err := standards.NewEvaluator(standards.DefaultChecks(), nil)
	if err != nil {
		return PodSecurity{}, err
	}
	refusedAt := map[podsecurity.Level][]string{}
	for _, trait := range traits {
		for _, fixture := range slices.Concat(trait.AllFixtures(), trait.Tries) {
			pods, err := fixture.Pods()
			if err != nil {
				return PodSecurity{}, fmt.Errorf("fixture %s: %w", fixture.Name, err)
			}
			for _, level := range []podsecurity.Level{podsecurity.LevelBaseline, podsecurity.LevelRestricted} {
				for _, made := range pods {
					result := standards.AggregateCheckResults(evaluator.EvaluatePod(
						podsecurity.LevelVersion{Level: level, Version: podsecurity.LatestVersion()}, &made.ObjectMeta, &made.Spec))
					if !result.Allowed && !slices.Contains(refusedAt[level], result.ForbiddenReason()) {
						refusedAt[level] = append(refusedAt[level], result.ForbiddenReason())
					}
				}
			}
		}
	}
	switch {
	case len(refusedAt[podsecurity.LevelBaseline]) > 0:
		return PodSecurity{podsecurity.LevelPrivileged, refusedAt[podsecurity.LevelBaseline]}, nil
	case len(refusedAt[podsecurity.LevelRestricted]) > 0:
		return PodSecurity{podsecurity.LevelBaseline, refusedAt[podsecurity.LevelRestricted]}, nil
	}
	return PodSecurity{Level: podsecurity.LevelRestricted}, nil
}

// AdmittedAt returns those of the traits all of whose Pods a namespace admits that enforces the level. A level that does not exist is an
// error.
func AdmittedAt(level podsecurity.Level, traits []suite.Trait) ([]suite.Trait, error) {
	if !level.Valid() {
		return nil, fmt.Errorf("there is no level %q; the levels are restricted, baseline and privileged", level)
	}
	var admitted []suite.Trait
	for _, trait := range traits {
		security, err := PodSecurityOf(trait)
		if err != nil {
			return nil, err
		}
		if podsecurity.CompareLevels(security.Level, level) >= 0 {
			admitted = append(admitted, trait)
		}
	}
	return admitted, nil
}

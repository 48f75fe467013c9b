package suite

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Limits are how long a run waits for what. What does not come within its limit leaves a trait inconclusive, unless the
// statement is about that very time.
type Limits struct {
	Nodes          time.Duration // the nodes of a cluster that comes up to be ready
	Start          time.Duration // the containers of a Pod to run
	ImagePull      time.Duration // image pulls of a Pod may fail: the kubelet tries again after 10 s
	StartFailure   time.Duration // containers of a Pod may fail to start: the kubelet tries again after 10 s
	Exec           time.Duration // one exec to end
	Appearance     time.Duration // start processes to reach their last execve(2), and to start others
	Absence        time.Duration // a process to stay out of a sibling's sight while its container shows it
	Ambiguity      time.Duration // a process to be there twice: one that forks is two for a moment
	Reload         time.Duration // nginx to replace its workers
	Boot           time.Duration // an init system to come up, or to refuse
	Settling       time.Duration // the kubelet to notice what happened to a Pod and to act on it
	PromptDeletion time.Duration // a deleted Pod to be gone, by a statement: both grace periods are longer; never stretched
	StreamEnd      time.Duration // an exec stream to end after its Pod is gone, by a statement; never stretched
	Trait          time.Duration // one trait: a start, and twice what Settling allows, once for a control
	CleanUp        time.Duration // the namespaces of the run to be gone
	ServiceAccount time.Duration // the default service account of a young namespace to be there
}

// DefaultLimits are the limits on a machine of ordinary speed.
func DefaultLimits() Limits {
	return Limits{
		Nodes: 2 * time.Minute, Start: time.Minute, ImagePull: 30 * time.Second, StartFailure: 15 * time.Second,
		Exec: 30 * time.Second, Appearance: 10 * time.Second, Absence: 5 * time.Second, Ambiguity: 2 * time.Second,
		Reload: 10 * time.Second, Boot: 30 * time.Second, Settling: time.Minute, PromptDeletion: 15 * time.Second,
		StreamEnd: 5 * time.Second, Trait: 4 * time.Minute, CleanUp: 2 * time.Minute, ServiceAccount: 30 * time.Second,
	}
}

// namedLimit is one limit with the name by which options and reports call it.
type namedLimit struct {
	name  string
	value *time.Duration
}

// stated tells whether the limit is a part of a statement, and no patience.
func (limits *Limits) stated(limit namedLimit) bool {
	return limit.value == &limits.PromptDeletion || limit.value == &limits.StreamEnd
}

func (limits *Limits) named() []namedLimit {
	return []namedLimit{
		{"nodes", &limits.Nodes}, {"start", &limits.Start}, {"image-pull", &limits.ImagePull}, {"start-failure", &limits.StartFailure},
		{"exec", &limits.Exec}, {"appearance", &limits.Appearance}, {"absence", &limits.Absence}, {"ambiguity", &limits.Ambiguity},
		{"reload", &limits.Reload}, {"boot", &limits.Boot}, {"settling", &limits.Settling},
		{"prompt-deletion", &limits.PromptDeletion}, {"stream-end", &limits.StreamEnd}, {"trait", &limits.Trait},
		{"clean-up", &limits.CleanUp}, {"service-account", &limits.ServiceAccount},
	}
}

// StatedLimit tells whether the limit of a name belongs to a statement, so that a run with another one asks for something else.
func StatedLimit(name string) bool {
	var limits Limits
	return slices.ContainsFunc(limits.named(), func(each namedLimit) bool { return each.name == name && limits.stated(each) })
}

// LimitNames are the names of all limits, in their order.
func LimitNames() []string {
	var limits Limits
	var names []string
	for _, each := range limits.named() {
		names = append(names, each.name)
	}
	return names
}

// Stretched returns the limits multiplied by a factor: the patience for a slower machine. PromptDeletion and StreamEnd stay
// as they are: they belong to statements, and a runtime that waits out the grace period of 30 s would pass with twice the
// 15 s. Only With changes them.
func (limits Limits) Stretched(factor float64) Limits {
	for _, each := range limits.named() {
		if !limits.stated(each) {
			*each.value = time.Duration(float64(*each.value) * factor)
		}
	}
	return limits
}

// With returns the limits with the one of a name changed. An unknown name and a time that is not positive are errors.
func (limits Limits) With(name string, value time.Duration) (Limits, error) {
	if value <= 0 {
		return limits, fmt.Errorf("limit %s: %s is no time to wait", name, value)
	}
	named := limits.named()
	at := slices.IndexFunc(named, func(each namedLimit) bool { return each.name == name })
	if at < 0 {
		return limits, fmt.Errorf("there is no limit %q; the limits are %s", name, strings.Join(LimitNames(), ", "))
	}
	*named[at].value = value
	return limits, nil
}

// Changed returns the limits that differ from the defaults, by name.
func (limits Limits) Changed() map[string]string {
	defaults := DefaultLimits()
	changed := map[string]string{}
	for i, each := range limits.named() {
		if *each.value != *defaults.named()[i].value {
			changed[each.name] = each.value.String()
		}
	}
	return changed
}

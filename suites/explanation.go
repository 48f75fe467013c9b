package suites

import "strings"

// explanations say what probably lies behind an observation that could not be made, and what to do next. The
// first that is found in the reason counts.
var explanations = []struct{ words, cause, nextStep string }{
	{"ErrImagePull", "the node cannot pull a test image", "name a registry that the node reaches with -image-registry, or the image with -image NAME=REFERENCE"},
	{"ImagePullBackOff", "the node cannot pull a test image", "name a registry that the node reaches with -image-registry, or the image with -image NAME=REFERENCE"},
	{"InvalidImageName", "a test image's reference is malformed", "check -image and -image-registry"},
	{"PodSecurity", "Pod Security admission refused the Pod", "allow the level privileged for namespaces with the label app.kubernetes.io/managed-by=sharedpid"},
	{"exceeded quota", "a quota refused the Pod", "raise the quota, or exempt the run's namespaces"},
	{"forbidden", "admission or RBAC refused a request", "run with rights to create namespaces, Pods and to exec into them"},
	{"Unschedulable", "no node had room for the Pod", "free resources, or look at the node's taints"},
	{"context canceled", "the run was interrupted", "run again"},
	{"deadline exceeded", "the cluster did not answer, or the Pod did not start, in time", "look at the diagnosis below and at the node's load"},
	{"connection refused", "the API server does not answer", "look at the cluster's control plane"},
}

// explain returns the probable cause and the next step for a reason, empty when nothing is known of it.
func explain(reason string) (cause, nextStep string) {
	for _, known := range explanations {
		if strings.Contains(reason, known.words) {
			return known.cause, known.nextStep
		}
	}
	return "", ""
}

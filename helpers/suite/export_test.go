package suite

import (
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
)

// OnFakeCluster returns options of a run that is made on a fake cluster with nodes of these names, for tests in a package of
// their own. A command that is in answers prints its value in every container.
func OnFakeCluster(t *testing.T, options Options, answers map[string]string, nodes ...string) Options {
	var objects []runtime.Object
	for _, name := range nodes {
		objects = append(objects, newNode(name))
	}
	cluster := newCluster(t, objects...)
	for command, output := range answers {
		cluster.Answer(command, output)
	}
	return cluster.Options(options)
}

package suites

import (
	"context"
	"fmt"

	"github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sharedpid.example/fixtures"
	"sharedpid.example/helpers/cluster"
	"sharedpid.example/helpers/pod"
	"sharedpid.example/helpers/process"
)

// pairScene is put on every node, not only on the subject's.
var pairScene = Scene{Name: "pair", Manifest: "pair.yaml", Later: true}

var nodeTraits = []Trait{
	{
		ID:        "nodes/every-node",
		Statement: "Sharing MUST work on every node that takes Pods, under the same RuntimeClass.",
		Profile:   Core,
		Sources:   []string{kep, "https://kubernetes.io/docs/concepts/containers/runtime-class/"},
		Causes:    []Cause{{"", "the nodes do not have the same runtime, configuration or kernel", "compare .status.nodeInfo of the nodes, and run with -node NAME on the one that is named"}},
		Check: func(ctx context.Context, stage *Stage, g gomega.Gomega) error {
			nodes, err := cluster.ReadyNodes(ctx, stage.scenes.client)
			if err != nil {
				return err
			}
			started := make([]func() (*pod.Pod, error), len(nodes))
			scenes := make([]Scene, len(nodes))
			for i, node := range nodes {
				scenes[i] = pairScene
				scenes[i].Name = fmt.Sprintf("%s-%d", pairScene.Name, i+1)
				scenes[i].Change = func(pod *corev1.Pod) {
					pod.Spec.NodeSelector = map[string]string{corev1.LabelHostname: node.Labels[corev1.LabelHostname]}
				}
				started[i] = stage.scenes.start(ctx, scenes[i], stage.subject)
			}
			for i, node := range nodes {
				if _, err := started[i](); err != nil {
					return err
				}
				seen, err := stage.pair(ctx, scenes[i], "processes on node "+node.Name)
				if err != nil {
					return fmt.Errorf("node %s: %w", node.Name, err)
				}
				judgePair(g, "node "+node.Name, seen)
			}
			return nil
		},
	},
	{
		ID:        "nodes/through-controllers",
		Statement: "The Pods that a Deployment and a DaemonSet make from a template with the field MUST share.",
		Profile:   Full,
		Sources:   []string{"https://kubernetes.io/docs/concepts/workloads/controllers/deployment/", "https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/"},
		Causes:    []Cause{{"", "an admission plugin changes the templates, or Pods that are made from them", "compare .spec.template of the controller with .spec of its Pod"}},
		Slow:      true,
		Check: func(ctx context.Context, stage *Stage, g gomega.Gomega) error {
			kinds, err := stage.createControllers(ctx)
			if err != nil {
				return err
			}
			for _, kind := range kinds {
				made, err := stage.podOf(ctx, kind)
				if err != nil {
					return err
				}
				if err := made.WaitRunning(ctx, "one", "other"); err != nil {
					return err
				}
				stage.scenes.adopt(kind+stage.subject.suffix, made)
				seen, err := stage.pair(ctx, Scene{Name: kind}, "processes of the Pod of the "+kind)
				if err != nil {
					return err
				}
				judgePair(g, "the Pod of the "+kind, seen)
			}
			return nil
		},
	},
}

// pair looks into the Pod of a pair until both start processes are there, or one of them stays out of sight.
func (stage *Stage) pair(ctx context.Context, scene Scene, title string) (process.Snapshot, error) {
	if _, err := stage.Pod(ctx, scene, "one", "other"); err != nil {
		return process.Snapshot{}, err
	}
	return withProcesses(ctx, stage, scene, "other", title, []string{"sleep", "1000140"}, []string{"sleep", "1000141"})
}

func judgePair(g gomega.Gomega, where string, snapshot process.Snapshot) {
	g.Expect(snapshot.With("sleep", "1000141")).NotTo(gomega.BeEmpty(), "%s: a container does not see itself", where)
	g.Expect(snapshot.With("sleep", "1000140")).NotTo(gomega.BeEmpty(), "%s: a container does not see its sibling", where)
	judgePauseIsFirst(g, snapshot, "sleep", "1000141")
}

// createControllers creates the controllers of fixtures/controllers.yaml for the subject, and returns their kinds in
// small letters, by which their Pods are labelled.
func (stage *Stage) createControllers(ctx context.Context) ([]string, error) {
	objects, err := fixtures.Manifest("controllers.yaml")
	if err != nil {
		return nil, err
	}
	namespace, apps := stage.scenes.namespace, stage.scenes.client.AppsV1()
	var kinds []string
	for _, object := range objects {
		switch object := object.(type) {
		case *appsv1.Deployment:
			stage.adaptController(&object.ObjectMeta, object.Spec.Selector, &object.Spec.Template)
			_, err = apps.Deployments(namespace).Create(ctx, object, metav1.CreateOptions{})
			kinds = append(kinds, "deployment")
		case *appsv1.DaemonSet:
			stage.adaptController(&object.ObjectMeta, object.Spec.Selector, &object.Spec.Template)
			_, err = apps.DaemonSets(namespace).Create(ctx, object, metav1.CreateOptions{})
			kinds = append(kinds, "daemonset")
		default:
			err = fmt.Errorf("manifest controllers.yaml: a %T is not expected", object)
		}
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return nil, err
		}
	}
	return kinds, nil
}

// adaptController makes a controller and its Pods those of the subject.
func (stage *Stage) adaptController(meta *metav1.ObjectMeta, selector *metav1.LabelSelector, template *corev1.PodTemplateSpec) {
	meta.Name += stage.subject.suffix
	const label = "app.kubernetes.io/instance"
	instance := stage.subject.label()
	metav1.SetMetaDataLabel(meta, subjectLabel, instance)
	template.Labels[subjectLabel] = instance
	selector.MatchLabels[label] = instance
	template.Labels[label] = instance
	stage.scenes.adaptSpec(&template.Spec, stage.subject)
}

// podOf waits for the Pod that a controller of the subject makes.
func (stage *Stage) podOf(ctx context.Context, kind string) (*pod.Pod, error) {
	selector := fmt.Sprintf("app.kubernetes.io/name=sharedpid-%s,app.kubernetes.io/instance=subject%s", kind, stage.subject.suffix)
	var name string
	err := poll(ctx, settling, func() (bool, error) {
		pods, err := stage.scenes.client.CoreV1().Pods(stage.scenes.namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
		if err != nil || len(pods.Items) == 0 {
			return false, err
		}
		name = pods.Items[0].Name
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	if name == "" {
		return nil, fmt.Errorf("the %s made no Pod within %s", kind, settling)
	}
	return stage.scenes.client.Open(stage.scenes.watch, stage.scenes.namespace, name), nil
}

package suite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"sharedpid.example/helpers/pod"
	"sharedpid.example/reports"
)

// Obstacle is something that would keep a run from deciding all of its traits.
type Obstacle struct {
	What     string   // one line
	NextStep string   // what a person does about it
	Traits   []string // ids of those that it keeps from being decided, empty for all
	resource string   // of the API to which a right is missing
}

// Preflight says, without a Pod being created, what would keep a run from deciding its traits: rights that are missing, Pods that the
// API would refuse or change, nodes without room. It leaves nothing behind. An error says why a run would not begin at all.
func Preflight(ctx context.Context, options Options) (known reports.Run, obstacles []Obstacle, err error) {
	run := newRun(options)
	if err := run.reach(ctx); err != nil {
		return run.snapshot(), nil, explainSetUp(err)
	}
	if obstacles, err = run.missingRights(ctx); err != nil {
		return run.snapshot(), nil, err
	}
	obstacles = append(obstacles, run.withoutRoom()...)
	if slices.ContainsFunc(obstacles, func(obstacle Obstacle) bool {
		return obstacle.resource == "namespaces" || obstacle.resource == "pods"
	}) {
		return run.snapshot(), obstacles, nil // there is nowhere to try Pods
	}
	namespace, err := newNamespace(ctx, run.client, run.options, run.known.ID)
	run.namespace = namespace
	if err == nil {
		namespace.images = run.known.Images
		permission := run.askPermission(ctx)
		run.update(func(known *reports.Run) { known.Permission = permission })
		obstacles = append(obstacles, run.refusals(ctx)...)
	}
	namespace.unwatch()
	if left := namespace.remove(context.WithoutCancel(ctx)); left != nil {
		err = errors.Join(err, left)
	}
	return run.snapshot(), obstacles, explainSetUp(err)
}

// reach connects to the API and finds the targets.
func (run *run) reach(ctx context.Context) error {
	if len(run.options.Traits) == 0 {
		return errors.New("there is no trait to check")
	}
	if err := Validate(run.options.Traits); err != nil {
		return err
	}
	var err error
	if run.client, err = run.options.connect(run.options.Configuration,
		pod.Limits{Execs: run.options.Execs, RequestsPerSecond: run.options.RequestsPerSecond}); err != nil {
		return err
	}
	return run.plan(ctx)
}

// withoutRoom names the nodes that take fewer Pods than the run has at once.
func (run *run) withoutRoom() []Obstacle {
	fixtures := map[string]bool{}
	for _, trait := range run.traits {
		for _, fixture := range trait.AllFixtures() {
			fixtures[fixture.Name] = true
		}
	}
	var obstacles []Obstacle
	seen := map[string]bool{}
	for _, target := range run.targets {
		takes, known := target.node.Status.Allocatable[corev1.ResourcePods]
		if !known || seen[target.Node] || takes.Value() >= int64(len(fixtures)) {
			continue
		}
		seen[target.Node] = true
		obstacles = append(obstacles, Obstacle{
			What:     fmt.Sprintf("node %s takes %d Pods, and the run has up to %d", target.Node, takes.Value(), len(fixtures)),
			NextStep: "choose fewer traits with --trait, or another node with --node",
		})
	}
	return obstacles
}

// refusals asks the API for each fixture whether it would create its Pod, and as what. The nodes make no difference to it, the
// RuntimeClasses do.
func (run *run) refusals(ctx context.Context) []Obstacle {
	traits := map[string][]string{} // by fixture
	var fixtures []Fixture
	for _, trait := range run.traits {
		for _, fixture := range slices.Concat(trait.AllFixtures(), trait.Tries) {
			if traits[fixture.Name] == nil {
				fixtures = append(fixtures, fixture)
			}
			traits[fixture.Name] = append(traits[fixture.Name], trait.ID)
		}
	}
	var mutex sync.Mutex
	byWords := map[string]*Obstacle{}
	asking := errgroup.Group{}
	asking.SetLimit(rightsAtOnce)
	for _, target := range firstOfEachClass(run.targets) {
		for _, fixture := range fixtures {
			asking.Go(func() error {
				err := run.tryFixture(ctx, fixture, target)
				if err == nil {
					return nil
				}
				mutex.Lock()
				defer mutex.Unlock()
				words := strings.ReplaceAll(err.Error(), fixture.Name+target.suffix, "POD")
				if byWords[words] == nil {
					_, nextStep := Trait{}.Explain(Outcome{Verdict: reports.Inconclusive, Kind: KindOf(err), Reason: err.Error()})
					byWords[words] = &Obstacle{What: err.Error(), NextStep: nextStep}
				}
				byWords[words].Traits = append(byWords[words].Traits, traits[fixture.Name]...)
				return nil
			})
		}
	}
	_ = asking.Wait() // none has an error
	var obstacles []Obstacle
	for _, obstacle := range byWords {
		slices.Sort(obstacle.Traits)
		obstacle.Traits = slices.Compact(obstacle.Traits)
		obstacles = append(obstacles, *obstacle)
	}
	slices.SortFunc(obstacles, func(a, b Obstacle) int { return strings.Compare(a.What, b.What) })
	return obstacles
}

// firstOfEachClass are the targets without those whose RuntimeClass another one has.
func firstOfEachClass(targets []*target) []*target {
	var first []*target
	seen := map[string]bool{}
	for _, target := range targets {
		if !seen[target.RuntimeClass] {
			seen[target.RuntimeClass] = true
			first = append(first, target)
		}
	}
	return first
}

// tryFixture asks the API, without creating anything, for the Pod of a fixture, one of a controller as the controller would make it.
func (run *run) tryFixture(ctx context.Context, fixture Fixture, target *target) error {
	objects, err := fixture.Objects()
	if err != nil {
		return err
	}
	for _, object := range objects {
		tried := run.namespace.podToTry(object, fixture, target)
		if tried == nil {
			continue
		}
		stored, err := run.tryPod(ctx, tried)
		if err != nil && fixture.TooNew(err.Error()) {
			continue
		}
		if err != nil {
			return fmt.Errorf("dry run of Pod %s: %w", tried.Name, err)
		}
		if changed := changes(tried.Spec, stored.Spec); len(changed) > 0 && !fixture.TooNew(changed...) {
			return Undecided(reports.Changed, "admission changed Pod %s: %s", tried.Name, strings.Join(changed, "; "))
		}
	}
	return nil
}

// podToTry is the Pod that an object of a fixture comes to, nil for what is no Pod and makes none.
func (namespace *namespace) podToTry(object runtime.Object, fixture Fixture, target *target) *corev1.Pod {
	switch object := object.(type) {
	case *corev1.Pod:
		return namespace.adapt(object, fixture, target)
	case *appsv1.Deployment:
		namespace.adaptController(&object.ObjectMeta, object.Spec.Selector, &object.Spec.Template, fixture, target)
		return templated(object.Name, object.Spec.Template)
	case *appsv1.DaemonSet:
		namespace.adaptController(&object.ObjectMeta, object.Spec.Selector, &object.Spec.Template, fixture, target)
		return templated(object.Name, object.Spec.Template)
	case *batchv1.Job:
		namespace.adaptController(&object.ObjectMeta, &metav1.LabelSelector{}, &object.Spec.Template, fixture, target)
		return templated(object.Name, object.Spec.Template)
	}
	return nil
}

func templated(name string, template corev1.PodTemplateSpec) *corev1.Pod {
	made := &corev1.Pod{ObjectMeta: *template.ObjectMeta.DeepCopy(), Spec: *template.Spec.DeepCopy()}
	made.ObjectMeta = metav1.ObjectMeta{Name: name, Labels: made.Labels}
	return made
}

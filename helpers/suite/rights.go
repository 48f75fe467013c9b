package suite

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"sharedpid.example/helpers/pod"
)

// Right is what is asked of one resource of the API.
type Right struct {
	Group    string // of the API, empty for the core
	Resource string // with its subresource after a slash
	Verbs    []string
	Why      string // what it is for: a clause that begins with "to"
}

// rightsOf are what a run with these traits asks of the API: of the whole cluster, and of the namespaces that its fixtures are in. A run
// that is given a namespace makes none, and removes from it object by object what it made.
func rightsOf(traits []Trait, given bool) (cluster, namespaced []Right) {
	cluster = []Right{
		{"", "nodes", []string{"get", "list"}, "to find the nodes, and to tell a lost one"},
		{"node.k8s.io", "runtimeclasses", []string{"get"}, "to heed what a RuntimeClass demands of nodes"},
	}
	namespaced = []Right{
		{"", "serviceaccounts", []string{"get"}, "to wait for the namespace's own, without which no Pod is created"},
		{"", "pods", []string{"create", "delete", "deletecollection", "get", "list", "watch"}, "to have Pods to look at"},
		{"", "pods/exec", []string{"create", "get"}, "to look from inside containers"},
		{"", "pods/log", []string{"get"}, "to read what containers print"},
		{"", "events", []string{"list", "watch"}, "to learn why a Pod does not come up"},
		{"apps", "deployments", []string{"deletecollection"}, "to leave nothing behind"},
		{"apps", "daemonsets", []string{"deletecollection"}, "to leave nothing behind"},
	}
	const nothingLeft = "to leave nothing behind"
	if given {
		namespaced = append(namespaced, Right{"", "configmaps", []string{"deletecollection"}, nothingLeft},
			Right{"", "secrets", []string{"deletecollection"}, nothingLeft})
	} else {
		cluster = append(cluster, Right{"", "namespaces", []string{"create", "delete", "list"}, "to make namespaces, and to remove them"})
	}
	for _, trait := range traits {
		namespaced = append(namespaced, trait.Rights...)
	}
	return merged(cluster), merged(append(namespaced, rightsToCreate(traits)...))
}

// rightsToCreate are what the objects of the traits' fixtures take.
func rightsToCreate(traits []Trait) []Right {
	var rights []Right
	for _, trait := range traits {
		for _, fixture := range trait.AllFixtures() {
			objects, err := fixture.Objects()
			if err != nil {
				continue // the trait itself says so
			}
			for _, object := range objects {
				rights = append(rights, rightToCreate(object))
			}
		}
	}
	return rights
}

// rightToCreate is what an object of a fixture takes.
func rightToCreate(object runtime.Object) Right {
	create := []string{"create"}
	switch object.(type) {
	case *corev1.Secret:
		return Right{"", "secrets", create, "to give containers secrets of the suite's own to find"}
	case *corev1.ConfigMap:
		return Right{"", "configmaps", create, "to give containers their scripts and settings"}
	case *appsv1.Deployment:
		return Right{"apps", "deployments", create, "to have Pods that a controller makes"}
	case *appsv1.DaemonSet:
		return Right{"apps", "daemonsets", create, "to have Pods that a controller makes"}
	case *batchv1.Job:
		return Right{"batch", "jobs", []string{"create", "deletecollection"}, "to have Pods that a controller makes"}
	}
	return Right{"", "pods", create, "to have Pods to look at"}
}

// merged are the rights with each resource once, sorted.
func merged(rights []Right) []Right {
	var all []Right
	for _, right := range rights {
		at := slices.IndexFunc(all, func(other Right) bool { return other.Group == right.Group && other.Resource == right.Resource })
		if at < 0 {
			right.Verbs = slices.Clone(right.Verbs)
			all = append(all, right)
			continue
		}
		for _, verb := range right.Verbs {
			if !slices.Contains(all[at].Verbs, verb) {
				all[at].Verbs = append(all[at].Verbs, verb)
			}
		}
	}
	for at := range all {
		slices.Sort(all[at].Verbs)
	}
	slices.SortFunc(all, func(a, b Right) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Resource, b.Resource))
	})
	return all
}

// Roles are the objects that give a service account what a run with these traits asks of the API: a ClusterRole and, for a run that is
// given a namespace, a Role there, each with its binding. The service account is named as NAMESPACE/NAME, and they after it: those of
// another account stay as they are.
func Roles(traits []Trait, namespace, serviceAccount string) []runtime.Object {
	cluster, namespaced := rightsOf(traits, namespace != "")
	accountNamespace, name, _ := strings.Cut(serviceAccount, "/")
	subjects := []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: accountNamespace, Name: name}}
	if namespace == "" {
		// Its namespaces have names that nobody knows beforehand.
		cluster, namespaced = merged(slices.Concat(cluster, namespaced)), nil
	}
	role := strings.Join([]string{Owner, accountNamespace, name}, ":")
	meta := func(namespace string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Name: role, Namespace: namespace, Labels: map[string]string{OwnerLabel: Owner}}
	}
	objects := []runtime.Object{
		&rbacv1.ClusterRole{TypeMeta: rbacKind("ClusterRole"), ObjectMeta: meta(""), Rules: rules(cluster)},
		&rbacv1.ClusterRoleBinding{TypeMeta: rbacKind("ClusterRoleBinding"), ObjectMeta: meta(""), Subjects: subjects,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role}},
	}
	if namespace != "" {
		objects = append(objects,
			&rbacv1.Role{TypeMeta: rbacKind("Role"), ObjectMeta: meta(namespace), Rules: rules(namespaced)},
			&rbacv1.RoleBinding{TypeMeta: rbacKind("RoleBinding"), ObjectMeta: meta(namespace), Subjects: subjects,
				RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role}})
	}
	return objects
}

func rbacKind(kind string) metav1.TypeMeta {
	return metav1.TypeMeta{Kind: kind, APIVersion: rbacv1.SchemeGroupVersion.String()}
}

func rules(rights []Right) []rbacv1.PolicyRule {
	var all []rbacv1.PolicyRule
	for _, right := range rights {
		all = append(all, rbacv1.PolicyRule{APIGroups: []string{right.Group}, Resources: []string{right.Resource}, Verbs: right.Verbs})
	}
	return all
}

// missingRights asks the API for each right, and returns an obstacle for each resource of which one is missing.
func (run *run) missingRights(ctx context.Context) ([]Obstacle, error) {
	namespace := run.options.Namespace
	cluster, namespaced := rightsOf(run.traits, namespace != "")
	type place struct {
		right     Right
		namespace string
	}
	var places []place
	for _, right := range cluster {
		if right.Resource != "runtimeclasses" || len(run.options.RuntimeClasses) > 0 {
			places = append(places, place{right, ""})
		}
	}
	for _, right := range namespaced {
		places = append(places, place{right, namespace})
	}
	missing := make([][]string, len(places))
	asking, ctx := errgroup.WithContext(ctx)
	asking.SetLimit(rightsAtOnce)
	for at, place := range places {
		asking.Go(func() (err error) {
			missing[at], err = missingVerbs(ctx, run.client, place.right, place.namespace)
			return err
		})
	}
	if err := asking.Wait(); err != nil {
		return nil, fmt.Errorf("the API does not say what is allowed: %w", err)
	}
	var obstacles []Obstacle
	for at, place := range places {
		if len(missing[at]) == 0 {
			continue
		}
		where := "in the whole cluster"
		if place.namespace != "" {
			where = "in namespace " + place.namespace
		}
		obstacles = append(obstacles, Obstacle{
			What: fmt.Sprintf("no right to %s %s %s, which it takes %s",
				strings.Join(missing[at], ", "), place.right.name(), where, place.right.Why),
			NextStep: "let an administrator apply what sharedpid rights prints", resource: place.right.Resource,
		})
	}
	return obstacles, nil
}

// rightsAtOnce is how many rights are asked for at the same time.
const rightsAtOnce = 16

// missingVerbs are the verbs of a right that whoever asks does not have. An empty namespace stands for all of them.
func missingVerbs(ctx context.Context, client *pod.Client, right Right, namespace string) ([]string, error) {
	resource, subresource, _ := strings.Cut(right.Resource, "/")
	var missing []string
	for _, verb := range right.Verbs {
		review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
			ResourceAttributes: &authorizationv1.ResourceAttributes{
				Namespace: namespace, Verb: verb, Group: right.Group, Resource: resource, Subresource: subresource,
			},
		}}
		answer, err := pod.Retry(ctx, func(ctx context.Context) (*authorizationv1.SelfSubjectAccessReview, error) {
			return client.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
		})
		if err != nil {
			return nil, err
		}
		if !answer.Status.Allowed {
			missing = append(missing, verb)
		}
	}
	return missing, nil
}

// name is the resource as kubectl takes it, such as deployments.apps.
func (right Right) name() string {
	if right.Group == "" {
		return right.Resource
	}
	return right.Resource + "." + right.Group
}

package suite

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"sharedpid.example/helpers/pod"
)

// Sweep deletes the namespaces on a cluster that runs have left, once their time is over: those that have the suite's labels and an
// expiry before now. It returns what it deleted, and of the rest why it stays. The API goes on deleting what is in them.
func Sweep(ctx context.Context, client kubernetes.Interface, now time.Time) (deleted, stay []string, err error) {
	ours := metav1.ListOptions{LabelSelector: OwnerLabel + "=" + Owner + "," + RunLabel + "," + ExpiresLabel}
	found, err := pod.Retry(ctx, func(ctx context.Context) (*corev1.NamespaceList, error) {
		return client.CoreV1().Namespaces().List(ctx, ours)
	})
	if err != nil {
		return nil, nil, fmt.Errorf("the cluster's namespaces: %w", err)
	}
	slices.SortFunc(found.Items, func(a, b corev1.Namespace) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) })
	for _, each := range found.Items {
		if why := alive(each, now); why != "" {
			stay = append(stay, each.Name+" "+why)
			continue
		}
		// Another one of its name may be there by now.
		same := metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &each.UID}}
		if err := client.CoreV1().Namespaces().Delete(ctx, each.Name, same); err != nil && !apierrors.IsNotFound(err) {
			return deleted, stay, fmt.Errorf("namespace %s: %w", each.Name, err)
		}
		deleted = append(deleted, each.Name)
	}
	return deleted, stay, nil
}

// alive says why a namespace of a run stays, empty when its time is over.
func alive(namespace corev1.Namespace, now time.Time) string {
	seconds, err := strconv.ParseInt(namespace.Labels[ExpiresLabel], 10, 64)
	switch {
	case namespace.DeletionTimestamp != nil:
		return "is being deleted"
	case err != nil:
		return fmt.Sprintf("has the label %s=%s, which is no time", ExpiresLabel, namespace.Labels[ExpiresLabel])
	case now.Unix() < seconds:
		return "may be in use until " + time.Unix(seconds, 0).UTC().Format(time.RFC3339)
	}
	return ""
}

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// serveNamespaces gives each new namespace its service account, and empties those that are deleted and lets them go, as the controller
// manager does. It ends with ctx.
func serveNamespaces(ctx context.Context, client kubernetes.Interface, fault func(error)) error {
	factory := informers.NewSharedInformerFactory(client, 0)
	begun := map[string]bool{} // by the one goroutine of the informer
	_, err := factory.Core().V1().Namespaces().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(object any) {
			name := object.(*corev1.Namespace).Name
			account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}
			_, err := client.CoreV1().ServiceAccounts(name).Create(ctx, account, metav1.CreateOptions{})
			if err != nil && !apierrors.IsAlreadyExists(err) {
				fault(fmt.Errorf("service account of namespace %s: %w", name, err))
			}
		},
		UpdateFunc: func(_, object any) {
			namespace := object.(*corev1.Namespace)
			if namespace.DeletionTimestamp == nil || begun[namespace.Name] {
				return
			}
			begun[namespace.Name] = true
			go func() {
				if err := emptyNamespace(ctx, client, namespace.DeepCopy()); err != nil && ctx.Err() == nil {
					fault(fmt.Errorf("namespace %s: %w", namespace.Name, err))
				}
			}()
		},
	})
	factory.Start(ctx.Done())
	return err
}

func emptyNamespace(ctx context.Context, client kubernetes.Interface, namespace *corev1.Namespace) error {
	core, apps, soon := client.CoreV1(), client.AppsV1(), int64(1)
	every := metav1.ListOptions{}
	if err := errors.Join(
		apps.Deployments(namespace.Name).DeleteCollection(ctx, metav1.DeleteOptions{}, every),
		apps.DaemonSets(namespace.Name).DeleteCollection(ctx, metav1.DeleteOptions{}, every),
		core.Pods(namespace.Name).DeleteCollection(ctx, metav1.DeleteOptions{GracePeriodSeconds: &soon}, every),
		core.ConfigMaps(namespace.Name).DeleteCollection(ctx, metav1.DeleteOptions{}, every),
		core.ServiceAccounts(namespace.Name).DeleteCollection(ctx, metav1.DeleteOptions{}, every),
		core.Secrets(namespace.Name).DeleteCollection(ctx, metav1.DeleteOptions{}, every),
	); err != nil {
		return err
	}
	const patience = 5 * time.Minute
	if err := wait.PollUntilContextTimeout(ctx, time.Second, patience, true, func(ctx context.Context) (bool, error) {
		pods, err := core.Pods(namespace.Name).List(ctx, metav1.ListOptions{Limit: 1})
		return err == nil && len(pods.Items) == 0, err
	}); err != nil {
		return err
	}
	namespace.Spec.Finalizers = nil
	_, err := core.Namespaces().Finalize(ctx, namespace, metav1.UpdateOptions{})
	return settled(err)
}

package main

import (
	"context"
	"fmt"
	"net/url"
	"strconv"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// kernel is that of all nodes, as their containers see it.
const kernel = "6.12.41"

// faultyRuntime is the version of the runtime on faulty nodes.
const faultyRuntime = "containerd://2.5.0-rc.1"

// Of fifty nodes one has the newer runtime, which is faulty, one is tainted and one is not ready.
const (
	faultyPlace   = 17
	taintedPlace  = 41
	notReadyPlace = 23
)

// simulatedNode returns the node of a number, and whether its runtime is the faulty one.
func simulatedNode(number int, kubelet string) (node *corev1.Node, faulty bool, err error) {
	address, err := url.Parse(kubelet)
	if err != nil {
		return nil, false, err
	}
	port, err := strconv.Atoi(address.Port())
	if err != nil {
		return nil, false, err
	}
	room := corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("8"), corev1.ResourceMemory: resource.MustParse("32Gi"), corev1.ResourcePods: resource.MustParse("110"),
	}
	place := number % 50
	node = &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name:   fmt.Sprintf("node-%04d.pool.example.com", number),
			Labels: map[string]string{corev1.LabelOSStable: "linux", corev1.LabelHostname: fmt.Sprintf("node-%04d", number)},
		},
		Status: corev1.NodeStatus{
			Capacity: room, Allocatable: room,
			Addresses:       []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: address.Hostname()}},
			DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: int32(port)}},
			NodeInfo: corev1.NodeSystemInfo{
				ContainerRuntimeVersion: "containerd://2.4.2", KubeletVersion: "v1.37.2", KernelVersion: kernel, OperatingSystem: "linux",
				OSImage: "Debian GNU/Linux 13 (trixie)", Architecture: "amd64",
			},
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady"}},
		},
	}
	switch {
	case place == faultyPlace:
		node.Status.NodeInfo.ContainerRuntimeVersion = faultyRuntime
	case place == taintedPlace:
		node.Spec.Taints = []corev1.Taint{{Key: "example.com/dedicated", Value: "database", Effect: corev1.TaintEffectNoSchedule}}
	case place == notReadyPlace:
		node.Status.Conditions[0] = corev1.NodeCondition{
			Type: corev1.NodeReady, Status: corev1.ConditionUnknown, Reason: "NodeStatusUnknown", Message: "Kubelet stopped posting node status.",
		}
	}
	return node, place == faultyPlace, nil
}

// addNodes creates the nodes from one number up to another. Sound ones show one recording, faulty ones another.
func (kubelets *kubelets) addNodes(ctx context.Context, from, to int, sound, unsound recording) error {
	creating, ctx := errgroup.WithContext(ctx)
	creating.SetLimit(workers)
	for number := from; number < to; number++ {
		creating.Go(func() error {
			node, faulty, err := simulatedNode(number, kubelets.server.URL)
			if err != nil {
				return err
			}
			kubelets.mutex.Lock()
			kubelets.shows[node.Name] = sound
			if faulty {
				kubelets.shows[node.Name] = unsound
			}
			kubelets.mutex.Unlock()
			// The status comes with it: the API server takes it of a node, and no other.
			_, err = kubelets.client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{})
			if apierrors.IsAlreadyExists(err) {
				return nil
			}
			return err
		})
	}
	return creating.Wait()
}

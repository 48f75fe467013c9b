package provision

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"
)

// logLines is how much of a node's log is gathered at most.
const logLines = 20000

// Logs returns what the kubelet and the container runtime of some nodes logged since a time, one node after the other. On a cluster that
// exists there is nothing to be had. The error names the nodes that did not tell.
func (cluster *Cluster) Logs(ctx context.Context, nodes []string, since time.Time) ([]byte, error) {
	if cluster.kind == nil {
		return nil, nil
	}
	var all bytes.Buffer
	var failed error
	for _, node := range nodes {
		asking, cancel := context.WithTimeout(ctx, logTime)
		log, err := cluster.Output(asking, node, "journalctl", "--unit=kubelet", "--unit=containerd", "--no-pager", "--output=short-iso",
			fmt.Sprintf("--since=@%d", since.Unix()), fmt.Sprintf("--lines=%d", logLines))
		cancel()
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", node, err))
			continue
		}
		fmt.Fprintf(&all, "==> %s: kubelet and containerd since %s <==\n%s\n", node, since.UTC().Format(time.RFC3339), log)
	}
	return all.Bytes(), failed
}

// Kubectl is how a person calls kubectl for the cluster.
func (cluster *Cluster) Kubectl() string {
	if cluster.kind != nil {
		return "kubectl --kubeconfig " + cluster.kind.folder.kubeconfig()
	}
	command := "kubectl"
	if cluster.options.Kubeconfig != "" {
		command += " --kubeconfig " + cluster.options.Kubeconfig
	}
	if cluster.options.Context != "" {
		command += " --context " + cluster.options.Context
	}
	return command
}

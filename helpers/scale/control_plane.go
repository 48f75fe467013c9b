package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// controlPlane is an API server with its etcd, both on the loopback interface, with everything they keep in one folder.
type controlPlane struct {
	folder string
	host   string
	audit  string // file of the requests of the run
	ended  chan error
}

// The users that the API server knows, by their tokens: the command that is measured, and the simulation, whose requests are not counted.
const (
	measuredUser = "sharedpid"
	nodesUser    = "simulation"
)

// auditPolicy keeps one line of each request of the command, when it arrives.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [ResponseStarted, ResponseComplete, Panic]
rules:
  - level: Metadata
    users: [` + measuredUser + `]
  - level: None
`

// startControlPlane starts the programs, which end with ctx.
func startControlPlane(ctx context.Context, folder, apiServer, etcd string) (*controlPlane, error) {
	plane := &controlPlane{folder: folder, audit: filepath.Join(folder, "audit.log"), ended: make(chan error, 2)}
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	loopback := func(scheme string, i int) string { return fmt.Sprintf("%s://127.0.0.1:%d", scheme, ports[i]) }
	plane.host = loopback("https", 2)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	files := map[string]string{
		"service-account.pem": string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})),
		"audit-policy.yaml":   auditPolicy,
		"tokens.csv":          fmt.Sprintf("%[1]s,%[1]s,%[1]s,system:masters\n%[2]s,%[2]s,%[2]s,system:masters\n", measuredUser, nodesUser),
	}
	in := func(name string) string { return filepath.Join(folder, name) }
	for name, content := range files {
		if err := os.WriteFile(in(name), []byte(content), 0o600); err != nil {
			return nil, err
		}
	}
	if err := plane.start(ctx, "etcd", etcd, "--data-dir="+in("data"), "--listen-client-urls="+loopback("http", 0),
		"--advertise-client-urls="+loopback("http", 0), "--listen-peer-urls="+loopback("http", 1),
		"--initial-advertise-peer-urls="+loopback("http", 1), "--initial-cluster=default="+loopback("http", 1),
		"--unsafe-no-fsync", "--quota-backend-bytes=4294967296", "--log-level=warn"); err != nil {
		return nil, err
	}
	if err := plane.start(ctx, "kube-apiserver", apiServer, "--etcd-servers="+loopback("http", 0), "--bind-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", ports[2]), "--cert-dir="+in("certificates"), "--token-auth-file="+in("tokens.csv"),
		"--authorization-mode=RBAC", "--allow-privileged", "--service-cluster-ip-range=10.0.0.0/24", "--endpoint-reconciler-type=none",
		"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file="+in("service-account.pem"),
		"--service-account-signing-key-file="+in("service-account.pem"), "--kubelet-preferred-address-types=InternalIP",
		"--disable-admission-plugins=ServiceAccount,TaintNodesByCondition", // what these ask for, only controllers give
		"--audit-policy-file="+in("audit-policy.yaml"), "--audit-log-path="+plane.audit, "--audit-log-mode=blocking", "--audit-log-maxsize=4096",
	); err != nil {
		return nil, err
	}
	return plane, plane.wait(ctx)
}

// freePorts returns ports of the loopback interface that nobody listens on.
func freePorts(number int) ([]int, error) {
	var ports []int
	for range number {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer listener.Close() // all at the end, so that each is another one
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// start starts a program whose output goes into the folder. It ends with ctx, and with this process however that ends.
func (plane *controlPlane) start(ctx context.Context, name, program string, arguments ...string) error {
	output, err := os.Create(filepath.Join(plane.folder, name+".log"))
	if err != nil {
		return err
	}
	defer output.Close()
	command := exec.CommandContext(ctx, program, arguments...)
	command.Stdout, command.Stderr = output, output
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	go func() { plane.ended <- ended(name, command.Wait(), output.Name()) }()
	return nil
}

// ended is the error of a program that should not end, with its last words.
func ended(name string, err error, output string) error {
	const most = 600
	words, _ := os.ReadFile(output)
	return fmt.Errorf("%s ended (%v): %s", name, err, words[max(0, len(words)-most):])
}

// wait waits until the API server answers.
func (plane *controlPlane) wait(ctx context.Context) error {
	client, err := plane.client()
	if err != nil {
		return err
	}
	const patience = 2 * time.Minute
	return wait.PollUntilContextTimeout(ctx, time.Second, patience, true, func(ctx context.Context) (bool, error) {
		select {
		case err := <-plane.ended:
			return false, err
		default:
		}
		_, err := client.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
		return err == nil, nil
	})
}

// client returns the simulation's own client, which nothing slows down.
func (plane *controlPlane) client() (*kubernetes.Clientset, error) {
	return kubernetes.NewForConfig(&rest.Config{
		Host: plane.host, BearerToken: nodesUser, QPS: -1, TLSClientConfig: rest.TLSClientConfig{Insecure: true},
		ContentConfig: rest.ContentConfig{ContentType: "application/json"},
	})
}

// kubeconfig writes the file by which the command reaches the API server.
func (plane *controlPlane) kubeconfig() (string, error) {
	path := filepath.Join(plane.folder, "kubeconfig")
	const name = "simulated"
	return path, clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{name: {Server: plane.host, InsecureSkipTLSVerify: true}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{name: {Token: measuredUser}},
		Contexts:       map[string]*clientcmdapi.Context{name: {Cluster: name, AuthInfo: name}},
		CurrentContext: name,
	}, path)
}

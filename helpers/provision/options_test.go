package provision

import (
	"path/filepath"
	"strings"
	"testing"

	"sharedpid.example/fixtures/node"
	"sharedpid.example/fixtures/runtimes"
)

const plainConfig = "kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\n"

func TestValidateRefuses(t *testing.T) {
	machine := newMachine(t)
	file := func(name, content string) string {
		path := filepath.Join(machine.folder, name)
		machine.write(path, content)
		return path
	}
	kubeconfig := file("kubeconfig", machine.kubeconfig("theirs"))
	set := runtimes.Set{Handlers: []runtimes.Handler{{Name: "healthy"}}}
	for name, test := range map[string]struct {
		options Options
		words   string
	}{
		"path as a name":    {Options{ClusterName: "../../x"}, `--cluster-name: "../../x" is no name of a cluster`},
		"folder above":      {Options{ClusterName: ".."}, "--cluster-name:"},
		"leading dot":       {Options{ClusterName: ".x"}, "--cluster-name:"},
		"leading dash":      {Options{ClusterName: "-x"}, "--cluster-name:"},
		"capitals":          {Options{ClusterName: "Mine"}, "--cluster-name:"},
		"two lines":         {Options{ClusterName: "mine\n"}, "--cluster-name:"},
		"long name":         {Options{ClusterName: strings.Repeat("x", 51)}, "at most 50"},
		"unknown engine":    {Options{Engine: "rkt"}, `--engine: engine "rkt" is not known`},
		"no image":          {Options{NodeImage: "Not An Image"}, `--node-image: node image "Not An Image"`},
		"unknown version":   {Options{NodeVersions: node.Versions{Kubernetes: "1.9.0"}}, `--kubernetes: version "1.9.0" is not known; the known`},
		"version of kind's": {Options{NodeVersions: node.Versions{Runc: "1.3.3"}, NodeImage: "kind"}, "are about the local node image"},
		"unknown runtime":   {Options{Runtimes: []string{"rusnc"}}, `--runtime: there is no runtime "rusnc"`},
		"runtime twice":     {Options{Runtimes: []string{"runc", "runc"}}, "--runtime: the runtime runc is named twice"},
		"both kinds":        {Options{Runtimes: []string{"runc"}, Handlers: set}, "--runtime: a cluster gets either these"},
		"no configuration":  {Options{ClusterConfig: "/none.yaml"}, "--kind-config: open /none.yaml"},
		"unknown field":     {Options{ClusterConfig: file("field.yaml", plainConfig+"node: []\n")}, `there is no field "node"`},
		"another kind":      {Options{ClusterConfig: file("kind.yaml", "kind: Pod\napiVersion: v1\n")}, `not kind "Pod"`},
		"no kubeconfig":     {Options{Kubeconfig: "/none"}, "--kubeconfig /none:"},
		"unknown context":   {Options{Kubeconfig: kubeconfig, Context: "other"}, `context "other" does not exist`},
		"context of nobody": {Options{Context: "other"}, "--context other:"},

		"name of an existing one":          {Options{Kubeconfig: kubeconfig, ClusterName: "x"}, "--cluster-name is about"},
		"configuration of an existing one": {Options{Kubeconfig: kubeconfig, ClusterConfig: "x"}, "--kind-config is about"},
		"engine of an existing one":        {Options{Context: "x", Engine: "docker"}, "--engine is about"},
		"image of an existing one":         {Options{Context: "x", NodeImage: "kind"}, "--node-image is about"},
		"version of an existing one":       {Options{Context: "x", NodeVersions: node.Versions{Runc: "1.3.3"}}, "--runc is about"},
		"keeping an existing one":          {Options{Kubeconfig: kubeconfig, Keep: true}, "--keep is about"},
		"runtimes of an existing one":      {Options{Kubeconfig: kubeconfig, Runtimes: []string{"runc"}}, "--runtime-class"},
		"faults in an existing one":        {Options{Kubeconfig: kubeconfig, Handlers: set}, "leave out --kubeconfig and --context"},
	} {
		t.Run(name, func(t *testing.T) {
			err := test.options.Validate()
			if err == nil || !strings.Contains(err.Error(), test.words) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error is %v, want one line with %q", err, test.words)
			}
			// Nothing is made of what is refused.
			if _, err := obtain(t.Context(), test.options, machine.printer, machine.open); err == nil {
				t.Error("a cluster was obtained")
			}
		})
	}
	machine.did()
	if machine.asked() != "" {
		t.Errorf("an engine was asked\n%s", machine.asked())
	}
}

func TestValidateTakes(t *testing.T) {
	machine := newMachine(t)
	kubeconfig, configuration := filepath.Join(machine.folder, "kubeconfig"), filepath.Join(machine.folder, "kind.yaml")
	machine.write(kubeconfig, machine.kubeconfig("theirs"))
	machine.write(configuration, plainConfig)
	for name, options := range map[string]Options{
		"nothing": {}, "a context": {Kubeconfig: kubeconfig, Context: "theirs"},
		"everything": {
			ClusterName: "a1.b-2", ClusterConfig: configuration, Engine: "podman", NodeImage: "example.com/node:1",
			Runtimes: []string{"runc", "crun"}, Keep: true,
		},
		"versions": {
			NodeImage: "local", NodeVersions: node.Versions{Kubernetes: "1.36.3", Containerd: "2.2.1", Runc: "1.3.3"},
		},
		"the configuration of the checkout": {ClusterConfig: filepath.Join("..", "..", DefaultClusterConfig)},
	} {
		if err := options.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFolderOfANameIsBelowTheCache(t *testing.T) {
	machine := newMachine(t)
	folder, err := clusterFolder("mine")
	if err != nil || string(folder) != filepath.Join(machine.cache, "clusters", "mine") {
		t.Errorf("the folder is %q, %v", folder, err)
	}
	if folder, err := clusterFolder("../../x"); err == nil {
		t.Errorf("the folder is %q", folder)
	}
	if held, err := hold(nil, "../../x", machine.open); err == nil {
		t.Errorf("the name is held in %q", held.folder)
	}
}

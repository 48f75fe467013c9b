package main

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"
	podsecurity "k8s.io/pod-security-admission/api"

	"sharedpid.example/fixtures/images"
	"sharedpid.example/fixtures/node"
	"sharedpid.example/fixtures/runtimes"
	"sharedpid.example/helpers/deviations"
	"sharedpid.example/helpers/provision"
	"sharedpid.example/helpers/strictyaml"
	"sharedpid.example/helpers/suite"
	"sharedpid.example/helpers/workspace"
	"sharedpid.example/reports"
	"sharedpid.example/suites"
)

// options are what the commands may be asked for. Each command registers the flags that have a meaning for it.
type options struct {
	configFile      string
	profile         string
	traits          []string // patterns of ids
	skippedTraits   []string // patterns of ids
	podSecurity     string   // level
	reportDirectory string
	cluster         provision.Options
	images          imageFlags
	keep            keepFlags
	namespace       string
	adaptation      string // file
	nodes           []string
	nodeSelector    string
	sampling        string
	resume          string // report directory of the run to go on with
	keepFailed      bool
	pauseOnFailure  bool
	runtimeClasses  []string
	knownDeviations string // file
	parallel        int
	requests        float32 // a second
	patience        float64
	limits          []string // NAME=DURATION
	faults          []string
	implementedBy   string // file

	selected       []suite.Trait
	adapted        suite.Adaptation
	nodeLabels     labels.Selector         // nil for any
	implementation *reports.Implementation // nil where nobody says whose results these are
	deviations     deviations.List
	stretched      suite.Limits
	command        string   // name of the command
	narrowed       []string // arguments that narrowed what is looked at, or changed what is asked for
	given          []string // arguments that reproduce the run
}

// imageFlags are the sources of the test images as flags give them.
type imageFlags struct {
	mirror    string
	overrides []string
	sources   images.Sources
}

// Groups of flags.

func (options *options) addSelection(flags *pflag.FlagSet) {
	flags.StringVar(&options.profile, "profile", string(suite.Article), "check the traits of `PROFILE`: article, core or full")
	flags.StringArrayVar(&options.traits, "trait", nil, "check only the traits whose ids match `PATTERN`, such as 'signals/*' (repeatable)")
	flags.StringArrayVar(&options.skippedTraits, "skip-trait", nil, "leave out the traits whose ids match `PATTERN` (repeatable)")
	flags.StringVar(&options.podSecurity, "pod-security", "",
		"leave out the traits whose Pods a namespace would refuse that enforces the Pod Security `LEVEL`: baseline or restricted")
}

func (options *options) addCreation(flags *pflag.FlagSet) {
	flags.StringVar(&options.cluster.Engine, "engine", "", "container `ENGINE`: docker, podman or nerdctl (default: the first that works)")
	flags.StringVar(&options.cluster.NodeImage, "node-image", "",
		"`IMAGE` of the nodes: kind, local or a reference (default: local if built, else kind's)")
	for _, part := range options.cluster.NodeVersions.Parts() {
		flags.StringVar(part.Version, part.Name, "",
			"`VERSION` of "+part.Name+" in the nodes, whose image is then local: "+strings.Join(part.Known, ", ")+" (default: the last)")
	}
	flags.StringVar(&options.cluster.NodeVersions.CRI, "cri", "",
		"`NAME` of what the kubelet speaks to, in a local image: "+strings.Join(node.CRIs, " or ")+" (default: "+node.CRIs[0]+")")
}

func (options *options) addCluster(flags *pflag.FlagSet) {
	flags.StringVar(&options.cluster.ClusterName, "cluster-name", "", "`NAME` of the kind cluster (default: "+provision.DefaultClusterName+")")
	flags.StringVar(&options.cluster.ClusterConfig, "kind-config", "",
		"kind configuration `FILE` of that cluster (default: kind-config.yaml in the checkout)")
	flags.BoolVar(&options.cluster.Keep, "keep", false, "keep the created cluster; the next run uses it again")
}

func (options *options) addRuntimes(flags *pflag.FlagSet) {
	flags.StringArrayVar(&options.cluster.Runtimes, "runtime", nil,
		"give the created cluster the OCI runtime `NAME` and check the traits under it: "+strings.Join(runtimes.Names(), ", ")+" (repeatable)")
}

func (options *options) addExisting(flags *pflag.FlagSet) {
	flags.StringVar(&options.cluster.Kubeconfig, "kubeconfig", "",
		"kubeconfig `FILE` of a cluster that exists; nothing but namespaces of the run's own is touched")
	flags.StringVar(&options.cluster.Context, "context", "", "context `NAME` in that kubeconfig, or in the one that kubectl reads")
	options.addOnExisting(flags)
}

// addOnExisting registers the flags about a cluster that exists, but for how to reach it.
func (options *options) addOnExisting(flags *pflag.FlagSet) {
	flags.StringVar(&options.namespace, "namespace", "",
		"use the namespace `NAME`, which exists, and remove nothing but what the run made there (default: namespaces of the run's own)")
	flags.StringVar(&options.adaptation, "adapt", "",
		"YAML `FILE` with what the cluster demands of namespaces and Pods: labels, tolerations, a priority class, resources and the like")
	flags.StringArrayVar(&options.nodes, "node", nil,
		"check the traits on the node `NAME`, whose taints are tolerated (repeatable; default: every node that takes ordinary Pods)")
	flags.StringVar(&options.nodeSelector, "node-selector", "",
		"check the traits on the nodes with the labels `SELECTOR`, such as pool=gpu,zone!=a (default: every node that takes ordinary Pods)")
	flags.StringVar(&options.sampling, "nodes", "",
		"check the traits on `WHICH` of these nodes: all, or one-of-each-kind (default: all, and of more than 20 one of each kind)")
	flags.StringArrayVar(&options.runtimeClasses, "runtime-class", nil,
		"check the traits under the RuntimeClass `NAME`, on the nodes that it selects (repeatable; default: the nodes' own runtime)")
	flags.StringVar(&options.images.mirror, "image-registry", "",
		"take the test images from a mirror at `HOST/PATH`, which has them under their own repositories and digests")
	flags.StringArrayVar(&options.images.overrides, "image", nil,
		"use for a test image another one: `NAME=REFERENCE`, where the name is one of "+strings.Join(images.Names(), ", ")+" (repeatable)")
	flags.StringVar(&options.knownDeviations, "known-deviations", "",
		"`FILE` that lists the known deviations: one that is not listed fails the run, and a listed one that is resolved does too")
}

func (options *options) addRunning(flags *pflag.FlagSet, reportDirectory string) {
	flags.StringVar(&options.reportDirectory, "report-dir", "", "`DIRECTORY` for the reports (default: "+reportDirectory+" in the checkout)")
	options.addPace(flags)
}

func (options *options) addImplementation(flags *pflag.FlagSet) {
	flags.StringVar(&options.implementedBy, "implementation", "",
		"YAML `FILE` that says whose results these are: organization, project, url, contact, and version where none can be read")
}

func (options *options) addPace(flags *pflag.FlagSet) {
	flags.IntVar(&options.parallel, "parallel", max(8, 4*runtime.NumCPU()), "check at most this `NUMBER` of traits of a target at once")
	flags.Float32Var(&options.requests, "requests-per-second", 100, "send at most this `NUMBER` of requests to the API in a second")
	flags.Float64Var(&options.patience, "patience", 1,
		"stretch the limits by a `FACTOR`, for slow machines; not prompt-deletion and stream-end, which belong to statements")
	flags.StringArrayVar(&options.limits, "limit", nil,
		"set one limit as `NAME=DURATION`, not stretched; the names are "+strings.Join(suite.LimitNames(), ", ")+" (repeatable)")
	flags.StringVar(&options.configFile, "config", "", "YAML `FILE` with options: keys are the names of flags, which win over the file")
}

// readConfig takes the values of the options file for flags that were not given. A key that is no flag of the command is
// refused.
func (options *options) readConfig(flags *pflag.FlagSet) error {
	if options.configFile == "" {
		return nil
	}
	var values map[string]any
	if err := strictyaml.Read(options.configFile, &values); err != nil {
		return fmt.Errorf("--config: %w", err)
	}
	for name, value := range values {
		flag := flags.Lookup(name)
		if flag == nil || name == "config" || name == "help" {
			return fmt.Errorf("--config %s: there is no option %q; the options are the flags that sharedpid %s --help shows",
				options.configFile, name, flags.Name())
		}
		if flag.Changed {
			continue
		}
		many, isList := value.([]any)
		if !isList {
			many = []any{value}
		} else if flag.Value.Type() != "stringArray" {
			return fmt.Errorf("--config %s: %s takes one value and not a list", options.configFile, name)
		}
		for _, each := range many {
			switch each.(type) {
			case string, bool, float64, int64, int:
			default:
				return fmt.Errorf("--config %s: %s has a value that is neither text, a number nor true or false", options.configFile, name)
			}
			if err := flags.Set(name, fmt.Sprint(each)); err != nil {
				return fmt.Errorf("--config %s: %s", options.configFile, valueProblem(name, fmt.Sprint(each), flag.Value.Type()))
			}
		}
	}
	return nil
}

// resolve checks everything that can be checked before anything is created.
func (options *options) resolve(command *cobra.Command) error {
	flags := command.Flags()
	if err := options.readConfig(flags); err != nil {
		return err
	}
	options.command = command.Name()
	// Not flags.Visit, which knows only what was set through flags: go test sets the values by themselves.
	flags.VisitAll(func(flag *pflag.Flag) {
		if !flag.Changed || flag.Name == "config" {
			return // what an options file holds is given in its place
		}
		for _, value := range valuesOf(flag) {
			argument := "--" + flag.Name + "=" + value
			options.given = append(options.given, argument)
			if narrows(flag.Name, value) {
				options.narrowed = append(options.narrowed, argument)
			}
		}
	})
	if err := options.selectTraits(); err != nil {
		return err
	}
	if flags.Lookup("patience") == nil {
		return nil
	}
	if err := options.resolveRunning(); err != nil {
		return err
	}
	if flags.Lookup("kubeconfig") != nil && !options.cluster.Existing() {
		options.cluster.Inside = provision.Inside()
	}
	if err := options.cluster.Validate(); err != nil {
		return err
	}
	if err := options.resolveAfter(); err != nil {
		return err
	}
	options.runtimeClasses = slices.Concat(options.cluster.Runtimes, options.runtimeClasses)
	return options.resolveExisting()
}

// narrows tells whether a value of a flag makes the run one about less than the profile on the whole cluster: it leaves something out,
// or changes a limit that belongs to a statement. All else that a flag changes stands in the reports by itself: the targets with
// their RuntimeClasses, the images, the limits.
func narrows(flag, value string) bool {
	switch flag {
	case "trait", "skip-trait", "pod-security", "node", "node-selector":
		return true
	case "limit":
		name, _, _ := strings.Cut(value, "=")
		return suite.StatedLimit(name)
	}
	return false
}

// valuesOf are the values of a flag that was given, one for each time.
func valuesOf(flag *pflag.Flag) []string {
	if many, ok := flag.Value.(pflag.SliceValue); ok {
		return many.GetSlice()
	}
	return []string{flag.Value.String()}
}

func (options *options) selectTraits() error {
	if !slices.Contains(suite.Profiles, suite.Profile(options.profile)) {
		return fmt.Errorf("--profile: there is no profile %q; the profiles are article, core and full", options.profile)
	}
	selected, err := suite.Select(suites.Traits(), suite.Profile(options.profile), options.traits)
	if err != nil {
		return fmt.Errorf("--trait: %w", err)
	}
	for _, pattern := range options.skippedTraits {
		before := len(selected)
		var malformed error
		selected = slices.DeleteFunc(selected, func(trait suite.Trait) bool {
			matches, err := path.Match(pattern, trait.ID)
			malformed = errors.Join(malformed, err)
			return matches
		})
		if malformed != nil {
			return fmt.Errorf("--skip-trait: %q is no pattern, such as 'signals/*'", pattern)
		}
		if len(selected) == before {
			return fmt.Errorf("--skip-trait: no selected trait matches %q; sharedpid list shows the traits", pattern)
		}
	}
	if options.podSecurity != "" {
		if selected, err = suites.AdmittedAt(podsecurity.Level(options.podSecurity), selected); err != nil {
			return fmt.Errorf("--pod-security: %w", err)
		}
	}
	if len(selected) == 0 {
		return errors.New("the selection holds no trait; sharedpid list shows what there is")
	}
	options.selected = selected
	return nil
}

func (options *options) resolveRunning() error {
	if options.parallel < 1 {
		return fmt.Errorf("--parallel: %d traits at once check nothing; give 1 or more", options.parallel)
	}
	if !(options.requests > 0) {
		return fmt.Errorf("--requests-per-second: %g requests ask nothing; give more than 0", options.requests)
	}
	if !(options.patience >= 0.1 && options.patience <= 1000) { // NaN is neither
		return fmt.Errorf("--patience: %g is no factor from 0.1 to 1000", options.patience)
	}
	options.stretched = suite.DefaultLimits().Stretched(options.patience)
	for _, each := range options.limits {
		name, text, found := strings.Cut(each, "=")
		value, err := time.ParseDuration(text)
		if !found || err != nil {
			return fmt.Errorf("--limit %q: want NAME=DURATION, such as start=2m; the names are %s", each, strings.Join(suite.LimitNames(), ", "))
		}
		if options.stretched, err = options.stretched.With(name, value); err != nil {
			return fmt.Errorf("--limit %q: %w", each, err)
		}
	}
	return nil
}

func (options *options) resolveExisting() error {
	if options.images.mirror != "" {
		if err := options.images.sources.TakeMirror(options.images.mirror); err != nil {
			return fmt.Errorf("--image-registry: %w", err)
		}
	}
	for _, override := range options.images.overrides {
		if image, _, _ := strings.Cut(override, "="); options.images.sources.Overrides[image] != "" {
			return fmt.Errorf("--image: %s is named twice; leave one of them out", image)
		}
		if err := options.images.sources.TakeOverride(override); err != nil {
			return fmt.Errorf("--image: %w", err)
		}
	}
	if err := options.keep.validate(options.namespace); err != nil {
		return err
	}
	if problems := validation.IsDNS1123Label(options.namespace); options.namespace != "" && len(problems) > 0 {
		return fmt.Errorf("--namespace: %q is no name of a namespace", options.namespace)
	}
	if options.nodeSelector != "" {
		var err error
		if options.nodeLabels, err = labels.Parse(options.nodeSelector); err != nil {
			return fmt.Errorf("--node-selector: %q is no label selector, such as pool=gpu,zone!=a: %w", options.nodeSelector, err)
		}
	}
	if which := suite.Sampling(options.sampling); which != suite.SampleMany && which != suite.AllNodes && which != suite.OneOfEachKind {
		return fmt.Errorf("--nodes: there is no choice %q; the choices are %s and %s", options.sampling, suite.AllNodes, suite.OneOfEachKind)
	}
	if options.adaptation != "" {
		if err := strictyaml.Read(options.adaptation, &options.adapted); err != nil {
			return fmt.Errorf("--adapt: %w; the README lists what can be adapted, and what traits judge is not among it", err)
		}
		if err := options.adapted.Validate(); err != nil {
			return fmt.Errorf("--adapt: %s: %w", options.adaptation, err)
		}
	}
	if options.implementedBy != "" {
		var err error
		if options.implementation, err = readImplementation(options.implementedBy); err != nil {
			return err
		}
	}
	for at, class := range options.runtimeClasses {
		if len(validation.IsDNS1123Subdomain(class)) > 0 {
			return fmt.Errorf("--runtime-class: %q is no name of a RuntimeClass", class)
		}
		if slices.Contains(options.runtimeClasses[:at], class) {
			return fmt.Errorf("--runtime-class: %q is named twice; name it once", class)
		}
	}
	for _, name := range options.nodes {
		if len(validation.IsDNS1123Subdomain(name)) > 0 {
			return fmt.Errorf("--node: %q is no name of a node; kubectl get nodes shows the names", name)
		}
	}
	if options.knownDeviations == "" {
		return nil
	}
	known := deviations.Known{Runtimes: slices.Concat(runtimes.Names(), options.runtimeClasses)}
	for _, trait := range suites.Traits() {
		known.Traits = append(known.Traits, trait.ID)
	}
	var err error
	if options.deviations, err = deviations.Read(options.knownDeviations, known); err != nil {
		return fmt.Errorf("--known-deviations: %w", err)
	}
	return nil
}

// readImplementation reads the file of --implementation.
func readImplementation(path string) (*reports.Implementation, error) {
	var implementation reports.Implementation
	if err := strictyaml.Read(path, &implementation); err != nil {
		return nil, fmt.Errorf("--implementation: %w; it has organization, project, url, contact and version", err)
	}
	if err := implementation.Validate(); err != nil {
		return nil, fmt.Errorf("--implementation: %s: %w", path, err)
	}
	return &implementation, nil
}

// reports returns the directory for the reports: the one that was given, or the default in the checkout, or outside of one
// in the working directory.
func (options *options) reports(byDefault string) string {
	if options.reportDirectory != "" {
		return options.reportDirectory
	}
	root, err := workspace.Root()
	if err != nil {
		root = "."
	}
	return filepath.Join(root, filepath.FromSlash(byDefault))
}

package suites

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"sigs.k8s.io/e2e-framework/pkg/envconf"
	frameworkflags "sigs.k8s.io/e2e-framework/pkg/flags"

	"sharedpid.example/fixtures/handlers"
	"sharedpid.example/fixtures/nodeimage"
	"sharedpid.example/fixtures/runtimes"
	"sharedpid.example/fixtures/testimages"
)

// Options is what a person may choose for a run.
type Options struct {
	Profile         string
	Patterns        []string // of trait ids
	ReportDirectory string
	ClusterName     string
	ClusterConfig   string // path of the kind configuration
	Engine          string
	NodeImage       string
	Images          testimages.Sources
	Keep            bool
	List            bool
	Parallel        int      // how many traits are decided at once
	RuntimeClasses  []string // to decide the traits under, instead of the nodes' own runtime
	Nodes           []string // to decide the traits on, instead of all

	Framework  *envconf.Config // what the framework's own flags say
	Kubeconfig string          // of an existing cluster
	Context    string          // in that kubeconfig
	Selected   []Trait         // what the selection comes to

	Deviations []deviation  // that are expected, and must be seen
	Runtimes   []string     // real ones, to decide the traits under on a cluster that is created
	Faults     []string     // to run the traits under, for TestFaults
	Handlers   handlers.Set // runtimes that the nodes of a created cluster get beside their own
}

// Existing tells whether the run looks at a cluster that somebody else made.
func (options Options) Existing() bool { return options.Kubeconfig != "" || options.Context != "" }

// repeated is a flag that may be given several times.
type repeated []string

func (values *repeated) String() string         { return strings.Join(*values, ",") }
func (values *repeated) Set(value string) error { *values = append(*values, value); return nil }

// ParseOptions reads the command line of the test binary, together with the flags of go test and of the
// framework. An error is one line about the input; flag.ErrHelp means that help was asked for and printed.
func ParseOptions(flags *flag.FlagSet, help io.Writer) (Options, error) {
	var options Options
	names := []string{
		"profile", "trait", "report-dir", "cluster-name", "kind-config", "engine", "node-image", "image-registry", "image", "keep", "list", "parallel", "expect", "runtime", "runtime-class", "node", "fault",
		"kubeconfig", "context", "labels", "skip-labels", "feature", "skip-features", "assess", "dry-run",
	}
	flags.StringVar(&options.Profile, "profile", string(Article), "traits to decide: `article`, core or full")
	flags.Var((*repeated)(&options.Patterns), "trait", "`pattern` of trait ids to decide, such as 'signals/*' (repeatable)")
	flags.StringVar(&options.ReportDirectory, "report-dir", "", "`directory` for the reports (default: reports/out in the checkout)")
	flags.StringVar(&options.ClusterName, "cluster-name", "sharedpid", "`name` of the kind cluster to create")
	flags.StringVar(&options.ClusterConfig, "kind-config", "", "kind configuration `file` of that cluster (default: kind-config.yaml in the checkout)")
	flags.StringVar(&options.Engine, "engine", "", "container `engine`: docker, podman or nerdctl (default: the first that works)")
	flags.StringVar(&options.NodeImage, "node-image", "", "`image` of the nodes: kind, local or a reference (default: local if built, else kind's)")
	options.Images.AddFlags(flags)
	flags.BoolVar(&options.Keep, "keep", false, "keep the created cluster; the next run uses it again")
	flags.BoolVar(&options.List, "list", false, "print the selected traits and exit")
	// The framework has a flag of this name as well, a switch, and leaves one that is defined alone.
	flags.IntVar(&options.Parallel, "parallel", max(8, 4*runtime.NumCPU()), "how many traits are decided at once: a `number`")
	flags.Var((*repeated)(&options.RuntimeClasses), "runtime-class", "`name` of a RuntimeClass to decide the traits under (repeatable; default: the nodes' own runtime)")
	flags.Var((*repeated)(&options.Runtimes), "runtime", "`name` of an OCI runtime that the created cluster gets and the traits are decided under: "+strings.Join(runtimes.Names(), ", ")+" (repeatable)")
	expect := flags.String("expect", "", "`file` that lists the expected deviations: a new one fails the run, and one that has vanished does too")
	flags.Var((*repeated)(&options.Faults), "fault", "`name` of a faulty runtime that TestFaults runs, or all (repeatable)")
	flags.Var((*repeated)(&options.Nodes), "node", "`name` of a node to decide the traits on (repeatable; default: every node that takes Pods)")
	flags.Usage = func() {
		fmt.Fprint(help, "Decides how Pods with a shared process namespace behave, on a kind cluster or an existing one.\n"+
			"Exit codes: 0 conformant, 1 nonconformant, 2 bad input or set-up, 3 inconclusive.\n\nFlags:\n")
		printFlags(help, flags, names)
	}
	// The flag package prints an error and the usage by itself; here the caller prints one line.
	flags.SetOutput(io.Discard)
	asked := flags.Usage
	flags.Usage = func() {}
	defer func() { flags.Usage = asked }()

	framework, err := frameworkflags.Parse()
	if errors.Is(err, flag.ErrHelp) {
		asked()
		return options, flag.ErrHelp
	}
	if err != nil {
		return options, fmt.Errorf("%w; -h shows the flags", errors.Unwrap(err))
	}
	if flags.NArg() > 0 {
		return options, fmt.Errorf("unexpected argument %q; -h shows the flags", flags.Arg(0))
	}
	if options.Parallel < 1 {
		return options, fmt.Errorf("flag -parallel: %d traits at once decide nothing; give 1 or more", options.Parallel)
	}
	options.Kubeconfig, options.Context = framework.Kubeconfig(), framework.KubeContext()
	if err := options.configure(framework); err != nil {
		return options, err
	}
	if err := options.addRuntimes(); err != nil {
		return options, err
	}
	if *expect != "" {
		if options.Deviations, err = readDeviations(*expect, options.RuntimeClasses); err != nil {
			return options, fmt.Errorf("flag -expect: %w", err)
		}
	}
	options.List = options.List || framework.DryRun()
	options.defaultPaths()
	return options, options.choose()
}

// addRuntimes asks for the RuntimeClasses of the runtimes.
func (options *Options) addRuntimes() error {
	if _, err := runtimes.Select(options.Runtimes); err != nil {
		return fmt.Errorf("flag -runtime: %w", err)
	}
	if len(options.Runtimes) > 0 && options.Existing() {
		return errors.New("flag -runtime: runtimes are put into a cluster that is created for them; on an existing one name its RuntimeClasses with -runtime-class")
	}
	options.RuntimeClasses = append(slices.Clone(options.Runtimes), options.RuntimeClasses...)
	return nil
}

func printFlags(to io.Writer, flags *flag.FlagSet, names []string) {
	shown := flag.NewFlagSet("", flag.ContinueOnError)
	shown.SetOutput(to)
	flags.VisitAll(func(each *flag.Flag) {
		if slices.Contains(names, each.Name) {
			shown.Var(each.Value, each.Name, each.Usage)
		}
	})
	shown.PrintDefaults()
	fmt.Fprintln(to, "\nThe flags of go test work as well, with -test. in front.")
}

// defaultPaths fills in the paths that were not given: those of the checkout, or outside of one of the working
// directory.
func (options *Options) defaultPaths() {
	root, err := nodeimage.Root()
	if err != nil {
		root = "."
	}
	if options.ReportDirectory == "" {
		options.ReportDirectory = filepath.Join(root, "reports", "out")
	}
	if options.ClusterConfig == "" {
		options.ClusterConfig = filepath.Join(root, "kind-config.yaml")
	}
}

// configure takes over the framework's selection flags. Its own constructor panics on a malformed expression.
func (options *Options) configure(framework *frameworkflags.EnvFlags) error {
	for name, expression := range map[string]string{
		"feature": framework.Feature(), "skip-features": framework.SkipFeatures(),
		"assess": framework.Assessment(), "skip-assessment": framework.SkipAssessment(),
	} {
		if _, err := regexp.Compile(expression); err != nil {
			return fmt.Errorf("flag -%s: %w", name, err)
		}
	}
	options.Framework = envconf.New().WithLabels(framework.Labels()).WithSkipLabels(framework.SkipLabels()).WithParallelTestEnabled()
	if framework.Feature() != "" {
		options.Framework.WithFeatureRegex(framework.Feature())
	}
	if framework.SkipFeatures() != "" {
		options.Framework.WithSkipFeatureRegex(framework.SkipFeatures())
	}
	if framework.Assessment() != "" {
		options.Framework.WithAssessmentRegex(framework.Assessment())
	}
	if framework.SkipAssessment() != "" {
		options.Framework.WithSkipAssessmentRegex(framework.SkipAssessment())
	}
	return nil
}

// choose selects the traits, by the same rules as the framework applies to features, so that the plan holds
// what will run and nothing else. A selection of nothing is an error.
func (options *Options) choose() error {
	selected, err := Select(Traits(), Profile(options.Profile), options.Patterns)
	if err != nil {
		return err
	}
	if err := checkLabels(options.Framework.Labels()); err != nil {
		return err
	}
	options.Selected = slices.DeleteFunc(selected, func(trait Trait) bool { return !options.selects(trait) })
	if len(options.Selected) == 0 {
		return errors.New("the selection holds no trait; -list shows what there is")
	}
	return nil
}

func checkLabels(labels map[string][]string) error {
	for key := range labels {
		if !slices.Contains([]string{"group", "profile", "documented"}, key) {
			return fmt.Errorf("there is no label %q; the labels are group, profile and documented", key)
		}
	}
	return nil
}

func (options *Options) selects(trait Trait) bool {
	labels := trait.labels()
	for key, values := range options.Framework.Labels() {
		if !slices.ContainsFunc(values, func(value string) bool { return slices.Contains(labels[key], value) }) {
			return false
		}
	}
	for key, values := range options.Framework.SkipLabels() {
		if slices.ContainsFunc(values, func(value string) bool { return slices.Contains(labels[key], value) }) {
			return false
		}
	}
	if wanted := options.Framework.FeatureRegex(); wanted != nil && !wanted.MatchString(trait.ID) {
		return false
	}
	unwanted := options.Framework.SkipFeatureRegex()
	return unwanted == nil || !unwanted.MatchString(trait.ID)
}

// selectSubjects keeps the subjects that the framework would assess.
func (options *Options) selectSubjects(all []subject) []subject {
	wanted, unwanted := options.Framework.AssessmentRegex(), options.Framework.SkipAssessmentRegex()
	return slices.DeleteFunc(all, func(subject subject) bool {
		return wanted != nil && !wanted.MatchString(subject.ID) || unwanted != nil && unwanted.MatchString(subject.ID)
	})
}

// labels are the framework's labels of a trait. A trait has the label of every profile that holds it.
func (trait Trait) labels() map[string][]string {
	labels := map[string][]string{"group": {trait.Group()}, "documented": {fmt.Sprint(trait.Documented)}}
	for _, profile := range Profiles[slices.Index(Profiles, trait.Profile):] {
		labels["profile"] = append(labels["profile"], string(profile))
	}
	return labels
}

// Scale measures what runs of the command take on clusters of many nodes: memory, requests, time and the size of the reports.
//
// The API server and its etcd are real, and so is the command. Nodes and Pods are simulated: see kubelets.
package main

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"sharedpid.example/reports"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := measureAll(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// settings are what flags say.
type settings struct {
	apiServer, etcd, command, recording, out string
	nodes                                    []int
	only                                     string
}

// selection is what a run looks at.
type selection struct {
	name              string
	arguments         []string
	requestsPerSecond int
}

// selections are what is measured at each size. The arguments of joiners/ephemeral-joins are others on each target, and in the snapshots
// that are recorded.
var selections = []selection{
	{"every node", []string{"--nodes=all", "--trait=visibility/shell-sees-nginx", "--parallel=64"}, 400},
	{"one of each kind", []string{"--nodes=one-of-each-kind", "--profile=core", "--skip-trait=joiners/ephemeral-joins"}, 100},
}

// The targets of the recording that sound and faulty nodes show.
const (
	soundTarget  = "sharedpid-faults-control-plane/healthy"
	faultyTarget = "sharedpid-faults-control-plane/private-pid"
)

func measureAll(ctx context.Context) error {
	// When ctx ends, the command that is measured still cleans up, on a cluster that is there.
	simulating, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var settings settings
	flags := pflag.NewFlagSet("scale", pflag.ExitOnError)
	flags.StringVar(&settings.apiServer, "kube-apiserver", "bin/scale/kube-apiserver", "the API server's `PROGRAM`")
	flags.StringVar(&settings.etcd, "etcd", "bin/scale/etcd", "etcd's `PROGRAM`")
	flags.StringVar(&settings.command, "sharedpid", "bin/sharedpid", "the `COMMAND` that is measured")
	flags.StringVar(&settings.recording, "recording", "suites/testdata/faults.json.gz", "the recorded run, a `FILE`")
	flags.StringVar(&settings.out, "report-dir", "reports/out/scale", "`DIRECTORY` for what the runs report")
	flags.IntSliceVar(&settings.nodes, "nodes", []int{50, 500, 5000}, "sizes of the cluster, the smallest first")
	flags.StringVar(&settings.only, "only", "", "measure one `SELECTION` alone")
	if err := flags.Parse(os.Args[1:]); err != nil {
		return err
	}
	recorded, err := readRecording(settings.recording)
	if err != nil {
		return err
	}
	sound, err := recordingOf(recorded, soundTarget)
	if err != nil {
		return err
	}
	faulty, err := recordingOf(recorded, faultyTarget)
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "sharedpid-scale-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	plane, err := startControlPlane(simulating, folder, settings.apiServer, settings.etcd)
	if err != nil {
		return err
	}
	defer func() { // before the folder goes
		cancel()
		<-plane.ended
		<-plane.ended
	}()
	client, err := plane.client()
	if err != nil {
		return err
	}
	fault := func(err error) { fmt.Fprintln(os.Stderr, "simulation:", err) }
	kubelets := startKubelets(simulating, client, fault)
	if err := serveNamespaces(simulating, client, fault); err != nil {
		return err
	}
	var measurements []measurement
	there := 0
	for _, size := range settings.nodes {
		if err := kubelets.addNodes(ctx, there, size, sound, faulty); err != nil {
			return err
		}
		there = size
		for _, selection := range selections {
			if settings.only != "" && settings.only != selection.name {
				continue
			}
			measured, err := plane.measure(ctx, settings, selection, size)
			if err != nil {
				return fmt.Errorf("%s, %d nodes: %w", selection.name, size, err)
			}
			measurements = append(measurements, measured)
			told := table(measurements)
			fmt.Printf("\n%s", told)
			if err := os.WriteFile(filepath.Join(settings.out, "measurements.md"), []byte(told), 0o644); err != nil {
				return err
			}
		}
	}
	if broken := problems(measurements); len(broken) > 0 {
		return errors.New(strings.Join(broken, "\n       "))
	}
	return nil
}

// measure runs the command once.
func (plane *controlPlane) measure(ctx context.Context, settings settings, selection selection, size int) (measurement, error) {
	directory := filepath.Join(settings.out, fmt.Sprintf("%s-%d", strings.ReplaceAll(selection.name, " ", "-"), size))
	if err := os.RemoveAll(directory); err != nil {
		return measurement{}, err
	}
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return measurement{}, err
	}
	log, err := os.Open(plane.audit)
	if err != nil {
		return measurement{}, err
	}
	defer log.Close()
	if _, err := log.Seek(0, io.SeekEnd); err != nil { // behind the requests of earlier runs
		return measurement{}, err
	}
	kubeconfig, err := plane.kubeconfig()
	if err != nil {
		return measurement{}, err
	}
	output, err := os.Create(filepath.Join(directory, "output.txt"))
	if err != nil {
		return measurement{}, err
	}
	defer output.Close()
	arguments := slices.Concat([]string{"run", "--kubeconfig=" + kubeconfig, "--report-dir=" + filepath.Join(directory, "reports"),
		fmt.Sprintf("--requests-per-second=%d", selection.requestsPerSecond)}, selection.arguments)
	command := exec.CommandContext(ctx, settings.command, arguments...)
	command.Stdout, command.Stderr = output, output
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	fmt.Printf("==> %s, %d nodes: sharedpid %s\n", selection.name, size, strings.Join(arguments, " "))
	start := time.Now()
	ended := command.Start()
	var memory int64
	if ended == nil {
		memory = peakMemory(command.Process.Pid, func() { ended = command.Wait() })
	}
	measured := measurement{
		Selection: selection.name, Nodes: size, Cap: selection.requestsPerSecond, Seconds: time.Since(start).Seconds(),
		MemoryBytes: memory,
	}
	if exit := (*exec.ExitError)(nil); ended != nil && (!errors.As(ended, &exit) || exit.ExitCode() != nonconformant) {
		return measured, fmt.Errorf("%w, see %s", ended, output.Name())
	}
	if measured.FileBytes, err = fileSizes(filepath.Join(directory, "reports")); err != nil {
		return measured, err
	}
	if measured.Requests, measured.MostInOneSecond, err = readRequests(log); err != nil {
		return measured, err
	}
	run, err := reports.Read(filepath.Join(directory, "reports", "run.json"))
	if err != nil {
		return measured, err
	}
	measured.Targets, measured.Results = len(run.Targets), len(run.Results)
	return measured, verdicts(run)
}

// peakMemory returns the largest resident set of a process in bytes, as proc_pid_status(5) tells it until wait returns. What getrusage(2)
// tells of a child begins with the memory of its parent.
func peakMemory(process int, wait func()) (bytes int64) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		wait()
	}()
	const pause = 50 * time.Millisecond
	for {
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", process))
		if match := residentPeak.FindSubmatch(status); match != nil {
			kibibytes, _ := strconv.ParseInt(string(match[1]), 10, 64)
			bytes = max(bytes, kibibytes<<10)
		}
		select {
		case <-ended:
			return bytes
		case <-time.After(pause):
		}
	}
}

var residentPeak = regexp.MustCompile(`(?m)^VmHWM:\s+([0-9]+) kB$`)

// nonconformant is the exit code of a run that found the faulty nodes.
const nonconformant = 1

// verdicts returns an error when sound nodes do not conform, or faulty ones do: then the simulation is not what it is taken for.
func verdicts(run reports.Run) error {
	faulty := map[string]bool{}
	for _, target := range run.Targets {
		faulty[target.ID] = target.Runtime == faultyRuntime
	}
	found := map[string]bool{}
	for _, result := range run.Results {
		switch {
		case faulty[result.Target]:
			found[result.Target] = found[result.Target] || result.Verdict == reports.Nonconformant
		case result.Verdict == reports.Nonconformant, result.Verdict == reports.Inconclusive, result.Verdict == reports.NotRun:
			return fmt.Errorf("%s on %s is %s: %s", result.Trait, result.Target, result.Verdict, result.Reason)
		}
	}
	for target, is := range faulty {
		if is && !found[target] {
			return fmt.Errorf("the faulty node %s was not noticed", target)
		}
	}
	return nil
}

// readRecording reads a recorded run.
func readRecording(path string) (reports.Run, error) {
	file, err := os.Open(path)
	if err != nil {
		return reports.Run{}, err
	}
	defer file.Close()
	reader, err := gzip.NewReader(file)
	if err != nil {
		return reports.Run{}, err
	}
	content, err := io.ReadAll(reader)
	if err != nil {
		return reports.Run{}, err
	}
	return reports.Decode(content)
}

// Interruptions proves that a run which is ended at any moment leaves nothing: it starts the command again and again, sends it a signal at
// a random moment of its creation, run, report or clean-up, and looks at what is there afterwards. Arguments are given to the runs.
package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"sharedpid.example/helpers/provision/engine"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	problems, err := tryAll(ctx, os.Args[1:])
	switch {
	case errors.Is(err, pflag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(2)
	case problems > 0:
		os.Exit(1)
	}
}

// tries is what the runs that are ended have in common.
type tries struct {
	command, folder, name string
	engine                *engine.Engine
	arguments             []string
	typical               time.Duration // of a run that nobody ends
}

// kinds of interruptions, which take turns.
var kinds = []interruption{
	{name: "SIGINT", signal: syscall.SIGINT},
	{name: "SIGKILL, then clean", signal: syscall.SIGKILL},
	{name: "SIGTERM", signal: syscall.SIGTERM},
	{name: "SIGKILL, then the run goes on", signal: syscall.SIGKILL, resume: true},
}

func tryAll(ctx context.Context, arguments []string) (problems int, err error) {
	flags := pflag.NewFlagSet("interruptions", pflag.ContinueOnError)
	times := flags.Int("times", 100, "interrupt this `NUMBER` of runs")
	seed := flags.Uint64("seed", 0, "choose the moments by this `NUMBER`, 0 for new ones")
	profile := flags.String("profile", "article", "`PROFILE` of the runs")
	tried := tries{name: "sharedpid-interrupted"}
	flags.StringVar(&tried.command, "command", "bin/sharedpid", "the `PROGRAM` that is ended")
	if err := flags.Parse(arguments); err != nil {
		return 0, err
	}
	if *times < 1 {
		return 0, fmt.Errorf("--times: %d is no number of runs", *times)
	}
	if tried.command, err = filepath.Abs(tried.command); err != nil {
		return 0, err
	}
	if tried.engine, err = engine.Detect(ctx, ""); err != nil {
		return 0, err
	}
	if tried.folder, err = os.MkdirTemp("", "interruptions-"); err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(tried.folder) }()
	tried.arguments = append([]string{"run", "--cluster-name=" + tried.name, "--profile=" + *profile}, flags.Args()...)
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	fmt.Printf("moments are chosen by --seed=%d\n", *seed)
	moments := rand.New(rand.NewPCG(*seed, 0))

	start := time.Now()
	if found := tried.try(ctx, interruption{name: "nothing", after: never}, 0); len(found) > 0 {
		return 0, fmt.Errorf("a run that nobody interrupts: %s", strings.Join(found, "; "))
	}
	tried.typical = time.Since(start)
	fmt.Printf("a run that nobody interrupts takes %.1f s\n", tried.typical.Seconds())
	for number := range *times {
		each := kinds[number%len(kinds)]
		each.after = time.Duration(moments.Float64() * float64(tried.typical))
		found := tried.try(ctx, each, number+1)
		if ctx.Err() != nil {
			return problems, errors.New("interrupted")
		}
		outcome := "nothing is left, and the reports are whole"
		if len(found) > 0 {
			problems++
			outcome = "PROBLEM: " + strings.Join(found, "; ")
		}
		fmt.Printf("[%d/%d] %s after %.1f s: %s\n", number+1, *times, each.name, each.after.Seconds(), outcome)
	}
	fmt.Printf("%d runs interrupted in %.0f s, %d with problems\n", *times, time.Since(start).Seconds(), problems)
	return problems, nil
}

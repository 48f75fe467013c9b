// Package progress shows a person what a long operation is doing, that it still runs, and how long each step took.
package progress

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"
)

// interval is how long a step may be silent: short enough for a person, and for a CI system that ends silent jobs.
const interval = 15 * time.Second

// Step runs f as one named step of a long operation and shows that it runs. It returns f's error. Printer.Step is one.
type Step = func(ctx context.Context, name string, f func(context.Context) error) error

// Printer writes one line when a step begins, one each 15 s while it runs, and one when it ends.
// It may be used by several goroutines.
type Printer struct {
	mutex sync.Mutex
	to    io.Writer
}

// NewPrinter returns a Printer that writes to the given writer, usually os.Stderr.
func NewPrinter(to io.Writer) *Printer { return &Printer{to: to} }

// Printf writes one line of its own.
func (printer *Printer) Printf(format string, values ...any) {
	printer.mutex.Lock()
	defer printer.mutex.Unlock()
	fmt.Fprintf(printer.to, format+"\n", values...)
}

// Step runs f as one named step and returns its error, with the step's name in front.
func (printer *Printer) Step(ctx context.Context, name string, f func(context.Context) error) error {
	printer.Printf("==> %s", name)
	start := time.Now()
	done := make(chan struct{})
	var reporter sync.WaitGroup
	reporter.Go(func() {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				printer.Printf("    %s: still at it after %s", name, time.Since(start).Round(time.Second))
			}
		}
	})
	err := f(ctx)
	close(done)
	reporter.Wait()
	took := time.Since(start).Round(100 * time.Millisecond)
	if err != nil {
		how := "failed"
		if ctx.Err() != nil {
			how = "ended"
		}
		printer.Printf("    %s: %s after %s", name, how, took)
		return fmt.Errorf("%s: %w", name, err)
	}
	printer.Printf("    %s: %s", name, took)
	return nil
}

// Findings writes the page about the runtimes of a run to standard output, in Markdown.
package main

import (
	"fmt"
	"os"

	"sharedpid.example/reports"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: findings RUN.JSON")
		os.Exit(2)
	}
	run, err := reports.Read(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "findings:", err)
		os.Exit(2)
	}
	os.Stdout.Write(reports.Findings(run))
}

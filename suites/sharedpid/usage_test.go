package main

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// TestHelpNamesTheValueOfEachFlag in capitals, and no line of it is too wide for a terminal.
func TestHelpNamesTheValueOfEachFlag(t *testing.T) {
	value := regexp.MustCompile(`^[A-Z]+([=/][A-Z]+)?$`)
	for _, command := range newCommand().Commands() {
		command.Flags().VisitAll(func(flag *pflag.Flag) {
			if name, _ := pflag.UnquoteUsage(flag); flag.Value.Type() != "bool" && !value.MatchString(name) {
				t.Errorf("%s: the value of --%s is called %q", command.Name(), flag.Name, name)
			}
		})
		var help bytes.Buffer
		if code := execute(t.Context(), []string{command.Name(), "--help"}, &help, &help); code != 0 {
			t.Errorf("%s --help ends with %d", command.Name(), code)
		}
		for _, line := range strings.Split(help.String(), "\n") {
			if len(line) > 125 {
				t.Errorf("%s: a line of %d characters: %s", command.Name(), len(line), line)
			}
		}
	}
}

// TestExamplesOfTheHelpAreAccepted by the flags that they show.
func TestExamplesOfTheHelpAreAccepted(t *testing.T) {
	for line := range strings.Lines(runCommand().Example) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		command := runCommand()
		if err := command.ParseFlags(words[2:]); err != nil || len(command.Flags().Args()) > 0 {
			t.Errorf("%q is not accepted: %v, left %q", line, err, command.Flags().Args())
		}
	}
}

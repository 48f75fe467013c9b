package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// flagProblem says in one line what is wrong with a flag, and what is allowed.
func flagProblem(command *cobra.Command, err error) error {
	var value *pflag.InvalidValueError
	var missing *pflag.ValueRequiredError
	var unknown *pflag.NotExistError
	see := command.CommandPath() + " --help shows the flags"
	switch {
	case errors.As(err, &value):
		return errors.New("--" + valueProblem(value.GetFlag().Name, value.GetValue(), value.GetFlag().Value.Type()))
	case errors.As(err, &missing):
		name, _ := pflag.UnquoteUsage(missing.GetFlag())
		return fmt.Errorf("--%s needs a value: --%[1]s=%s", missing.GetFlag().Name, name)
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() != "":
		return fmt.Errorf("there is no flag -%s: flags begin with two dashes; %s", unknown.GetSpecifiedShortnames(), see)
	case errors.As(err, &unknown):
		return fmt.Errorf("there is no flag --%s; %s", unknown.GetSpecifiedName(), see)
	}
	return fmt.Errorf("%w; %s", err, see)
}

// valueProblem says that a value of a flag, or of the option of its name, is not of the flag's type.
func valueProblem(name, value, kind string) string {
	want := map[string]string{
		"int": "want a whole number, such as 4", "float32": "want a number, such as 2.5", "float64": "want a number, such as 2.5",
		"bool": "want true or false",
	}[kind]
	return strings.TrimSuffix(fmt.Sprintf("%s: %q does not fit; %s", name, value, want), "; ")
}

// takes returns what checks that a command was given its arguments, which its usage line names. The last one may be given more than
// once when it ends in dots.
func takes(names ...string) cobra.PositionalArgs {
	return func(command *cobra.Command, given []string) error {
		many := len(names) > 0 && names[len(names)-1] == "..."
		least := len(names)
		if many {
			least--
		}
		if len(given) < least || len(given) > least && !many {
			what := "no argument"
			if len(names) > 0 {
				what = strings.Join(names, " ")
			}
			got := "nothing"
			if len(given) > 0 {
				got = fmt.Sprintf("%q", given)
			}
			return fmt.Errorf("%s takes %s and was given %s; %[1]s --help explains it", command.CommandPath(), what, got)
		}
		return nil
	}
}

// refuseEmpty fails for a flag that is given without a value, as it comes of a variable that is not set: without the flag the command
// would do something else, such as create a cluster instead of taking one.
func refuseEmpty(command *cobra.Command, _ []string) error {
	var problem error
	command.Flags().Visit(func(flag *pflag.Flag) {
		name, _ := pflag.UnquoteUsage(flag)
		if problem == nil && strings.HasPrefix(flag.Value.Type(), "string") && slices.Contains(valuesOf(flag), "") {
			problem = fmt.Errorf("--%s has an empty value: give it one, --%[1]s=%s, or leave it out", flag.Name, name)
		}
	})
	return problem
}

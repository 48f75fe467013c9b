package reports

import (
	"os/exec"
	"testing"
)

func TestCommandLineIsWhatAPersonTypes(t *testing.T) {
	arguments := []string{"--profile=full", "--trait=signals/*", "--context=a b"}
	for want, run := range map[string]Run{
		"": {},
		"sharedpid run --profile=full '--trait=signals/*' '--context=a b'": {Arguments: arguments},
		"sharedpid run":                     {Command: "run"},
		"sharedpid faults --fault=hidepid":  {Command: "faults", Arguments: []string{"--fault=hidepid"}},
		"sharedpid run '--image=nginx=a b'": {Command: "run", Arguments: []string{"--image=nginx=a\nb"}},
	} {
		if got := run.CommandLine(); got != want {
			t.Errorf("the command is %s, want %s", got, want)
		}
	}
}

func TestShellQuote(t *testing.T) {
	for _, text := range []string{"", "plain", "a b", "$(id)", "it's", "`x`\\", "*", "~", "é", "a,b", "{a,b}", "100%", "x+y"} {
		output, err := exec.Command("sh", "-c", "printf %s "+shellQuote(text)).Output()
		if err != nil || string(output) != text {
			t.Errorf("a shell reads %s as %q, %v; want %q", shellQuote(text), output, err, text)
		}
	}
}

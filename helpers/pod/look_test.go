package pod

import (
	"errors"
	"os/exec"
	"testing"
)

func runLook(t *testing.T, commands ...string) []Observation {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), "sh", "-c", lookScript(commands)).Output()
	if err != nil {
		t.Fatal(err)
	}
	observations, err := parseLook(commands, string(output))
	if err != nil {
		t.Fatal(err)
	}
	return observations
}

func TestLookKeepsBytesAndExitCodes(t *testing.T) {
	got := runLook(t, `printf 'a\000b\n\ncomplete\n'`, "cat /no/such; exit 3", "true", "exit 7")
	want := []Observation{{Output: "a\x00b\n\ncomplete\n"}, {Output: got[1].Output, ExitCode: 3}, {}, {ExitCode: 7}}
	for i := range want {
		want[i].Command = got[i].Command
		if got[i] != want[i] {
			t.Errorf("observation %d is %+v, want %+v", i, got[i], want[i])
		}
	}
	if errno := got[1].Errno(); errno != "ENOENT" {
		t.Errorf("errno of a missing file is %q (%s)", errno, got[1].Output)
	}
	if errno := got[3].Errno(); errno != "" {
		t.Errorf("a silent failure has errno %q; a failure alone is no observation", errno)
	}
}

func TestSuccessHasNoErrno(t *testing.T) {
	if errno := runLook(t, "echo Permission denied")[0].Errno(); errno != "" {
		t.Errorf("errno of a success is %q", errno)
	}
}

func TestParseLookRefusesWhatIsCutShort(t *testing.T) {
	commands := []string{"a", "b"}
	whole := "0a30\n0a30\ncomplete\n"
	if _, err := parseLook(commands, whole); err != nil {
		t.Fatal(err)
	}
	for length := range len(whole) {
		if _, err := parseLook(commands, whole[:length]); !errors.Is(err, errIncomplete) {
			t.Errorf("%q: error is %v, want %v", whole[:length], err, errIncomplete)
		}
	}
}

func FuzzParseLook(f *testing.F) {
	f.Add("0a30\ncomplete\n")
	f.Fuzz(func(t *testing.T, output string) {
		if observations, err := parseLook([]string{"command"}, output); err == nil && len(observations) != 1 {
			t.Errorf("%d observations of one command", len(observations))
		}
	})
}

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sharedpid.example/helpers/strictyaml"
)

// action is the part of the metadata of a GitHub Action that ours has.
type action struct {
	Name, Description string
	Inputs            map[string]struct {
		Description string
		Default     *string
	}
	Outputs map[string]struct{ Description, Value string }
	Runs    struct {
		Using string
		Steps []struct {
			Name, ID, Shell, Uses, Run string
			Env, With                  map[string]string
		}
	}
}

func readAction(t *testing.T) action {
	t.Helper()
	var read action
	if err := strictyaml.Read("../../action.yaml", &read); err != nil {
		t.Fatal(err)
	}
	return read
}

// TestActionNamesFlags holds the action to the command: its inputs are flags of sharedpid run, each is used, and none is put into a script.
func TestActionNamesFlags(t *testing.T) {
	read := readAction(t)
	flags := runCommand().Flags()
	script := read.Runs.Steps[len(read.Runs.Steps)-1]
	used := map[string]bool{}
	for _, step := range read.Runs.Steps {
		if strings.Contains(step.Run, "${{") {
			t.Errorf("step %q has an expression in its script: whoever gives the input writes the script", step.Name)
		}
		if step.Run != "" && step.Shell != "bash" {
			t.Errorf("step %q has no shell", step.Name)
		}
		for name, value := range step.Env {
			if !strings.Contains(step.Run, "$"+name) {
				t.Errorf("step %q does not use %s", step.Name, name)
			}
			if input := regexp.MustCompile(`^\$\{\{ inputs\.(\S+) \}\}$`).FindStringSubmatch(value); input != nil {
				used[input[1]] = true
			}
		}
	}
	for name, input := range read.Inputs {
		if input.Default == nil || input.Description == "" || !used[name] {
			t.Errorf("input %s has no default, no description or no use", name)
		}
		if name != "arguments" && (flags.Lookup(name) == nil || !strings.Contains(script.Run, "--"+name+"=")) {
			t.Errorf("input %s is no flag of sharedpid run, or is not given to it", name)
		}
	}
	if len(used) != len(read.Inputs) {
		t.Errorf("the steps use %v, and there are %d inputs", used, len(read.Inputs))
	}
	for _, flag := range regexp.MustCompile(`--([a-z-]+)=`).FindAllStringSubmatch(script.Run, -1) {
		if flags.Lookup(flag[1]) == nil {
			t.Errorf("there is no flag --%s", flag[1])
		}
	}
}

// TestActionRuns runs the action's script, with a program in place of the command that tells its arguments and leaves a report: they come
// through as they were given, and its exit code, its report and its outputs do too.
func TestActionRuns(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash:", err)
	}
	folder := t.TempDir()
	reports := folder + "/sharedpid-reports"
	for name, test := range map[string]struct {
		inputs     map[string]string
		setUp, run []string // arguments
		code       int
	}{
		"a cluster that exists": {
			map[string]string{"kubeconfig": "my config", "context": "$(touch x)", "runtime-class": "gvisor\nkata", "arguments": "--trait=signals/*\n--patience=2"}, nil,
			[]string{"run", "--profile=article", "--report-dir=" + reports, "--kubeconfig=" + folder + "/my config", "--context=$(touch x)",
				"--runtime-class=gvisor", "--runtime-class=kata", "--trait=signals/*", "--patience=2"}, 3,
		},
		"a cluster of its own": {
			map[string]string{"profile": "core", "runtime": "runc\ncrun"}, []string{"setup", "--runtime=runc", "--runtime=crun"},
			[]string{"run", "--profile=core", "--report-dir=" + reports, "--runtime=runc", "--runtime=crun"}, 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "action")
			write(t, filepath.Join(path, "bin", "sharedpid"), []byte("#!"+bash+"\nprintf '%s\\n' \"$@\" >\"$1\"\n[ \"$1\" = setup ] && exit 0\n"+
				"mkdir -p \"$TOLD\" && echo '# summary' >\"$TOLD/summary.md\"\nexit \"$CODE\"\n"))
			if err := os.Chmod(filepath.Join(path, "bin", "sharedpid"), 0o755); err != nil {
				t.Fatal(err)
			}
			output, err := actionCommand(t, bash, folder, path, test.inputs, "TOLD="+reports, fmt.Sprint("CODE=", test.code)).CombinedOutput()
			var ended *exec.ExitError
			if !errors.As(err, &ended) || ended.ExitCode() != test.code {
				t.Fatalf("%v, want exit code %d: %s", err, test.code, output)
			}
			for file, want := range map[string]string{
				"setup": strings.Join(test.setUp, "\n"), "run": strings.Join(test.run, "\n"), "summary": "# summary",
				"output": fmt.Sprintf("exit-code=%d\nreport-dir=%s", test.code, reports),
			} {
				if content, err := os.ReadFile(filepath.Join(path, file)); strings.TrimSpace(string(content)) != want || (err != nil) != (want == "") {
					t.Errorf("%s is %q, want %q, %v", file, content, want, err)
				}
			}
			var told bytes.Buffer // the command takes these flags, and there is no such cluster
			if code := execute(t.Context(), append(test.run, "--kubeconfig="+folder+"/none"), &told, &told); code != exitBadInput ||
				strings.Contains(told.String(), "there is no flag") {
				t.Errorf("exit code %d: %s", code, &told)
			}
		})
	}
}

// actionCommand is the last step of the action as GitHub's runner begins it in a folder, with the action's checkout at a path.
func actionCommand(t *testing.T, bash, folder, path string, inputs map[string]string, environment ...string) *exec.Cmd {
	t.Helper()
	read := readAction(t)
	script := read.Runs.Steps[len(read.Runs.Steps)-1]
	command := exec.Command(bash, "--noprofile", "--norc", "-eo", "pipefail", "-c", script.Run)
	command.Dir = folder
	command.Env = append(os.Environ(), "GITHUB_OUTPUT="+filepath.Join(path, "output"), "GITHUB_STEP_SUMMARY="+filepath.Join(path, "summary"))
	for name, value := range script.Env {
		if input := regexp.MustCompile(`inputs\.(\S+)`).FindStringSubmatch(value); input != nil {
			value = *read.Inputs[input[1]].Default
			if mine, found := inputs[input[1]]; found {
				value = mine
			}
		} else {
			value = path
		}
		command.Env = append(command.Env, name+"="+value)
	}
	command.Env = append(command.Env, environment...)
	return command
}

package systemcalls

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sharedpid.example/helpers/workspace"
)

// TestProgramOnItself makes every call on a process of the same user, and leaves it running.
func TestProgramOnItself(t *testing.T) {
	if content, err := Program(t.Context(), runtime.GOARCH); err != nil || len(content) == 0 {
		t.Fatalf("%d bytes, %v", len(content), err)
	}
	file := programFile(t)
	target := exec.CommandContext(t.Context(), "sleep", "300")
	if err := target.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = target.Wait() }()
	defer func() { _ = target.Process.Kill() }()
	output, err := exec.CommandContext(t.Context(), file, strconv.Itoa(target.Process.Pid), strconv.Itoa(target.Process.Pid)).Output()
	if err != nil {
		t.Fatal(err)
	}
	answers, err := Parse(string(output))
	if err != nil {
		t.Fatal(err)
	}
	errnos := map[string]int{}
	for i, answer := range answers {
		if again := answers[(i+len(answers)/2)%len(answers)]; answer.PID != target.Process.Pid || again != answer {
			t.Errorf("answer %d is %+v, and the same question again is answered %+v", i+1, answer, again)
		}
		errnos[answer.Call] = answer.Errno
	}
	// Those that no security module and no other user's process stand in the way of.
	for _, call := range []string{"pidfd_open", "pidfd_send_signal", "prlimit", "sched_setaffinity", "setpriority"} {
		if errno, found := errnos[call]; !found || errno != 0 {
			t.Errorf("%s: errno %d, made: %t", call, errno, found)
		}
	}
	// Once it goes on, it takes a processor to sleep again.
	asleep := func() (string, bool) {
		status, err := os.ReadFile("/proc/" + strconv.Itoa(target.Process.Pid) + "/status")
		return string(status), err == nil && strings.Contains(string(status), "State:\tS") && strings.Contains(string(status), "TracerPid:\t0")
	}
	status, slept := asleep()
	for end := time.Now().Add(10 * time.Second); !slept && time.Now().Before(end); status, slept = asleep() {
		time.Sleep(time.Millisecond)
	}
	if !slept {
		t.Errorf("afterwards the process is\n%s", status)
	}
	for _, arguments := range [][]string{nil, {"0"}, {"x"}, {"serve"}, {"connect"}, {"watch", "a", "b"}} {
		if err := exec.CommandContext(t.Context(), file, arguments...).Run(); err == nil || err.(*exec.ExitError).ExitCode() != 2 {
			t.Errorf("%q: %v", arguments, err)
		}
	}
}

// TestProcessWithATracer: it refuses everybody with EPERM, which does not tell who may trace.
func TestProcessWithATracer(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	target := exec.CommandContext(t.Context(), "sleep", "300")
	if err := target.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = target.Wait() }()
	defer func() { _ = target.Process.Kill() }()
	if err := unix.PtraceSeize(target.Process.Pid); err != nil {
		t.Fatalf("a child cannot be traced here: %v", err)
	}
	output, err := exec.CommandContext(t.Context(), programFile(t), strconv.Itoa(target.Process.Pid)).Output()
	if err != nil {
		t.Fatal(err)
	}
	answers, err := Parse(string(output))
	if err != nil || answers[0].Call != "ptrace" || answers[0].Errno != int(unix.EBUSY) {
		t.Errorf("%+v, %v", answers[0], err)
	}
}

// serve starts the program as a process that others attach to, until the test ends.
func serve(t *testing.T, file string) (folder string, pid int) {
	t.Helper()
	folder = filepath.Join(t.TempDir(), "served")
	server := exec.CommandContext(t.Context(), file, "serve", folder)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	return folder, server.Process.Pid
}

// TestProgramOnFiles attaches to the program, and notices what it writes.
func TestProgramOnFiles(t *testing.T) {
	file := programFile(t)
	folder, _ := serve(t, file)
	for {
		client := exec.CommandContext(t.Context(), file, "connect", folder+"/socket")
		answer, err := client.Output()
		if err != nil && t.Context().Err() == nil {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		party := strconv.Itoa(client.Process.Pid) + " " + strconv.Itoa(os.Getuid()) + "\n"
		if want := party + party; string(answer) != want {
			t.Errorf("the socket says %q, want %q: %v", answer, want, err)
		}
		break
	}
	silent, missing := filepath.Join(folder, "silent"), filepath.Join(folder, "missing")
	if err := os.WriteFile(silent, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		arguments []string
		want      string
	}{
		{[]string{"watch", folder + "/received", folder + "/fifo", "10"}, "told\n"},
		{[]string{"watch", silent, folder + "/fifo", "0"}, "not changed\n"},
		{[]string{"watch", missing, folder + "/fifo", "0"}, "inotify_add_watch: No such file or directory\n"},
		{[]string{"watch", silent, folder + "/fifo", "soon"}, "strconv.Atoi: parsing \"soon\": invalid syntax\n"},
		{[]string{"connect", missing}, "connect: No such file or directory\n"},
		{[]string{"connect", silent}, "connect: Connection refused\n"},
		{[]string{"serve", missing + "/below"}, "mkdir " + missing + "/below: No such file or directory\n"},
	} {
		if output, _ := exec.CommandContext(t.Context(), file, test.arguments...).CombinedOutput(); !strings.HasPrefix(string(output), test.want) {
			t.Errorf("%q prints %q, want %q", test.arguments, output, test.want)
		}
	}
}

// TestProgramDebugs a process that serves, again and again: it answers meanwhile and afterwards.
func TestProgramDebugs(t *testing.T) {
	if scope, _ := os.ReadFile("/proc/sys/kernel/yama/ptrace_scope"); len(scope) > 0 && scope[0] != '0' && os.Getuid() != 0 {
		t.Skipf("Yama's ptrace_scope is %s", scope)
	}
	file := programFile(t)
	folder, server := serve(t, file)
	for exec.CommandContext(t.Context(), file, "connect", folder+"/socket").Run() != nil && t.Context().Err() == nil {
		time.Sleep(10 * time.Millisecond)
	}
	for range 5 {
		debugger := exec.CommandContext(t.Context(), file, "debug", strconv.Itoa(server), folder+"/socket")
		output, err := debugger.CombinedOutput()
		party := strconv.Itoa(debugger.Process.Pid) + " " + strconv.Itoa(os.Getuid())
		saw := regexp.MustCompile(`^{"threads":([1-9]\d*),"stacks":([1-9]\d*),"calls":\[.*"getsockopt".*"write".*\],"during":"` + party + `","after":"` + party +
			`","tracerPid":"0"}\n$`).FindSubmatch(output)
		if err != nil || saw == nil || string(saw[1]) != string(saw[2]) {
			t.Fatalf("%v: %s", err, output)
		}
	}
}

// TestProgramIsNotTold: a file takes the watched one's place, so that there is more at its path and nobody was told.
func TestProgramIsNotTold(t *testing.T) {
	folder := t.TempDir()
	fifo, watched, other := folder+"/fifo", folder+"/watched", folder+"/other"
	for name, content := range map[string]string{watched: "", other: "more"} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(fifo, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reader.Close() }()
	go func() {
		if _, err := reader.Read(make([]byte, 8)); err == nil {
			_ = os.Rename(other, watched)
		}
	}()
	output, err := exec.CommandContext(t.Context(), programFile(t), "watch", watched, fifo, "1").CombinedOutput()
	if err != nil || string(output) != "not told\n" {
		t.Errorf("it prints %q, %v", output, err)
	}
}

// programFile builds the program: what a binary carries may be of another source.
func programFile(t *testing.T) string {
	t.Helper()
	root, err := workspace.Root()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "program")
	if err := Build(t.Context(), root, runtime.GOARCH, file); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestProgramForNothing(t *testing.T) {
	if _, err := Program(t.Context(), "abacus"); err == nil {
		t.Error("there is a program for an abacus")
	}
}

func TestParse(t *testing.T) {
	answers, err := Parse("{\"call\":\"kcmp\",\"pid\":7,\"errno\":1}\n{\"call\":\"ptrace\",\"pid\":8,\"errno\":0}\n")
	if err != nil || len(answers) != 2 || answers[0] != (Answer{"kcmp", 7, 1}) || answers[1] != (Answer{"ptrace", 8, 0}) {
		t.Errorf("%+v, %v", answers, err)
	}
	for _, output := range []string{"{}", "x", `{"call":"kcmp","pid":7,"errno":1} {}`, `{"call":"kcmp","pid":7,"errno":"EPERM"}`, `{"call":"a","pid":1,"more":1}`} {
		if answers, err := Parse(output); err == nil {
			t.Errorf("%q is read as %+v", output, answers)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("{\"call\":\"kcmp\",\"pid\":7,\"errno\":1}\n")
	f.Fuzz(func(t *testing.T, output string) {
		answers, err := Parse(output)
		if lines := strings.Count(strings.TrimSuffix(output, "\n"), "\n") + 1; err == nil && output != "" && len(answers) != lines {
			t.Errorf("%d answers in %d lines", len(answers), lines)
		}
	})
}

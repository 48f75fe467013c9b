package pod

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"
	"golang.org/x/sync/semaphore"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	utilexec "k8s.io/client-go/util/exec"
	"sharedpid.example/reports"
)

func runScript(t *testing.T, commands ...string) []ExecResult {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), "sh", "-c", execScript(commands, false)).Output()
	if err != nil {
		t.Fatal(err)
	}
	results, err := parseExec(commands, output)
	if err != nil {
		t.Fatal(err)
	}
	return results
}

func TestExecKeepsBytesAndExitCodes(t *testing.T) {
	got := runScript(t, `printf 'a\000b\n\ncomplete\n'`, "cat /no/such; exit 3", "true", "exit 7")
	want := []ExecResult{{Output: "a\x00b\n\ncomplete\n"}, {Output: got[1].Output, ExitCode: 3}, {}, {ExitCode: 7}}
	for i := range want {
		want[i].Command = got[i].Command
		if got[i] != want[i] {
			t.Errorf("result %d is %+v, want %+v", i, got[i], want[i])
		}
	}
	if errno := got[1].Errno(); errno != "ENOENT" {
		t.Errorf("errno of a missing file is %q (%s)", errno, got[1].Output)
	}
	if errno := got[3].Errno(); errno != "" {
		t.Errorf("a silent failure has errno %q; a failure alone is no result", errno)
	}
}

func TestSuccessHasNoErrno(t *testing.T) {
	if errno := runScript(t, "echo Permission denied")[0].Errno(); errno != "" {
		t.Errorf("errno of a success is %q", errno)
	}
}

func TestParseExecRefusesWhatIsCutShort(t *testing.T) {
	commands := []string{"a", "b"}
	whole := "0a30\n0a30\ncomplete\n"
	if _, err := parseExec(commands, []byte(whole)); err != nil {
		t.Fatal(err)
	}
	if results, err := parseExec(commands, []byte("0a30\n0a30\n0a30\n")); !errors.Is(err, errIncomplete) {
		t.Errorf("an answer without its last line is taken: %+v, %v", results, err)
	}
	for length := range len(whole) {
		if _, err := parseExec(commands, []byte(whole[:length])); !errors.Is(err, errIncomplete) {
			t.Errorf("%q: error is %v, want %v", whole[:length], err, errIncomplete)
		}
	}
}

// TestParseExecRefusesWhatIsNoAnswer and would be none if it were asked for again.
func TestParseExecRefusesWhatIsNoAnswer(t *testing.T) {
	for output, words := range map[string]string{
		"0a30\ncomplete\n0a30\ncomplete\n": "want 1 lines",
		"0a30\n0a30\ncomplete\n":           "want 1 lines",
		"complete\n":                       "want 1 lines",
		"0a30 complete\n":                  "want 1 lines",
		"\x1b[2J\ncomplete\n":              "invalid byte",
		"0\ncomplete\n":                    "odd length",
		"30\ncomplete\n":                   "no exit code",
		"0a\ncomplete\n":                   `ends with ""`,
	} {
		results, err := parseExec([]string{"command"}, []byte(output))
		if KindOf(err) != reports.Precondition || !strings.Contains(err.Error(), words) {
			t.Errorf("%q is %+v, %v; want %q", output, results, err, words)
		}
		if again, _ := mayHelp(err); again {
			t.Errorf("%q is asked for again", output)
		}
	}
}

func FuzzParseExec(f *testing.F) {
	f.Add("0a30\ncomplete\n")
	f.Fuzz(func(t *testing.T, output string) {
		if results, err := parseExec([]string{"command"}, []byte(output)); err == nil && len(results) != 1 {
			t.Errorf("%d results of one command", len(results))
		}
	})
}

// executor answers execs as a shell would, and counts them.
type executor struct {
	mutex   sync.Mutex
	sent    int
	most    int // at once
	now     int
	started []time.Time
	in      []string
	inputs  []string
	execute func(ctx context.Context, attempt int, stdout, stderr io.Writer) error
}

func (executor *executor) Execute(
	ctx context.Context, _, _ string, options *corev1.PodExecOptions, stdin io.Reader, stdout, stderr io.Writer,
) error {
	executor.mutex.Lock()
	executor.sent++
	executor.now++
	executor.most = max(executor.most, executor.now)
	executor.started = append(executor.started, time.Now())
	executor.in = append(executor.in, options.Container)
	if options.Stdin {
		input, _ := io.ReadAll(stdin)
		executor.inputs = append(executor.inputs, string(input))
	}
	attempt := executor.sent
	executor.mutex.Unlock()
	defer func() {
		executor.mutex.Lock()
		executor.now--
		executor.mutex.Unlock()
	}()
	return executor.execute(ctx, attempt, stdout, stderr)
}

func answer(_ context.Context, _ int, stdout, _ io.Writer) error {
	_, err := io.WriteString(stdout, "6869"+"0a30\ncomplete\n")
	return err
}

// TestExecInput sends the whole input with each attempt.
func TestExecInput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		cluster.executor.execute = failing(&websocket.CloseError{Code: websocket.CloseAbnormalClosure})
		result, err := cluster.create(t, "pod").ExecInput(t.Context(), "c", time.Second, []byte("program"), "cat >file")
		if err != nil || result.Command != "cat >file" || result.Output != "hi" {
			t.Errorf("%+v, %v", result, err)
		}
		if inputs := strings.Join(cluster.executor.inputs, ", "); inputs != "program, program" {
			t.Errorf("inputs are %s", inputs)
		}
	})
}

// TestExecThatFloods ends at once, is not sent again, and leaves little in memory, whether its shell ends by itself or not.
func TestExecThatFloods(t *testing.T) {
	for name, end := range map[string]func(context.Context) error{
		"until it is ended": func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		"and ends":          func(context.Context) error { return nil },
		"and fails":         func(context.Context) error { return utilexec.CodeExitError{Err: errors.New("ended"), Code: 1} },
	} {
		synctest.Test(t, func(t *testing.T) {
			cluster := newCluster(t)
			cluster.executor.execute = func(ctx context.Context, _ int, stdout, stderr io.Writer) error {
				block := bytes.Repeat([]byte("flood\n"), 10_000)
				for range 2000 {
					_, _ = stdout.Write(block)
					_, _ = stderr.Write(block)
				}
				return end(ctx)
			}
			_, err := cluster.create(t, "pod").Exec(t.Context(), "c", time.Second, "cat")
			if KindOf(err) != reports.Precondition || !strings.Contains(err.Error(), "print more than 32 MiB") || cluster.executor.sent != 1 {
				t.Errorf("%s: %s, %v, sent %d times", name, KindOf(err), err, cluster.executor.sent)
			}
		})
	}
	taken := output{kept: outputLimit, turn: &turn{ctx: t.Context(), free: semaphore.NewWeighted(1)}, flooded: func(error) {}}
	for range 100 {
		_, _ = taken.Write(make([]byte, 1<<20))
	}
	if cap(taken.text) > outputLimit || len(taken.text) != outputLimit {
		t.Errorf("of a flood %d bytes are kept in %d", len(taken.text), cap(taken.text))
	}
}

// TestExecsThatPrintMuchTakeTurns and end with their limit while they wait.
func TestExecsThatPrintMuchTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		var mutex sync.Mutex
		var now, most int
		cluster.executor.execute = func(ctx context.Context, attempt int, stdout, stderr io.Writer) error {
			_, _ = io.WriteString(stderr, strings.Repeat(" ", smallOutput+1))
			if ctx.Err() != nil {
				return ctx.Err()
			}
			mutex.Lock()
			now++
			most = max(most, now)
			mutex.Unlock()
			time.Sleep(time.Second)
			mutex.Lock()
			now--
			mutex.Unlock()
			return answer(ctx, attempt, stdout, stderr)
		}
		made := cluster.create(t, "pod")
		for limit, want := range map[time.Duration]int{2500 * time.Millisecond: 2, 1500 * time.Millisecond: 1} {
			errs := make(chan error, 2)
			for range 2 {
				go func() {
					_, err := made.Exec(t.Context(), "c", limit, "echo hi")
					errs <- err
				}()
			}
			answered := 0
			for range 2 {
				if err := <-errs; err == nil {
					answered++
				} else if KindOf(err) != reports.OutOfTime {
					t.Errorf("an exec that waits ends with %v", err)
				}
			}
			if most != 1 || answered != want {
				t.Errorf("within %s %d print at once and %d are answered, want one and %d", limit, most, answered, want)
			}
		}
	})
}

// TestWordsOfAShellAreShort, whatever it printed before it failed, and no half of a character is at their end.
func TestWordsOfAShellAreShort(t *testing.T) {
	cluster := newCluster(t)
	cluster.executor.execute = func(_ context.Context, _ int, stdout, stderr io.Writer) error {
		_, _ = io.WriteString(stderr, "sh: ü"+strings.Repeat("ü", 500_000))
		_, _ = io.WriteString(stdout, "more")
		return utilexec.CodeExitError{Err: errors.New("ended"), Code: 2}
	}
	_, err := cluster.create(t, "pod").Exec(t.Context(), "c", time.Minute, "cat")
	if err == nil || len(err.Error()) > 2*longestWords || !utf8.ValidString(err.Error()) ||
		!strings.Contains(err.Error(), "the shell ended with 2: sh: ü") || !strings.Contains(err.Error(), "ü… (999010 bytes more)") {
		t.Errorf("the error is %.3000v", err)
	}
}

// failing answers after its first errors.
func failing(errs ...error) func(context.Context, int, io.Writer, io.Writer) error {
	return func(ctx context.Context, attempt int, stdout, stderr io.Writer) error {
		if attempt <= len(errs) {
			return errs[attempt-1]
		}
		return answer(ctx, attempt, stdout, stderr)
	}
}

func TestExec(t *testing.T) {
	lost := &websocket.CloseError{Code: websocket.CloseAbnormalClosure}
	busy := apierrors.NewTooManyRequests("busy", 2)
	refused := apierrors.NewForbidden(schema.GroupResource{Resource: "pods/exec"}, "pod", nil)
	ended := func(code int) error { return utilexec.CodeExitError{Err: errors.New("ended"), Code: code} }
	var always []error
	for range 20 {
		always = append(always, lost)
	}
	for _, test := range []struct {
		name       string
		errs       []error
		once       bool
		kind       reports.Kind
		sent       int
		words      string
		successful bool
	}{
		{"answered", nil, false, "", 1, "", true},
		{"answered once", nil, true, "", 1, "", true},
		{"lost, then answered", []error{lost}, false, "", 2, "", true},
		{"cut short, then answered", []error{nil}, false, "", 2, "", true},
		{"lost for ever", always, false, reports.Lost, 7, "abnormal closure", false},
		{"lost once", []error{lost}, true, reports.Lost, 1, "the commands may have run", false},
		{"cut short once", []error{nil}, true, reports.Lost, 1, "its last line is missing (the commands may have run)", false},
		{"too many", []error{busy}, false, "", 2, "", true},
		{"too many once", []error{busy}, true, "", 2, "", true},
		{"refused", []error{refused}, false, reports.Refused, 1, "forbidden", false},
		{"killed", []error{ended(137)}, false, "", 1, "the shell ended with 137", false},
		{"no shell", []error{ended(127)}, false, "", 1, "the shell ended with 127", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cluster := newCluster(t)
				cluster.executor.execute = failing(test.errs...)
				if len(test.errs) > 0 && test.errs[0] == nil {
					cluster.executor.execute = func(ctx context.Context, attempt int, stdout, stderr io.Writer) error {
						if attempt == 1 {
							return nil // without a word
						}
						return answer(ctx, attempt, stdout, stderr)
					}
				}
				exec := cluster.create(t, "pod").Exec
				if test.once {
					exec = cluster.Open(cluster.watch, "run", "pod").ExecOnce
				}
				results, err := exec(t.Context(), "c", time.Second, "echo hi")
				if cluster.executor.sent != test.sent {
					t.Errorf("it was sent %d times, want %d", cluster.executor.sent, test.sent)
				}
				if !test.successful {
					expectError(t, err, test.kind, test.words, "Pod run/pod, exec in container c")
					if killed := Killed(err); killed != (test.name == "killed") {
						t.Errorf("killed: %t", killed)
					}
				} else if err != nil || len(results) != 1 || results[0] != (ExecResult{Command: "echo hi", Output: "hi"}) {
					t.Errorf("results are %+v, %v", results, err)
				}
			})
		})
	}
}

func hanging(ctx context.Context, _ int, _, _ io.Writer) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestExecEndsWithItsLimitAndItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		cluster.executor.execute = hanging
		created := cluster.create(t, "pod")
		start := time.Now()
		_, err := created.Exec(t.Context(), "c", 30*time.Second, "true")
		expectError(t, err, reports.OutOfTime, "not within 30s")
		expectAfter(t, start, 30*time.Second)
		_, err = created.ExecOnce(t.Context(), "c", 30*time.Second, "true")
		expectError(t, err, reports.OutOfTime, "the commands may have run")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(errors.New("SIGTERM")) })
		_, err = created.Exec(ctx, "c", 30*time.Second, "true")
		expectError(t, err, reports.Interrupted, "SIGTERM")
		if cluster.executor.sent != 3 {
			t.Errorf("%d execs were sent, want 3", cluster.executor.sent)
		}
	})
}

func TestExecsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		cluster.executor.execute = func(ctx context.Context, attempt int, stdout, stderr io.Writer) error {
			time.Sleep(time.Second)
			return answer(ctx, attempt, stdout, stderr)
		}
		created := cluster.create(t, "pod")
		start := time.Now()
		ended := make(chan error, 6)
		for range cap(ended) {
			go func() {
				// The limit is shorter than the queue: it begins when the exec is sent.
				_, err := created.Exec(t.Context(), "c", 1500*time.Millisecond, "true")
				ended <- err
			}()
		}
		synctest.Wait()
		waiting, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		_, err := created.Exec(waiting, "c", time.Minute, "true")
		expectError(t, err, reports.OutOfTime, "waiting for its turn")
		for range cap(ended) {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		expectAfter(t, start, 3*time.Second)
		if cluster.executor.most != testLimits.Execs || cluster.executor.sent != cap(ended) {
			t.Errorf("%d execs at once and %d in all, want %d and %d", cluster.executor.most, cluster.executor.sent, testLimits.Execs, cap(ended))
		}
	})
}

func TestExecsWaitForTheLimitOfRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		executor := &executor{execute: answer}
		client, err := NewClientFrom(fake.NewClientset(), executor, Limits{Execs: 10, RequestsPerSecond: 2})
		if err != nil {
			t.Fatal(err)
		}
		pod := client.Open(nil, "run", "pod")
		start := time.Now()
		for range 6 {
			if _, err := pod.Exec(t.Context(), "c", time.Nanosecond, "true"); err != nil {
				t.Fatal(err)
			}
		}
		expectAfter(t, start, 5*time.Second) // one at once, and five at one a second: together two go in the first
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_, err = pod.Exec(ctx, "c", time.Second, "true")
		expectError(t, err, reports.OutOfTime, "too many requests are waiting")
		cancelled, stop := context.WithCancel(t.Context())
		time.AfterFunc(time.Millisecond, stop)
		_, err = pod.Exec(cancelled, "c", time.Second, "true")
		expectError(t, err, reports.Interrupted)
	})
}

// TestAnswer is what Exec reads: whoever stands in for a node speaks its language.
func TestAnswer(t *testing.T) {
	commands := []string{"cat /file", "for each in 1 2; do\n  echo $each\ndone", "true"}
	want := []ExecResult{{Output: "a\x00b\n"}, {Output: "", ExitCode: 1}, {Output: "complete\n"}}
	printed, err := Answer(execScript(commands, false), func(asked []string) ([]ExecResult, error) {
		if !slices.Equal(asked, commands) {
			t.Errorf("asked for %q, want %q", asked, commands)
		}
		return want, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	results, err := parseExec(commands, []byte(printed))
	if err != nil {
		t.Fatal(err)
	}
	for i, result := range results {
		if result.Output != want[i].Output || result.ExitCode != want[i].ExitCode {
			t.Errorf("%q shows %+v, want %+v", commands[i], result, want[i])
		}
	}
	for _, script := range []string{"", "echo complete", "sleep 1; echo complete\n"} {
		if _, err := Answer(script, nil); err == nil {
			t.Errorf("the script %q is accepted", script)
		}
	}
	unknown := errors.New("unknown")
	if _, err := Answer(execScript(commands, true), func([]string) ([]ExecResult, error) { return nil, unknown }); !errors.Is(err, unknown) {
		t.Errorf("got %v", err)
	}
}

func TestLimitsMustBePositive(t *testing.T) {
	for _, limits := range []Limits{{}, {Execs: 1}, {RequestsPerSecond: 1}, {Execs: -1, RequestsPerSecond: 1}} {
		if _, err := NewClient(&rest.Config{}, limits); err == nil {
			t.Errorf("%+v is accepted", limits)
		}
		if _, err := NewClientFrom(nil, nil, limits); err == nil {
			t.Errorf("%+v is accepted", limits)
		}
	}
	if _, err := NewClient(&rest.Config{Host: "::"}, testLimits); err == nil {
		t.Error("a host that is none is accepted")
	}
}

func TestExecAnywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		cluster.executor.execute = answer
		created := cluster.create(t, "pod")
		expectErr := func(kind reports.Kind, words string) {
			t.Helper()
			_, err := created.ExecAnywhere(t.Context(), time.Second, time.Second, "true")
			expectError(t, err, kind, words)
		}
		expectErr(reports.OutOfTime, "waiting for any container to run: not within 1s")
		cluster.change(t, "pod", func(pod *corev1.Pod) {
			running(pod)
			pod.Status.ContainerStatuses = slices.Insert(pod.Status.ContainerStatuses, 0, waitingStatus("first", "PodInitializing"))
		})
		if _, err := created.ExecAnywhere(t.Context(), time.Second, time.Second, "true"); err != nil || cluster.executor.in[0] != "c" {
			t.Errorf("it ran in %v: %v", cluster.executor.in, err)
		}
		// A Pod that is being ended is not looked into: its containers may take long to answer.
		cluster.change(t, "pod", func(pod *corev1.Pod) { pod.DeletionTimestamp = &metav1.Time{Time: time.Now()} })
		start := time.Now()
		expectErr(reports.Lost, "being deleted")
		expectAfter(t, start, 0)
		if cluster.executor.sent != 1 {
			t.Errorf("%d execs were sent", cluster.executor.sent)
		}
	})
}

// server is an API server that upgrades execs to WebSocket and lets answer write to the streams.
func server(t *testing.T, status string, answer func(connection *websocket.Conn)) *Pod {
	t.Helper()
	upgrader := websocket.Upgrader{Subprotocols: []string{"v5.channel.k8s.io"}}
	server := httptest.NewServer(http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		if request.URL.Path != "/api/v1/namespaces/run/pods/pod/exec" || request.URL.Query().Get("container") != "c" {
			http.Error(response, "unexpected "+request.URL.String(), http.StatusBadRequest)
			return
		}
		if answer == nil {
			response.Header().Set("Content-Type", "application/json")
			response.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(response,
				`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403,"message":"no exec"}`)
			return
		}
		connection, err := upgrader.Upgrade(response, request, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer connection.Close()
		answer(connection)
		if status != "" {
			_ = connection.WriteMessage(websocket.BinaryMessage, append([]byte{3}, status...))
			_ = connection.WriteControl(websocket.CloseMessage,
				websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), time.Now().Add(time.Minute))
			_, _, _ = connection.NextReader() // until the client has closed it as well
		}
	}))
	t.Cleanup(server.Close)
	client, err := NewClient(&rest.Config{Host: server.URL}, testLimits)
	if err != nil {
		t.Fatal(err)
	}
	return client.Open(nil, "run", "pod")
}

func write(stream byte, text string) func(*websocket.Conn) {
	return func(connection *websocket.Conn) {
		_ = connection.WriteMessage(websocket.BinaryMessage, append([]byte{stream}, text...))
	}
}

func TestExecThroughTheAPI(t *testing.T) {
	const success = `{"status":"Success"}`
	killed := `{"status":"Failure","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"137"}]}}`
	var requests atomic.Int64
	results, err := server(t, success, write(1, "68690a30\ncomplete\n")).
		Exec(CountRequests(t.Context(), &requests), "c", time.Minute, "echo hi")
	if err != nil || len(results) != 1 || results[0].Output != "hi" || requests.Load() != 1 {
		t.Errorf("results are %+v, %v, with %d requests", results, err, requests.Load())
	}
	_, err = server(t, killed, write(2, "Killed")).Exec(t.Context(), "c", time.Minute, "true")
	if !Killed(err) || !strings.Contains(err.Error(), "Killed") {
		t.Errorf("error is %v", err)
	}
	_, err = server(t, "", write(1, "6869")).run(t.Context(), "c", time.Minute, nil, []string{"true"})
	expectError(t, err, reports.Lost, "abnormal closure")
	_, err = server(t, "", nil).Exec(t.Context(), "c", time.Minute, "true")
	expectError(t, err, reports.Refused, "no exec")
	client, err := NewClient(&rest.Config{Host: "http://127.0.0.1:1"}, testLimits)
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.Open(nil, "run", "pod").run(t.Context(), "c", time.Minute, nil, []string{"true"})
	expectError(t, err, reports.Lost, "refused")
}

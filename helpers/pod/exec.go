package pod

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	utilexec "k8s.io/client-go/util/exec"
	"k8s.io/streaming/pkg/httpstream"
	"sharedpid.example/reports"
)

// ExecResult is what one command in a container showed.
type ExecResult struct {
	Command  string
	Output   string // standard output and error as a terminal would mix them, verbatim
	ExitCode int
}

// Exec runs commands in a container, all in one exec, and returns what each showed. A command that fails is a result; only
// an exec that could not be made, or whose answer did not come within limit, is an error. The limit begins when the exec is sent.
// Where the answer was lost on its way, as over WebSocket that of a short exec sometimes is, the exec is sent again as Retry does:
// commands that change something are for ExecOnce.
func (pod *Pod) Exec(ctx context.Context, container string, limit time.Duration, commands ...string) ([]ExecResult, error) {
	return pod.exec(ctx, container, limit, mayHelp, commands)
}

// ExecOnce is Exec whose commands never run twice, for commands that change something. When it is not known whether they
// ran, the error is of kind lost or out of time and says so.
func (pod *Pod) ExecOnce(ctx context.Context, container string, limit time.Duration, commands ...string) ([]ExecResult, error) {
	results, err := pod.exec(ctx, container, limit, notBegun, commands)
	var failure *Error
	if errors.As(err, &failure) && (failure.Kind == reports.Lost || failure.Kind == reports.OutOfTime) {
		failure.Err = fmt.Errorf("%w (the commands may have run)", failure.Err)
	}
	return results, err
}

// ExecInput is Exec of one command that reads an input, and that may run twice.
func (pod *Pod) ExecInput(ctx context.Context, container string, limit time.Duration, input []byte, command string) (ExecResult, error) {
	results, err := pod.execInput(ctx, container, limit, mayHelp, input, []string{command})
	if err != nil {
		return ExecResult{}, err
	}
	return results[0], nil
}

// ExecAnywhere is Exec in the first container of the Pod that runs. Such a one must run within start. It fails at once when
// the Pod is being deleted.
func (pod *Pod) ExecAnywhere(ctx context.Context, start, limit time.Duration, commands ...string) ([]ExecResult, error) {
	var container string
	err := pod.waitUp(ctx, "any container to run", start, func(status *corev1.Pod) bool {
		if status == nil || status.DeletionTimestamp != nil {
			return false
		}
		for _, each := range status.Status.ContainerStatuses {
			if each.State.Running != nil {
				container = each.Name
				return true
			}
		}
		return false
	})
	if err != nil {
		return nil, err
	}
	return pod.Exec(ctx, container, limit, commands...)
}

// exec runs commands, and again when they may run again after the error that again is asked about.
func (pod *Pod) exec(
	ctx context.Context, container string, limit time.Duration, again func(error) (bool, time.Duration), commands []string,
) ([]ExecResult, error) {
	return pod.execInput(ctx, container, limit, again, nil, commands)
}

// execInput is exec with an input for the commands, nil for none.
func (pod *Pod) execInput(
	ctx context.Context, container string, limit time.Duration, again func(error) (bool, time.Duration), input []byte, commands []string,
) ([]ExecResult, error) {
	doing := "exec in container " + container
	if err := pod.client.execs.Acquire(ctx, 1); err != nil {
		return nil, pod.failed(ctx, doing, fmt.Errorf("waiting for its turn: %w", context.Cause(ctx)))
	}
	defer pod.client.execs.Release(1)
	results, err := retry(ctx, again, func(ctx context.Context) ([]ExecResult, error) {
		return pod.run(ctx, container, limit, input, commands)
	})
	if err != nil {
		return nil, pod.failed(ctx, doing, err)
	}
	return results, nil
}

// run runs commands in a container, with an input unless that is nil, and reads what they showed.
func (pod *Pod) run(ctx context.Context, container string, limit time.Duration, input []byte, commands []string) ([]ExecResult, error) {
	if err := pod.client.requests.Wait(ctx); err != nil {
		return nil, err
	}
	bounded, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	limited, cancel := context.WithTimeoutCause(bounded, limit, notWithin(limit))
	turn := &turn{ctx: limited, free: pod.client.floods}
	defer turn.end()
	defer cancel() // before the turn ends, which a stream may still wait for
	var stdin io.Reader
	if input != nil {
		stdin = bytes.NewReader(input)
	}
	stdout := output{kept: outputLimit, turn: turn, flooded: stop}
	stderr := output{kept: longestWords, turn: turn, flooded: stop}
	err := pod.client.executor.Execute(limited, pod.Namespace, pod.Name, &corev1.PodExecOptions{
		Container: container, Command: []string{"sh", "-c", execScript(commands, input != nil)}, Stdin: stdin != nil, Stdout: true, Stderr: true,
	}, stdin, &stdout, &stderr)
	var exit utilexec.CodeExitError
	switch {
	case context.Cause(bounded) == errFlooded: // even if the shell has ended by itself
		return nil, errFlooded
	case errors.As(err, &exit):
		return nil, shellEnded{exit.Code, words(stderr, stdout)}
	case limited.Err() != nil:
		return nil, context.Cause(limited) // a stream that was cancelled may still write into the buffers: they are not read
	case err != nil:
		return nil, err
	}
	return parseExec(commands, stdout.text)
}

// outputLimit is how many bytes an exec may print: a look at five thousand processes prints less than 30 MB, with the cgroups of all.
const outputLimit = 32 << 20

// errFlooded is the error of an exec that printed more. It would print as much when it was asked again.
var errFlooded error = kinded{reports.Precondition, fmt.Errorf("the commands print more than %d MiB", outputLimit>>20)}

// output takes what an exec prints, and ends the exec when that is too much. It is no bytes.Buffer, which takes all from a stream at once,
// and twice as much memory as it holds.
type output struct {
	text    []byte
	printed int // bytes, of which text has the first
	kept    int // at most
	turn    *turn
	flooded func(error)
}

// Write takes text, or nothing when it is too much: the sender of a stream that ends soon need not hear of it.
func (output *output) Write(text []byte) (int, error) {
	if output.printed += len(text); output.printed > outputLimit {
		output.flooded(errFlooded)
		return len(text), nil
	}
	if output.printed > smallOutput && !output.turn.come() {
		return len(text), nil
	}
	fits := text[:max(0, min(len(text), output.kept-len(output.text)))]
	if need := len(output.text) + len(fits); need > cap(output.text) {
		output.text = append(make([]byte, 0, min(2*need, output.kept)), output.text...)
	}
	output.text = append(output.text, fits...)
	return len(text), nil
}

// smallOutput is up to how many bytes an exec may print while others print more: of execs that print much one at a time does, and the
// streams of others wait. Together they could take all memory.
const smallOutput = 1 << 20

// turn is when an exec may print much.
type turn struct {
	ctx   context.Context // of the exec
	free  *semaphore.Weighted
	mutex sync.Mutex
	here  bool
	over  bool
}

// come waits until it is the exec's turn, and tells whether it is: it is not when the exec has ended.
func (turn *turn) come() bool {
	turn.mutex.Lock()
	defer turn.mutex.Unlock()
	if !turn.here && !turn.over && turn.ctx.Err() == nil {
		turn.here = turn.free.Acquire(turn.ctx, 1) == nil
	}
	return turn.here && !turn.over
}

// end lets another exec have its turn.
func (turn *turn) end() {
	turn.mutex.Lock()
	defer turn.mutex.Unlock()
	if turn.over = true; turn.here {
		turn.here = false
		turn.free.Release(1)
	}
}

// longestWords is how many bytes of what a shell said before it failed are kept.
const longestWords = 1000

// words are the first of what was printed, and how much more there was.
func words(printed ...output) string {
	var all []byte
	more := 0
	for _, each := range printed {
		fits := each.text[:min(len(each.text), longestWords-len(all))]
		all = append(all, fits...)
		more += each.printed - len(fits)
	}
	if more > 0 {
		return fmt.Sprintf("%s… (%d bytes more)", bytes.ToValidUTF8(all, nil), more)
	}
	return strings.TrimSpace(string(all))
}

// Executor runs a command in a container of a Pod.
type Executor interface {
	// Execute returns when the command has ended, the connection is lost or ctx ends. The command has no input when stdin is nil. The error
	// is a k8s.io/client-go/util/exec.CodeExitError when the command ended with another code than 0.
	Execute(ctx context.Context, namespace, pod string, options *corev1.PodExecOptions, stdin io.Reader, stdout, stderr io.Writer) error
}

// remote runs commands through the API of a cluster.
type remote struct {
	configuration *rest.Config
	client        rest.Interface
}

func (remote remote) Execute(
	ctx context.Context, namespace, pod string, options *corev1.PodExecOptions, stdin io.Reader, stdout, stderr io.Writer,
) error {
	request := remote.client.Post().Resource("pods").Namespace(namespace).Name(pod).SubResource("exec").
		VersionedParams(options, scheme.ParameterCodec)
	webSocket, err := remotecommand.NewWebSocketExecutor(remote.configuration, http.MethodGet, request.URL().String())
	if err != nil {
		return err
	}
	spdy, err := remotecommand.NewSPDYExecutor(remote.configuration, http.MethodPost, request.URL())
	if err != nil {
		return err
	}
	var refusal *httpstream.UpgradeFailureError
	// A connection that could not be upgraded has run nothing yet. Old API servers do not speak this protocol over WebSocket.
	executor, err := remotecommand.NewFallbackExecutor(webSocket, spdy, func(err error) bool {
		return errors.As(err, &refusal) || httpstream.IsHTTPSProxyError(err)
	})
	if err != nil {
		return err
	}
	err = executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdin: stdin, Stdout: stdout, Stderr: stderr})
	if err != nil && refusal != nil && strings.HasPrefix(err.Error(), "unable to upgrade connection") {
		return refused(refusal.Cause, err)
	}
	return err
}

// refused is the error of an exec that the API refused over WebSocket and then over SPDY, of which only the first is typed.
func refused(webSocket, spdy error) error {
	err := fmt.Errorf("%w; over SPDY: %w", webSocket, spdy)
	if statusCode(err) == 0 { // not the API answered, but something on the way to it
		return kinded{reports.Lost, err}
	}
	return err
}

// Errno returns the name of the errno that the command's last words name, in the strings that glibc and
// musl share, such as "EACCES"; empty when the command succeeded or named none.
func (result ExecResult) Errno() string {
	if result.ExitCode == 0 {
		return ""
	}
	return Errno(result.Output)
}

// Answer returns what the command printed, without what surrounds it, and nothing when the command failed.
func (result ExecResult) Answer() string {
	if result.ExitCode != 0 {
		return ""
	}
	return strings.Trim(result.Output, "\x00\n ")
}

// Errno returns the name of the errno whose strerror(3) words are in a message, empty when there are none.
func Errno(message string) string {
	for _, known := range errnoStrings {
		if strings.Contains(message, known.words) {
			return known.name
		}
	}
	return ""
}

// errnoStrings are the strerror(3) words of the refusals that traits tell apart.
var errnoStrings = []struct{ words, name string }{
	{"Permission denied", "EACCES"},
	{"Operation not permitted", "EPERM"},
	{"No such file or directory", "ENOENT"},
	{"no such file", "ENOENT"},          // a failed redirection in busybox's shell
	{"nonexistent directory", "ENOENT"}, // the same to a file that would be created
	{"Read-only file system", "EROFS"},
	{"No such process", "ESRCH"},
	{"Invalid argument", "EINVAL"},
	{"Function not implemented", "ENOSYS"},
}

// execScript joins commands into one shell script, so that one exec does for all of them. Each one runs in a
// subshell and its output travels as hexadecimal: binary files arrive whole, and nothing a container prints can
// forge another command's answer. Without an input a command that reads finds the end of a file.
func execScript(commands []string, input bool) string {
	from := noInput
	if input {
		from = ""
	}
	var script strings.Builder
	for _, command := range commands {
		script.WriteString(beforeCommand + command + afterCommand + from + encoded)
	}
	script.WriteString(afterCommands)
	return script.String()
}

// What execScript puts around each command, and after all of them.
const (
	beforeCommand = "{ ( "
	afterCommand  = "\n) 2>&1; printf '\\n%d' $?; }"
	noInput       = " </dev/null"
	encoded       = " | od -An -v -tx1 | tr -d ' \\n'; echo\n"
	afterCommands = "echo complete\n"
	afterAnswers  = "complete\n" // what that prints
)

// Answer returns what the shell script of an exec prints where its commands show what answer returns for them, in their order. It is
// for whoever stands in for a node. It fails when Exec sends no such script.
func Answer(script string, answer func(commands []string) ([]ExecResult, error)) (string, error) {
	joined, whole := strings.CutSuffix(script, afterCommands)
	joined = strings.ReplaceAll(joined, afterCommand+noInput+encoded, afterCommand+encoded)
	parts := strings.Split(joined, afterCommand+encoded)
	if !whole || parts[len(parts)-1] != "" {
		return "", fmt.Errorf("no script of an exec: %q", script)
	}
	commands := parts[:len(parts)-1]
	for i := range commands {
		commands[i] = strings.TrimPrefix(commands[i], beforeCommand)
	}
	results, err := answer(commands)
	if err != nil {
		return "", err
	}
	var printed strings.Builder
	for _, result := range results {
		fmt.Fprintf(&printed, "%x\n", fmt.Sprintf("%s\n%d", result.Output, result.ExitCode))
	}
	return printed.String() + afterAnswers, nil
}

// errIncomplete says that the answer to an exec was lost on its way: not a result.
var errIncomplete = errors.New("the answer is incomplete: its last line is missing")

// errNoAnswer says that something else was printed than the script prints. It would be printed again.
func errNoAnswer(format string, values ...any) error {
	return kinded{reports.Precondition, fmt.Errorf("what the exec printed is no answer: "+format, values...)}
}

// parseExec reads what execScript of these commands printed, and uses its memory.
func parseExec(commands []string, output []byte) ([]ExecResult, error) {
	whole, found := bytes.CutSuffix(output, []byte(afterAnswers))
	lines := bytes.SplitN(whole, []byte("\n"), len(commands)+2)
	switch {
	case !found:
		return nil, errIncomplete
	case len(lines) != len(commands)+1 || len(lines[len(commands)]) > 0:
		return nil, errNoAnswer("want %d lines and %q behind them", len(commands), strings.TrimSpace(afterAnswers))
	}
	results := make([]ExecResult, len(commands))
	for i, command := range commands {
		length, err := hex.Decode(lines[i], lines[i])
		if err != nil {
			return nil, errNoAnswer("%w in that to %.80q", err, command)
		}
		raw := lines[i][:length]
		end := bytes.LastIndexByte(raw, '\n')
		if end < 0 {
			return nil, errNoAnswer("that to %.80q has no exit code", command)
		}
		exitCode, err := strconv.Atoi(string(raw[end+1:]))
		if err != nil {
			return nil, errNoAnswer("that to %.80q ends with %.20q and not with an exit code", command, raw[end+1:])
		}
		results[i] = ExecResult{Command: command, Output: string(raw[:end]), ExitCode: exitCode}
	}
	return results, nil
}

package suite

import (
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"sharedpid.example/helpers/pod"
	"sharedpid.example/reports"
)

// Session is how one check looks at one target: it finds the fixtures, puts questions to them, and keeps what it saw as
// evidence. A session belongs to one goroutine.
type Session struct {
	run    *run // nil when a run is judged again, as is the target's namespace
	target *target
	limits Limits
	by     string          // id of the trait, or name of the probe's attempt
	needs  map[string]bool // names of the probes that may be asked, nil for all

	evidence, control []reports.Evidence
	looks             []reports.Look

	replay *replay // nil when the cluster is asked
	asked  int     // looks that were taken from the transcript
}

// child is a session on the same target that keeps what it sees for itself.
func (session *Session) child(by string) *Session {
	return &Session{run: session.run, target: session.target, limits: session.limits, by: by}
}

// adopt takes over the evidence of a shared look.
func (session *Session) adopt(kept *keptValue) {
	session.evidence = append(session.evidence, kept.evidence...)
	session.control = append(session.control, kept.control...)
}

// Target is what the session looks at.
func (session *Session) Target() reports.Target { return session.target.Target }

// Limits are those of the run.
func (session *Session) Limits() Limits { return session.limits }

// Number returns a number from 0 below a limit that is the same whenever this session's trait asks for the name in this
// run, and another one elsewhere: arguments of processes are told apart by it.
func (session *Session) Number(name string, below uint32) uint32 {
	hash := fnv.New32a()
	fmt.Fprintf(hash, "%s\n%s\n%s", session.target.ID, session.by, name)
	return hash.Sum32() % below
}

// Image returns the run's reference of a test image by the name that manifests call it.
func (session *Session) Image(familiar string) string {
	if session.run == nil {
		return familiar
	}
	return session.run.namespace.image(familiar)
}

// Record keeps evidence: of the control when the fixture does not share.
func (session *Session) Record(fixture Fixture, evidence ...reports.Evidence) {
	if fixture.Unshared {
		session.control = append(session.control, evidence...)
	} else {
		session.evidence = append(session.evidence, evidence...)
	}
}

// where is the place of evidence.
func (session *Session) where(fixture Fixture, container string) string {
	return fixture.Name + session.target.suffix + "/" + container
}

// pod returns the fixture's Pod once the named containers run; without names whatever its state. A Pod that admission changed
// is not the one that traits are about.
func (session *Session) pod(ctx context.Context, fixture Fixture, containers ...string) (*pod.Pod, error) {
	created, err := session.run.namespace.start(fixture, session.target)(ctx)
	if err != nil {
		return nil, err
	}
	if len(created.changed) > 0 {
		return nil, Undecided(reports.Changed, "admission changed Pod %s: %s", created.pod.Name, strings.Join(created.changed, "; "))
	}
	if len(containers) == 0 {
		return created.pod, nil // it may be gone: that is what some wait for
	}
	return created.pod, created.pod.WaitRunning(ctx, session.limits.Start, containers...)
}

// Changes returns how admission changed the fixture's Pod, in what traits judge; empty when the API stored it as it was sent.
func (session *Session) Changes(ctx context.Context, fixture Fixture) ([]string, error) {
	return ask(session, "changes of "+session.where(fixture, ""), func() ([]string, error) {
		created, err := session.run.namespace.start(fixture, session.target)(ctx)
		if err != nil {
			return nil, err
		}
		return created.changed, nil
	})
}

// Running waits until the named containers of the fixture run.
func (session *Session) Running(ctx context.Context, fixture Fixture, containers ...string) error {
	_, err := ask(session, "running "+session.where(fixture, strings.Join(containers, ", ")), func() (bool, error) {
		_, err := session.pod(ctx, fixture, containers...)
		return true, err
	})
	return err
}

// Until looks until look has seen enough, or the limit is over: then reached is false and there is no error. Of the looks
// the last one is kept.
func (session *Session) Until(ctx context.Context, limit time.Duration, look func() (enough bool, err error)) (reached bool, err error) {
	evidence, control, looks := len(session.evidence), len(session.control), len(session.looks)
	deadline := time.Now().Add(limit)
	pauses := wait.Backoff{Duration: shortestPause, Factor: 1.5, Steps: 100, Cap: longestPause}
	for {
		enough, err := look()
		if err != nil || enough {
			return enough, err
		}
		if session.replay != nil {
			return false, session.endedBeforeNextLook()
		}
		if !time.Now().Before(deadline) {
			return false, nil
		}
		select {
		case <-ctx.Done():
			return false, session.unanswered(nextLook, context.Cause(ctx))
		case <-time.After(min(pauses.Step(), longestPause)):
		}
		session.evidence, session.control, session.looks = session.evidence[:evidence], session.control[:control], session.looks[:looks]
	}
}

// nextLook is the question of Until whose answer is lost when the trait's time ends between two looks.
const nextLook = "the next look"

// endedBeforeNextLook returns why Until did not look again before its own limit was over, as the transcript has it.
func (session *Session) endedBeforeNextLook() error {
	left := session.replay.looks[session.by]
	if session.asked == len(left) || left[session.asked].Question != nextLook {
		return nil
	}
	_, err := answered[bool](session, nextLook)
	return err
}

// The first and the longest pause between two looks: a look costs the node as much as a container's start.
const (
	shortestPause = 100 * time.Millisecond
	longestPause  = time.Second
)

// ExecResult is what one command in a container showed.
type ExecResult = pod.ExecResult

// keptResult is one command's result as it is kept for judging again.
type keptResult struct {
	ExitCode int        `json:"exitCode"`
	Output   keptOutput `json:"output,omitempty"`
}

// Exec runs commands in a container of the fixture, all in one exec, and records what each showed under the title. A command
// that fails is an observation. The exec is repeated when its answer was lost: commands that change something go to ExecOnce.
func (session *Session) Exec(ctx context.Context, fixture Fixture, container, title string, commands ...string) ([]ExecResult, error) {
	results, err := session.exec(ctx, fixture, container, (*pod.Pod).Exec, commands)
	session.recordResults(fixture, container, title, results)
	return results, err
}

// ExecOnce is Exec for commands that change something: they are never sent twice.
func (session *Session) ExecOnce(ctx context.Context, fixture Fixture, container, title string, commands ...string) ([]ExecResult, error) {
	results, err := session.exec(ctx, fixture, container, (*pod.Pod).ExecOnce, commands)
	session.recordResults(fixture, container, title, results)
	return results, err
}

// Read is Exec without evidence: for what a judgement needs beside what it shows.
func (session *Session) Read(ctx context.Context, fixture Fixture, container string, commands ...string) ([]ExecResult, error) {
	return session.exec(ctx, fixture, container, (*pod.Pod).Exec, commands)
}

// WriteProgram writes a file that can be executed into a container of the fixture, all of it or nothing, and records how that went.
// content is asked for when there is a cluster. Input that a lost connection cuts short ends the command: it puts nothing in place.
func (session *Session) WriteProgram(
	ctx context.Context, fixture Fixture, container, path string, content func(context.Context) ([]byte, error),
) (ExecResult, error) {
	command := fmt.Sprintf("cat >%[1]s.$$ && chmod 755 %[1]s.$$ && mv %[1]s.$$ %[1]s", path)
	kept, err := ask(session, fmt.Sprintf("write %s of %s", path, session.where(fixture, container)), func() (keptResult, error) {
		input, err := content(ctx)
		if err != nil {
			return keptResult{}, Undecided(reports.Precondition, "%v", err)
		}
		running, err := session.pod(ctx, fixture, container)
		if err != nil {
			return keptResult{}, err
		}
		whole := fmt.Sprintf(`[ "$(wc -c <%s.$$)" -eq %d ] && chmod `, path, len(input))
		result, err := running.ExecInput(ctx, container, session.limits.Exec, input, strings.Replace(command, "chmod ", whole, 1))
		return keptResult{result.ExitCode, keptOutput(result.Output)}, err
	})
	if err != nil {
		return ExecResult{}, err
	}
	result := ExecResult{Command: command, ExitCode: kept.ExitCode, Output: string(kept.Output)}
	session.recordResults(fixture, container, "writing a program", []ExecResult{result})
	return result, nil
}

type execute = func(*pod.Pod, context.Context, string, time.Duration, ...string) ([]ExecResult, error)

func (session *Session) exec(
	ctx context.Context, fixture Fixture, container string, execute execute, commands []string,
) ([]ExecResult, error) {
	question := fmt.Sprintf("exec %s: %s", session.where(fixture, container), strings.Join(commands, "\n"))
	kept, err := ask(session, question, func() ([]keptResult, error) {
		running, err := session.pod(ctx, fixture, container)
		if err != nil {
			return nil, err
		}
		results, err := execute(running, ctx, container, session.limits.Exec, commands...)
		return keepResults(results), err
	})
	if err != nil {
		return nil, err
	}
	if len(kept) != len(commands) {
		return nil, Undecided(reports.Precondition, "%d answers were kept to %d commands", len(kept), len(commands))
	}
	results := make([]ExecResult, len(kept))
	for i, each := range kept {
		results[i] = ExecResult{Command: commands[i], ExitCode: each.ExitCode, Output: string(each.Output)}
	}
	return results, nil
}

func keepResults(results []ExecResult) []keptResult {
	var kept []keptResult
	for _, result := range results {
		kept = append(kept, keptResult{result.ExitCode, keptOutput(result.Output)})
	}
	return kept
}

func (session *Session) recordResults(fixture Fixture, container, title string, results []ExecResult) {
	for _, result := range results {
		session.Record(fixture, reports.Evidence{
			Title: title, Where: session.where(fixture, container), Command: result.Command,
			Output: result.Output, ExitCode: &result.ExitCode, Errno: result.Errno(),
		})
	}
}

// Killed tells whether an exec failed because SIGKILL ended its shell.
func Killed(err error) bool { return err != nil && KindOf(err) == reports.Killed }

// Stream is an exec that was left open.
type Stream struct {
	ended   <-chan struct{}
	session *Session
	name    string
}

// Open starts a command in a container of the fixture and leaves its exec open.
func (session *Session) Open(ctx context.Context, fixture Fixture, container, command string) (*Stream, error) {
	name := session.where(fixture, container) + ": " + command
	ended := make(chan struct{})
	_, err := ask(session, "open "+name, func() (bool, error) {
		running, err := session.pod(ctx, fixture, container)
		if err != nil {
			return false, err
		}
		go func() {
			defer close(ended)
			// How it ends is no matter: what is asked for is when.
			_, _ = running.ExecOnce(ctx, container, session.limits.Trait, command)
		}()
		return true, nil
	})
	return &Stream{ended, session, name}, err
}

// Ended waits until the stream ends, and tells whether it did within the limit.
func (stream *Stream) Ended(ctx context.Context, limit time.Duration) (bool, error) {
	return ask(stream.session, "end of "+stream.name, func() (bool, error) {
		select {
		case <-stream.ended:
			return true, nil
		case <-time.After(limit):
			return false, nil
		case <-ctx.Done():
			return false, context.Cause(ctx)
		}
	})
}

// Status returns the fixture's Pod as the API has it now.
func (session *Session) Status(ctx context.Context, fixture Fixture) (*corev1.Pod, error) {
	return ask(session, "status "+session.where(fixture, ""), func() (*corev1.Pod, error) {
		created, err := session.pod(ctx, fixture)
		if err != nil {
			return nil, err
		}
		status, err := created.Status(ctx)
		return withoutManagedFields(status), err
	})
}

// Job returns the fixture's Job as the API has it now.
func (session *Session) Job(ctx context.Context, fixture Fixture) (*batchv1.Job, error) {
	return ask(session, "job "+session.where(fixture, ""), func() (*batchv1.Job, error) {
		if _, err := session.pod(ctx, fixture); err != nil {
			return nil, err
		}
		job, err := pod.Retry(ctx, func(ctx context.Context) (*batchv1.Job, error) {
			return session.run.client.BatchV1().Jobs(session.run.namespace.name).Get(ctx, fixture.Name+session.target.suffix, metav1.GetOptions{})
		})
		if err != nil {
			return nil, fmt.Errorf("job %s: %w", fixture.Name, err)
		}
		job.ManagedFields = nil
		return job, nil
	})
}

// waited is how a wait for a Pod ended.
type waited struct {
	Reached bool        `json:"reached"`
	Last    *corev1.Pod `json:"last"` // as last seen, also when it is gone
}

// Wait waits until done is satisfied with the fixture's Pod, which is nil once the Pod is gone. It returns the Pod as last
// seen and whether done was satisfied within the limit. A Pod that cannot come up ends the wait with an error.
func (session *Session) Wait(
	ctx context.Context, fixture Fixture, what string, limit time.Duration, done func(*corev1.Pod) bool,
) (*corev1.Pod, bool, error) {
	return session.wait(ctx, fixture, what, limit, done, (*pod.Pod).Wait)
}

// WaitTolerant is Wait after something was ended on purpose: containers may fail to start meanwhile, in a sandbox that
// the kubelet does not know to be gone, and come up in the end.
func (session *Session) WaitTolerant(
	ctx context.Context, fixture Fixture, what string, limit time.Duration, done func(*corev1.Pod) bool,
) (*corev1.Pod, bool, error) {
	return session.wait(ctx, fixture, what, limit, done, (*pod.Pod).WaitTolerant)
}

type waitFor = func(*pod.Pod, context.Context, string, time.Duration, func(*corev1.Pod) bool) error

func (session *Session) wait(
	ctx context.Context, fixture Fixture, what string, limit time.Duration, done func(*corev1.Pod) bool, waitFor waitFor,
) (*corev1.Pod, bool, error) {
	seen, err := ask(session, fmt.Sprintf("wait for %s of %s", what, session.where(fixture, "")), func() (waited, error) {
		created, err := session.pod(ctx, fixture)
		if err != nil {
			return waited{}, err
		}
		err = waitFor(created, ctx, what, limit, done)
		seen := waited{Reached: err == nil, Last: withoutManagedFields(created.Last())}
		if err != nil && pod.KindOf(err) != reports.OutOfTime || ctx.Err() != nil {
			return seen, err
		}
		return seen, nil
	})
	return seen.Last, seen.Reached, err
}

// withoutManagedFields leaves out what says nothing about a Pod's state and is half of its size.
func withoutManagedFields(status *corev1.Pod) *corev1.Pod {
	if status == nil {
		return nil
	}
	status = status.DeepCopy()
	status.ManagedFields = nil
	return status
}

// Logs returns what a container of the fixture wrote, of its previous run if asked for.
func (session *Session) Logs(ctx context.Context, fixture Fixture, container string, previous bool) (string, error) {
	return ask(session, fmt.Sprintf("logs of %s, previous %t", session.where(fixture, container), previous), func() (string, error) {
		created, err := session.pod(ctx, fixture)
		if err != nil {
			return "", err
		}
		return created.Logs(ctx, container, previous)
	})
}

// Delete asks for the deletion of the fixture's Pod with its own grace period, and does not wait for it.
func (session *Session) Delete(ctx context.Context, fixture Fixture) error {
	_, err := ask(session, "delete "+session.where(fixture, ""), func() (bool, error) {
		created, err := session.pod(ctx, fixture)
		if err != nil {
			return false, err
		}
		return true, created.Delete(ctx)
	})
	return err
}

// Attach adds ephemeral containers to the fixture's Pod. Their images are named as in manifests.
func (session *Session) Attach(ctx context.Context, fixture Fixture, containers ...corev1.EphemeralContainer) error {
	_, err := ask(session, "attach to "+session.where(fixture, ""), func() (bool, error) {
		created, err := session.pod(ctx, fixture)
		if err != nil {
			return false, err
		}
		adapted := slices.Clone(containers)
		for i := range adapted {
			adapted[i].Image = session.Image(adapted[i].Image)
		}
		return true, created.AddEphemeral(ctx, adapted...)
	})
	return err
}

// Resize changes a limit of a container in the fixture's Pod as it runs, and returns what the API said to it.
func (session *Session) Resize(ctx context.Context, fixture Fixture, container string, name corev1.ResourceName, limit string) (Attempt, error) {
	title := fmt.Sprintf("resize of %s to %s %s", session.where(fixture, container), name, limit)
	return session.try(title, "kubectl patch pod --subresource resize", func() (answer, failed error) {
		created, err := session.pod(ctx, fixture)
		if err != nil {
			return nil, err
		}
		quantity, err := resource.ParseQuantity(limit)
		if err != nil {
			return nil, err
		}
		return created.Resize(ctx, container, name, quantity), nil
	})
}

// nodeIsLost is the look that a trait begins with on a node that is lost, and no other trait.
const nodeIsLost = "whether the node is lost"

// lostNode returns an error when the trait need not begin since the target's node is lost.
func (session *Session) lostNode(ctx context.Context) error {
	if session.replay != nil {
		if looks := session.replay.looks[session.by]; len(looks) == 0 || looks[0].Question != nodeIsLost {
			return nil
		}
		_, err := answered[bool](session, nodeIsLost)
		return err
	}
	if err := session.run.lostNode(ctx, session.target); err != nil {
		return session.unanswered(nodeIsLost, err)
	}
	return nil
}

// Node returns the target's node.
func (session *Session) Node(ctx context.Context) (*corev1.Node, error) {
	return ask(session, "node "+session.target.Node, func() (*corev1.Node, error) {
		node, err := session.run.client.CoreV1().Nodes().Get(ctx, session.target.Node, metav1.GetOptions{})
		if err != nil {
			return nil, err
		}
		return &corev1.Node{
			ObjectMeta: node.ObjectMeta,
			Status: corev1.NodeStatus{
				RuntimeHandlers: node.Status.RuntimeHandlers, NodeInfo: node.Status.NodeInfo, Features: node.Status.Features,
			},
		}, nil
	})
}

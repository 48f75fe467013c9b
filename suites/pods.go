package suites

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"sharedpid.example/helpers/process"
	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
)

// The Pods that several groups look at, each with its control.
var (
	// articleFixture is the Pod of the article: nginx beside a shell.
	articleFixture = suite.Fixture{
		Name: "article", Objects: manifest("share-process-namespace.yaml"), Stable: true, Settled: nginxSettled,
	}
	articleUnsharedFixture = suite.Fixture{
		Name: "article-unshared", Objects: manifest("share-process-namespace.yaml"), Unshared: true, Stable: true, Settled: nginxSettled,
	}
	// siblingsFixture has a process with a secret, and siblings that differ in what they may do to it.
	siblingsFixture         = suite.Fixture{Name: "siblings", Objects: manifest("siblings.yaml"), Stable: true}
	siblingsUnsharedFixture = suite.Fixture{Name: "siblings-unshared", Objects: manifest("siblings.yaml"), Unshared: true, Stable: true}
	// fileModesFixture has two containers of one uid.
	fileModesFixture         = suite.Fixture{Name: "file-modes", Objects: manifest("file-modes.yaml"), Stable: true}
	fileModesUnsharedFixture = suite.Fixture{Name: "file-modes-unshared", Objects: manifest("file-modes.yaml"), Unshared: true, Stable: true}
)

// The titles that nginx gives its processes, see its setproctitle. That of the master has the arguments that the manifests name.
const (
	nginxMaster = "nginx: master process nginx -g daemon off;"
	nginxWorker = "nginx: worker process"
)

// Processes of these Pods.
var (
	master       = suite.Process{Container: "nginx", Arguments: []string{nginxMaster}}
	shell        = suite.Process{Container: "shell", Arguments: []string{"sh"}}
	ownerSleep   = []string{"sleep", "1000000"}
	visitorSleep = []string{"sleep", "1000001"}
	tracerSleep  = []string{"sleep", "1000002"}
	sealedSleep  = []string{"sleep", "1000040"}
	owner        = suite.Process{Container: "owner", Arguments: ownerSleep}
	sealed       = suite.Process{Container: "sealed", Arguments: sealedSleep}
)

// startProcesses are what the containers of the article's Pod start.
var startProcesses = []suite.Process{master, shell}

// nginxSettled tells whether nginx, where it is visible, has started its workers. Until it has read its configuration the
// program has the arguments that it was started with.
func nginxSettled(snapshot process.Snapshot) bool {
	for _, each := range snapshot.WithoutLook() {
		young := len(each.Arguments) > 0 && path.Base(each.Arguments[0]) == "nginx"
		if young || slices.Equal(each.Arguments, master.Arguments) && len(snapshot.With(nginxWorker)) < 2 {
			return false
		}
	}
	return true
}

// expectOne returns the one process of these arguments. Without one the assertion fails with the message. Several are
// processes of other Pods beside the Pod's own, which cannot be told apart.
func expectOne(judge suite.Judge, snapshot process.Snapshot, message string, arguments ...string) process.Process {
	found := snapshot.With(arguments...)
	if len(found) == 0 {
		judge.Stop(&suite.Violation{Reason: message})
	}
	if len(found) > 1 {
		judge.Stop(suite.Undecided(reports.Ambiguous, "the Pod has one process %q to look at, %d are visible", arguments, len(found)))
	}
	return found[0]
}

// quote shortens text for a one-line reason.
func quote(text string) string {
	const longest = 160
	text = strings.TrimSpace(text)
	if len(text) > longest {
		text = text[:longest] + "..."
	}
	return fmt.Sprintf("%q", text)
}

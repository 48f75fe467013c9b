package suites

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/onsi/gomega"

	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
	"sharedpid.example/suites/access"
)

var (
	startLooksFixture         = suite.Fixture{Name: "start-process-looks", Objects: manifest("start-process-looks.yaml")}
	startLooksUnsharedFixture = suite.Fixture{
		Name: "start-process-looks-unshared", Objects: manifest("start-process-looks.yaml"), Unshared: true,
	}
)

// lookedAt is the sibling that both look at.
var lookedAt = suite.Process{Container: "sibling", Arguments: []string{"sleep", "1000081"}}

// met is what one process met in its sibling, as look.sh of fixtures/manifests/start-process-looks.yaml prints it.
type met struct {
	operations []string // such as "environ allowed" and "root EACCES", in their order; none when no sibling was found
	label      string   // of the process that looked, empty without a security module
}

// checkStartProcess has the start process of a container and an exec in it look at the same sibling.
func checkStartProcess(ctx context.Context, session *suite.Session, judge suite.Judge) error {
	if _, err := session.Find(ctx, startLooksFixture, "looker", "processes seen from the looker", lookedAt); err != nil {
		return err
	}
	start, err := metByStartProcess(ctx, session, startLooksFixture)
	if err != nil {
		return err
	}
	looked, err := session.Exec(ctx, startLooksFixture, "looker", "what an exec met", ". /scripts/look.sh")
	if err != nil {
		return err
	}
	exec, err := parseMet(looked[0].Output)
	if err != nil {
		return suite.Undecided(reports.Lost, "the look of the exec: %v", err)
	}
	judgeStartProcess(judge, start, exec)
	if err := session.Running(ctx, startLooksUnsharedFixture, "looker", lookedAt.Container); err != nil {
		return suite.ControlFailed(err)
	}
	unshared, err := metByStartProcess(ctx, session, startLooksUnsharedFixture)
	if err != nil {
		return suite.ControlFailed(err)
	}
	judge.Control.Expect(unshared.operations).To(gomega.BeEmpty(), "without sharing, the start process must find no sibling")
	return nil
}

// metByStartProcess asks the start process of the looker to look, and waits until its log has the answer.
func metByStartProcess(ctx context.Context, session *suite.Session, fixture suite.Fixture) (met, error) {
	number := fmt.Sprint(session.Number("look of the start process", 1_000_000))
	_, err := session.Read(ctx, fixture, "looker", "echo "+number+" >/tmp/asking && mv /tmp/asking /tmp/asked")
	if err != nil {
		return met{}, err
	}
	var answer string
	answered, err := session.Until(ctx, session.Limits().Appearance, func() (bool, error) {
		log, err := session.Logs(ctx, fixture, "looker", false)
		if err != nil {
			return false, err
		}
		var complete bool
		answer, complete = answerIn(log, number)
		return complete, nil
	})
	if err != nil {
		return met{}, err
	}
	if !answered {
		return met{}, suite.Undecided(reports.OutOfTime, "the looker's start process did not look within %s", session.Limits().Appearance)
	}
	session.Record(fixture, reports.Evidence{
		Title: "what the start process met", Where: fixture.Name + "/looker", Command: "kubectl logs", Output: answer,
	})
	start, err := parseMet(answer)
	if err != nil {
		return met{}, suite.Undecided(reports.Lost, "the look of the start process: %v", err)
	}
	return start, nil
}

// answerIn returns what stands in a log between the lines that begin and end the answer with that number, and whether it is
// complete.
func answerIn(log, number string) (answer string, complete bool) {
	_, after, begun := strings.Cut("\n"+log, "\nbegin "+number+"\n")
	answer, _, ended := strings.Cut("\n"+after, "\nend "+number+"\n")
	return strings.TrimPrefix(answer, "\n") + "\n", begun && ended
}

// parseMet reads what look.sh printed. The labels stand in every answer: one without them was cut short.
func parseMet(output string) (met, error) {
	var read met
	whole := false
	for _, line := range strings.Split(strings.Trim(output, "\n"), "\n") {
		name, rest, _ := strings.Cut(line, " ")
		code, words, _ := strings.Cut(rest, " ")
		switch {
		case name == "label":
			read.label = strings.Trim(rest, "\x00 ")
		case name == "sibling-label":
			whole = true
		case !slices.Contains([]string{"environ", "root", "signal"}, name):
			return met{}, fmt.Errorf("%q is no line of a look", line)
		default:
			read.operations = append(read.operations, name+" "+access.Observed(code, words))
		}
	}
	if !whole {
		return met{}, fmt.Errorf("its last line is missing: %s", quote(output))
	}
	return read, nil
}

// judgeStartProcess compares what both met. Where their labels differ, exec speaks for itself alone.
func judgeStartProcess(judge suite.Judge, start, exec met) {
	judge.Precondition.Expect(len(start.operations)+len(exec.operations)).NotTo(gomega.BeZero(), "neither look found the sibling")
	for _, each := range slices.Concat(start.operations, exec.operations) {
		_, observed, _ := strings.Cut(each, " ")
		judge.Precondition.Expect(access.Decided(observed)).To(gomega.BeTrue(), "the sibling was not looked at: %s", quote(each))
	}
	both := fmt.Sprintf("the start process met %q, exec met %q", start.operations, exec.operations)
	if explanation := (access.Labels{Look: exec.label, Start: start.label}).Explain(); explanation.ExecDiffers {
		judge.Stop(suite.Undecided(reports.Precondition, "%s: %s", explanation.Words, both))
	}
	judge.Claim.Expect(start.operations).To(gomega.Equal(exec.operations), "%s", both)
}

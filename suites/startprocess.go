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
	start, exec, err := metByBoth(ctx, session, startLooksFixture)
	if err != nil {
		return err
	}
	judgeStartProcess(judge, start, exec)
	if err := session.Running(ctx, startLooksUnsharedFixture, "looker", lookedAt.Container); err != nil {
		return suite.ControlFailed(err)
	}
	unshared, _, err := metByBoth(ctx, session, startLooksUnsharedFixture)
	if err != nil {
		return suite.ControlFailed(err)
	}
	judge.Control.Expect(unshared.operations).To(gomega.BeEmpty(), "without sharing, the start process must find no sibling")
	return nil
}

// metByBoth has the start process of the looker look, which an exec asks for it, and then the exec itself.
func metByBoth(ctx context.Context, session *suite.Session, fixture suite.Fixture) (start, exec met, err error) {
	var looked []suite.ExecResult
	answered, err := session.Until(ctx, session.Limits().Appearance, func() (bool, error) {
		var err error
		looked, err = session.Exec(ctx, fixture, "looker", "what the start process met, and what an exec met",
			". /scripts/ask.sh", ". /scripts/look.sh")
		return err == nil && looked[0].ExitCode == 0, err
	})
	if err != nil {
		return start, exec, err
	}
	if !answered {
		return start, exec, suite.Undecided(reports.OutOfTime, "the looker's start process did not look within %s", session.Limits().Appearance)
	}
	if start, err = parseMet(looked[0].Output); err != nil {
		return start, exec, suite.Undecided(reports.Lost, "the look of the start process: %v", err)
	}
	if exec, err = parseMet(looked[1].Output); err != nil {
		return start, exec, suite.Undecided(reports.Lost, "the look of the exec: %v", err)
	}
	return start, exec, nil
}

// refusedToExecAlone is the error of a check that met a refusal which no rule and no label explains, where exec is refused what the
// start process of the same container is allowed: looks by exec say nothing of containers then. Landlock gives no label, for one.
// It is nil where both meet the same.
func refusedToExecAlone(ctx context.Context, session *suite.Session, refusal string) error {
	start, exec, err := metByBoth(ctx, session, startLooksFixture)
	if err != nil {
		return fmt.Errorf("%s; what a start process meets is not known: %w", refusal, err)
	}
	if len(start.operations) == 0 || len(exec.operations) == 0 || slices.Equal(start.operations, exec.operations) {
		return nil
	}
	return suite.Undecided(reports.Precondition, "exec is refused what the container's own start process is allowed "+
		"(the start process met %q, exec %q): %s", start.operations, exec.operations, refusal)
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

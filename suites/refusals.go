package suites

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/onsi/gomega"

	"sharedpid.example/helpers/process"
	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
	"sharedpid.example/suites/access"
)

// explainRefusal is asked by every trait whose statement allows something, before it judges what a container met: a look that was
// refused with EACCES or EPERM accuses nobody where a security module narrows what the kernel's rules allow. Operation is the
// name in access.Operations of what was refused, and target the process that it was wanted of. It returns nil when nothing was
// refused, and when the refusal stands: the kernel's rules refuse it as well, or no module is seen and start processes meet the
// same. Otherwise the error is Unsupported, or Inconclusive where exec has another label than its container, or is refused alone.
func explainRefusal(
	ctx context.Context, session *suite.Session, fixture suite.Fixture, container string,
	target process.Process, operation string, looked ...suite.ExecResult,
) error {
	at := slices.IndexFunc(looked, denied)
	if at < 0 {
		return nil
	}
	facts, err := session.Read(ctx, fixture, container, process.Script, "cat /proc/self/attr/current", access.LabelsCommand,
		fmt.Sprintf("stat -c %%u /proc/%d/environ", target.PID))
	if err != nil {
		return err
	}
	snapshot, self, err := parseCaller(container, facts[0].Output)
	if err != nil {
		return err
	}
	labels := access.ParseLabels(facts[2].Output)
	caller := access.Party{Name: container, Process: self, Label: facts[1].Answer(), StartLabel: access.StartLabel(snapshot, labels)}
	asked := access.Party{Process: target, Owner: target.UID, Label: labels[target.PID]}
	if owner, err := strconv.Atoi(facts[3].Answer()); err == nil {
		asked.Owner = owner
	}
	if access.SecurityModule(caller.Label) == access.SELinux && access.Permits(caller, asked, operation) {
		if caller.Permissive, err = permissive(ctx, session, fixture, container); err != nil {
			return err
		}
	}
	if err := whoseRefusal(caller, asked, operation, looked[at]); err != nil || !access.Permits(caller, asked, operation) {
		return err
	}
	return refusedToExecAlone(ctx, session, refusalOf(looked[at]))
}

// permissive tells whether SELinux, whose label a container has, refuses it nothing: then no label explains a refusal.
func permissive(ctx context.Context, session *suite.Session, fixture suite.Fixture, container string) (bool, error) {
	tried, err := session.Read(ctx, fixture, container, access.PermissiveCommand)
	return err == nil && tried[0].ExitCode == 0, err
}

func refusalOf(looked suite.ExecResult) string {
	return fmt.Sprintf("%s was refused with %s", looked.Command, looked.Errno())
}

// denied tells whether the kernel refused what a command wanted. What the shell may not execute wanted nothing yet.
func denied(result suite.ExecResult) bool {
	return !notRun(result) && access.Refused(result.Errno())
}

// notRun tells whether the shell did not find a program, or may not execute it: nothing is known then of what the command is about.
func notRun(result suite.ExecResult) bool { return result.ExitCode == 126 || result.ExitCode == 127 }

// judgeRun holds that the programs of commands were run: an image of another's may lack them.
func judgeRun(judge suite.Judge, results ...suite.ExecResult) {
	for _, each := range results {
		judge.Precondition.Expect(notRun(each)).To(gomega.BeFalse(), "%s was not run: %s", each.Command, quote(each.Output))
	}
}

// whoseRefusal decides by rules and labels whose matter a refused look is: nil when they make it a violation.
func whoseRefusal(caller, target access.Party, operation string, refused suite.ExecResult) error {
	if !access.Permits(caller, target, operation) {
		return nil
	}
	return excuse(caller, target, refusalOf(refused))
}

// excuse is the error of a check that met a refusal which the labels of both sides explain, nil when they do not.
func excuse(caller, target access.Party, refusal string) error {
	explanation := access.LabelsOf(caller, target).Explain()
	switch {
	case explanation.ExecDiffers:
		return suite.Undecided(reports.Precondition, "%s: %s", explanation.Words, refusal)
	case explanation.Module != "":
		return &suite.Unsupported{Reason: explanation.Words + ": " + refusal}
	}
	return nil
}

package access

import (
	"fmt"
	"slices"
	"strings"

	"sharedpid.example/helpers/pod"
	"sharedpid.example/reports"
)

// Names of callers and targets that claims are about.
const (
	CallerTracer       = "root with CAP_SYS_PTRACE"
	CallerRoot         = "root"
	CallerRootLessKill = "root without CAP_KILL"
	CallerRootBare     = "root without capabilities"
	CallerRootKill     = "root with CAP_KILL only"
	CallerPerfmon      = "root with CAP_PERFMON"
	CallerAdmin        = "root with CAP_SYS_ADMIN"
	CallerStranger     = "uid 1000"
	CallerInert        = "uid 1000 with CAP_SYS_PTRACE added"
	CallerWorker       = "the worker's uid"

	TargetMaster = "nginx master"
	TargetWorker = "nginx worker"
	TargetTracer = "process with CAP_SYS_PTRACE"
	TargetPause  = "pause"
)

// Matrix is what each caller met with each target.
type Matrix struct {
	Cells   []reports.Access
	Callers []Party
	Targets []Party // none when they could not be looked at
}

// Cell returns what one caller met with one target and one operation. It panics when the matrix has no such cell.
func (matrix Matrix) Cell(caller, target, operation string) reports.Access {
	at := slices.IndexFunc(matrix.Cells, func(cell reports.Access) bool {
		return cell.Caller == caller && cell.Target == target && cell.Operation == operation
	})
	if at < 0 {
		panic(fmt.Sprintf("the access matrix has no cell %s, %s, %s", caller, target, operation))
	}
	return matrix.Cells[at]
}

// Caller returns the caller of a name. It panics when there is none.
func (matrix Matrix) Caller(name string) Party { return named(matrix.Callers, name) }

// Target returns the target of a name. It panics when there is none.
func (matrix Matrix) Target(name string) Party { return named(matrix.Targets, name) }

func named(parties []Party, name string) Party {
	at := slices.IndexFunc(parties, func(party Party) bool { return party.Name == name })
	if at < 0 {
		panic("the access matrix knows no " + name)
	}
	return parties[at]
}

// Of returns the cells of one caller.
func (matrix Matrix) Of(caller string) []reports.Access {
	return slices.DeleteFunc(slices.Clone(matrix.Cells), func(cell reports.Access) bool { return cell.Caller != caller })
}

// Refused tells whether an errno is one with which the kernel refuses, by its own rules or a security module's.
func Refused(errno string) bool { return errno == "EACCES" || errno == "EPERM" }

// Add judges what one caller observed, target by target and operation by operation, by the rules.
func (matrix *Matrix) Add(caller Party, platform Platform, observed []string) {
	matrix.Callers = append(matrix.Callers, caller)
	platform.PerfmonReadsMemory = perfmonReadsMemory(caller, matrix.Targets, observed)
	for i, target := range matrix.Targets {
		for j, operation := range Operations {
			cell := reports.Access{
				Caller: caller.Name, Target: target.Name, Operation: operation.Name, Observed: observed[i*len(Operations)+j],
			}
			cell.Want, cell.Rule, cell.Narrowed = Expected(caller, target, operation, platform)
			if operation.check != checkNothing {
				cell = narrowedByModule(cell, caller, target)
			}
			matrix.Cells = append(matrix.Cells, cell)
		}
	}
}

// narrowedByModule is the cell with what a security module forbids beyond the rules: one is believed where it is on, and only in refusing.
func narrowedByModule(cell reports.Access, caller, target Party) reports.Access {
	if cell.Want == Allowed && Refused(cell.Observed) {
		if explanation := LabelsOf(caller, target).Explain(); explanation.Module != "" {
			cell.Want, cell.Narrowed = cell.Observed, explanation.Module
			cell.Rule += "; " + explanation.Words
		}
	}
	return cell
}

// Script tries every operation on every target in one shell: a line for each, with the exit code and the words.
func Script(targets []Party) string {
	var script strings.Builder
	script.WriteString(`try() { words=$(eval "$2" 2>&1); echo "$1 $? $words"; }` + "\n")
	for _, target := range targets {
		for _, operation := range Operations {
			fmt.Fprintf(&script, "try %s '%s'\n", operation.Name, fmt.Sprintf(operation.Command, target.PID))
		}
	}
	return script.String()
}

// failed begins what a cell holds that shows no answer of the kernel's.
const failed = "failed: "

// Observed is what a command with that exit code and these words met: "allowed" or an errno. A failure without a known errno, and
// a program that the shell does not find or may not execute, show nothing of the target: they are kept in their own words, see Decided.
func Observed(exitCode, words string) string {
	errno := pod.Errno(words)
	switch {
	case exitCode == "0":
		return Allowed
	case errno != "" && exitCode != "126" && exitCode != "127":
		return errno
	}
	return failed + strings.TrimRight(exitCode+" "+words, " ")
}

// Decided tells whether what was observed is an answer of the kernel's, and not a failure of the command itself.
func Decided(observed string) bool { return !strings.HasPrefix(observed, failed) }

// Parse reads what Script printed for so many targets, each as Observed says it, target by target.
func Parse(output string, targets int) ([]string, error) {
	if targets == 0 {
		return nil, nil
	}
	lines := strings.Split(strings.TrimSuffix(output, "\n"), "\n")
	if len(lines) != targets*len(Operations) {
		return nil, fmt.Errorf("the access look has %d lines, want %d", len(lines), targets*len(Operations))
	}
	observed := make([]string, len(lines))
	for i, line := range lines {
		operation := Operations[i%len(Operations)].Name
		result, found := strings.CutPrefix(line, operation+" ")
		if !found {
			return nil, fmt.Errorf("line %d of the access look is %q, want one about %s", i+1, line, operation)
		}
		exitCode, words, _ := strings.Cut(result, " ")
		observed[i] = Observed(exitCode, words)
	}
	return observed, nil
}

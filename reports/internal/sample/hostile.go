package sample

import "sharedpid.example/reports"

// Hostile is a run with text of any kind wherever a container, a cluster or a person could have put it.
func Hostile(reason, output, name string, length float64) reports.Run {
	code := int(length)
	return reports.Run{
		ID: name, SuiteVersion: name, Profile: name, Narrowed: []string{name, output}, Adapted: []string{output, name},
		Arguments: []string{reason, name}, Seconds: length, SetupError: reason,
		Implementation: &reports.Implementation{Organization: name, Project: output, URL: reason, Contact: reason, Version: output},
		LeftOut:        []reports.LeftOut{{Name: name, Reason: output}}, Limits: map[string]string{name: reason},
		Cluster: reports.Cluster{Name: name, KubernetesVersion: output, Origin: name, Engine: name, NodeImage: name},
		Images:  map[string]string{name: output},
		Targets: []reports.Target{{ID: name, Node: name, Runtime: output, RuntimeHandler: reason, Kernel: output, OSImage: output}},
		Plan:    []reports.Planned{{Trait: name, Target: name}, {Trait: output, Target: reason}},
		Results: []reports.Result{
			{Trait: name, Target: name, Verdict: reports.Verdict(reason), Kind: reports.Kind(output), Reason: reason, Seconds: length},
			{
				Trait: reason, Target: output, Verdict: reports.Nonconformant, Reason: reason, Statement: output, Cause: output,
				NextStep: reason, Diagnosis: output, Stack: reason, Article: reason, Sources: []string{name, output},
				Namespace: name, Seconds: length,
				Evidence: []reports.Evidence{{
					Title: name, Where: output, Command: reason, Output: output, ExitCode: &code, Errno: name,
					Processes: []reports.Process{{PID: code, State: reason, Container: name, Arguments: []string{output, reason}}},
					Access:    []reports.Access{{Caller: name, Target: output, Operation: reason, Want: name, Observed: output, Rule: reason}},
				}},
			},
			{
				Trait: output + reason, Target: name, Verdict: reports.Nonconformant, Reason: output, Sources: []string{"https://" + name, output},
				KnownDeviation: &reports.Deviation{Runtime: name, Versions: output, Trait: reason, Reason: output, Consequence: reason,
					Link: "https://" + output},
			},
			{Trait: output, Target: name, Verdict: reports.Unsupported, Reason: output, Article: output},
		},
		Tasks: &reports.Tasks{Manifests: map[string]string{name: output}, Questions: []reports.Task{
			{Name: name, Question: output, Ways: []reports.Way{{Needs: reason, Trait: name, Pod: name}}},
			{Name: output, Question: reason, Risk: true, Ways: []reports.Way{{Needs: name, Trait: reason, Cell: &reports.Cell{
				Caller: name, Target: output, Operation: reason,
			}}}},
		}},
		Phases: []reports.Phase{{Name: output, Seconds: length}},
	}
}

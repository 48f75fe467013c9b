package sample

import (
	"time"

	"sharedpid.example/reports"
)

// SetUpFailed is a run that got no cluster.
func SetUpFailed() reports.Run {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return reports.Run{
		SchemaVersion: reports.SchemaVersion, ID: "sample", SuiteVersion: "v0", Profile: "article", Start: start, Seconds: 251.5,
		Command: "run", Arguments: []string{"--cluster-name=mine", "--trait=signals/*"}, Narrowed: []string{"--trait=signals/*"},
		Cluster: reports.Cluster{Name: "mine"},
		SetupError: "create cluster mine: docker exec mine-control-plane kubeadm init: exit status 1: [kubelet-check] The kubelet is " +
			"not healthy after 4m0s (kind's last step: Starting control-plane); next step: free some disk",
		Plan: []reports.Planned{
			{Trait: "signals/hup-respawns-workers", Target: "node"}, {Trait: "signals/pause-survives", Target: "node"},
		},
		Phases: []reports.Phase{{Name: "cluster", Start: start, Seconds: 251.4}, {Name: "clean-up", Start: start, Seconds: 0.01}},
	}
}

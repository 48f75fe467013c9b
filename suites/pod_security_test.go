package suites

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	podsecurity "k8s.io/pod-security-admission/api"

	"sharedpid.example/helpers/suite"
)

// podFixture is a fixture of one Pod with one container.
func podFixture(change func(*corev1.Pod)) suite.Fixture {
	return suite.Fixture{Name: "made", Change: change, Objects: func() ([]runtime.Object, error) {
		return []runtime.Object{&corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: "only", SecurityContext: &corev1.SecurityContext{Capabilities: &corev1.Capabilities{}},
		}}}}}, nil
	}}
}

func TestPodSecurityLevels(t *testing.T) {
	yes, no := true, false
	restricted := func(pod *corev1.Pod) {
		security := pod.Spec.Containers[0].SecurityContext
		security.RunAsNonRoot, security.AllowPrivilegeEscalation = &yes, &no
		security.Capabilities.Drop = []corev1.Capability{"ALL"}
		security.SeccompProfile = &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}
	}
	for name, test := range map[string]struct {
		fixtures []suite.Fixture
		level    podsecurity.Level
		beyond   string
	}{
		"nothing":                {nil, podsecurity.LevelRestricted, ""},
		"no root, no capability": {[]suite.Fixture{podFixture(restricted)}, podsecurity.LevelRestricted, ""},
		"what a Pod is by itself": {
			[]suite.Fixture{podFixture(nil)}, podsecurity.LevelBaseline,
			"allowPrivilegeEscalation != false, unrestricted capabilities, runAsNonRoot != true, seccompProfile",
		},
		"a capability": {[]suite.Fixture{podFixture(func(pod *corev1.Pod) {
			pod.Spec.Containers[0].SecurityContext.Capabilities.Add = []corev1.Capability{"SYS_PTRACE"}
		})}, podsecurity.LevelPrivileged, "non-default capabilities"},
	} {
		t.Run(name, func(t *testing.T) {
			security, err := PodSecurityOf(suite.Trait{ID: "a/trait", Fixtures: test.fixtures})
			if err != nil {
				t.Fatal(err)
			}
			if security.Level != test.level || test.beyond != "" && !slices.Contains(security.Beyond, test.beyond) {
				t.Errorf("%s, beyond it %q, must be %s and %q", security.Level, security.Beyond, test.level, test.beyond)
			}
		})
	}
}

func TestAdmittedAt(t *testing.T) {
	traits := []suite.Trait{
		{ID: "a/nothing"},
		{ID: "b/ordinary", Fixtures: []suite.Fixture{podFixture(nil)}},
		{ID: "c/node", Fixtures: []suite.Fixture{podFixture(func(pod *corev1.Pod) { pod.Spec.HostPID = true })}},
	}
	for level, want := range map[podsecurity.Level]int{podsecurity.LevelRestricted: 1, podsecurity.LevelBaseline: 2, podsecurity.LevelPrivileged: 3} {
		admitted, err := AdmittedAt(level, traits)
		if err != nil || len(admitted) != want {
			t.Errorf("%s admits %d traits, must admit %d: %v", level, len(admitted), want, err)
		}
	}
	if _, err := AdmittedAt("strict", traits); err == nil {
		t.Error("a level that does not exist is taken")
	}
}

// Whoever may use a namespace that enforces baseline must get an answer to most questions there.
func TestMostOfCoreFitsBaseline(t *testing.T) {
	core, err := suite.Select(Traits(), suite.Core, nil)
	if err != nil {
		t.Fatal(err)
	}
	fit := 0
	for _, trait := range core {
		security, err := PodSecurityOf(trait)
		if err != nil {
			t.Fatal(err)
		}
		if security.Level != podsecurity.LevelPrivileged {
			fit++
		}
	}
	if 2*fit <= len(core) {
		t.Errorf("%d of %d traits of profile core fit baseline, must be more than half", fit, len(core))
	}
}

// TestPodsReachNothingOfTheNode holds the Pods that a run puts on a cluster to what SECURITY.md promises of them. Pods that the API is only
// asked about in a dry run are no Pods.
func TestPodsReachNothingOfTheNode(t *testing.T) {
	for _, trait := range Traits() {
		for _, fixture := range trait.AllFixtures() {
			pods, err := fixture.Pods()
			if err != nil {
				t.Fatal(err)
			}
			for _, made := range pods {
				spec := made.Spec
				if spec.AutomountServiceAccountToken == nil || *spec.AutomountServiceAccountToken {
					t.Errorf("%s: Pod %s has a token of the API", trait.ID, fixture.Name)
				}
				if spec.HostNetwork || spec.HostIPC || spec.HostPID && fixture.Name != "host-pid" {
					t.Errorf("%s: Pod %s shares a namespace of the node", trait.ID, fixture.Name)
				}
				for _, volume := range spec.Volumes {
					if volume.HostPath != nil || volume.PersistentVolumeClaim != nil || volume.CSI != nil {
						t.Errorf("%s: Pod %s has the volume %s from outside of the Pod", trait.ID, fixture.Name, volume.Name)
					}
				}
				for _, container := range spec.Containers {
					security := container.SecurityContext
					if security != nil && security.Privileged != nil && *security.Privileged && trait.ID != "inits/systemd-refuses" {
						t.Errorf("%s: container %s of Pod %s is privileged", trait.ID, container.Name, fixture.Name)
					}
				}
			}
		}
	}
}

package suite

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// sentSpec is a Pod's specification as a manifest has it.
func sentSpec() corev1.PodSpec {
	share, user := true, int64(1000)
	return corev1.PodSpec{
		ShareProcessNamespace: &share,
		Containers: []corev1.Container{
			{
				Name: "one", Image: "image", Command: []string{"sleep", "1"},
				LivenessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"true"}}}},
			},
			{Name: "two", Image: "image", SecurityContext: &corev1.SecurityContext{
				RunAsUser: &user, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}, Add: []corev1.Capability{"KILL"}},
			}},
		},
	}
}

func TestChanges(t *testing.T) {
	off, yes, user := false, true, int64(2000)
	for name, test := range map[string]struct {
		change func(*corev1.PodSpec)
		words  string // of the one change, empty for none
	}{
		"as it was sent": {func(*corev1.PodSpec) {}, ""},
		// What the API fills in, and what nobody judges.
		"defaults": {func(spec *corev1.PodSpec) {
			spec.RestartPolicy, spec.SecurityContext = corev1.RestartPolicyAlways, &corev1.PodSecurityContext{}
			spec.Containers[0].ImagePullPolicy = corev1.PullIfNotPresent
			spec.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
			spec.Volumes = []corev1.Volume{{Name: "token"}, imageVolume("injected")}
			spec.SecurityContext.SupplementalGroupsPolicy = new(corev1.SupplementalGroupsPolicyMerge)
			spec.Containers[1].SecurityContext.ProcMount = new(corev1.DefaultProcMount)
			spec.Containers[0].LivenessProbe.SuccessThreshold = 1
		}, ""},
		"the field is off":  {func(spec *corev1.PodSpec) { spec.ShareProcessNamespace = &off }, "sent as true and is false"},
		"the field is gone": {func(spec *corev1.PodSpec) { spec.ShareProcessNamespace = nil }, "sent as true and is unset"},
		"hostPID":           {func(spec *corev1.PodSpec) { spec.HostPID = true }, "hostPID was sent as false and is true"},
		"hostUsers":         {func(spec *corev1.PodSpec) { spec.HostUsers = &off }, "hostUsers was sent as unset and is false"},
		"a RuntimeClass":    {func(spec *corev1.PodSpec) { class := "kata"; spec.RuntimeClassName = &class }, `was sent as unset and is "kata"`},
		"a user of the Pod": {func(spec *corev1.PodSpec) { spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: &user} }, "2000"},
		"an injected container": {func(spec *corev1.PodSpec) {
			spec.Containers = append(spec.Containers, corev1.Container{
				Name: "proxy",
			})
		}, "proxy"},
		"an injected init container": {func(spec *corev1.PodSpec) {
			spec.InitContainers = []corev1.Container{{Name: "proxy"}}
		}, "initContainers"},
		"another probe": {func(spec *corev1.PodSpec) {
			spec.Containers[0].LivenessProbe.Exec.Command = []string{"false"}
		}, "livenessProbe of container one"},
		"another image": {func(spec *corev1.PodSpec) { spec.Containers[0].Image = "mirror/image" }, "image of container one"},
		"another command": {func(spec *corev1.PodSpec) {
			spec.Containers[0].Command = []string{
				"wrap",
				"sleep",
			}
		}, "command of container one"},
		"restarts of a container": {func(spec *corev1.PodSpec) {
			spec.Containers[0].RestartPolicy = new(corev1.ContainerRestartPolicyNever)
			spec.Containers[0].RestartPolicyRules = []corev1.ContainerRestartRule{{
				Action:    corev1.ContainerRestartRuleActionRestart,
				ExitCodes: &corev1.ContainerRestartRuleOnExitCodes{Operator: corev1.ContainerRestartRuleOnExitCodesOpIn, Values: []int32{7}},
			}}
		}, "restartPolicy of container one was sent as unset and is Never, Restart on exit codes In [7]"},
		"another user":         {func(spec *corev1.PodSpec) { spec.Containers[1].SecurityContext.RunAsUser = &user }, "container two"},
		"a capability is gone": {func(spec *corev1.PodSpec) { spec.Containers[1].SecurityContext.Capabilities.Add = nil }, "container two"},
		"privileged": {func(spec *corev1.PodSpec) {
			spec.Containers[0].SecurityContext = &corev1.SecurityContext{Privileged: &yes}
		}, "container one"},
	} {
		stored := sentSpec()
		test.change(&stored)
		got := changes(sentSpec(), stored)
		switch {
		case test.words == "" && len(got) > 0:
			t.Errorf("%s: %q", name, got)
		case test.words != "" && (len(got) != 1 || !strings.Contains(got[0], test.words)):
			t.Errorf("%s: %q, want one that says %q", name, got, test.words)
		}
	}
}

func imageVolume(name string) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: "image"}}}
}

// TestChangesOfNewerFields: what only newer versions of the API know is missed where it was sent.
func TestChangesOfNewerFields(t *testing.T) {
	sent := func() corev1.PodSpec {
		spec := sentSpec()
		spec.SecurityContext = &corev1.PodSecurityContext{SupplementalGroupsPolicy: new(corev1.SupplementalGroupsPolicyStrict)}
		spec.Volumes = []corev1.Volume{imageVolume("content")}
		spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "content", MountPath: "/content"}}
		spec.Containers[0].Lifecycle = &corev1.Lifecycle{StopSignal: new(corev1.SIGUSR1)}
		spec.Containers[1].SecurityContext.ProcMount = new(corev1.UnmaskedProcMount)
		return spec
	}
	for name, test := range map[string]struct {
		change func(*corev1.PodSpec)
		want   []string
	}{
		"kept": {func(*corev1.PodSpec) {}, nil},
		"no policy of groups": {
			func(spec *corev1.PodSpec) { spec.SecurityContext = nil },
			[]string{"spec.securityContext.supplementalGroupsPolicy was sent as Strict and is unset"},
		},
		"no volume": {func(spec *corev1.PodSpec) {
			spec.Volumes, spec.Containers[0].VolumeMounts = nil, nil
		}, []string{"spec.volumes of images were sent as [content of image in one], and none is kept"}},
		"another image": {
			func(spec *corev1.PodSpec) {
				spec.Volumes[0].Image = &corev1.ImageVolumeSource{Reference: "mirror/image"}
			},
			[]string{"spec.volumes of images was sent as [content of image in one] and is [content of mirror/image in one]"},
		},
		"no stop signal": {
			func(spec *corev1.PodSpec) { spec.Containers[0].Lifecycle = nil },
			[]string{"lifecycle.stopSignal of container one was sent as SIGUSR1 and is unset"},
		},
		"a hook": {func(spec *corev1.PodSpec) {
			spec.Containers[0].Lifecycle.PreStop = &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"true"}}}
		}, []string{"lifecycle of container one was changed"}},
		"a masked /proc": {
			func(spec *corev1.PodSpec) {
				spec.Containers[1].SecurityContext.ProcMount = new(corev1.DefaultProcMount)
			},
			[]string{"procMount of container two was sent as Unmasked and is Default"},
		},
	} {
		stored := sent()
		test.change(&stored)
		expectEqual(t, name, changes(sent(), stored), test.want)
	}
}

func TestResizePoliciesThatAreAskedForAreKept(t *testing.T) {
	of := func(policies ...corev1.ContainerResizePolicy) corev1.PodSpec {
		spec := sentSpec()
		spec.Containers[0].ResizePolicy = policies
		return spec
	}
	restarts := corev1.ContainerResizePolicy{ResourceName: corev1.ResourceMemory, RestartPolicy: corev1.RestartContainer}
	if got := changes(of(restarts), of(restarts)); len(got) > 0 {
		t.Errorf("kept: %q", got)
	}
	if got := changes(of(), of(restarts)); len(got) > 0 {
		t.Errorf("filled in: %q", got)
	}
	if got := changes(of(restarts), of()); len(got) != 1 || !strings.HasPrefix(got[0], "resizePolicy of container one was sent as ") {
		t.Errorf("dropped: %q", got)
	}
}

func TestAProfileThatIsAskedForIsKept(t *testing.T) {
	unconfined, runtimes := corev1.AppArmorProfileTypeUnconfined, corev1.AppArmorProfileTypeRuntimeDefault
	of := func(profile corev1.AppArmorProfileType) corev1.PodSpec {
		spec := sentSpec()
		spec.SecurityContext = &corev1.PodSecurityContext{AppArmorProfile: &corev1.AppArmorProfile{Type: profile}}
		return spec
	}
	if got := changes(of(unconfined), of(unconfined)); len(got) > 0 {
		t.Errorf("kept: %q", got)
	}
	if got := changes(sentSpec(), of(runtimes)); len(got) > 0 {
		t.Errorf("given to a Pod that asks for none: %q", got)
	}
	if got := changes(of(unconfined), of(runtimes)); len(got) != 1 {
		t.Errorf("another one: %q", got)
	}
	if got := changes(of(unconfined), sentSpec()); len(got) != 1 {
		t.Errorf("taken away: %q", got)
	}
}

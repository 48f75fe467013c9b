package suite

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
)

// changes says how a Pod that the API stored differs from the one that was sent, in what traits judge: who shares what with
// whom, who runs as whom with which capabilities, which containers there are and what they run. Empty when it does not. What
// the API fills in where nothing was said, and what no trait judges, such as labels, tolerations and resources, does not count.
func changes(sent, stored corev1.PodSpec) []string {
	var found []string
	differ := func(field string, sent, stored any) {
		if !equality.Semantic.DeepEqual(sent, stored) {
			found = append(found, fmt.Sprintf("%s was sent as %s and is %s", field, said(sent), said(stored)))
		}
	}
	differ("spec.shareProcessNamespace", sent.ShareProcessNamespace, stored.ShareProcessNamespace)
	differ("spec.hostPID", sent.HostPID, stored.HostPID)
	differ("spec.hostIPC", sent.HostIPC, stored.HostIPC)
	differ("spec.hostNetwork", sent.HostNetwork, stored.HostNetwork)
	differ("spec.hostUsers", sent.HostUsers, stored.HostUsers)
	differ("spec.runtimeClassName", sent.RuntimeClassName, stored.RuntimeClassName)
	differ("spec.securityContext of users", podUsers(sent.SecurityContext), podUsers(stored.SecurityContext))
	if profile := podProfile(sent.SecurityContext); profile != nil {
		differ("spec.securityContext.appArmorProfile", string(profile.Type), appArmorType(podProfile(stored.SecurityContext)))
	}
	if profile := seccompType(sent.SecurityContext); profile != "" {
		differ("spec.securityContext.seccompProfile", profile, seccompType(stored.SecurityContext))
	}
	if policy := groupsPolicy(sent.SecurityContext); policy != "unset" {
		differ("spec.securityContext.supplementalGroupsPolicy", policy, groupsPolicy(stored.SecurityContext))
	}
	if volumes := imageVolumes(sent); len(volumes) > 0 {
		if now := imageVolumes(stored); len(now) > 0 {
			differ("spec.volumes of images", volumes, now)
		} else { // as an API does that knows none
			found = append(found, fmt.Sprintf("spec.volumes of images were sent as %v, and none is kept", volumes))
		}
	}
	if sent.RestartPolicy != "" {
		differ("spec.restartPolicy", sent.RestartPolicy, stored.RestartPolicy)
	}
	found = append(found, changedContainers("spec.initContainers", sent.InitContainers, stored.InitContainers)...)
	return append(found, changedContainers("spec.containers", sent.Containers, stored.Containers)...)
}

// said is a value for people: what a pointer points to, and unset for none.
func said(value any) string {
	switch value := value.(type) {
	case *bool:
		if value != nil {
			return fmt.Sprint(*value)
		}
	case *string:
		if value != nil {
			return fmt.Sprintf("%q", *value)
		}
	case string, bool:
		return fmt.Sprintf("%v", value)
	default:
		return fmt.Sprintf("%v", value)
	}
	return "unset"
}

// users are what of a security context says as whom processes run, and with which rights. Unset is empty.
type users struct {
	User, Group, NonRoot, Privileged, Escalation, ReadOnlyRoot string
	Added, Dropped, Groups                                     []string
}

func podUsers(context *corev1.PodSecurityContext) users {
	if context == nil {
		return users{}
	}
	found := users{User: number(context.RunAsUser), Group: number(context.RunAsGroup), NonRoot: truth(context.RunAsNonRoot)}
	for _, group := range context.SupplementalGroups {
		found.Groups = append(found.Groups, fmt.Sprint(group))
	}
	return found
}

// podProfile is the AppArmor profile that a Pod asks for, nil for none: what admission gives a Pod that asks for none is no matter.
func podProfile(context *corev1.PodSecurityContext) *corev1.AppArmorProfile {
	if context == nil {
		return nil
	}
	return context.AppArmorProfile
}

func appArmorType(profile *corev1.AppArmorProfile) string {
	if profile == nil {
		return ""
	}
	return string(profile.Type)
}

// seccompType is the type of the seccomp profile that a Pod asks for, empty for none.
func seccompType(context *corev1.PodSecurityContext) string {
	if context == nil || context.SeccompProfile == nil {
		return ""
	}
	return string(context.SeccompProfile.Type)
}

// groupsPolicy is what a Pod says of the groups of its images. The API may fill it in where nothing was said.
func groupsPolicy(context *corev1.PodSecurityContext) string {
	if context == nil {
		return "unset"
	}
	return textOf(context.SupplementalGroupsPolicy)
}

// imageVolumes are the volumes of a Pod that are images, each with the containers that mount it.
func imageVolumes(spec corev1.PodSpec) []string {
	found := []string{}
	for _, volume := range spec.Volumes {
		if volume.Image == nil {
			continue
		}
		said := volume.Name + " of " + volume.Image.Reference
		for _, container := range slices.Concat(spec.InitContainers, spec.Containers) {
			for _, mount := range container.VolumeMounts {
				if mount.Name == volume.Name {
					said += " in " + container.Name
				}
			}
		}
		found = append(found, said)
	}
	return found
}

func containerUsers(context *corev1.SecurityContext) users {
	if context == nil {
		return users{}
	}
	found := users{
		User: number(context.RunAsUser), Group: number(context.RunAsGroup), NonRoot: truth(context.RunAsNonRoot),
		Privileged: truth(context.Privileged), Escalation: truth(context.AllowPrivilegeEscalation),
		ReadOnlyRoot: truth(context.ReadOnlyRootFilesystem),
	}
	if context.Capabilities != nil {
		found.Added, found.Dropped = capabilities(context.Capabilities.Add), capabilities(context.Capabilities.Drop)
	}
	return found
}

func capabilities(all []corev1.Capability) []string {
	var names []string
	for _, each := range all {
		names = append(names, string(each))
	}
	slices.Sort(names)
	return names
}

func number(value *int64) string {
	if value == nil {
		return ""
	}
	return fmt.Sprint(*value)
}

// textOf is what a field of text holds, and unset for none.
func textOf[T ~string](value *T) string {
	if value == nil {
		return "unset"
	}
	return string(*value)
}

func truth(value *bool) string {
	if value == nil {
		return ""
	}
	return fmt.Sprint(*value)
}

// changedContainers compares the containers of a list: which there are, and what of each traits judge.
func changedContainers(list string, sent, stored []corev1.Container) []string {
	if names, now := containerNames(sent), containerNames(stored); !slices.Equal(names, now) {
		return []string{fmt.Sprintf("%s were sent as %q and are %q", list, names, now)}
	}
	var found []string
	for i, container := range sent {
		now := stored[i]
		for _, field := range []struct {
			name         string
			sent, stored any
		}{
			{"image", container.Image, now.Image}, {"command", container.Command, now.Command}, {"args", container.Args, now.Args},
			{"securityContext of users", containerUsers(container.SecurityContext), containerUsers(now.SecurityContext)},
			{"restartPolicy", restarts(container), restarts(now)},
			{"lifecycle.stopSignal", stopSignal(container), stopSignal(now)},
			{"procMount", procMount(container, container), procMount(container, now)},
		} {
			if !equality.Semantic.DeepEqual(field.sent, field.stored) {
				found = append(found, fmt.Sprintf("%s of container %s was sent as %v and is %v", field.name, container.Name, field.sent, field.stored))
			}
		}
		// The API fills in numbers of a probe: what it runs is what counts.
		if !equality.Semantic.DeepEqual(hooks(container), hooks(now)) {
			found = append(found, fmt.Sprintf("lifecycle of container %s was changed", container.Name))
		}
		if !equality.Semantic.DeepEqual(handler(container.LivenessProbe), handler(now.LivenessProbe)) {
			found = append(found, fmt.Sprintf("livenessProbe of container %s was changed", container.Name))
		}
		// The API fills it in where nothing was said.
		if len(container.ResizePolicy) > 0 && !equality.Semantic.DeepEqual(container.ResizePolicy, now.ResizePolicy) {
			found = append(found, fmt.Sprintf("resizePolicy of container %s was sent as %v and is %v", container.Name, container.ResizePolicy, now.ResizePolicy))
		}
	}
	return found
}

// restarts is the restart policy of a container itself with its rules.
func restarts(container corev1.Container) string {
	var parts []string
	if container.RestartPolicy != nil {
		parts = append(parts, string(*container.RestartPolicy))
	}
	for _, rule := range container.RestartPolicyRules {
		part := string(rule.Action)
		if codes := rule.ExitCodes; codes != nil {
			part += fmt.Sprintf(" on exit codes %s %v", codes.Operator, codes.Values)
		}
		parts = append(parts, part)
	}
	return cmp.Or(strings.Join(parts, ", "), "unset")
}

// hooks are what a container runs after its start and before its stop.
func hooks(container corev1.Container) corev1.Lifecycle {
	if container.Lifecycle == nil {
		return corev1.Lifecycle{}
	}
	return corev1.Lifecycle{PostStart: container.Lifecycle.PostStart, PreStop: container.Lifecycle.PreStop}
}

func stopSignal(container corev1.Container) string {
	if container.Lifecycle == nil {
		return "unset"
	}
	return textOf(container.Lifecycle.StopSignal)
}

// procMount is what a container says of /proc where that was said of it when it was sent: the API may fill it in.
func procMount(sent, container corev1.Container) string {
	if sent.SecurityContext == nil || sent.SecurityContext.ProcMount == nil || container.SecurityContext == nil {
		return "unset"
	}
	return textOf(container.SecurityContext.ProcMount)
}

// handler is what a probe runs, nil for none.
func handler(probe *corev1.Probe) *corev1.ProbeHandler {
	if probe == nil {
		return nil
	}
	return &probe.ProbeHandler
}

func containerNames(containers []corev1.Container) []string {
	names := []string{}
	for _, each := range containers {
		names = append(names, each.Name)
	}
	return names
}

package reports

import "sharedpid.example/reports/internal/legible"

// Permission answers the question of those who decide about a cluster: may Pods share a process namespace here at all, and if
// not, who says no? It is what the API said to a dry run of the smallest Pod, with the field and without.
type Permission struct {
	Answer Answer `json:"answer"`
	Reason string `json:"reason,omitempty"` // who says no, in its own words; empty for MayShare
}

// Answer is what a dry run came to.
type Answer string

const (
	// MayShare means that the API accepts the Pod with the field, and keeps it.
	MayShare Answer = "yes"
	// MayNotShare means that the Pod is refused with the field, and accepted without.
	MayNotShare Answer = "no"
	// SharingIsChanged means that admission accepts the Pod with the field and takes the field away.
	SharingIsChanged Answer = "changed"
	// NoPods means that the Pod is refused without the field as well: it is not sharing that is refused.
	NoPods Answer = "no Pods"
	// NotKnown means that the API gave no answer.
	NotKnown Answer = "not known"
)

// PermissionText says in one line whether Pods may share on the run's cluster, empty when the run did not come to ask.
func (run Run) PermissionText() string {
	switch run.Permission.Answer {
	case "":
		return ""
	case MayShare:
		return "yes, the API accepts Pods that share"
	case MayNotShare:
		return "no, the same Pod is accepted without the field: " + legible.Line(run.Permission.Reason)
	case SharingIsChanged:
		return "no, admission takes the field away: " + legible.Line(run.Permission.Reason)
	case NoPods:
		return "not told, the same Pod is refused without the field as well: " + legible.Line(run.Permission.Reason)
	}
	return "not known: " + legible.Line(run.Permission.Reason)
}

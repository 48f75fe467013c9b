package suites

import (
	"testing"

	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
)

func TestJudgeStartProcess(t *testing.T) {
	const profile, stacked = "cri-containerd.apparmor.d (enforce)", "cri-containerd.apparmor.d//&unconfined (enforce)"
	all, refused := []string{"environ allowed", "root allowed", "signal allowed"}, []string{"environ EACCES", "root EACCES", "signal allowed"}
	broken := []string{"environ failed: 127 sh: true: not found", "root allowed", "signal allowed"}
	for name, test := range map[string]struct {
		start, exec met
		want        reports.Verdict
	}{
		"both are allowed":                {met{all, ""}, met{all, ""}, reports.Conformant},
		"both are refused":                {met{refused, profile}, met{refused, profile}, reports.Conformant},
		"exec is refused":                 {met{all, ""}, met{refused, ""}, reports.Nonconformant},
		"exec is refused under one label": {met{all, profile}, met{refused, profile}, reports.Nonconformant},
		"the start process is refused":    {met{refused, ""}, met{all, ""}, reports.Nonconformant},
		"the start process sees nobody":   {met{nil, ""}, met{all, ""}, reports.Nonconformant},
		"exec sees nobody":                {met{all, ""}, met{nil, ""}, reports.Nonconformant},
		"neither sees anybody":            {met{nil, ""}, met{nil, ""}, reports.Inconclusive},
		"the start process cannot look":   {met{broken, ""}, met{all, ""}, reports.Inconclusive},
		"neither can look":                {met{broken, ""}, met{broken, ""}, reports.Inconclusive},
		"exec has another label":          {met{all, profile}, met{refused, stacked}, reports.Inconclusive},
		"and meets the same":              {met{all, profile}, met{all, stacked}, reports.Inconclusive},
		"one label cannot be read":        {met{all, profile}, met{all, ""}, reports.Conformant},
	} {
		t.Run(name, func(t *testing.T) {
			expectVerdict(t, test.want, func(judge suite.Judge) { judgeStartProcess(judge, test.start, test.exec) })
		})
	}
}

func TestParseMet(t *testing.T) {
	read, err := parseMet("environ 0 \nroot 1 sh: can't open /proc/7/root/: Permission denied\nsignal 1 sh: killed\n" +
		"label cri-containerd.apparmor.d (enforce)\nsibling-label unconfined\n")
	if err != nil {
		t.Fatal(err)
	}
	if read.label != "cri-containerd.apparmor.d (enforce)" || len(read.operations) != 3 || read.operations[0] != "environ allowed" ||
		read.operations[1] != "root EACCES" || read.operations[2] != "signal failed: 1 sh: killed" {
		t.Errorf("%+v", read)
	}
	alone, err := parseMet("label \nsibling-label \n")
	if err != nil || alone.operations != nil || alone.label != "" {
		t.Errorf("%+v, %v", alone, err)
	}
	for _, broken := range []string{"", "environ 0 \n", "environ 0 \nlabel \n", "other 0 \nlabel \nsibling-label \n"} {
		if read, err := parseMet(broken); err == nil {
			t.Errorf("no error for %q: %+v", broken, read)
		}
	}
}

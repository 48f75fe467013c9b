package reports

import (
	"strings"
	"testing"
)

func TestImplementationValidate(t *testing.T) {
	whole := Implementation{Organization: "Open Containers Initiative", Project: "runc", URL: "https://github.com/opencontainers/runc",
		Contact: "https://github.com/opencontainers/runc/issues"}
	for _, test := range []struct {
		change func(*Implementation)
		want   string
	}{
		{func(*Implementation) {}, ""},
		{func(each *Implementation) { each.Version, each.Contact = "1.2", "dev@opencontainers.org" }, ""},
		{func(each *Implementation) { each.Organization = "" }, "organization is missing"},
		{func(each *Implementation) { each.Contact = "" }, "contact is missing"},
		{func(each *Implementation) { each.Contact = "somebody" }, "contact:"},
		{func(each *Implementation) { each.Contact = "Jane <jane@example.com>" }, "contact:"},
		{func(each *Implementation) { each.URL = "javascript:x" }, "url:"},
		{func(each *Implementation) { each.URL = "github.com/a" }, "url:"},
		{func(each *Implementation) { each.Version = "1\n2" }, "version is not one line"},
		{func(each *Implementation) { each.Project = strings.Repeat("x", 201) }, "project is not one line of at most 200"},
		{func(each *Implementation) { each.Project = "../.." }, "need a letter"},
	} {
		implementation := whole
		test.change(&implementation)
		err := implementation.Validate()
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.HasPrefix(err.Error(), test.want) && !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%+v: error is %v, want %q", implementation, err, test.want)
		}
	}
	if got := whole.Folder() + "/" + whole.File("1.5.2+a/../b"); got != "open-containers-initiative-runc/runc-1.5.2-a-..-b" {
		t.Errorf("published as %s", got)
	}
}

func TestReadVersion(t *testing.T) {
	target := func(node, class, version string) Target {
		return Target{ID: node, Node: node, RuntimeClass: class, RuntimeVersion: version, Runtime: "containerd://2.4.2"}
	}
	for _, test := range []struct {
		targets          []Target
		runtime, version string
	}{
		{nil, "", ""},
		{[]Target{target("a", "", "")}, "containerd", "2.4.2"},
		{[]Target{target("a", "runc", "1.5.2"), target("b", "runc", "1.5.2")}, "runc", "1.5.2"},
		{[]Target{target("a", "runc", "1.5.2"), target("b", "runc", "1.5.3")}, "runc", ""},
		{[]Target{target("a", "runc", "1.5.2"), target("a", "crun", "1.5.2")}, "", ""},
		{[]Target{target("a", "gvisor", "")}, "gvisor", ""},
	} {
		runtime, version := Run{Targets: test.targets}.ReadVersion()
		if runtime != test.runtime || version != test.version {
			t.Errorf("%+v: read %q %q, want %q %q", test.targets, runtime, version, test.runtime, test.version)
		}
	}
}

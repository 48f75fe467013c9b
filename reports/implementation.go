package reports

import (
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"strings"

	"sharedpid.example/reports/internal/legible"
)

// Implementation says whose results a run has, as its makers state it. It is what the results are published under.
type Implementation struct {
	Organization string `json:"organization"`
	Project      string `json:"project"`
	URL          string `json:"url"`
	Contact      string `json:"contact"` // an address of the web, or one for mail
	// Version is that of the project; empty where it is the one that is read from the targets, see Run.ReadVersion.
	Version string `json:"version,omitempty"`
}

// implementationFieldLength is how long a field may be: it is a name or an address, and stands in a table.
const implementationFieldLength = 200

// Validate returns an error of one line about the first field that is missing or not as it must be.
func (implementation Implementation) Validate() error {
	for _, field := range []struct{ name, value string }{
		{"organization", implementation.Organization}, {"project", implementation.Project}, {"url", implementation.URL},
		{"contact", implementation.Contact}, {"version", implementation.Version},
	} {
		switch {
		case field.value == "" && field.name == "version":
			continue
		case field.value == "":
			return fmt.Errorf("%s is missing", field.name)
		case field.value != legible.Line(field.value) || len(field.value) > implementationFieldLength:
			return fmt.Errorf("%s is not one line of at most %d characters", field.name, implementationFieldLength)
		}
	}
	if !isWebAddress(implementation.URL) {
		return fmt.Errorf("url: %q is no address of the web: it begins with https:// or http://", implementation.URL)
	}
	if address, err := mail.ParseAddress(implementation.Contact); !isWebAddress(implementation.Contact) &&
		(err != nil || address.Address != implementation.Contact) {
		return fmt.Errorf("contact: %q is neither an address for mail nor one of the web", implementation.Contact)
	}
	if folderName(implementation.Organization) == "" || folderName(implementation.Project) == "" {
		return errors.New("organization and project need a letter from a to z or a digit: a folder is called after them")
	}
	return nil
}

func isWebAddress(text string) bool {
	parsed, err := url.Parse(text)
	return err == nil && (parsed.Scheme == "https" || parsed.Scheme == "http") && parsed.Host != ""
}

// Folder is the name of the folder that its results are published in.
func (implementation Implementation) Folder() string {
	return folderName(implementation.Organization) + "-" + folderName(implementation.Project)
}

// File is the name, without an ending, of what is published of the version.
func (implementation Implementation) File(version string) string {
	return folderName(implementation.Project) + "-" + folderName(version)
}

// folderName is text as part of a file's name, which is the same on every system: small letters of ASCII, digits, dots and dashes.
func folderName(text string) string {
	words := strings.FieldsFunc(strings.ToLower(text), func(char rune) bool {
		return !(char >= 'a' && char <= 'z' || char >= '0' && char <= '9' || char == '.')
	})
	return strings.Trim(strings.Join(words, "-"), "-.")
}

// ReadVersion returns the name and the version of the runtime of all targets, as they were read; neither where they differ, and no
// version where it is not known.
func (run Run) ReadVersion() (runtime, version string) {
	for i, target := range run.Targets {
		if i > 0 && target.RuntimeName() != runtime {
			return "", ""
		}
		if i > 0 && target.Version() != version {
			return runtime, ""
		}
		runtime, version = target.RuntimeName(), target.Version()
	}
	return runtime, version
}

package workspace

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// write makes a file below a folder, with the folders above it.
func write(t *testing.T, root, path, content string) {
	t.Helper()
	path = filepath.Join(root, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestRootIsTheNearestCheckoutAbove(t *testing.T) {
	root := t.TempDir()
	write(t, root, "go.mod", "// A comment.\nmodule sharedpid.example\n\ngo 1.26\n")
	// Modules of components, and of other projects with a similar name, are no checkout.
	write(t, root, "fixtures/node/modules/runc/go.mod", "module sharedpid/nodeimage/runc\n")
	write(t, root, "fixtures/node/go.mod", "module sharedpid.example.org\n")
	t.Chdir(filepath.Join(root, "fixtures", "node", "modules", "runc"))
	if found, err := Root(); err != nil || found != root {
		t.Errorf("the root is %q, %v; want %s", found, err, root)
	}
	t.Chdir(t.TempDir())
	if found, err := Root(); !errors.Is(err, ErrNoCheckout) {
		t.Errorf("outside a checkout the root is %q, %v", found, err)
	}
}

func TestRootFindsThisProject(t *testing.T) {
	working, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if found, err := Root(); err != nil || found != filepath.Dir(filepath.Dir(working)) {
		t.Errorf("the root is %q, %v", found, err)
	}
}

func TestCacheFollowsTheUsersChoice(t *testing.T) {
	base := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", base)
	directory, err := Cache()
	if err != nil || directory != filepath.Join(base, "sharedpid") {
		t.Errorf("the cache is %q, %v", directory, err)
	}
	if _, err := os.Stat(directory); err != nil {
		t.Error(err)
	}
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("HOME", "")
	if directory, err := Cache(); err == nil || !strings.Contains(err.Error(), "XDG_CACHE_HOME") {
		t.Errorf("without a home the cache is %q, %v", directory, err)
	}
}

func TestHashFollowsNamesAndContents(t *testing.T) {
	root := t.TempDir()
	write(t, root, "a/recipe.go", "one")
	write(t, root, "a/files/etc/hosts", "two")
	write(t, root, "b/recipe.go", "three")
	hash := func() string {
		t.Helper()
		sum, err := Hash(root, []string{"a", "b"}, "*.md", "b/other/*.go", "b/table.go")
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	before := hash()
	if !regexp.MustCompile(`^[0-9a-f]{12}$`).MatchString(before) {
		t.Errorf("the hash is %q", before)
	}
	for _, path := range []string{"a/recipe_test.go", "b/files/page.md", "c/recipe.go", "b/other/recipe.go", "b/table.go"} {
		write(t, root, path, "no part of it")
		if after := hash(); after != before {
			t.Errorf("the hash changes with %s", path)
		}
	}
	for _, path := range []string{"a/recipe.go", "a/files/etc/hosts", "b/added.yaml", "a/table.go", "b/other/further/recipe.go"} {
		write(t, root, path, "changed")
		after := hash()
		if after == before {
			t.Errorf("the hash stays although %s changed", path)
		}
		before = after
	}
	if err := os.Rename(filepath.Join(root, "a/recipe.go"), filepath.Join(root, "a/renamed.go")); err != nil {
		t.Fatal(err)
	}
	if hash() == before {
		t.Error("the hash stays although a file was renamed")
	}
}

func TestHashRefusesWhatIsNoFolder(t *testing.T) {
	root := t.TempDir()
	if _, err := Hash(root, []string{"none"}); err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("error is %v, want one that names the folder", err)
	}
	write(t, root, "a/one\ntwo", "")
	if _, err := Hash(root, []string{"a"}); err == nil {
		t.Error("a name of two lines is hashed")
	}
}

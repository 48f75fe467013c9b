package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestModified: inotify(7) tells without being asked that a watched file is no more.
func TestModified(t *testing.T) {
	for name, test := range map[string]struct {
		happens func(path string) error
		want    bool
	}{
		"modified": {func(path string) error { return os.WriteFile(path, []byte("more"), 0o600) }, true},
		"no more":  {os.Remove, false},
		"nothing":  {func(string) error { return nil }, false},
	} {
		path := filepath.Join(t.TempDir(), "watched")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		instance, err := unix.InotifyInit1(unix.IN_CLOEXEC)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = unix.Close(instance) }()
		if _, err := unix.InotifyAddWatch(instance, path, unix.IN_MODIFY); err != nil {
			t.Fatal(err)
		}
		if err := test.happens(path); err != nil {
			t.Fatal(err)
		}
		limit := 100 * time.Millisecond // nothing comes any more
		if test.want {
			limit = 10 * time.Second
		}
		if modified(instance, limit) != test.want {
			t.Errorf("%s: that it was modified is told: %t", name, !test.want)
		}
	}
}

package main

import (
	"bytes"
	"io"
	"log"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"

	"sharedpid.example/fixtures/images"
	"sharedpid.example/helpers/archive"
)

func TestImagesAreListedByDigest(t *testing.T) {
	for profile, want := range map[string]int{"article": 3, "full": len(images.All())} {
		listed := printed(t, "images", "list", "--profile="+profile, "--image-registry=registry.example.com/mirror")
		count := 0
		for _, image := range images.All() {
			if _, digest, _ := strings.Cut(image.Registry, "@"); strings.Contains(listed, digest) {
				count++
			}
		}
		if count != want || strings.Count(listed, " registry.example.com/mirror/") != want {
			t.Errorf("of profile %s it lists %d images by digest, want %d:\n%s", profile, count, want, listed)
		}
	}
}

// printed is what a command prints that ends well.
func printed(t *testing.T, arguments ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if code := execute(t.Context(), arguments, &stdout, &stderr); code != 0 {
		t.Fatalf("sharedpid %s: exit code %d: %s", strings.Join(arguments, " "), code, stderr.String())
	}
	return stdout.String()
}

// TestAMirrorThatLacksImages is told by check, by copy and by save: the image, and what to do.
func TestAMirrorThatLacksImages(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	for _, arguments := range [][]string{
		{"check"}, {"copy", host + "/other"}, {"save", filepath.Join(t.TempDir(), "images.tar")},
	} {
		var stdout, stderr bytes.Buffer
		code := execute(t.Context(), append(append([]string{"images"}, arguments...), "--image-registry="+host), &stdout, &stderr)
		if words := "registry " + host + " has no " + host + "/library/nginx@sha256:"; code != exitBadInput || !strings.Contains(stderr.String(), words) ||
			!strings.Contains(stderr.String(), "sharedpid images copy copies it there") {
			t.Errorf("%q: exit code %d, %s", arguments, code, stderr.String())
		}
	}
}

// TestAnArchiveIsLoaded into a mirror, from which a run takes what is in it.
func TestAnArchiveIsLoaded(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	index, err := random.Index(1000, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	digest, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "images.tar")
	tag := name.MustParseReference("docker.io/library/nginx:1").(name.Tag)
	if err := archive.Write(t.Context(), file, []archive.Image{{Tag: tag, Content: index}}); err != nil {
		t.Fatal(err)
	}
	if loaded, want := printed(t, "images", "load", file, host+"/mirror"), host+"/mirror/library/nginx@"+digest.String()+"\n"; loaded != want {
		t.Errorf("loaded is %q, want %q", loaded, want)
	}
}

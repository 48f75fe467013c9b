package archive

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
)

// sample are an index of two images, and an image alone.
func sample(t *testing.T) []Image {
	t.Helper()
	index, err := random.Index(1000, 2, 2)
	if err != nil {
		t.Fatal(err)
	}
	image, err := random.Image(1000, 1)
	if err != nil {
		t.Fatal(err)
	}
	return []Image{{name.MustParseReference("docker.io/library/nginx:1").(name.Tag), index}, {name.MustParseReference("example.com/tini:2").(name.Tag), image}}
}

func digests(t *testing.T, images []Image) string {
	t.Helper()
	var all []string
	for _, image := range images {
		digest, err := image.Content.Digest()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, image.Tag.Name()+"@"+digest.String())
	}
	return strings.Join(all, "\n")
}

func TestImagesComeBackAsTheyWere(t *testing.T) {
	folder, images := t.TempDir(), sample(t)
	one, other := filepath.Join(folder, "one.tar"), filepath.Join(folder, "other.tar")
	for _, file := range []string{one, other} {
		if err := Write(t.Context(), file, images); err != nil {
			t.Fatal(err)
		}
	}
	read, err := Read(t.Context(), one, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := digests(t, read), digests(t, images); got != want {
		t.Errorf("read are\n%s\nwant\n%s", got, want)
	}
	first, err := os.ReadFile(one)
	if err != nil {
		t.Fatal(err)
	}
	second, err := os.ReadFile(other)
	if err != nil || !bytes.Equal(first, second) {
		t.Errorf("the same images give other bytes, %v", err)
	}
	if entries, err := os.ReadDir(folder); err != nil || len(entries) != 2 {
		t.Errorf("beside the archives stand %v, %v", entries, err)
	}
}

func TestNothingIsLeftOfAnArchiveThatCannotBeWritten(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	folder := t.TempDir()
	if err := Write(ctx, filepath.Join(folder, "file.tar"), sample(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	if entries, err := os.ReadDir(folder); err != nil || len(entries) > 0 {
		t.Errorf("left are %v, %v", entries, err)
	}
}

// TestDamageIsNamed changes an archive in each way that it can be damaged.
func TestDamageIsNamed(t *testing.T) {
	whole := filepath.Join(t.TempDir(), "whole.tar")
	if err := Write(t.Context(), whole, sample(t)); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	// A header has 512 bytes, and begins with the name. Where a cut falls otherwise depends on the random layers.
	inBlob := regexp.MustCompile(`blobs/sha256/[0-9a-f]{64}`).FindIndex(content)[0] + 512 + 10
	isBlob := func(header *tar.Header) bool { return strings.HasPrefix(header.Name, "blobs/") }
	once := func(matches func(*tar.Header) bool) func(*tar.Header) bool {
		done := false
		return func(header *tar.Header) bool {
			matched := !done && matches(header)
			done = done || matched
			return matched
		}
	}
	drop := func(matches func(*tar.Header) bool) []byte {
		return rewritten(t, content, func(header *tar.Header, content []byte) []byte {
			if matches(header) {
				return nil
			}
			return content
		})
	}
	for damage, test := range map[string]struct {
		content []byte
		words   string
	}{
		"no tar":           {[]byte("hello, this is no archive at all"), "it is no whole tar"},
		"empty":            {nil, "no index.json"},
		"cut off":          {content[:inBlob], "it ends in the middle of blobs/"},
		"no index":         {drop(func(header *tar.Header) bool { return header.Name == "index.json" }), "no index.json"},
		"another layout":   {rewritten(t, content, renamed("oci-layout", "repositories")), `it holds "repositories"`},
		"a path upwards":   {rewritten(t, content, renamed("oci-layout", "../oci-layout")), `it holds "../oci-layout"`},
		"a bit is flipped": {rewritten(t, content, flipped(once(isBlob))), "has the digest"},
	} {
		file := filepath.Join(t.TempDir(), "damaged.tar")
		if err := os.WriteFile(file, test.content, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Read(t.Context(), file, t.TempDir())
		var damaged Damaged
		if !errors.As(err, &damaged) || !strings.Contains(err.Error(), test.words) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: the error is %v, want %q", damage, err, test.words)
		}
	}
}

// TestEachBlobIsMissed, whichever is gone: a manifest, a configuration or a layer.
func TestEachBlobIsMissed(t *testing.T) {
	whole := filepath.Join(t.TempDir(), "whole.tar")
	if err := Write(t.Context(), whole, sample(t)); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	var blobs []string
	rewritten(t, content, func(header *tar.Header, content []byte) []byte {
		if strings.HasPrefix(header.Name, "blobs/") {
			blobs = append(blobs, header.Name)
		}
		return content
	})
	for _, gone := range blobs {
		file := filepath.Join(t.TempDir(), "damaged.tar")
		if err := os.WriteFile(file, rewritten(t, content, func(header *tar.Header, content []byte) []byte {
			if header.Name == gone {
				return nil
			}
			return content
		}), 0o600); err != nil {
			t.Fatal(err)
		}
		var damaged Damaged
		if _, err := Read(t.Context(), file, t.TempDir()); !errors.As(err, &damaged) || !strings.Contains(err.Error(), "it lacks sha256:") {
			t.Errorf("without %s the error is %v", gone, err)
		}
	}
}

// rewritten is a tar whose files a function changes; what it returns nil for is gone.
func rewritten(t *testing.T, content []byte, change func(*tar.Header, []byte) []byte) []byte {
	t.Helper()
	var changed bytes.Buffer
	writer := tar.NewWriter(&changed)
	for reader := tar.NewReader(bytes.NewReader(content)); ; {
		header, err := reader.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		file, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		if file = change(header, file); file == nil {
			continue
		}
		if err := writer.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if _, err := writer.Write(file); err != nil {
			t.Fatal(err)
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return changed.Bytes()
}

func renamed(from, to string) func(*tar.Header, []byte) []byte {
	return func(header *tar.Header, content []byte) []byte {
		if header.Name == from {
			header.Name = to
		}
		return content
	}
}

func flipped(matches func(*tar.Header) bool) func(*tar.Header, []byte) []byte {
	return func(header *tar.Header, content []byte) []byte {
		if matches(header) {
			content[0] ^= 1
		}
		return content
	}
}

package release

import (
	"archive/tar"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"sharedpid.example/helpers/archive"
)

func build(t *testing.T, folder string) v1.ImageIndex {
	t.Helper()
	var programs []Program
	for _, architecture := range []string{"amd64", "arm64"} {
		file := filepath.Join(folder, architecture)
		if err := os.WriteFile(file, []byte("program for "+architecture), 0o600); err != nil {
			t.Fatal(err)
		}
		programs = append(programs, Program{architecture, file})
	}
	index, err := Image("sharedpid", programs, map[string]string{"a": "b"}, time.Unix(1e9, 0))
	if err != nil {
		t.Fatal(err)
	}
	return index
}

// kept is an index as an archive gives it back.
func kept(t *testing.T, index v1.ImageIndex) v1.ImageIndex {
	t.Helper()
	file := filepath.Join(t.TempDir(), "image.tar")
	tag := name.MustParseReference("example.com/sharedpid:1").(name.Tag)
	if err := archive.Write(t.Context(), file, []archive.Image{{Tag: tag, Content: index}}); err != nil {
		t.Fatal(err)
	}
	read, err := archive.Read(t.Context(), file, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return read[0].Content.(v1.ImageIndex)
}

func TestImageHasTheProgramAlone(t *testing.T) {
	index := kept(t, build(t, t.TempDir()))
	if err := validate.Index(index); err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil || len(manifest.Manifests) != 2 {
		t.Fatalf("%v, %v", manifest, err)
	}
	for at, architecture := range []string{"amd64", "arm64"} {
		if platform := manifest.Manifests[at].Platform; platform.OS != "linux" || platform.Architecture != architecture {
			t.Errorf("the platform is %v", platform)
		}
		image, err := index.Image(manifest.Manifests[at].Digest)
		if err != nil {
			t.Fatal(err)
		}
		config, err := image.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if config.Architecture != architecture || config.Config.User != "65532:65532" || !slices.Equal(config.Config.Entrypoint, []string{"/sharedpid"}) ||
			config.Config.Labels["a"] != "b" {
			t.Errorf("the configuration is %+v", config)
		}
		layers, err := image.Layers()
		if err != nil || len(layers) != 1 {
			t.Fatalf("%v, %v", layers, err)
		}
		content, err := layers[0].Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		var files []string
		for reader := tar.NewReader(content); ; {
			header, err := reader.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, header.Name+" "+header.FileInfo().Mode().String())
		}
		if want := []string{"tmp/ dtrwxrwxrwx", "sharedpid -rwxr-xr-x"}; !slices.Equal(files, want) {
			t.Errorf("it holds %q, want %q", files, want)
		}
	}
}

func TestEqualProgramsGiveEqualDigests(t *testing.T) {
	one, err := build(t, t.TempDir()).Digest()
	if err != nil {
		t.Fatal(err)
	}
	if other, err := build(t, t.TempDir()).Digest(); err != nil || one != other {
		t.Errorf("the digests are %s and %s, %v", one, other, err)
	}
	if _, err := Image("sharedpid", []Program{{"amd64", filepath.Join(t.TempDir(), "none")}}, nil, time.Time{}); err == nil {
		t.Error("a program that is not there gives no error")
	}
}

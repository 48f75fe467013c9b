// Package release makes what is published of this project.
package release

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// imageUser is who the program runs as: not root, and in no image's list of users.
const imageUser = "65532:65532"

// Program is a static binary for Linux on an architecture.
type Program struct {
	Architecture string // as GOARCH names it
	File         string
}

// Image returns an image of a program alone, for the architectures that it is built for: no shell, no library, no list of users. The
// program lies at /NAME and is the entry point. Equal programs, labels and times give equal digests.
func Image(name string, programs []Program, labels map[string]string, created time.Time) (v1.ImageIndex, error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, program := range programs {
		image, err := program.image(name, labels, created.UTC())
		if err != nil {
			return nil, fmt.Errorf("image of %s for %s: %w", name, program.Architecture, err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{
			Platform: &v1.Platform{OS: "linux", Architecture: program.Architecture},
		}})
	}
	return index, nil
}

func (program Program) image(name string, labels map[string]string, created time.Time) (v1.Image, error) {
	content, err := program.layer(name, created)
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil },
		tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	base, err = mutate.ConfigFile(base, &v1.ConfigFile{
		OS: "linux", Architecture: program.Architecture, Created: v1.Time{Time: created}, RootFS: v1.RootFS{Type: "layers"},
		Config: v1.Config{Entrypoint: []string{"/" + name}, User: imageUser, WorkingDir: "/", Labels: labels},
	})
	if err != nil {
		return nil, err
	}
	return mutate.Append(base, mutate.Addendum{Layer: layer, History: v1.History{Created: v1.Time{Time: created}, CreatedBy: "/" + name}})
}

// layer is a tar of the program alone, and of an empty folder for what it keeps for a while.
func (program Program) layer(name string, created time.Time) ([]byte, error) {
	binary, err := os.ReadFile(program.File)
	if err != nil {
		return nil, err
	}
	var content bytes.Buffer
	writer := tar.NewWriter(&content)
	for _, header := range []*tar.Header{
		{Name: "tmp/", Typeflag: tar.TypeDir, Mode: 0o1777, ModTime: created},
		{Name: name, Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(binary)), ModTime: created},
	} {
		if err := writer.WriteHeader(header); err != nil {
			return nil, err
		}
		if header.Typeflag == tar.TypeReg {
			if _, err := writer.Write(binary); err != nil {
				return nil, err
			}
		}
	}
	if err := writer.Close(); err != nil {
		return nil, err
	}
	return content.Bytes(), nil
}

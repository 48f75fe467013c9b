// Package archive keeps images in a file: an OCI image layout in a tar, which podman, docker from version 25, nerdctl and ctr load. Indexes
// over several architectures are kept as they are, with their digests.
package archive

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// The annotations that hold an image's reference in an archive: containerd and docker read the first one, podman the second.
const (
	containerdName = "io.containerd.image.name"
	referenceName  = "org.opencontainers.image.ref.name"
)

// Image is an image with the tag that it is loaded under.
type Image struct {
	Tag     name.Tag
	Content Content
}

// Content is a v1.ImageIndex over architectures, or a v1.Image of one alone.
type Content interface {
	Digest() (v1.Hash, error)
	RawManifest() ([]byte, error)
}

// Write writes images to a file, whose bytes depend on nothing but them. When it fails or ctx ends, it leaves no file.
func Write(ctx context.Context, file string, images []Image) (err error) {
	folder, err := os.MkdirTemp(filepath.Dir(file), ".images-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	unpacked, err := layout.Write(filepath.Join(folder, "layout"), empty.Index)
	if err != nil {
		return err
	}
	for _, image := range images {
		if err := ctx.Err(); err != nil {
			return err
		}
		names := layout.WithAnnotations(map[string]string{containerdName: image.Tag.Name(), referenceName: image.Tag.Name()})
		switch content := image.Content.(type) {
		case v1.ImageIndex:
			err = unpacked.AppendIndex(content, names)
		case v1.Image:
			err = unpacked.AppendImage(content, names)
		default:
			err = fmt.Errorf("it is a %T", content)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", image.Tag, err)
		}
	}
	packed := filepath.Join(folder, "packed.tar")
	if err := pack(string(unpacked), packed); err != nil {
		return err
	}
	return os.Rename(packed, file)
}

// pack writes the files of a folder into a tar, sorted and without times.
func pack(folder, file string) error {
	to, err := os.Create(file)
	if err != nil {
		return err
	}
	defer to.Close()
	writer := tar.NewWriter(to)
	err = filepath.WalkDir(folder, func(source string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		inside, err := filepath.Rel(folder, source)
		if err != nil {
			return err
		}
		from, err := os.Open(source)
		if err != nil {
			return err
		}
		defer from.Close()
		status, err := from.Stat()
		if err != nil {
			return err
		}
		if err := writer.WriteHeader(&tar.Header{Name: filepath.ToSlash(inside), Mode: 0o644, Size: status.Size()}); err != nil {
			return err
		}
		_, err = io.Copy(writer, from)
		return err
	})
	return errors.Join(err, writer.Close(), to.Close())
}

// Damaged is the error of an archive that does not hold what it must.
type Damaged struct {
	File   string
	Reason string
}

func (damaged Damaged) Error() string {
	return fmt.Sprintf("the archive %s is damaged: %s; write or copy it anew", damaged.File, damaged.Reason)
}

// Read unpacks an archive that Write wrote into a folder, and returns its images, whose content stays there. It checks the digest of each
// blob and that none is missing: the error of what is wrong is Damaged.
func Read(ctx context.Context, file, folder string) ([]Image, error) {
	from, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer from.Close()
	damaged := func(format string, arguments ...any) error { return Damaged{file, fmt.Sprintf(format, arguments...)} }
	reader := tar.NewReader(from)
	for {
		header, err := reader.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, damaged("it is no whole tar (%v)", err)
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if header.Typeflag == tar.TypeDir {
			continue
		}
		digest, known := digestIn(header.Name)
		if !known {
			return nil, damaged("it holds %q, which is no part of an OCI image layout", header.Name)
		}
		var sum hash.Hash
		if sum, err = unpack(reader, filepath.Join(folder, filepath.FromSlash(path.Clean(header.Name)))); err != nil {
			if errors.Is(err, io.ErrUnexpectedEOF) {
				return nil, damaged("it ends in the middle of %s", header.Name)
			}
			return nil, err
		}
		if got := hex.EncodeToString(sum.Sum(nil)); digest != "" && got != digest {
			return nil, damaged("%s has the digest %s", header.Name, got)
		}
	}
	images, err := imagesIn(folder)
	if err != nil {
		return nil, damaged("%v", err)
	}
	return images, nil
}

// digestIn tells whether a file of this name belongs into a layout, and which digest its content must have, empty for any.
func digestIn(file string) (digest string, known bool) {
	switch file = path.Clean(file); file {
	case "oci-layout", "index.json", "manifest.json": // docker adds the last one
		return "", true
	}
	digest, known = strings.CutPrefix(file, "blobs/sha256/")
	return digest, known && len(digest) == hex.EncodedLen(sha256.Size) && !strings.Contains(digest, "/")
}

func unpack(from io.Reader, file string) (hash.Hash, error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return nil, err
	}
	to, err := os.Create(file)
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	_, err = io.Copy(io.MultiWriter(to, sum), from)
	return sum, errors.Join(err, to.Close())
}

// imagesIn are the images of a layout, none of which lacks a part.
func imagesIn(folder string) ([]Image, error) {
	all, err := layout.ImageIndexFromPath(folder)
	if err != nil {
		return nil, errors.New("it holds no index.json and oci-layout of an OCI image layout")
	}
	manifest, err := all.IndexManifest()
	if err != nil {
		return nil, fmt.Errorf("its index.json is none (%w)", err)
	}
	if len(manifest.Manifests) == 0 {
		return nil, errors.New("it holds no image")
	}
	var images []Image
	for _, descriptor := range manifest.Manifests {
		tag, err := name.NewTag(descriptor.Annotations[containerdName])
		if err != nil {
			return nil, fmt.Errorf("image %s has no reference", descriptor.Digest)
		}
		if err := whole(folder, descriptor); err != nil {
			return nil, fmt.Errorf("image %s is not whole: %w", tag, err)
		}
		var content Content
		if descriptor.MediaType.IsIndex() {
			content, err = all.ImageIndex(descriptor.Digest)
		} else {
			content, err = all.Image(descriptor.Digest)
		}
		if err != nil {
			return nil, fmt.Errorf("image %s: %w", tag, err)
		}
		images = append(images, Image{tag, content})
	}
	return images, nil
}

// whole tells whether a layout has a blob and all that it names.
func whole(folder string, descriptor v1.Descriptor) error {
	if descriptor.MediaType.IsIndex() || descriptor.MediaType.IsImage() {
		content, err := layout.Path(folder).Bytes(descriptor.Digest)
		if err != nil {
			return fmt.Errorf("it lacks %s", descriptor.Digest)
		}
		var manifest struct {
			Manifests []v1.Descriptor `json:"manifests"`
			Config    *v1.Descriptor  `json:"config"`
			Layers    []v1.Descriptor `json:"layers"`
		}
		if err := json.Unmarshal(content, &manifest); err != nil {
			return fmt.Errorf("%s is no manifest", descriptor.Digest)
		}
		parts := append(manifest.Manifests, manifest.Layers...)
		if manifest.Config != nil {
			parts = append(parts, *manifest.Config)
		}
		for _, part := range parts {
			if err := whole(folder, part); err != nil {
				return err
			}
		}
		return nil
	}
	status, err := os.Stat(filepath.Join(folder, "blobs", descriptor.Digest.Algorithm, descriptor.Digest.Hex))
	if err != nil || status.Size() != descriptor.Size {
		return fmt.Errorf("it lacks %s", descriptor.Digest)
	}
	return nil
}

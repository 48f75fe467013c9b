// Package mirror brings the test images to where nodes reach them: into a mirror, or into a file and from there into one. Indexes over
// all architectures and digests stay as they are, so that --image-registry takes the mirror.
package mirror

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"sharedpid.example/fixtures/images"
	"sharedpid.example/helpers/archive"
	"sharedpid.example/helpers/progress"
)

// Image is a test image, and where it is taken from.
type Image struct {
	Tag  name.Tag    // of the published image
	From name.Digest // of its index, which has all architectures
}

// Images are the test images of these names, taken from where the sources say.
func Images(names []string, sources images.Sources) ([]Image, error) {
	references, err := sources.Resolve("")
	if err != nil {
		return nil, err
	}
	var all []Image
	for _, image := range images.All() {
		for _, each := range names {
			if each != image.Name {
				continue
			}
			tag, err := name.NewTag(image.Familiar())
			if err != nil {
				return nil, err
			}
			from, err := name.NewDigest(references[image.Name])
			if err != nil {
				return nil, fmt.Errorf("%s is no reference by digest: %w", references[image.Name], err)
			}
			all = append(all, Image{Tag: tag, From: from})
		}
	}
	return all, nil
}

// at is the image in a mirror, by its tag and by its digest.
func (image Image) at(mirror string, digest string) (name.Tag, name.Digest, error) {
	repository, err := name.NewRepository(mirror + "/" + image.Tag.RepositoryStr())
	if err != nil {
		return name.Tag{}, name.Digest{}, err
	}
	return repository.Tag(image.Tag.TagStr()), repository.Digest(digest), nil
}

// options are those of every request to a registry: the credentials are those that docker login and podman login keep.
func options(ctx context.Context) []remote.Option {
	return []remote.Option{remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)}
}

// Check asks a registry for the image. The error says what to do.
func (image Image) Check(ctx context.Context) error {
	_, err := remote.Head(image.From, options(ctx)...)
	return explained(image.From, err)
}

// Copy copies the image into a mirror, HOST[:PORT][/PATH], with its tag, by which the mirror's clean-up knows that it is wanted. It returns
// the reference there.
func (image Image) Copy(ctx context.Context, mirror string) (name.Digest, error) {
	found, err := remote.Get(image.From, options(ctx)...)
	if err != nil {
		return name.Digest{}, explained(image.From, err)
	}
	return push(ctx, image, mirror, found, found.Digest)
}

// Load copies an image of an archive into a mirror, and returns the reference there.
func Load(ctx context.Context, image archive.Image, mirror string) (name.Digest, error) {
	digest, err := image.Content.Digest()
	if err != nil {
		return name.Digest{}, err
	}
	return push(ctx, Image{Tag: image.Tag}, mirror, image.Content, digest)
}

// push puts an image into a mirror, and proves that the mirror kept it as it is.
func push(ctx context.Context, image Image, mirror string, content remote.Taggable, digest v1.Hash) (name.Digest, error) {
	tag, reference, err := image.at(mirror, digest.String())
	if err != nil {
		return reference, err
	}
	pusher, err := remote.NewPusher(options(ctx)...)
	if err != nil {
		return reference, err
	}
	if err := pusher.Push(ctx, tag, content); err != nil {
		return reference, explained(tag, err)
	}
	if _, err := remote.Head(reference, options(ctx)...); err != nil {
		return reference, fmt.Errorf("the mirror changed %s: %w; name one that keeps indexes over all architectures", tag, explained(reference, err))
	}
	return reference, nil
}

// Save writes images into a file, see package archive.
func Save(ctx context.Context, all []Image, file string, step progress.Step) error {
	var content []archive.Image
	for _, image := range all {
		found, err := remote.Get(image.From, options(ctx)...)
		if err != nil {
			return explained(image.From, err)
		}
		saved := archive.Image{Tag: image.Tag}
		if found.MediaType.IsIndex() {
			saved.Content, err = found.ImageIndex()
		} else {
			saved.Content, err = found.Image()
		}
		if err != nil {
			return fmt.Errorf("%s: %w", image.From, err)
		}
		content = append(content, saved)
	}
	return step(ctx, "save "+file, func(ctx context.Context) error {
		err := archive.Write(ctx, file, content)
		if path := (*os.PathError)(nil); errors.As(err, &path) {
			return fmt.Errorf("cannot write %s: %w; choose another file", file, path.Err)
		}
		return err
	})
}

// explained says of a registry's refusal what it is and what to do.
func explained(reference name.Reference, err error) error {
	registry := reference.Context().RegistryStr()
	var refusal *transport.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		return err
	case !errors.As(err, &refusal):
		return fmt.Errorf("registry %s does not answer: %w; check its name, and that this machine reaches it", registry, err)
	case refusal.StatusCode == http.StatusNotFound:
		return fmt.Errorf("registry %s has no %s; sharedpid images copy copies it there", registry, reference)
	case refusal.StatusCode == http.StatusUnauthorized, refusal.StatusCode == http.StatusForbidden:
		return fmt.Errorf("registry %s refuses %s: %w; log in with docker login or podman login", registry, reference, err)
	case refusal.StatusCode == http.StatusTooManyRequests:
		return fmt.Errorf("registry %s has had enough requests: %w; log in, or come back later", registry, err)
	}
	return fmt.Errorf("registry %s fails: %w", registry, err)
}

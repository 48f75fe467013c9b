package mirror

import (
	"context"
	"io"
	"log"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"sharedpid.example/fixtures/images"
	"sharedpid.example/helpers/archive"
)

// serve starts a registry, and returns its name.
func serve(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// published puts an index of two architectures into a registry, and returns it as an image that is published there.
func published(t *testing.T, host, repository string) Image {
	t.Helper()
	index, err := random.Index(2000, 2, 2)
	if err != nil {
		t.Fatal(err)
	}
	digest, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag(host + "/" + repository + ":1.0")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(tag, index); err != nil {
		t.Fatal(err)
	}
	return Image{Tag: tag, From: tag.Context().Digest(digest.String())}
}

// manifest is what a registry has under a reference: an index with all of its architectures.
func manifest(t *testing.T, reference name.Reference) *v1.IndexManifest {
	t.Helper()
	index, err := remote.Index(reference)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	return manifest
}

func step(ctx context.Context, _ string, do func(context.Context) error) error { return do(ctx) }

// TestAMirrorHasTheSameDigests, copied from a registry, or saved into a file and loaded from there.
func TestAMirrorHasTheSameDigests(t *testing.T) {
	source, copied, loaded := serve(t), serve(t), serve(t)
	image := published(t, source, "library/nginx")
	reference, err := image.Copy(t.Context(), copied+"/path")
	if err != nil {
		t.Fatal(err)
	}
	if want := copied + "/path/library/nginx@" + image.From.DigestStr(); reference.Name() != want {
		t.Errorf("it is %s, want %s", reference, want)
	}
	file := filepath.Join(t.TempDir(), "images.tar")
	if err := Save(t.Context(), []Image{image}, file, step); err != nil {
		t.Fatal(err)
	}
	content, err := archive.Read(t.Context(), file, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	again, err := Load(t.Context(), content[0], loaded)
	if err != nil {
		t.Fatal(err)
	}
	if want := loaded + "/library/nginx@" + image.From.DigestStr(); again.Name() != want {
		t.Errorf("it is %s, want %s", again, want)
	}
	want := manifest(t, image.From)
	for _, each := range []name.Reference{reference, again, reference.Context().Tag("1.0"), again.Context().Tag("1.0")} {
		if got := manifest(t, each); len(got.Manifests) != 2 || got.Manifests[0].Digest != want.Manifests[0].Digest ||
			got.Manifests[1].Digest != want.Manifests[1].Digest {
			t.Errorf("%s has %v, want %v", each, got.Manifests, want.Manifests)
		}
	}
}

// TestARunTakesTheMirror: what a run resolves for --image-registry is what Copy makes.
func TestARunTakesTheMirror(t *testing.T) {
	var sources images.Sources
	if err := sources.TakeMirror("127.0.0.1:5000/mirror"); err != nil {
		t.Fatal(err)
	}
	taken, err := sources.Resolve("")
	if err != nil {
		t.Fatal(err)
	}
	all, err := Images(images.Names(), images.Sources{})
	if err != nil || len(all) != len(images.All()) {
		t.Fatalf("%v, %v", all, err)
	}
	for at, image := range all {
		_, reference, err := image.at("127.0.0.1:5000/mirror", image.From.DigestStr())
		if want := taken[images.All()[at].Name]; err != nil || reference.String() != want {
			t.Errorf("the mirror has %s, a run takes %s, %v", reference, want, err)
		}
	}
	if some, err := Images([]string{"tini"}, sources); err != nil || len(some) != 1 || some[0].From.RegistryStr() != "127.0.0.1:5000" {
		t.Errorf("of one name it gives %v, %v", some, err)
	}
}

func TestWhatARegistryLacksIsNamed(t *testing.T) {
	source, mirror := serve(t), serve(t)
	there := published(t, source, "library/nginx")
	lacking := there
	lacking.From = there.From.Context().Digest("sha256:" + strings.Repeat("0", 64))
	silent := there
	silent.From = name.MustParseReference("127.0.0.1:1/library/nginx").Context().Digest(there.From.DigestStr())
	if err := there.Check(t.Context()); err != nil {
		t.Error(err)
	}
	copying := func(image Image) error {
		_, err := image.Copy(t.Context(), mirror)
		return err
	}
	saving := func(image Image) error {
		return Save(t.Context(), []Image{image}, filepath.Join(t.TempDir(), "file.tar"), step)
	}
	checking := func(image Image) error { return image.Check(t.Context()) }
	for what, do := range map[string]func(Image) error{"copying": copying, "saving": saving, "checking": checking} {
		for words, image := range map[string]Image{"has no " + lacking.From.Name() + "; sharedpid images copy": lacking, "does not answer": silent} {
			if err := do(image); err == nil || !strings.Contains(err.Error(), words) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: the error is %v, want %q", what, err, words)
			}
		}
	}
	if err := Save(t.Context(), []Image{there}, filepath.Join(t.TempDir(), "no", "file.tar"), step); err == nil ||
		!strings.Contains(err.Error(), "cannot write") || !strings.Contains(err.Error(), "choose another file") {
		t.Errorf("the error is %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := there.Check(ctx); err == nil || strings.Contains(err.Error(), "does not answer") {
		t.Errorf("the error is %v", err)
	}
}

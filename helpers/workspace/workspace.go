// Package workspace knows where the project works on this machine: the checkout, the cache directory, the hash of what
// a build is made of, and how to run another program.
package workspace

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/sumdb/dirhash"
)

// module is the path of this project's module.
const module = "sharedpid.example"

// ErrNoCheckout says that the working directory is not inside a checkout of this project.
var ErrNoCheckout = errors.New("the working directory is not inside a checkout of this project")

// Root returns the absolute path of the checkout: the nearest folder above the working directory whose go.mod declares
// this project. Recipes of images and runtimes are read from there, since nested modules cannot be embedded. Outside
// of a checkout the error is ErrNoCheckout.
func Root() (string, error) {
	directory, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		declaration, err := os.ReadFile(filepath.Join(directory, "go.mod"))
		if err == nil && modfile.ModulePath(declaration) == module {
			return directory, nil
		}
		if directory == filepath.Dir(directory) {
			return "", ErrNoCheckout
		}
		directory = filepath.Dir(directory)
	}
}

// Cache makes and returns the directory in which the project keeps what outlives a run: sharedpid in the user's cache
// directory, which XDG_CACHE_HOME moves.
func Cache() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("cache directory: %w; set HOME or XDG_CACHE_HOME", err)
	}
	directory := filepath.Join(base, "sharedpid")
	return directory, os.MkdirAll(directory, 0o755)
}

// Hash returns twelve hexadecimal digits that change with the name or the content of any file in the folders of the
// checkout at root. Folders are relative to root, with slashes. Go's tests do not count, nor do files that match one of
// the patterns of path.Match in except: with their paths if the pattern has a slash, and otherwise with their names.
func Hash(root string, folders []string, except ...string) (string, error) {
	except = append([]string{"*_test.go"}, except...)
	var files []string
	for _, folder := range folders {
		found, err := dirhash.DirFiles(filepath.Join(root, filepath.FromSlash(folder)), folder)
		if err != nil {
			return "", fmt.Errorf("hash of %s: %w", folder, err)
		}
		files = append(files, found...)
	}
	files = slices.DeleteFunc(files, func(file string) bool {
		return slices.ContainsFunc(except, func(pattern string) bool {
			compared := file
			if !strings.Contains(pattern, "/") {
				compared = path.Base(file)
			}
			matched, err := path.Match(pattern, compared)
			return err == nil && matched
		})
	})
	sum, err := dirhash.Hash1(files, func(file string) (io.ReadCloser, error) {
		return os.Open(filepath.Join(root, filepath.FromSlash(file)))
	})
	if err != nil {
		return "", fmt.Errorf("hash of %s: %w", strings.Join(folders, ", "), err)
	}
	// Names of images and folders cannot hold base64's slash and plus sign.
	digest, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(sum, "h1:"))
	if err != nil {
		return "", err
	}
	return hex.EncodeToString(digest)[:12], nil
}

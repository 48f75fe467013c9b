package directory

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// disk is what changes files. Tests put a disk in its place that is full, or that stops in the middle.
type disk interface {
	// Mkdir makes a directory that looks to its users like the one given: same mode, same owner.
	Mkdir(path string, like os.FileInfo) error
	WriteFile(path string, content []byte) error
	// Create makes an empty file, or empties one, for Append.
	Create(path string) (*os.File, error)
	// Append writes behind the end of the file.
	Append(file *os.File, content []byte) error
	Truncate(file *os.File, size int64) error
	Link(old, new string) error
	Rename(old, new string) error
	// Exchange swaps two directories in one step.
	Exchange(a, b string) error
	Remove(path string) error
}

// realDisk is the disk of the machine.
type realDisk struct{}

func (realDisk) Mkdir(path string, like os.FileInfo) error {
	if err := os.Mkdir(path, 0o700); err != nil {
		return err
	}
	owner := like.Sys().(*syscall.Stat_t)
	if err := os.Lchown(path, int(owner.Uid), int(owner.Gid)); err != nil {
		return err
	}
	return os.Chmod(path, like.Mode())
}

func (realDisk) WriteFile(path string, content []byte) error {
	return os.WriteFile(path, content, 0o644)
}

func (realDisk) Create(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o644)
}

func (realDisk) Append(file *os.File, content []byte) error {
	_, err := file.Write(content)
	return err
}

func (realDisk) Truncate(file *os.File, size int64) error { return file.Truncate(size) }

func (realDisk) Link(old, new string) error { return os.Link(old, new) }

func (realDisk) Rename(old, new string) error { return os.Rename(old, new) }

func (realDisk) Exchange(a, b string) error {
	if err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE); err != nil {
		return &os.LinkError{Op: "exchange", Old: a, New: b, Err: err}
	}
	return nil
}

func (realDisk) Remove(path string) error { return os.Remove(path) }

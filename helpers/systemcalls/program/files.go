package main

import (
	"errors"
	"os"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// serve makes a folder with a Unix socket and a FIFO that modes keep from nobody, and a file that all may read. Until it is ended, it tells
// whoever connects to the socket the pid and uid that it knows them by, and writes what comes through the FIFO into the file.
func serve(folder string) error {
	unix.Umask(0)
	if err := errors.Join(os.RemoveAll(folder), os.Mkdir(folder, 0o755), unix.Mkfifo(folder+"/fifo", 0o666)); err != nil {
		return err
	}
	fifo, err := unix.Open(folder+"/fifo", unix.O_RDWR|unix.O_CLOEXEC, 0) // with a writer of its own it does not end with others
	if err != nil {
		return os.NewSyscallError("open", err)
	}
	received, err := unix.Open(folder+"/received", unix.O_CREAT|unix.O_WRONLY|unix.O_APPEND|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return os.NewSyscallError("open", err)
	}
	socket, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	if err := errors.Join(unix.Bind(socket, &unix.SockaddrUnix{Name: folder + "/socket"}), unix.Listen(socket, unix.SOMAXCONN)); err != nil {
		return err
	}
	go pour(fifo, received)
	for {
		connection, _, err := unix.Accept4(socket, unix.SOCK_CLOEXEC)
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.ECONNABORTED) {
			continue
		}
		if err != nil {
			return os.NewSyscallError("accept", err)
		}
		if peer, err := unix.GetsockoptUcred(connection, unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			_, _ = unix.Write(connection, []byte(party(int(peer.Pid), int(peer.Uid))))
		}
		_ = unix.Close(connection)
	}
}

// dial connects to a Unix socket.
func dial(path string) (socket int, err error) {
	socket, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	if err := unix.Connect(socket, &unix.SockaddrUnix{Name: path}); err != nil {
		return -1, errors.Join(os.NewSyscallError("connect", err), unix.Close(socket))
	}
	return socket, nil
}

// connect prints its own pid and uid, and what a Unix socket says to who connects.
func connect(path string) error {
	socket, err := dial(path)
	if err != nil {
		return err
	}
	_, _ = os.Stdout.WriteString(party(os.Getpid(), os.Geteuid()))
	pour(socket, unix.Stdout)
	return nil
}

// party is a line that tells who somebody is.
func party(pid, uid int) string { return strconv.Itoa(pid) + " " + strconv.Itoa(uid) + "\n" }

// pour writes what can be read to another descriptor, until there is no more.
func pour(from, to int) {
	buffer := make([]byte, 4096)
	for {
		length, err := unix.Read(from, buffer)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || length == 0 {
			return
		}
		_, _ = unix.Write(to, buffer[:length])
	}
}

// watch watches a file, writes a line into a FIFO whose reader changes the file thereupon, and prints whether it was told of a change. That
// the file has grown without a word shows that the word was lost, and not that the reader is slow.
func watch(path, fifo string, limit time.Duration) error {
	instance, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("inotify_init1", err)
	}
	if _, err := unix.InotifyAddWatch(instance, path, unix.IN_MODIFY); err != nil {
		return os.NewSyscallError("inotify_add_watch", err)
	}
	before, err := os.Stat(path)
	if err != nil {
		return err
	}
	to, err := unix.Open(fifo, unix.O_RDWR|unix.O_CLOEXEC, 0) // to write alone would wait for a reader
	if err != nil {
		return os.NewSyscallError("open", err)
	}
	if _, err := unix.Write(to, []byte("watched\n")); err != nil {
		return os.NewSyscallError("write", err)
	}
	told, grown := modified(instance, limit), false
	if !told {
		after, err := os.Stat(path)
		if err != nil {
			return err
		}
		grown = after.Size() > before.Size()
		told = grown && modified(instance, limit) // it may have grown at the last moment
	}
	switch {
	case told:
		_, err = os.Stdout.WriteString("told\n")
	case grown:
		_, err = os.Stdout.WriteString("not told\n")
	default:
		_, err = os.Stdout.WriteString("not changed\n")
	}
	return err
}

// modified waits until an instance of inotify(7) tells that a file was modified. It tells without being asked when a file is no more.
func modified(instance int, limit time.Duration) bool {
	for end := time.Now().Add(limit); ; {
		ready := []unix.PollFd{{Fd: int32(instance), Events: unix.POLLIN}}
		count, err := unix.Poll(ready, int(max(0, time.Until(end).Milliseconds())))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || count == 0 {
			return false
		}
		var event unix.InotifyEvent // no name follows it where a file is watched and not a folder
		if _, err := unix.Read(instance, unsafe.Slice((*byte)(unsafe.Pointer(&event)), unix.SizeofInotifyEvent)); err != nil {
			return false
		}
		if event.Mask&unix.IN_MODIFY != 0 {
			return true
		}
	}
}

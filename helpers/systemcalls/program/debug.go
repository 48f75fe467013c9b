package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// debugged is what a debugger sees of a process that serves, in the form in which it is printed.
type debugged struct {
	Threads   int      `json:"threads"`   // that stopped, and whose registers could be read
	Stacks    int      `json:"stacks"`    // of those threads that could be read
	Calls     []string `json:"calls"`     // system calls in which they stopped while they served
	During    string   `json:"during"`    // what the process said to who connected while it was debugged
	After     string   `json:"after"`     // and when it was let go
	TracerPID string   `json:"tracerPid"` // of the process by then
}

// debugger stops all threads of a process, and lets them go on from one system call to the next.
type debugger struct {
	pid     int
	threads map[int]int // those that are traced, with the signal that each is still to get
	calls   map[string]bool
}

// followed are the names of the system calls that a process makes when it serves.
var followed = map[uint64]string{unix.SYS_ACCEPT4: "accept4", unix.SYS_GETSOCKOPT: "getsockopt", unix.SYS_WRITE: "write", unix.SYS_CLOSE: "close"}

// debug does to a process that serves what debuggers do, while it serves, and lets it go.
func debug(pid int, socket string) error {
	debugger := debugger{pid: pid, threads: map[int]int{}, calls: map[string]bool{}}
	var seen debugged
	if err := debugger.stopAll(&seen); err != nil {
		return err
	}
	for thread, signal := range debugger.threads {
		if err := step(thread, signal); err != nil {
			return err
		}
	}
	var err error
	if seen.During, err = debugger.follow(socket); err != nil {
		return err
	}
	if err := debugger.letGo(); err != nil {
		return err
	}
	if seen.After, err = ask(socket); err != nil {
		return err
	}
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return err
	}
	_, tracer, _ := strings.Cut(string(status), "\nTracerPid:\t")
	seen.TracerPID, _, _ = strings.Cut(tracer, "\n")
	for call := range debugger.calls {
		seen.Calls = append(seen.Calls, call)
	}
	slices.Sort(seen.Calls)
	return json.NewEncoder(os.Stdout).Encode(seen)
}

// stopAll stops each thread, those that come up meanwhile too, and reads its registers and its stack.
func (debugger *debugger) stopAll(seen *debugged) error {
	for found := true; found; {
		found = false
		tasks, err := os.ReadDir("/proc/" + strconv.Itoa(debugger.pid) + "/task")
		if err != nil {
			return err
		}
		for _, task := range tasks {
			thread, err := strconv.Atoi(task.Name())
			if _, traced := debugger.threads[thread]; err != nil || traced {
				continue
			}
			found = true
			if err := unix.PtraceSeize(thread); err != nil {
				return os.NewSyscallError("ptrace", err)
			}
			signal, err := stop(thread)
			if err != nil {
				return err
			}
			// Stops in system calls are told apart from those for signals.
			if err := unix.PtraceSetOptions(thread, unix.PTRACE_O_TRACESYSGOOD); err != nil {
				return os.NewSyscallError("ptrace", err)
			}
			debugger.threads[thread] = signal
			registers, err := registersOf(thread)
			if err != nil {
				return err
			}
			seen.Threads++
			if readMemory(thread, uintptr(registers[stackPointer]), make([]byte, 8)) == nil {
				seen.Stacks++
			}
		}
	}
	return nil
}

// stop interrupts a thread, and waits until it has stopped, for that or for anything else: any stop takes the place of that which was asked
// for. It returns the signal that the thread is still to get, 0 for none.
func stop(thread int) (signal int, err error) {
	if err := unix.PtraceInterrupt(thread); err != nil {
		return 0, os.NewSyscallError("ptrace", err)
	}
	for {
		var status unix.WaitStatus
		_, err := unix.Wait4(thread, &status, unix.WALL, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 0, os.NewSyscallError("wait4", err)
		case !status.Stopped():
			return 0, errors.New("a thread ended while it was debugged")
		default:
			return signalOf(status), nil
		}
	}
}

// signalOf is the signal that a thread has stopped for and is still to get, 0 for none.
func signalOf(status unix.WaitStatus) int {
	if stopped := int(status.StopSignal()); stopped != callStop && status.TrapCause() <= 0 {
		return stopped
	}
	return 0
}

// callStop is the signal that stands for a stop in a system call.
const callStop = int(unix.SIGTRAP) | 0x80

// step lets a thread go on to its next system call, or out of the one that it is in.
func step(thread, signal int) error {
	return os.NewSyscallError("ptrace", unix.PtraceSyscall(thread, signal))
}

// follow asks the process, and follows its threads from one system call to the next until it has answered.
func (debugger *debugger) follow(socket string) (string, error) {
	type reply struct {
		words string
		err   error
	}
	replies := make(chan reply, 1)
	go func() {
		words, err := ask(socket)
		replies <- reply{words, err}
	}()
	for end := time.Now().Add(followTime); ; {
		select {
		case reply := <-replies:
			return reply.words, reply.err
		default:
		}
		var status unix.WaitStatus
		thread, err := unix.Wait4(-1, &status, unix.WALL|unix.WNOHANG, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return "", os.NewSyscallError("wait4", err)
		case thread == 0: // all are on their way
			if time.Now().After(end) {
				return "", errors.New("the process does not answer while it is debugged")
			}
			time.Sleep(time.Millisecond)
		case !status.Stopped():
			delete(debugger.threads, thread)
		default:
			if int(status.StopSignal()) == callStop {
				registers, err := registersOf(thread)
				if err != nil {
					return "", err
				}
				name := followed[registers[callNumber]]
				if name != "" {
					debugger.calls[name] = true
				}
			}
			if err := step(thread, signalOf(status)); err != nil {
				return "", err
			}
		}
	}
}

// followTime is how long the process may take to answer.
const followTime = 10 * time.Second

// letGo detaches from all threads, each where it has stopped last.
func (debugger *debugger) letGo() error {
	for thread := range debugger.threads {
		signal, err := stop(thread)
		if err != nil {
			return err
		}
		if _, _, number := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_DETACH, uintptr(thread), 0, uintptr(signal), 0, 0); number != 0 {
			return os.NewSyscallError("ptrace", number)
		}
	}
	return nil
}

// ask connects to a socket, and returns what is said there, in one line.
func ask(socket string) (string, error) {
	connected, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", os.NewSyscallError("socket", err)
	}
	defer func() { _ = unix.Close(connected) }()
	if err := unix.SetsockoptTimeval(connected, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: int64(followTime.Seconds())}); err != nil {
		return "", os.NewSyscallError("setsockopt", err)
	}
	if err := unix.Connect(connected, &unix.SockaddrUnix{Name: socket}); err != nil {
		return "", os.NewSyscallError("connect", err)
	}
	buffer := make([]byte, 64)
	for {
		length, err := unix.Read(connected, buffer)
		if !errors.Is(err, unix.EINTR) {
			return strings.TrimSpace(string(buffer[:max(0, length)])), os.NewSyscallError("read", err)
		}
	}
}

// registersOf returns the general registers of a stopped thread.
func registersOf(thread int) ([]uint64, error) {
	buffer := make([]byte, 8*64)
	vector := unix.Iovec{Base: &buffer[0]}
	vector.SetLen(len(buffer))
	_, _, number := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_GETREGSET, uintptr(thread), unix.NT_PRSTATUS, uintptr(unsafe.Pointer(&vector)), 0, 0)
	if number != 0 {
		return nil, os.NewSyscallError("ptrace", number)
	}
	registers := make([]uint64, len(buffer)/8)
	for i := range registers {
		registers[i] = binary.LittleEndian.Uint64(buffer[8*i:])
	}
	return registers, nil
}

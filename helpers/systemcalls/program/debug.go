package main

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// debugger stops all threads of a process, and lets them go on from one system call to the next.
type debugger struct {
	pid     int
	threads map[int]int     // those that are traced, with the signal that each is still to get
	stacks  int             // of those that could be read
	calls   map[string]bool // in which they have stopped
}

// followed are the names of the system calls that a process makes when it serves.
var followed = map[uint64]string{unix.SYS_ACCEPT4: "accept4", unix.SYS_GETSOCKOPT: "getsockopt", unix.SYS_WRITE: "write", unix.SYS_CLOSE: "close"}

// debug does to a process that serves what debuggers do, while it serves, lets it go, and prints systemcalls.Debugged.
func debug(pid int, socket string) error {
	debugger := debugger{pid: pid, threads: map[int]int{}, calls: map[string]bool{}}
	if err := debugger.stopAll(); err != nil {
		return err
	}
	threads := len(debugger.threads)
	for thread, signal := range debugger.threads {
		if err := step(thread, signal); err != nil {
			return err
		}
	}
	during, err := debugger.follow(socket)
	if err != nil {
		return err
	}
	for thread := range debugger.threads {
		if err := letGo(thread); err != nil {
			return err
		}
	}
	after, err := ask(socket)
	if err != nil {
		return err
	}
	tracer, err := tracerOf(pid)
	if err != nil {
		return err
	}
	var calls []string
	for call := range debugger.calls {
		calls = append(calls, `"`+call+`"`)
	}
	slices.Sort(calls)
	_, err = os.Stdout.WriteString(`{"threads":` + strconv.Itoa(threads) + `,"stacks":` + strconv.Itoa(debugger.stacks) +
		`,"calls":[` + strings.Join(calls, ",") + `],"during":` + strconv.Quote(during) + `,"after":` + strconv.Quote(after) +
		`,"tracerPid":` + strconv.Quote(tracer) + "}\n")
	return err
}

// stopAll stops each thread, those that come up meanwhile too, and reads its registers and its stack.
func (debugger *debugger) stopAll() error {
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
			if readMemory(thread, uintptr(registers[stackPointer]), make([]byte, 8)) == nil {
				debugger.stacks++
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
	for {
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
			time.Sleep(time.Millisecond)
		case !status.Stopped():
			delete(debugger.threads, thread)
		default:
			if int(status.StopSignal()) == callStop {
				registers, err := registersOf(thread)
				if err != nil {
					return "", err
				}
				if name := followed[registers[callNumber]]; name != "" {
					debugger.calls[name] = true
				}
			}
			if err := step(thread, signalOf(status)); err != nil {
				return "", err
			}
		}
	}
}

// letGo detaches from a thread where it stops next, and gives it the signal that it stopped for.
func letGo(thread int) error {
	signal, err := stop(thread)
	if err != nil {
		return err
	}
	if _, _, number := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_DETACH, uintptr(thread), 0, uintptr(signal), 0, 0); number != 0 {
		return os.NewSyscallError("ptrace", number)
	}
	return nil
}

// ask connects to a socket, and returns what is said there, in one line.
func ask(path string) (string, error) {
	socket, err := dial(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = unix.Close(socket) }()
	if err := unix.SetsockoptTimeval(socket, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: answerSeconds}); err != nil {
		return "", os.NewSyscallError("setsockopt", err)
	}
	buffer := make([]byte, 64)
	for {
		length, err := unix.Read(socket, buffer)
		if !errors.Is(err, unix.EINTR) {
			return strings.TrimSpace(string(buffer[:max(0, length)])), os.NewSyscallError("read", err)
		}
	}
}

// answerSeconds is how long who serves may take to answer. Then read(2) fails with EAGAIN, as it does where it does not answer at all.
const answerSeconds = 10

// registersOf returns the general registers of a stopped thread.
func registersOf(thread int) (registers [64]uint64, err error) {
	vector := unix.Iovec{Base: (*byte)(unsafe.Pointer(&registers))}
	vector.SetLen(int(unsafe.Sizeof(registers)))
	_, _, number := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_GETREGSET, uintptr(thread), unix.NT_PRSTATUS, uintptr(unsafe.Pointer(&vector)), 0, 0)
	if number != 0 {
		return registers, os.NewSyscallError("ptrace", number)
	}
	return registers, nil
}

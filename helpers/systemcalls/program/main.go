// Program does what no shell can do, as the container that it is executed in may do it. It is called with
//
//	PID...                   to try system calls on processes, and print a line of JSON for each: the call, the process, and the errno, which is 0
//	                         where the call succeeded; what it sets is what the suite's own processes, and pause, have without it
//	serve FOLDER             to be a process that others attach to
//	connect SOCKET           to attach to it
//	watch FILE FIFO SECONDS  to notice that a file changes when something is written into a FIFO
//	debug PID SOCKET         to do to a process that serves what debuggers do, and print a line of JSON
//
// What refuses the last four is printed in the words of strerror(3), as programs do that shells start.
//
// It is carried into containers of any image, and therefore static, small, and for Linux alone.
package main

import (
	"errors"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// calls are tried in this order on each process.
var calls = []struct {
	name string
	try  func(pid int) error
}{
	{"ptrace", trace},
	{"process_vm_readv", func(pid int) error { return readMemory(pid, writable(pid), make([]byte, 1)) }},
	{"process_vm_writev", writeMemory},
	{"pidfd_open", func(pid int) error { return withDescriptor(pid, func(int) error { return nil }) }},
	{"pidfd_send_signal", func(pid int) error {
		return withDescriptor(pid, func(descriptor int) error {
			return unix.PidfdSendSignal(descriptor, unix.SIGURG, nil, 0) // does nothing to who has no handler for it
		})
	}},
	{"pidfd_getfd", func(pid int) error { return withDescriptor(pid, takeStandardInput) }},
	{"setns", func(pid int) error {
		return withDescriptor(pid, func(descriptor int) error { return unix.Setns(descriptor, unix.CLONE_NEWUTS) })
	}},
	{"kcmp", compare},
	{"prlimit", func(pid int) error { return unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, new(unix.Rlimit)) }},
	{"sched_setaffinity", allowProcessors},
	{"setpriority", keepPriority},
	{"perf_event_open", count},
}

func main() {
	// Of a tracer and of namespaces it is the thread that counts.
	runtime.LockOSThread()
	if len(os.Args) < 2 {
		_, _ = os.Stderr.WriteString("usage: program PID... | serve FOLDER | connect SOCKET | watch FILE FIFO SECONDS | debug PID SOCKET\n")
		os.Exit(2)
	}
	switch arguments := os.Args[2:]; {
	case os.Args[1] == "serve" && len(arguments) == 1:
		end(serve(arguments[0]))
	case os.Args[1] == "connect" && len(arguments) == 1:
		end(connect(arguments[0]))
	case os.Args[1] == "watch" && len(arguments) == 3:
		seconds, err := strconv.Atoi(arguments[2])
		if err == nil {
			err = watch(arguments[0], arguments[1], time.Duration(seconds)*time.Second)
		}
		end(err)
	case os.Args[1] == "debug" && len(arguments) == 2:
		pid, err := strconv.Atoi(arguments[0])
		if err == nil {
			err = debug(pid, arguments[1])
		}
		end(err)
	default:
		callAll(os.Args[1:])
	}
}

// end ends the program, with the words of what went wrong.
func end(err error) {
	if err == nil {
		os.Exit(0)
	}
	words := err.Error()
	var number unix.Errno
	if errors.As(err, &number) { // Go begins the words of strerror(3) with a small letter
		small := number.Error()
		words = strings.Replace(words, small, strings.ToUpper(small[:1])+small[1:], 1)
	}
	_, _ = os.Stderr.WriteString(words + "\n")
	os.Exit(1)
}

// callAll tries all calls on each process.
func callAll(pids []string) {
	var lines strings.Builder
	for _, argument := range pids {
		pid, err := strconv.Atoi(argument)
		if err != nil || pid < 1 {
			_, _ = os.Stderr.WriteString(strconv.Quote(argument) + " is no pid\n")
			os.Exit(2)
		}
		for _, call := range calls {
			number, err := errno(call.try(pid))
			if err != nil {
				_, _ = os.Stderr.WriteString(call.name + " on process " + argument + ": " + err.Error() + "\n")
				os.Exit(1)
			}
			lines.WriteString(`{"call":"` + call.name + `","pid":` + argument + `,"errno":` + strconv.Itoa(number) + "}\n")
		}
	}
	if _, err := os.Stdout.WriteString(lines.String()); err != nil {
		os.Exit(1)
	}
}

// errno is the number that a call failed with, 0 for none. What is no errno is given back: the kernel did not say it.
func errno(err error) (int, error) {
	var number unix.Errno
	if err == nil || !errors.As(err, &number) {
		return 0, err
	}
	return int(number), nil
}

// trace stops a process as a debugger does, and lets it go on. PTRACE_SEIZE leaves no stop behind when this program is killed. A process that
// has a tracer already, such as this program before a lost connection, is refused with EPERM to everybody, which says EBUSY here.
func trace(pid int) error {
	before := traced(pid)
	if err := unix.PtraceSeize(pid); err != nil {
		if before || traced(pid) {
			return unix.EBUSY
		}
		return err
	}
	return letGo(pid)
}

// traced tells whether a process is seen to have a tracer.
func traced(pid int) bool {
	tracer, err := tracerOf(pid)
	return err == nil && tracer != "0"
}

// tracerOf is the pid of the tracer of a process, as proc_pid_status(5) has it: 0 for none.
func tracerOf(pid int) (string, error) {
	content, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return "", err
	}
	_, after, found := strings.Cut(string(content), "\nTracerPid:\t")
	if !found {
		return "", errors.New("the process has no TracerPid in its status")
	}
	tracer, _, _ := strings.Cut(after, "\n")
	return tracer, nil
}

// writable is the address of memory that a process may write, 0 when the caller may not see its maps. The kernel asks whether the caller
// may look into a process before it looks at an address: EFAULT is a success.
func writable(pid int) uintptr {
	content, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/maps")
	for line := range strings.Lines(string(content)) {
		fields := strings.Fields(line)
		if len(fields) > 1 && strings.HasPrefix(fields[1], "rw") {
			start, _, _ := strings.Cut(fields[0], "-")
			address, _ := strconv.ParseUint(start, 16, 64)
			return uintptr(address)
		}
	}
	return 0
}

func readMemory(pid int, address uintptr, to []byte) error {
	return reached(unix.ProcessVMReadv(pid, local(to), []unix.RemoteIovec{{Base: address, Len: len(to)}}, 0))
}

// writeMemory writes a byte that was there before. Where none could be read, it writes to an address that no process has.
func writeMemory(pid int) error {
	same, address := make([]byte, 1), writable(pid)
	if readMemory(pid, address, same) != nil {
		address = 0
	}
	return reached(unix.ProcessVMWritev(pid, local(same), []unix.RemoteIovec{{Base: address, Len: len(same)}}, 0))
}

func local(buffer []byte) []unix.Iovec {
	vector := unix.Iovec{Base: &buffer[0]}
	vector.SetLen(len(buffer))
	return []unix.Iovec{vector}
}

func reached(_ int, err error) error {
	if errors.Is(err, unix.EFAULT) {
		return nil
	}
	return err
}

func withDescriptor(pid int, use func(descriptor int) error) error {
	descriptor, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return err
	}
	return errors.Join(use(descriptor), unix.Close(descriptor))
}

// takeStandardInput duplicates descriptor 0 of another process. That it has none shows that the caller might have had it.
func takeStandardInput(process int) error {
	taken, err := unix.PidfdGetfd(process, 0, 0)
	if errors.Is(err, unix.EBADF) {
		return nil
	}
	if err != nil {
		return err
	}
	return unix.Close(taken)
}

// compare asks whether the process has the memory of this one.
func compare(pid int) error {
	const memory = 1 // KCMP_VM
	_, _, err := unix.Syscall6(unix.SYS_KCMP, uintptr(os.Getpid()), uintptr(pid), memory, 0, 0, 0)
	if err != 0 {
		return err
	}
	return nil
}

// allowProcessors lets a process run on all processors, of which the kernel takes those of its cpuset(7): as it was before, and as it stays
// when the cpuset changes. What was read before would be kept from then on.
func allowProcessors(pid int) error {
	var processors [1024]uintptr
	for i := range processors {
		processors[i] = ^uintptr(0)
	}
	_, _, err := unix.Syscall(unix.SYS_SCHED_SETAFFINITY, uintptr(pid), unsafe.Sizeof(processors), uintptr(unsafe.Pointer(&processors)))
	if err != 0 {
		return err
	}
	return nil
}

func keepPriority(pid int) error {
	raw, err := unix.Getpriority(unix.PRIO_PROCESS, pid)
	if err != nil {
		return err
	}
	return unix.Setpriority(unix.PRIO_PROCESS, pid, 20-raw) // the system call gives 20 less the nice value
}

// count begins to count the processor time that a process spends outside of the kernel, which takes no hardware.
func count(pid int) error {
	attributes := unix.PerfEventAttr{
		Type: unix.PERF_TYPE_SOFTWARE, Config: unix.PERF_COUNT_SW_TASK_CLOCK, Size: uint32(unsafe.Sizeof(unix.PerfEventAttr{})),
		Bits: unix.PerfBitExcludeKernel | unix.PerfBitExcludeHv,
	}
	counter, err := unix.PerfEventOpen(&attributes, pid, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		return err
	}
	return unix.Close(counter)
}

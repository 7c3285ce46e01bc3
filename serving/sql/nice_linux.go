package sql

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// longSlice is the longest that the kernel takes, in nanoseconds.
const longSlice = 100e6

// threadID is that of the thread that the caller is locked to.
func threadID() int { return syscall.Gettid() }

// setNice lowers the priority of one thread, and never raises it; on Linux a
// thread has one of its own. It also makes its time slice the longest: a thread
// that wakes up with a shorter one takes the processor at once, where it would
// wait some milliseconds for the end of the slice, however low the priority
// (from Linux 6.12 on; before, slices are not told apart).
func setNice(thread, nice int) {
	a, err := unix.SchedGetAttr(thread, 0)
	if err != nil || a.Policy != unix.SCHED_NORMAL || int(a.Nice) >= nice {
		return
	}
	a.Nice, a.Runtime = int32(nice), longSlice
	if unix.SchedSetAttr(thread, a, 0) != nil { // not everywhere allowed
		_ = syscall.Setpriority(syscall.PRIO_PROCESS, thread, nice)
	}
}

// setPatient makes the time slice of a thread the longest, with what that means;
// 0 is the caller's.
func setPatient(thread int) { setSlice(thread, longSlice) }

// endPatient gives the thread the slice of all others.
func endPatient(thread int) { setSlice(thread, 0) }

func setSlice(thread int, slice uint64) {
	a, err := unix.SchedGetAttr(thread, 0)
	if err != nil || a.Policy != unix.SCHED_NORMAL {
		return
	}
	a.Runtime = slice
	_ = unix.SchedSetAttr(thread, a, 0)
}

// setName gives the caller's thread a name, which threads that it starts
// inherit: what `top -H` and `perf` say. It has at most 15 bytes.
func setName(name string) {
	p, _ := unix.BytePtrFromString(name)
	_ = unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(p)), 0, 0, 0)
}

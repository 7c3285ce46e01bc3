//go:build unix

package server

import (
	"math"
	"syscall"
)

// openFiles is how many files and connections this process may have open.
func openFiles() uint64 {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return math.MaxInt64
	}
	return uint64(l.Cur)
}

//go:build unix

package speed

import (
	"errors"
	"syscall"
)

// isFull reports whether the disk has no room left.
func isFull(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

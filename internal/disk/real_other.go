//go:build unix && !linux

package disk

import "golang.org/x/sys/unix"

// noMark is the error of asking for an attribute that a file does not have.
const noMark = unix.ENOATTR

//go:build unix

package bucket

import (
	"errors"
	"io/fs"
	"strings"
	"syscall"

	"anabranch/fault"
)

// fileFault gives an error of the file system its kind.
func fileFault(err error) error {
	var code syscall.Errno
	switch {
	case err == nil || fault.KindOf(err) != fault.Unknown:
		return err
	case errors.Is(err, fs.ErrNotExist):
		return ErrNotFound
	case !errors.As(err, &code):
		return fault.Wrap(fault.Transient, err)
	}
	switch code {
	case syscall.ENOSPC, syscall.EDQUOT:
		return fault.WithHint(fault.Wrap(fault.Full, err), "make room on the file system")
	case syscall.EACCES, syscall.EPERM, syscall.EROFS:
		return fault.Wrap(fault.Denied, err)
	case syscall.ENOTDIR: // a part of the name is an object
		return ErrNotFound
	case syscall.EISDIR, syscall.EEXIST, syscall.ENOTEMPTY, syscall.ENAMETOOLONG, syscall.ELOOP:
		return fault.WithHint(fault.Wrap(fault.Invalid, err), "no object's name may be another's followed by a slash, and no segment may be over 255 bytes")
	case syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.EAGAIN:
		return fault.Wrap(fault.Throttled, err)
	case syscall.EINVAL, syscall.EXDEV, syscall.ENOTSUP:
		return fault.Wrap(fault.Invalid, err)
	}
	return fault.Wrap(fault.Transient, err) // EIO too: the next attempt writes a new file
}

// hidden reports whether a folder entry is ours and no object.
func hidden(entry string) bool { return strings.HasPrefix(entry, "@") }

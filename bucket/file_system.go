//go:build unix

package bucket

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"anabranch/fault"
)

// fileSystem is the little of a file system that File needs, so that tests
// can make each call fail.
type fileSystem interface {
	Create(path string) (file, error) // new, empty, for writing
	Open(path string) (file, error)   // for reading
	Rename(from, to string) error
	Link(from, to string) error
	Remove(path string) error // of a file; a folder is fs.ErrNotExist
	Mkdir(path string) error
	ReadDir(path string) ([]fs.DirEntry, error)
	SyncDir(path string) error // what was linked in the folder stays linked
}

type file interface {
	io.Reader
	io.ReaderAt
	io.Writer
	io.Closer
	Stat() (fs.FileInfo, error)
	Sync() error
	SetMark(mark string) error // errNoMarks where the file system has none
	Mark() (string, error)     // "" when the file has none
}

var errNoMarks = errors.New("the file system has no extended attributes")

type osFiles struct{}

func (osFiles) Create(path string) (file, error) {
	return osOpen(path, os.O_CREATE|os.O_EXCL|os.O_RDWR)
}
func (osFiles) Open(path string) (file, error)             { return osOpen(path, os.O_RDONLY) }
func (osFiles) Rename(from, to string) error               { return os.Rename(from, to) }
func (osFiles) Link(from, to string) error                 { return os.Link(from, to) }
func (osFiles) Mkdir(path string) error                    { return os.Mkdir(path, 0o750) }
func (osFiles) ReadDir(path string) ([]fs.DirEntry, error) { return os.ReadDir(path) }

func (osFiles) Remove(path string) error {
	err := unix.Unlink(path) // os.Remove would take an empty folder
	if err == nil || errors.Is(err, unix.ENOENT) {
		return err
	}
	if st, e := os.Lstat(path); e == nil && st.IsDir() {
		return fs.ErrNotExist
	}
	return &fs.PathError{Op: "remove", Path: path, Err: err}
}

func (osFiles) SyncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

type osFile struct{ *os.File }

func osOpen(path string, flag int) (file, error) {
	f, err := os.OpenFile(path, flag, 0o640)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

const markName = "user.anabranch.sum"

func (f osFile) SetMark(mark string) error {
	err := unix.Fsetxattr(int(f.Fd()), markName, []byte(mark), 0)
	if errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.EPERM) {
		return errNoMarks
	}
	return err
}

func (f osFile) Mark() (string, error) {
	buf := make([]byte, 256)
	n, err := unix.Fgetxattr(int(f.Fd()), markName, buf)
	switch {
	case err == nil:
		return string(buf[:n]), nil
	case errors.Is(err, unix.ENOTSUP), errors.Is(err, noMark):
		return "", nil
	}
	return "", err
}

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

//go:build unix

package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Real is the file system of the machine.
type Real struct{}

var _ Files = Real{}

// Create implements Files.
func (Real) Create(path string) (File, error) { return open(path, os.O_CREATE|os.O_EXCL|os.O_RDWR) }

// Open implements Files.
func (Real) Open(path string) (File, error) { return open(path, os.O_RDONLY) }

// Edit implements Files.
func (Real) Edit(path string) (File, error) { return open(path, os.O_CREATE|os.O_RDWR) }

// Rename implements Files.
func (Real) Rename(from, to string) error { return os.Rename(from, to) }

// Link implements Files.
func (Real) Link(from, to string) error { return os.Link(from, to) }

// Remove implements Files.
func (Real) Remove(path string) error {
	err := unix.Unlink(path) // os.Remove would take an empty folder
	if err == nil {
		return nil
	}
	if st, e := os.Lstat(path); e == nil && st.IsDir() {
		err = fs.ErrNotExist
	}
	return &fs.PathError{Op: "remove", Path: path, Err: err}
}

// RemoveDir implements Files.
func (Real) RemoveDir(path string) error {
	if err := unix.Rmdir(path); err != nil {
		return &fs.PathError{Op: "remove", Path: path, Err: err}
	}
	return nil
}

// Mkdir implements Files.
func (Real) Mkdir(path string) error { return os.Mkdir(path, 0o750) }

// ReadDir implements Files.
func (Real) ReadDir(path string) ([]fs.DirEntry, error) { return os.ReadDir(path) }

// SyncDir implements Files.
func (Real) SyncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Lock implements Files.
func (Real) Lock(path string, how Lock) (io.Closer, error) {
	l, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o640)
	if err != nil {
		return nil, err
	}
	flags := map[Lock]int{Shared: syscall.LOCK_SH, Alone: syscall.LOCK_EX, AloneNow: syscall.LOCK_EX | syscall.LOCK_NB}[how]
	for {
		err = syscall.Flock(int(l.Fd()), flags)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	switch {
	case err == nil:
		return l, nil // closing the only descriptor unlocks
	case errors.Is(err, syscall.EWOULDBLOCK):
		err = ErrLocked
	}
	l.Close()
	return nil, fmt.Errorf("lock %s: %w", path, err)
}

// piece is how much of a file the disk is given at once.
const piece = 1 << 20

// realFile gives the disk what is written to it piece by piece, and waits for
// each, so that Sync finds little left to do. File systems with one journal
// (ext4) commit everybody's names and sizes together with the data they are
// about: while a snapshot of a hundred megabytes is synced at once, the sync of
// a log record, which an acknowledgement waits for, takes as long.
type realFile struct {
	*os.File
	kept int // bytes that the disk was not given yet
}

func open(path string, flag int) (File, error) {
	f, err := os.OpenFile(path, flag, 0o640)
	if err != nil {
		return nil, err
	}
	return &realFile{File: f}, nil
}

// Write implements File.
func (f *realFile) Write(b []byte) (n int, err error) {
	for err == nil && n < len(b) {
		var took int
		took, err = f.File.Write(b[n:min(len(b), n+piece-f.kept)])
		n += took
		if f.kept += took; err == nil && f.kept == piece {
			f.kept = 0
			err = giveToDisk(f.File)
		}
	}
	return n, err
}

// ReadFrom has io.Copy go through Write.
func (f *realFile) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{f}, r)
}

const markName = "user.anabranch.sum"

// SetMark implements File.
func (f *realFile) SetMark(mark string) error {
	err := unix.Fsetxattr(int(f.Fd()), markName, []byte(mark), 0)
	if errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.EPERM) {
		return ErrNoMarks
	}
	return err
}

// Mark implements File.
func (f *realFile) Mark() (string, error) {
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

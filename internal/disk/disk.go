//go:build unix

// Package disk is the little of a file system that our durable files need, so
// that tests can take the power away from it, and make any of its calls fail.
//
// What the calls promise is what POSIX does, and no more: bytes are durable
// when Sync of their file has returned, a name when SyncDir of its folder has.
package disk

import (
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"syscall"

	"anabranch/internal/planted"
)

// Files is a file system. Its methods are safe for concurrent use; their
// errors are those of package os.
type Files interface {
	Create(path string) (File, error) // new, empty, for reading and writing; fs.ErrExist when the name is taken
	Open(path string) (File, error)   // for reading
	Edit(path string) (File, error)   // as it is, or empty when there is none, for reading and writing
	Rename(from, to string) error     // replaces the file at to
	Link(from, to string) error       // fs.ErrExist when to is taken
	Remove(path string) error         // of a file; a folder is fs.ErrNotExist
	RemoveDir(path string) error      // of an empty folder
	Mkdir(path string) error
	ReadDir(path string) ([]fs.DirEntry, error)
	SyncDir(path string) error // what was made, renamed and removed in the folder stays so

	// Lock waits for the lock of the file at path, which is made when there
	// is none: against other goroutines and other processes. It goes with its
	// process.
	Lock(path string, how Lock) (unlock io.Closer, err error)
}

// Lock says how a lock is taken.
type Lock int

// The ways to lock.
const (
	Shared Lock = iota // together with others who share it
	Alone
	AloneNow // or ErrLocked
)

// ErrLocked says that somebody holds the lock.
var ErrLocked = errors.New("the file is locked by another process")

// File is an open file.
type File interface {
	io.Reader
	io.ReaderAt
	io.Writer
	io.WriterAt
	io.Seeker
	io.Closer
	Name() string
	Stat() (fs.FileInfo, error)
	Sync() error
	SetMark(mark string) error // a short text that goes with the file; ErrNoMarks where the file system keeps none
	Mark() (string, error)     // "" when the file has none
}

// ErrNoMarks says that the file system keeps no marks.
var ErrNoMarks = errors.New("the file system has no extended attributes")

// MkdirAll makes a folder and those above it, durably.
func MkdirAll(d Files, path string) error {
	parent := filepath.Dir(path)
	there, err := isDir(d, path)
	if err != nil {
		return err
	}
	if there {
		// A process may have made it that died before it could sync. Where
		// the folder above is closed to us, it was not one of ours.
		if err := d.SyncDir(parent); err != nil && !errors.Is(err, fs.ErrPermission) {
			return err
		}
		return nil
	}
	if err := MkdirAll(d, parent); err != nil {
		return err
	}
	if err := d.Mkdir(path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return d.SyncDir(parent)
}

func isDir(d Files, path string) (bool, error) {
	f, err := d.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if errors.Is(err, fs.ErrPermission) {
		return true, nil // whatever it is, it is there
	}
	if err != nil {
		return false, err
	}
	st, err := f.Stat()
	if err = errors.Join(err, f.Close()); err != nil {
		return false, err
	}
	if !st.IsDir() {
		return false, &fs.PathError{Op: "mkdir", Path: path, Err: syscall.ENOTDIR}
	}
	return true, nil
}

// RemoveAll removes what is at path and below; it is no error when nothing is.
func RemoveAll(d Files, path string) error {
	entries, err := d.ReadDir(path)
	if err != nil {
		if err := d.Remove(path); err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	for _, e := range entries {
		below := filepath.Join(path, e.Name())
		if e.IsDir() {
			err = RemoveAll(d, below)
		} else if err = d.Remove(below); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		if err != nil {
			return err
		}
	}
	if err := d.RemoveDir(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// MkdirTemp makes a folder with a new name.
func MkdirTemp(d Files, in string) (path string, err error) {
	for range 10_000 {
		path = filepath.Join(in, strconv.FormatUint(uint64(rand.Uint32()), 10))
		if err = d.Mkdir(path); !errors.Is(err, fs.ErrExist) {
			break
		}
	}
	return path, err
}

// ReadFile returns a whole file.
func ReadFile(d Files, path string) ([]byte, error) {
	f, err := d.Open(path)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	return data, nil
}

// WriteFile makes data the content of the file at path, durably: after a
// crash it is the old one or the new one, never a part. Beside is where it is
// written first, in the same folder; one writer at a time uses that name.
func WriteFile(d Files, path, beside string, data []byte) error {
	if err := d.Remove(beside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err // of a writer that died
	}
	f, err := d.Create(beside)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil && !planted.On(planted.FileUnsynced) {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = d.Rename(beside, path)
	}
	if err != nil {
		return errors.Join(err, ignoreAbsent(d.Remove(beside)))
	}
	return d.SyncDir(filepath.Dir(path))
}

func ignoreAbsent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

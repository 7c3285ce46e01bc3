//go:build unix

package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"
)

// Strict returns d, which takes nothing more once the sync of a folder has
// failed. After such a failure nobody knows what is on the disk, and asking
// again does not tell: the kernel has forgotten that there was something to
// write, and the next sync succeeds without having written it. What comes later
// must not get there either, or it would stand behind a gap. So the process
// that saw it acknowledges nothing and writes nothing until it is started
// again on a disk that is well, which means mounted anew: the usual file
// systems allow no write before. All rooms of a process share one, since they
// share folders. Reading goes on.
//
// The failed sync of a file needs no such care from callers that give up the
// file and begin with a new one; a second Sync of the same File fails too.
func Strict(d Files) Files {
	if s, ok := d.(*strict); ok {
		return s
	}
	return &strict{Files: d}
}

type strict struct {
	Files
	failed atomic.Pointer[error]
}

// refused is the error of everything that changes something, after a failure.
func (s *strict) refused() error {
	if err := s.failed.Load(); err != nil {
		return fmt.Errorf("nothing is written any more, start the program again when the disk is well: an earlier sync failed: %w", *err)
	}
	return nil
}

// unless does what changes something.
func (s *strict) unless(do func() error) error {
	if err := s.refused(); err != nil {
		return err
	}
	return do()
}

func (s *strict) Open(path string) (File, error) { return s.wrap(s.Files.Open(path)) }

func (s *strict) Create(path string) (File, error) {
	if err := s.refused(); err != nil {
		return nil, err
	}
	return s.wrap(s.Files.Create(path))
}

func (s *strict) Edit(path string) (File, error) {
	if err := s.refused(); err != nil {
		return nil, err
	}
	return s.wrap(s.Files.Edit(path))
}

func (s *strict) Rename(from, to string) error {
	return s.unless(func() error { return s.Files.Rename(from, to) })
}

func (s *strict) Link(from, to string) error {
	return s.unless(func() error { return s.Files.Link(from, to) })
}

func (s *strict) Remove(path string) error {
	return s.unless(func() error { return s.Files.Remove(path) })
}

func (s *strict) RemoveDir(path string) error {
	return s.unless(func() error { return s.Files.RemoveDir(path) })
}

func (s *strict) Mkdir(path string) error {
	return s.unless(func() error { return s.Files.Mkdir(path) })
}

func (s *strict) wrap(f File, err error) (File, error) {
	if err != nil {
		return nil, err
	}
	return &strictFile{File: f, of: s}, nil
}

func (s *strict) SyncDir(path string) error {
	if err := s.refused(); err != nil {
		return err
	}
	err := s.Files.SyncDir(path)
	if isSync(err) {
		s.failed.CompareAndSwap(nil, &err)
	}
	return err
}

// isSync tells that it was the sync itself that failed; a folder that could
// not be opened has lost nothing.
func isSync(err error) bool {
	var p *fs.PathError
	return errors.As(err, &p) && p.Op == "sync"
}

type strictFile struct {
	File
	of     *strict
	failed error
}

func (f *strictFile) Sync() error {
	if err := f.of.refused(); err != nil {
		return err
	}
	if f.failed == nil {
		f.failed = f.File.Sync()
	}
	return f.failed
}

//go:build unix

package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"
)

// Strict returns d, whose syncs all fail once the sync of a folder has failed.
// After such a failure nobody knows what is on the disk, and asking again does
// not tell: the kernel has forgotten that there was something to write, and
// the next sync succeeds without having written it. So the process that saw it
// acknowledges nothing more until it is started again on a disk that is well.
//
// The failed sync of a file needs no such care from callers that give up the
// file and begin with a new one; a second Sync of the same File fails too.
func Strict(d Files) Files { return &strict{Files: d} }

type strict struct {
	Files
	failed atomic.Pointer[error]
}

func (s *strict) Create(path string) (File, error) { return s.wrap(s.Files.Create(path)) }
func (s *strict) Open(path string) (File, error)   { return s.wrap(s.Files.Open(path)) }
func (s *strict) Edit(path string) (File, error)   { return s.wrap(s.Files.Edit(path)) }

func (s *strict) wrap(f File, err error) (File, error) {
	if err != nil {
		return nil, err
	}
	return &strictFile{File: f, of: s}, nil
}

func (s *strict) SyncDir(path string) error {
	if err := s.failed.Load(); err != nil {
		return fmt.Errorf("nothing is acknowledged any more, start the program again when the disk is well: an earlier sync failed: %w", *err)
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
	if err := f.of.failed.Load(); err != nil {
		return *err
	}
	if f.failed == nil {
		f.failed = f.File.Sync()
	}
	return f.failed
}

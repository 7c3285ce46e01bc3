//go:build unix

package bucket

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// lock takes the bucket's lock, shared (LOCK_SH) or alone (LOCK_EX), against
// other goroutines and other processes. It is held for a rename, never for a
// copy, so waiting for it needs no context.
func (f *File) lock(how int) (unlock func(), err error) {
	l, err := flock(filepath.Join(f.root, lockName), how)
	if err != nil {
		return nil, fileFault(err)
	}
	return func() { l.Close() }, nil // closing the only descriptor unlocks
}

func flock(path string, how int) (*os.File, error) {
	l, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o640)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(l.Fd()), how)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		l.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return l, nil
}

// sweep removes the temp folders whose process has died, known by a lock that
// nobody holds, and takes one for this process. The caller holds the bucket's
// lock alone, so no folder is between being made and being locked.
func (f *File) sweep() error {
	all := filepath.Join(f.root, tempName)
	entries, err := os.ReadDir(all)
	if err != nil {
		return err
	}
	for _, e := range entries {
		owner := filepath.Join(all, strings.TrimSuffix(e.Name(), ".lock"))
		l, err := flock(owner+".lock", syscall.LOCK_EX|syscall.LOCK_NB)
		if errors.Is(err, syscall.EWOULDBLOCK) {
			continue // alive
		}
		if err != nil {
			return err
		}
		if err := errors.Join(os.RemoveAll(owner), os.Remove(owner+".lock"), l.Close()); err != nil {
			return err
		}
	}
	if f.temp, err = os.MkdirTemp(all, ""); err != nil {
		return err
	}
	f.mine, err = flock(f.temp+".lock", syscall.LOCK_EX|syscall.LOCK_NB)
	return err
}

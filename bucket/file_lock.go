//go:build unix

package bucket

import (
	"errors"
	"path/filepath"
	"strings"

	"anabranch/internal/disk"
)

// lock takes the bucket's lock against other goroutines and other processes.
// It is held for a rename, never for a copy, so waiting for it needs no
// context.
func (f *File) lock(how disk.Lock) (unlock func(), err error) {
	l, err := f.fs.Lock(filepath.Join(f.root, lockName), how)
	if err != nil {
		return nil, fileFault(err)
	}
	return func() { l.Close() }, nil
}

// sweep removes the temp folders whose process has died, known by a lock that
// nobody holds, and takes one for this process. The caller holds the bucket's
// lock alone, so no folder is between being made and being locked.
//
// The dead may have given an object its name and not lived to sync the folder:
// it can be seen, and would go with the power. All folders are synced before
// anybody can build on what is seen in them.
func (f *File) sweep() error {
	all := filepath.Join(f.root, tempName)
	entries, err := f.fs.ReadDir(all)
	if err != nil {
		return err
	}
	swept, settled := map[string]bool{}, false
	for _, e := range entries {
		owner := filepath.Join(all, strings.TrimSuffix(e.Name(), ".lock"))
		if swept[owner] {
			continue
		}
		swept[owner] = true
		l, err := f.fs.Lock(owner+".lock", disk.AloneNow)
		if errors.Is(err, disk.ErrLocked) {
			continue // alive
		}
		if err == nil && !settled {
			err = f.settle(f.root)
			settled = true
		}
		if err != nil {
			return err
		}
		if err := errors.Join(disk.RemoveAll(f.fs, owner), f.fs.Remove(owner+".lock"), l.Close()); err != nil {
			return err
		}
	}
	if f.temp, err = disk.MkdirTemp(f.fs, all); err != nil {
		return err
	}
	f.mine, err = f.fs.Lock(f.temp+".lock", disk.AloneNow)
	return err
}

// settle syncs a folder and those below.
func (f *File) settle(dir string) error {
	entries, err := f.fs.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() && !hidden(e.Name()) {
			if err := f.settle(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return f.fs.SyncDir(dir)
}

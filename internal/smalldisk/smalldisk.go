// Package smalldisk gives a test a file system of its own that is small enough
// to be filled.
package smalldisk

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// Disk is a mounted file system of its own.
type Disk struct {
	Dir string
}

// ballast is the name of the file that takes the room.
const ballast = "ballast"

// Fill takes all the room there is, but for leave bytes. Filling again changes
// how much is left.
func (d Disk) Fill(leave int64) error {
	f, err := os.OpenFile(filepath.Join(d.Dir, ballast), os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	return errors.Join(d.fill(f, leave), f.Close())
}

// Free gives back what Fill took.
func (d Disk) Free() error {
	err := os.Remove(filepath.Join(d.Dir, ballast))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// Mount mounts a file system of size bytes until the test ends. Where this
// process may not mount, and may not become one that may, why says so.
//
// Without root the test is run again in a user namespace of its own, where it
// may; done is then true, and there is nothing left to do here.
func Mount(t testing.TB, size int64) (d Disk, done bool, why string) {
	t.Helper()
	return mount(t, size)
}

package disk_test

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"

	"anabranch/internal/disk"
	"anabranch/internal/disk/faultdisk"
)

// The kernel forgets what it could not write: the next sync of the same file
// would succeed, and must not be believed.
func TestAFailedSyncOfAFileIsFinal(t *testing.T) {
	t.Parallel()
	d := faultdisk.New(1)
	s := disk.Strict(d)
	f, err := s.Create("/f")
	if err != nil {
		t.Fatal(err)
	}
	d.Set(faultdisk.Nth(0, faultdisk.EIO, faultdisk.Sync))
	for n := range 3 {
		if err := f.Sync(); !errors.Is(err, syscall.EIO) {
			t.Fatalf("sync %d: %v", n, err)
		}
	}
	again, err := s.Create("/g") // another file is another matter
	if err == nil {
		err = again.Sync()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// The real disk is asked to sync: what cannot be synced says so.
func TestRealSyncsForReal(t *testing.T) {
	t.Parallel()
	if err := (disk.Real{}).SyncDir("/dev/null"); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("sync of what has nothing to sync: %v", err)
	}
	if f, err := (disk.Real{}).Edit("/dev/null"); err != nil {
		t.Error(err)
	} else if err := errors.Join(f.Sync(), f.Close()); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("sync of what has nothing to sync: %v", err)
	}
	if err := (disk.Real{}).SyncDir(filepath.Join(t.TempDir(), "none")); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("sync of no folder: %v", err)
	}
}

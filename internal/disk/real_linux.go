package disk

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// noMark is the error of asking for an attribute that a file does not have.
const noMark = unix.ENODATA

// giveToDisk has what was written to f go to the disk, and waits. It makes
// nothing durable, which is for Sync: neither metadata nor the cache of the disk
// is written. What the disk could not take it has to tell, because the kernel
// tells it once.
func giveToDisk(f *os.File) error {
	const all = unix.SYNC_FILE_RANGE_WAIT_BEFORE | unix.SYNC_FILE_RANGE_WRITE | unix.SYNC_FILE_RANGE_WAIT_AFTER
	err := unix.SyncFileRange(int(f.Fd()), 0, 0, all)
	for _, cannot := range []error{unix.ENOSYS, unix.EINVAL, unix.ESPIPE, unix.EOPNOTSUPP, unix.EPERM, unix.EINTR} {
		if errors.Is(err, cannot) {
			return nil // Sync does all of it
		}
	}
	if err != nil {
		return &os.PathError{Op: "write", Path: f.Name(), Err: err}
	}
	return nil
}

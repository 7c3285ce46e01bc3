package natslog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"

	"anabranch/fault"
)

const (
	noteFolder  = "acknowledged"
	beginSuffix = ".begin"
	asideFolder = "damaged"
)

// SetAside moves the files of a damaged partition out of the server's way and
// has the partition begin anew at offset next when a server starts: what lay
// below counts as trimmed. Whoever calls it has seen to it that everything
// below is in the archive. No server runs in dir. It returns where the files
// are now. A call that was interrupted is made again.
func SetAside(dir, pipeline string, partition int, next uint64) (string, error) {
	name := streamName(pipeline, partition)
	mark := filepath.Join(dir, noteFolder, name+beginSuffix)
	if err := os.MkdirAll(filepath.Dir(mark), 0o755); err != nil {
		return "", diskFault(err, "make the folder of notes")
	}
	var b [noteSize]byte
	binary.LittleEndian.PutUint64(b[:], next)
	binary.LittleEndian.PutUint32(b[8:], crc32.Checksum(b[:8], castagnoli))
	if err := writeSynced(mark, b[:]); err != nil {
		return "", err
	}
	// The mark first: without the files and without the mark, the partition
	// would give its offsets away a second time.
	aside := filepath.Join(dir, asideFolder)
	if err := os.MkdirAll(aside, 0o755); err != nil {
		return "", diskFault(err, "make %s", aside)
	}
	for n := 1; ; n++ {
		to := filepath.Join(aside, fmt.Sprintf("%s-%d", name, n))
		if _, err := os.Stat(to); err == nil {
			continue
		}
		from := streamDir(dir, name)
		err := os.Rename(from, to)
		if errors.Is(err, os.ErrNotExist) {
			return to, nil // moved before
		}
		if err != nil {
			return "", diskFault(err, "move %s to %s", from, to)
		}
		return to, errors.Join(syncDir(filepath.Dir(from)), syncDir(aside))
	}
}

// readBegin returns where SetAside has a partition begin; 0: nowhere.
func readBegin(path string) (uint64, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, diskFault(err, "read %s", path)
	}
	next, ok := parseNote(b)
	if !ok {
		return 0, fault.WithHint(fault.New(fault.Corrupt, "%s does not match its checksum", path), "run `anabranch fsck --repair`")
	}
	return next, nil
}

func writeSynced(path string, data []byte) error {
	f, err := os.Create(path + ".writing")
	if err != nil {
		return diskFault(err, "write %s", path)
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return diskFault(err, "write %s", path)
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err == nil {
		err = errors.Join(d.Sync(), d.Close())
	}
	if err != nil {
		return diskFault(err, "sync %s", dir)
	}
	return nil
}

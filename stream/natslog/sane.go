package natslog

import (
	"cmp"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"anabranch/fault"
)

// maxJump is how far the sequence may rise from one record to the next. Ours
// rise by one.
const maxJump = 1 << 16

// checkSequences looks at the heads of all records before a server sees them.
// The server believes a sequence before it has looked at the checksum, and
// walks through every number up to it: one flipped bit keeps it busy for hours
// or for ever. Other damage it can be left with. The error is Corrupt.
func checkSequences(dir string) error {
	folders, err := os.ReadDir(filepath.Join(dir, "jetstream", "$G", "streams"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return diskFault(err, "look at the log in %s", dir)
	}
	for _, f := range folders {
		blocks, err := listBlocks(streamDir(dir, f.Name()))
		if err != nil {
			return err
		}
		last := uint64(0)
		for _, path := range blocks {
			if last, err = checkBlock(path, last); err != nil {
				return err
			}
		}
	}
	return nil
}

// listBlocks returns the blocks of a stream in order.
func listBlocks(folder string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(folder, "msgs"))
	if err != nil && !os.IsNotExist(err) {
		return nil, diskFault(err, "read %s", folder)
	}
	var blocks []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".blk") {
			blocks = append(blocks, filepath.Join(folder, "msgs", e.Name()))
		}
	}
	slices.SortFunc(blocks, func(a, b string) int { return cmp.Compare(blockNumber(a), blockNumber(b)) })
	return blocks, nil
}

// checkBlock returns the sequence that a block ends with. It stops at what is
// no record.
func checkBlock(path string, last uint64) (uint64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, diskFault(err, "look at %s", path)
	}
	defer f.Close()
	var head [blockHead]byte
	for at := int64(0); ; {
		if _, err := f.ReadAt(head[:], at); errors.Is(err, io.EOF) {
			return last, nil
		} else if err != nil {
			return 0, diskFault(err, "look at %s", path)
		}
		size := int64(binary.LittleEndian.Uint32(head[:]) &^ hasHeaders)
		if size < blockHead+blockSum || size > longestMade {
			return last, nil
		}
		if seq := binary.LittleEndian.Uint64(head[4:]) &^ (seqErased | seqTomb); last > 0 && seq > last+maxJump {
			return 0, fault.WithHint(fault.New(fault.Corrupt, "%s is damaged: the record at byte %d calls itself %d, the one before is %d", path, at, seq, last),
				"run `anabranch fsck --repair` before anything is started on it; a server would be busy with it for ever")
		} else {
			last = max(last, seq)
		}
		at += size
	}
}

package natslog

import (
	"encoding/binary"
	"hash/crc32"
	"sync"

	"anabranch/internal/disk"
	"anabranch/internal/planted"
)

// note remembers beside the store how far a partition was acknowledged. It is
// written through the page cache, so kill -9 does not take it back; a power cut
// may, which only makes it remember less. It is never ahead of the log: the
// server had synced what it acknowledged.
type note struct {
	mu   sync.Mutex // guards file's content and last
	file disk.File  // nil: it is only in memory
	last uint64
}

const noteSize = 12

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// openNote reads the note in path, which is empty when there is none. A note
// that does not check is worth no more than none.
func openNote(files disk.Files, path string) (*note, error) {
	f, err := files.Edit(path)
	if err != nil {
		return nil, diskFault(err, "open the note of the acknowledged offset")
	}
	n := &note{file: f}
	var b [noteSize]byte
	k, _ := f.ReadAt(b[:], 0)
	n.last, _ = parseNote(b[:k])
	return n, nil
}

// parseNote reads an offset with its checksum.
func parseNote(b []byte) (offset uint64, ok bool) {
	if len(b) != noteSize || crc32.Checksum(b[:8], castagnoli) != binary.LittleEndian.Uint32(b[8:]) {
		return 0, false
	}
	return binary.LittleEndian.Uint64(b), true
}

// acknowledged notes that the record at offset is durable.
func (n *note) acknowledged(offset uint64) error {
	if n == nil {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if offset <= n.last || planted.On(planted.NoteUnwritten) {
		return nil
	}
	if n.file != nil {
		var b [noteSize]byte
		binary.LittleEndian.PutUint64(b[:], offset)
		binary.LittleEndian.PutUint32(b[8:], crc32.Checksum(b[:8], castagnoli))
		if _, err := n.file.WriteAt(b[:], 0); err != nil {
			return diskFault(err, "note that offset %d is acknowledged", offset)
		}
	}
	n.last = offset
	return nil
}

func (n *note) highest() uint64 {
	if n == nil {
		return 0
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.last
}

func (n *note) close() {
	if n != nil && n.file != nil {
		n.file.Close()
	}
}

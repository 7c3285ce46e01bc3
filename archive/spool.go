package archive

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"

	"anabranch/bucket"
	"anabranch/internal/disk"
)

// spool gathers an object before it is put, since its name depends on its
// content: in a file of the cache, else in memory.
type spool struct {
	a    *Archive
	file disk.File // nil: in memory
	held pieces
	size int64
	hash hash.Hash
}

func (a *Archive) newSpool() (*spool, error) {
	s := &spool{a: a, hash: sha256.New()}
	if a.cache == nil {
		return s, nil
	}
	var err error
	if s.file, err = a.cache.temp(); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *spool) Write(b []byte) (n int, err error) {
	if s.file != nil {
		n, err = s.file.Write(b)
	} else {
		n, _ = s.held.Write(b)
	}
	s.hash.Write(b[:n])
	s.size += int64(n)
	return n, diskFault(err)
}

// put stores what was written under the name that name makes of its SHA-256.
// An object of that name has the same content, and is written again all the
// same: its date tells Collect that somebody is about to need it.
func (s *spool) put(ctx context.Context, name func(sum string) string) (object string, size int64, sum string, err error) {
	raw := s.hash.Sum(nil)
	sum = hex.EncodeToString(raw)
	object = name(sum)
	var body io.ReadSeeker = io.NewSectionReader(&s.held, 0, s.size)
	if s.file != nil {
		if _, err := s.file.Seek(0, io.SeekStart); err != nil {
			return "", 0, "", diskFault(err)
		}
		body = s.file
	}
	if _, err := s.a.bucket.Put(ctx, object, summed{body, raw}, bucket.Condition{}); err != nil {
		return "", 0, "", fmt.Errorf("put %s: %w", object, err)
	}
	if s.file != nil {
		// What batch has written, serving and the next batch read.
		s.a.cache.adopt(s.file, object, s.size, sum)
		s.file = nil
	}
	return object, s.size, sum, nil
}

// summed is a body whose sum was computed while it was written.
type summed struct {
	io.ReadSeeker
	sum []byte
}

// Sum256 implements bucket.Summed.
func (s summed) Sum256() []byte { return s.sum }

// close drops what was not put. Twice is fine.
func (s *spool) close() {
	if s.file != nil {
		s.file.Close()
		s.a.cache.disk.Remove(s.file.Name())
		s.file = nil
	}
	s.held = pieces{}
}

// pieces are bytes in memory. What is there is not moved when more comes, as a
// buffer in one piece would do again and again: moving some 30 MB holds up a
// processor for up to 100 ms, and whoever waits behind it.
type pieces struct {
	all  [][]byte // of pieceBytes, the last one less
	size int64
}

const pieceBytes = 1 << 20

// Write implements io.Writer, without errors.
func (p *pieces) Write(b []byte) (n int, err error) {
	n = len(b)
	p.size += int64(n)
	for len(b) > 0 {
		last := len(p.all) - 1
		if last < 0 || len(p.all[last]) == pieceBytes {
			p.all = append(p.all, nil)
			last++
		}
		// A small object stays small; from the second piece on they are whole.
		if last > 0 && p.all[last] == nil {
			p.all[last] = make([]byte, 0, pieceBytes)
		}
		some := b[:min(len(b), pieceBytes-len(p.all[last]))]
		p.all[last] = append(p.all[last], some...)
		b = b[len(some):]
	}
	return n, nil
}

// ReadAt implements io.ReaderAt.
func (p *pieces) ReadAt(b []byte, at int64) (n int, err error) {
	for n < len(b) && at < p.size {
		some := copy(b[n:], p.all[at/pieceBytes][at%pieceBytes:])
		n, at = n+some, at+int64(some)
	}
	if n < len(b) {
		err = io.EOF
	}
	return n, err
}

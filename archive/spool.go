package archive

import (
	"bytes"
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
	buf  bytes.Buffer
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
		n, err = s.buf.Write(b)
	}
	s.hash.Write(b[:n])
	s.size += int64(n)
	return n, diskFault(err)
}

// put stores what was written under the name that name makes of its SHA-256.
// An object of that name has the same content, and is written again all the
// same: its date tells Collect that somebody is about to need it.
func (s *spool) put(ctx context.Context, name func(sum string) string) (object string, size int64, sum string, err error) {
	sum = hex.EncodeToString(s.hash.Sum(nil))
	object = name(sum)
	var body io.ReadSeeker = bytes.NewReader(s.buf.Bytes())
	if s.file != nil {
		if _, err := s.file.Seek(0, io.SeekStart); err != nil {
			return "", 0, "", diskFault(err)
		}
		body = s.file
	}
	if _, err := s.a.bucket.Put(ctx, object, body, bucket.Condition{}); err != nil {
		return "", 0, "", fmt.Errorf("put %s: %w", object, err)
	}
	if s.file != nil {
		// What batch has written, serving and the next batch read.
		s.a.cache.adopt(s.file, object, s.size, sum)
		s.file = nil
	}
	return object, s.size, sum, nil
}

// close drops what was not put. Twice is fine.
func (s *spool) close() {
	if s.file != nil {
		s.file.Close()
		s.a.cache.disk.Remove(s.file.Name())
		s.file = nil
	}
	s.buf = bytes.Buffer{}
}

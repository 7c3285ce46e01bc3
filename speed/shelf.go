package speed

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"anabranch/bucket"
	"anabranch/fault"
	"anabranch/internal/disk"
)

// shelf keeps the snapshots of one partition: in a directory, in a bucket, or
// in both. They are numbered from 1 as they are written; the two newest stay.
type shelf struct {
	disk    disk.Files
	dir     string // empty: none
	bucket  bucket.Bucket
	prefix  string // of the names in the bucket
	written chan written
	busy    bool   // a write is under way; this and what follows is the loop's
	cancel  func() // ends that write
	seq     uint64 // the newest number given
}

// written is what became of a background write.
type written struct {
	stored stored
	err    error
}

// stored is a snapshot that is durable.
type stored struct{ seq, next uint64 }

const (
	snapshotSuffix = ".snap"
	keepSnapshots  = 2
)

func newShelf(o *Options, n int) *shelf {
	s := &shelf{disk: disk.Strict(o.Disk), bucket: o.Bucket, prefix: fmt.Sprintf("%s/snapshots/p%04d/", o.Pipeline, n), written: make(chan written, 1)}
	if o.Dir != "" {
		s.dir = filepath.Join(o.Dir, fmt.Sprintf("p%04d", n))
	}
	return s
}

// usable reports whether there is anywhere to write.
func (s *shelf) usable() bool { return s.dir != "" || s.bucket != nil }

func snapshotName(seq uint64) string { return fmt.Sprintf("%020d%s", seq, snapshotSuffix) }

// put stores a snapshot durably and then removes those that are too old. With
// a directory and a bucket it is an error when either refused, but durable is
// true when one of them took it.
func (s *shelf) put(ctx context.Context, seq uint64, data []byte) (durable bool, err error) {
	var inDir, inBucket error
	if s.dir != "" {
		if inDir = s.putFile(seq, data); inDir == nil {
			durable = true
		}
	}
	if s.bucket != nil {
		if inBucket = s.putObject(ctx, seq, data); inBucket == nil {
			durable = true
		}
	}
	return durable, errors.Join(inDir, inBucket)
}

// putFile makes the snapshot a file, durably.
func (s *shelf) putFile(seq uint64, data []byte) (err error) {
	name := filepath.Join(s.dir, snapshotName(seq))
	defer func() { err = onDisk(err, "write snapshot "+name) }()
	if err := disk.MkdirAll(s.disk, s.dir); err != nil {
		return err
	}
	// Under one name, so that a process that died at it leaves one file to
	// write over and not one for each time.
	if err := disk.WriteFile(s.disk, name, filepath.Join(s.dir, ".writing"), data); err != nil {
		return err
	}
	seqs, err := s.files()
	if err != nil {
		return err
	}
	for _, old := range tooOld(seqs) {
		if err := s.disk.Remove(filepath.Join(s.dir, snapshotName(old))); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// onDisk says what was being done and decides the kind of a file error.
func onDisk(err error, doing string) error {
	if err == nil {
		return nil
	}
	kind := fault.Transient
	switch {
	case isFull(err):
		kind = fault.Full
	case errors.Is(err, os.ErrPermission):
		kind = fault.Denied
	case errors.Is(err, os.ErrNotExist):
		kind = fault.NotFound
	}
	return fmt.Errorf("%s: %w", doing, fault.Wrap(kind, err))
}

func (s *shelf) putObject(ctx context.Context, seq uint64, data []byte) error {
	name := s.prefix + snapshotName(seq)
	if _, err := s.bucket.Put(ctx, name, bytes.NewReader(data), bucket.Condition{}); err != nil {
		return fmt.Errorf("write snapshot %s: %w", name, err)
	}
	seqs, err := s.objects(ctx)
	if err != nil {
		return err
	}
	for _, old := range tooOld(seqs) {
		if err := s.bucket.Delete(ctx, s.prefix+snapshotName(old)); err != nil {
			return fmt.Errorf("delete snapshot %s: %w", s.prefix+snapshotName(old), err)
		}
	}
	return nil
}

// tooOld returns all numbers but the newest ones.
func tooOld(seqs []uint64) []uint64 {
	slices.Sort(seqs)
	return seqs[:max(0, len(seqs)-keepSnapshots)]
}

// place is one copy of a snapshot.
type place struct {
	seq   uint64
	local bool
	name  string // for messages
}

// list returns all snapshots, the newest first, and of one number the local
// copy first. It also sets seq.
func (s *shelf) list(ctx context.Context) ([]place, error) {
	var all []place
	if s.dir != "" {
		seqs, err := s.files()
		if err == nil && len(seqs) > 0 {
			// Whoever wrote them may have died before they were sure to stay,
			// and the log is trimmed below what is found here.
			err = s.disk.SyncDir(s.dir)
		}
		if err != nil {
			return nil, onDisk(err, "list snapshots in "+s.dir)
		}
		for _, q := range seqs {
			all = append(all, place{q, true, filepath.Join(s.dir, snapshotName(q))})
		}
	}
	if s.bucket != nil {
		seqs, err := s.objects(ctx)
		if err != nil {
			return nil, err
		}
		for _, q := range seqs {
			all = append(all, place{q, false, s.prefix + snapshotName(q)})
		}
	}
	slices.SortStableFunc(all, func(a, b place) int { return cmp.Compare(b.seq, a.seq) })
	if len(all) > 0 {
		s.seq = max(s.seq, all[0].seq)
	}
	return all, nil
}

func (s *shelf) files() ([]uint64, error) {
	entries, err := s.disk.ReadDir(s.dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	var seqs []uint64
	for _, e := range entries {
		if q, ok := parseSnapshotName(e.Name()); ok {
			seqs = append(seqs, q)
		}
	}
	return seqs, nil
}

func (s *shelf) objects(ctx context.Context) ([]uint64, error) {
	var seqs []uint64
	for info, err := range s.bucket.List(ctx, s.prefix, "") {
		if err != nil {
			return nil, fmt.Errorf("list snapshots in %s: %w", s.prefix, err)
		}
		if q, ok := parseSnapshotName(strings.TrimPrefix(info.Name, s.prefix)); ok {
			seqs = append(seqs, q)
		}
	}
	return seqs, nil
}

func parseSnapshotName(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, snapshotSuffix)
	q, err := strconv.ParseUint(digits, 10, 64)
	return q, ok && err == nil && q > 0 && snapshotName(q) == name
}

// get returns the bytes of a snapshot.
func (s *shelf) get(ctx context.Context, at place) ([]byte, error) {
	if at.local {
		data, err := disk.ReadFile(s.disk, at.name)
		return data, onDisk(err, "read snapshot "+at.name)
	}
	body, _, err := s.bucket.Get(ctx, at.name)
	if err != nil {
		return nil, fmt.Errorf("read snapshot %s: %w", at.name, err)
	}
	defer body.Close()
	data, err := io.ReadAll(body)
	if err != nil {
		return nil, fmt.Errorf("read snapshot %s: %w", at.name, err)
	}
	return data, nil
}

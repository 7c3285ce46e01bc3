package lookup

import (
	"bufio"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"slices"
	"sort"
	"syscall"
	"unsafe"

	"github.com/zeebo/xxh3"

	"anabranch/event"
	"anabranch/fault"
	"anabranch/schemas"
	"anabranch/view"
)

// An index finds the groups of one result file by some of their keys. Where
// they are is in memory, sorted by the hash of these keys and then by time; the
// groups themselves, keys and states, lie uncompressed in a file without a
// name, so that one of them is one short read. A page of the result file would
// have to be read and unpacked for it whole.
type index struct {
	entries []entry
	file    *os.File
	size    int64
}

// entry is where a group is.
type entry struct {
	time int64 // of the key that has a range; noTime for null
	at   int64
	hash uint32
	size uint32 // of its rendered row, with what lies in front
}

// In front of a rendered row are the checksum of all that follows, and the
// number that the row has in the result file.
const inFront = 8

const (
	entrySize = int64(unsafe.Sizeof(entry{}))
	noTime    = math.MinInt64
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// buildIndex indexes a result file by the keys that p gives values for.
func buildIndex(ctx context.Context, dir, path string, v *view.View, p *view.Pick) (ix *index, err error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, onDisk("open the local copy", err)
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return nil, onDisk("open the local copy", err)
	}
	result, err := schemas.OpenParquet(in, info.Size())
	if err != nil {
		return nil, err
	}
	out, err := os.CreateTemp(dir, "lookup-*")
	if err != nil {
		return nil, onDisk("make a lookup index", err)
	}
	defer func() {
		if err != nil {
			out.Close()
		}
	}()
	if err := os.Remove(out.Name()); err != nil { // it goes with whoever has it open
		return nil, onDisk("make a lookup index", err)
	}
	w := bufio.NewWriterSize(out, 256<<10)
	ix = &index{file: out}
	var key, row []byte
	var number uint32
	err = result.Read(ctx, nil, v.StateShape().Names(), func(b *event.Batch) error {
		for i := range b.N {
			le := binary.LittleEndian
			key, row = key[:0], le.AppendUint32(append(row[:0], 0, 0, 0, 0), number)
			number++
			for c := range b.Columns {
				from := len(row)
				row = appendCell(row, &b.Columns[c], i)
				if c < len(p.Keys) && p.Keys[c] != nil {
					key = append(key, row[from:]...)
				}
			}
			le.PutUint32(row, crc32.Checksum(row[4:], castagnoli))
			e := entry{time: noTime, at: ix.size, hash: uint32(xxh3.Hash(key)), size: uint32(len(row))}
			if p.Range >= 0 && b.Columns[p.Range].Valid.Get(i) {
				e.time = b.Columns[p.Range].Ints[i]
			}
			ix.entries = append(ix.entries, e)
			ix.size += int64(len(row))
			if _, err := w.Write(row); err != nil {
				return onDisk("write a lookup index", err)
			}
		}
		return nil
	})
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		return nil, err
	}
	ix.entries = slices.Clip(ix.entries)
	slices.SortFunc(ix.entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.time, b.time))
	})
	return ix, nil
}

func (ix *index) memory() int64 { return int64(len(ix.entries)) * entrySize }

// find adds the groups that p takes to out, limit at most. Wanted are the
// rendered keys, nil where p has none.
func (ix *index) find(p *view.Pick, wanted [][]byte, limit int, out *rows) error {
	key := slices.Concat(wanted...)
	hash := uint32(xxh3.Hash(key))
	from, to := int64(noTime), int64(math.MaxInt64)
	if p.Range >= 0 {
		from, to = max(p.From, noTime+1), p.To
	}
	first := sort.Search(len(ix.entries), func(i int) bool {
		e := &ix.entries[i]
		return e.hash > hash || e.hash == hash && e.time >= from
	})
	shape := out.batch.Shape
	buffer, cells := out.buffer, out.cells
	defer func() { out.buffer, out.cells = buffer, cells }()
next:
	for _, e := range ix.entries[first:] {
		if e.hash != hash || p.Range >= 0 && e.time >= to {
			break
		}
		buffer = slices.Grow(buffer[:0], int(e.size))[:e.size]
		if _, err := ix.file.ReadAt(buffer, e.at); err != nil {
			return onDisk("read a lookup index", err)
		}
		if binary.LittleEndian.Uint32(buffer) != crc32.Checksum(buffer[4:], castagnoli) {
			return fault.New(fault.Corrupt, "a row of the lookup index is not what was written: the disk is damaged")
		}
		rest := buffer[inFront:]
		cells = cells[:0]
		for i, f := range shape.Fields {
			one, more, err := cell(f.Type, rest)
			if err != nil {
				return err
			}
			if i < len(wanted) && wanted[i] != nil && string(wanted[i]) != string(one) {
				continue next
			}
			cells, rest = append(cells, one), more
		}
		if out.batch.N >= limit {
			return tooMany(limit)
		}
		for i, one := range cells {
			out.put(i, one)
		}
		out.numbers = append(out.numbers, int64(binary.LittleEndian.Uint32(buffer[4:])))
		out.batch.N++
	}
	return nil
}

func tooMany(limit int) error {
	return fault.WithHint(fault.WithCode(fault.New(fault.Invalid, "more than %d groups match", limit), "too_many_rows"), "give more of the key or a shorter range, or ask in SQL")
}

func onDisk(what string, err error) error {
	kind := fault.Transient
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		kind = fault.Full
	}
	return fault.Wrap(kind, fmt.Errorf("%s: %w", what, err))
}

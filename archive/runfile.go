package archive

import (
	"encoding/binary"
	"hash/crc32"
	"slices"

	"anabranch/event"
	"anabranch/fault"
)

// The bytes of an id run; docs/formats/id-run.md describes them.
const (
	runMagic  = "ABIR"
	runFormat = 1
	runHead   = 8   // magic, format, three zeros
	runFoot   = 60  // fixed, at the end
	runIndex  = 28  // for each block
	runBlock  = 128 // entries: ids are random, so an id costs one block, and a small one costs less
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// blockAt says where a block is and with which id it begins.
type blockAt struct {
	first  event.ID
	offset uint64
	length uint32
}

// runTail is what stands behind the blocks.
type runTail struct {
	partition int
	k         uint64
	entries   int64
	filter    filter
	index     []blockAt
}

// appendBlock appends entries, sorted by ID, as one block.
func appendBlock(dst []byte, entries []Entry) []byte {
	start := len(dst)
	le := binary.LittleEndian
	dst = binary.AppendUvarint(dst, uint64(len(entries)))
	before := uint64(0)
	for i := range entries {
		dst = binary.AppendUvarint(dst, entries[i].ID.Hi-before)
		before = entries[i].ID.Hi
	}
	base := entries[0].Offset
	for i := range entries {
		dst = le.AppendUint64(dst, entries[i].ID.Lo)
		base = min(base, entries[i].Offset)
	}
	for i := range entries {
		dst = le.AppendUint64(dst, entries[i].Hash)
	}
	dst = binary.AppendUvarint(dst, base)
	for i := range entries {
		dst = binary.AppendUvarint(dst, entries[i].Offset-base)
	}
	for i := range entries {
		dst = binary.AppendVarint(dst, int64(entries[i].Row))
	}
	return le.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
}

// parseBlock reads what appendBlock wrote; the error is Corrupt.
func parseBlock(b []byte) ([]Entry, error) {
	if len(b) < 4 {
		return nil, fault.New(fault.Corrupt, "block of %d bytes", len(b))
	}
	le := binary.LittleEndian
	body := b[:len(b)-4]
	if want, got := le.Uint32(b[len(body):]), crc32.Checksum(body, castagnoli); want != got {
		return nil, fault.New(fault.Corrupt, "block checksum is %08x, its bytes give %08x", want, got)
	}
	r := blockReader{b: body}
	n := r.uvarint()
	if n == 0 || n > runBlock {
		return nil, fault.New(fault.Corrupt, "block of %d entries", n)
	}
	entries := make([]Entry, n)
	before := uint64(0)
	for i := range entries {
		before += r.uvarint()
		entries[i].ID.Hi = before
	}
	for i := range entries {
		entries[i].ID.Lo = r.uint64()
	}
	for i := range entries {
		entries[i].Hash = r.uint64()
	}
	base := r.uvarint()
	for i := range entries {
		entries[i].Offset = base + r.uvarint()
	}
	for i := range entries {
		entries[i].Row = int32(r.varint())
	}
	if r.bad || len(r.b) > 0 {
		return nil, fault.New(fault.Corrupt, "block does not hold what it announces")
	}
	return entries, nil
}

// blockReader reads numbers until the bytes end.
type blockReader struct {
	b   []byte
	bad bool
}

func (r *blockReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	return r.took(v, n)
}

func (r *blockReader) varint() int64 {
	v, n := binary.Varint(r.b)
	return int64(r.took(uint64(v), n))
}

func (r *blockReader) uint64() uint64 {
	if len(r.b) < 8 {
		return r.took(0, 0)
	}
	return r.took(binary.LittleEndian.Uint64(r.b), 8)
}

func (r *blockReader) took(v uint64, n int) uint64 {
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

// append appends filter, index and foot, given how many bytes stand in front.
func (t *runTail) append(dst []byte, at int64) []byte {
	le := binary.LittleEndian
	start := len(dst)
	dst = t.filter.append(dst)
	filterEnd := len(dst)
	for _, b := range t.index {
		dst = le.AppendUint64(dst, b.first.Hi)
		dst = le.AppendUint64(dst, b.first.Lo)
		dst = le.AppendUint64(dst, b.offset)
		dst = le.AppendUint32(dst, b.length)
	}
	foot := len(dst)
	dst = le.AppendUint32(dst, uint32(t.partition))
	dst = le.AppendUint64(dst, t.k)
	dst = le.AppendUint64(dst, uint64(t.entries))
	dst = le.AppendUint64(dst, uint64(at)) // where the filter begins
	dst = le.AppendUint64(dst, uint64(len(t.filter)))
	dst = le.AppendUint64(dst, uint64(len(t.index)))
	dst = le.AppendUint32(dst, crc32.Checksum(dst[start:filterEnd], castagnoli))
	dst = le.AppendUint32(dst, crc32.Checksum(dst[filterEnd:foot], castagnoli))
	dst = le.AppendUint32(dst, crc32.Checksum(dst[foot:], castagnoli))
	return append(dst, runMagic...)
}

// tailSize is how many bytes filter, index and foot of run take.
func tailSize(run Run) int64 {
	return run.Filter + (run.Entries+runBlock-1)/runBlock*runIndex + runFoot
}

// parseTail reads what append wrote; tail is the end of run's file.
func parseTail(run Run, tail []byte) (*runTail, error) {
	bad := func(format string, args ...any) (*runTail, error) {
		return nil, fault.New(fault.Corrupt, "read id run %s: "+format, append([]any{run.Name}, args...)...)
	}
	if len(tail) < runFoot || string(tail[len(tail)-4:]) != runMagic {
		return bad("it does not end with %q", runMagic)
	}
	le := binary.LittleEndian
	foot := tail[len(tail)-runFoot:]
	if le.Uint32(foot[runFoot-8:]) != crc32.Checksum(foot[:runFoot-8], castagnoli) {
		return bad("its foot is damaged")
	}
	t := &runTail{partition: int(le.Uint32(foot)), k: le.Uint64(foot[4:]), entries: int64(le.Uint64(foot[12:]))}
	at, filterLen, blocks := le.Uint64(foot[20:]), le.Uint64(foot[28:])*filterBlock, le.Uint64(foot[36:])
	rest := tail[:len(tail)-runFoot]
	if filterLen > uint64(len(rest)) || uint64(len(rest))-filterLen != blocks*runIndex || at+uint64(len(tail)) != uint64(run.Size) {
		return bad("its foot does not fit a file of %d bytes", run.Size)
	}
	if t.partition != run.Partition || t.k != run.K || t.entries != run.Entries {
		return bad("it holds %d entries of partition %d at barrier %d; asked for were %d of partition %d at barrier %d", t.entries, t.partition, t.k, run.Entries, run.Partition, run.K)
	}
	index := rest[filterLen:]
	if le.Uint32(foot[44:]) != crc32.Checksum(rest[:filterLen], castagnoli) {
		return bad("its filter is damaged")
	}
	if le.Uint32(foot[48:]) != crc32.Checksum(index, castagnoli) {
		return bad("its index is damaged")
	}
	var err error
	if t.filter, err = parseFilter(rest[:filterLen]); err != nil {
		return bad("%w", err)
	}
	t.index = make([]blockAt, blocks)
	next := uint64(runHead)
	for i := range t.index {
		b := index[i*runIndex:]
		t.index[i] = blockAt{event.ID{Hi: le.Uint64(b), Lo: le.Uint64(b[8:])}, le.Uint64(b[16:]), le.Uint32(b[24:])}
		if t.index[i].offset != next {
			return bad("block %d is at %d, the one before ends at %d", i, t.index[i].offset, next)
		}
		next += uint64(t.index[i].length)
	}
	if next != at {
		return bad("its blocks end at %d, its filter begins at %d", next, at)
	}
	return t, nil
}

// find returns the block that holds id if any does, or -1.
func (t *runTail) find(id event.ID) int {
	i, found := slices.BinarySearchFunc(t.index, id, func(b blockAt, id event.ID) int { return b.first.Compare(id) })
	if found {
		return i
	}
	return i - 1
}

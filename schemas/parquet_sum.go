package schemas

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"sync"

	"anabranch/fault"
)

// Parquet's own checksums leave out the page headers and the footer, and a
// reader that trusts a damaged length can take the process down. So our files
// carry a CRC-32C for every block of sumBlock bytes, and one for the footer,
// in a trailer between the last page and the footer, where Parquet
// readers do not look. Every byte is checked before the Parquet reader sees
// it. The trailer, little-endian:
//
//	crc of block 0, 1, 2, ...   4 bytes each, blocks of what stands in front of the trailer
//	number of blocks            4 bytes
//	length of all blocks        8 bytes
//	crc of the footer           4 bytes, from its first byte to the end of the file
//	crc of the trailer so far   4 bytes
//	"ABS1"                      4 bytes
const (
	sumBlock  = 32 << 10
	sumMagic  = "ABS1"
	sumFixed  = 4 + 8 + 4 + 4 + 4
	parquetID = "PAR1"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sumWriter passes bytes on and sums them, until holdFooter; what comes then
// is kept, so that finish can put the trailer in front of the footer.
type sumWriter struct {
	w     io.Writer
	size  int64
	sums  []byte
	sum   uint32 // of the open block
	held  []byte
	holds bool
	err   error
}

func (s *sumWriter) Write(b []byte) (int, error) {
	if s.holds {
		s.held = append(s.held, b...)
		return len(b), nil
	}
	return s.pass(b)
}

func (s *sumWriter) pass(b []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.w.Write(b)
	if err != nil {
		s.err = err
		return n, err
	}
	for len(b) > 0 {
		part := b[:min(int64(len(b)), sumBlock-s.size%sumBlock)]
		s.sum = crc32.Update(s.sum, castagnoli, part)
		s.size += int64(len(part))
		if s.size%sumBlock == 0 {
			s.sums = binary.LittleEndian.AppendUint32(s.sums, s.sum)
			s.sum = 0
		}
		b = b[len(part):]
	}
	return n, nil
}

func (s *sumWriter) holdFooter() { s.holds = true }

func (s *sumWriter) finish() error {
	le := binary.LittleEndian
	at := len(s.held) - 8
	if at >= 0 {
		at -= int(le.Uint32(s.held[at:]))
	}
	if at < 0 {
		return fault.New(fault.Bug, "write parquet: the file ends without a footer")
	}
	footer := s.held[at:]
	if _, err := s.pass(s.held[:at]); err != nil {
		return err
	}
	t := s.sums
	if s.size%sumBlock != 0 {
		t = le.AppendUint32(t, s.sum)
	}
	t = le.AppendUint32(t, uint32(len(t)/4))
	t = le.AppendUint64(t, uint64(s.size))
	t = le.AppendUint32(t, crc32.Checksum(footer, castagnoli))
	t = le.AppendUint32(t, crc32.Checksum(t, castagnoli))
	t = append(t, sumMagic...)
	if _, err := s.w.Write(append(t, footer...)); err != nil {
		return err
	}
	return nil
}

// sumReader is a file of which every byte is checked before it is handed out.
type sumReader struct {
	r       io.ReaderAt
	size    int64 // of the file
	sums    []byte
	summed  int64  // bytes that the blocks cover
	footer  []byte // from footerAt to the end, already checked
	footAt  int64
	scratch sync.Pool // of *[sumBlock]byte
}

func corruptFile(format string, args ...any) error {
	return fault.New(fault.Corrupt, "read parquet: "+format, args...)
}

func openSums(r io.ReaderAt, size int64) (*sumReader, error) {
	le := binary.LittleEndian
	const end = 8
	if size < sumFixed+end {
		return nil, corruptFile("a file of %d bytes is too short", size)
	}
	tail := make([]byte, min(size, 64<<10))
	if err := readAt(r, tail, size-int64(len(tail))); err != nil {
		return nil, err
	}
	if string(tail[len(tail)-4:]) != parquetID {
		return nil, corruptFile("the file does not end with %q", parquetID)
	}
	s := &sumReader{r: r, size: size, scratch: sync.Pool{New: func() any { return new([sumBlock]byte) }}}
	s.footAt = size - end - int64(le.Uint32(tail[len(tail)-end:]))
	if s.footAt < sumFixed {
		return nil, corruptFile("the footer is longer than the file")
	}
	tail, err := s.reach(tail, s.footAt-sumFixed)
	if err != nil {
		return nil, err
	}
	s.footer = tail[len(tail)-int(size-s.footAt):]
	t := tail[:len(tail)-len(s.footer)]
	fixed := t[len(t)-sumFixed:]
	if string(fixed[sumFixed-4:]) != sumMagic {
		return nil, corruptFile("the checksums are missing in front of the footer")
	}
	blocks := int64(le.Uint32(fixed))
	s.summed = int64(le.Uint64(fixed[4:]))
	if s.summed != s.footAt-sumFixed-4*blocks || blocks != (s.summed+sumBlock-1)/sumBlock {
		return nil, corruptFile("the checksums are not those of a file of %d bytes", size)
	}
	if tail, err = s.reach(tail, s.summed); err != nil {
		return nil, err
	}
	s.footer = tail[len(tail)-int(size-s.footAt):]
	t = tail[len(tail)-int(size-s.summed) : len(tail)-len(s.footer)]
	if want := le.Uint32(t[len(t)-8:]); want != crc32.Checksum(t[:len(t)-8], castagnoli) {
		return nil, corruptFile("the checksums themselves are damaged")
	}
	if want := le.Uint32(t[len(t)-12:]); want != crc32.Checksum(s.footer, castagnoli) {
		return nil, corruptFile("the footer is damaged")
	}
	s.sums = t[:4*blocks]
	return s, nil
}

// reach returns the end of the file from at most from on, given what is read
// already.
func (s *sumReader) reach(tail []byte, from int64) ([]byte, error) {
	have := s.size - int64(len(tail))
	if have <= from {
		return tail, nil
	}
	longer := make([]byte, s.size-from)
	copy(longer[have-from:], tail)
	return longer, readAt(s.r, longer[:have-from], from)
}

// ReadAt reads checked bytes. The bytes of the trailer read as zeros.
func (s *sumReader) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	for n < len(p) {
		at := off + int64(n)
		switch {
		case at < 0 || at >= s.size:
			return n, io.EOF
		case at >= s.footAt:
			n += copy(p[n:], s.footer[at-s.footAt:])
			continue
		case at >= s.summed:
			gap := min(int64(len(p)-n), s.footAt-at)
			clear(p[n : n+int(gap)])
			n += int(gap)
			continue
		}
		k, err := s.block(p[n:], at)
		n += k
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// block reads from at to the end of its block, or less when p is shorter.
func (s *sumReader) block(p []byte, at int64) (int, error) {
	i := at / sumBlock
	start := i * sumBlock
	size := min(sumBlock, s.summed-start)
	whole := p
	if at != start || int64(len(p)) < size {
		b := s.scratch.Get().(*[sumBlock]byte)
		defer s.scratch.Put(b)
		whole = b[:]
	}
	whole = whole[:size]
	if err := readAt(s.r, whole, start); err != nil {
		return 0, err
	}
	if binary.LittleEndian.Uint32(s.sums[4*i:]) != crc32.Checksum(whole, castagnoli) {
		return 0, corruptFile("bytes %d to %d are not what was written", start, start+size)
	}
	if at == start && len(p) >= len(whole) {
		return len(whole), nil
	}
	return copy(p, whole[at-start:]), nil
}

// readAt fills b. A file shorter than it was said to be is Corrupt; an error of
// r that nobody has classified is Transient.
func readAt(r io.ReaderAt, b []byte, off int64) error {
	n, err := r.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if err == io.EOF || err == io.ErrUnexpectedEOF || err == nil {
		return corruptFile("the file ends at byte %d", off+int64(n))
	}
	return fault.Wrap(fault.Transient, err)
}

//go:build unix

package bucket

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"

	"anabranch/fault"
	"anabranch/internal/disk"
	"anabranch/internal/planted"
)

// mark is what a file's attribute tells of its content.
type mark struct {
	sum  string // first half of the SHA-256, hex
	crc  uint32 // CRC-32C
	size int64
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (m mark) String() string { return fmt.Sprintf("1 %s %08x %d", m.sum, m.crc, m.size) }

func parseMark(s string) (m mark, err error) {
	if _, err = fmt.Sscanf(s, "1 %32s %08x %d", &m.sum, &m.crc, &m.size); err != nil || m.String() != s {
		return mark{}, fault.New(fault.Corrupt, "checksum attribute %q is not one of ours", s)
	}
	return m, nil
}

// measure copies from to to and returns the mark of what went through.
func measure(to io.Writer, from io.Reader) (mark, error) {
	crc := crc32.New(castagnoli)
	if known, ok := from.(Summed); ok {
		n, err := io.Copy(io.MultiWriter(to, crc), from)
		return mark{sum: hex.EncodeToString(known.Sum256()[:16]), crc: crc.Sum32(), size: n}, err
	}
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(to, sum, crc), from)
	return mark{sum: hex.EncodeToString(sum.Sum(nil)[:16]), crc: crc.Sum32(), size: n}, err
}

// write puts body into a new file at temp, durably, and returns its ETag.
func (f *File) write(temp string, body io.ReadSeeker) (etag string, err error) {
	if _, err := body.Seek(0, io.SeekStart); err != nil {
		return "", fault.New(fault.Invalid, "rewind the body: %w", err)
	}
	h, err := f.fs.Create(temp)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	m, err := measure(h, body)
	if err != nil {
		return "", err
	}
	if err := h.SetMark(m.String()); err != nil && !errors.Is(err, disk.ErrNoMarks) {
		return "", err
	}
	if !planted.On(planted.PutUnsynced) {
		if err := h.Sync(); err != nil {
			return "", err
		}
	}
	st, err := h.Stat()
	if err != nil {
		return "", err
	}
	return etagOf(m, st.ModTime().UnixNano()), nil
}

// etagOf names one write of an object: by content, and by time so that
// writing the same content again is seen.
func etagOf(m mark, modified int64) string { return m.sum + "-" + strconv.FormatInt(modified, 36) }

// mark returns the mark of an open object and fills in its ETag. It reads the
// object, and answers false, where its file carries no mark.
func (f *File) mark(name string, h disk.File, info *Info) (m mark, marked bool, err error) {
	text, err := h.Mark()
	if err != nil {
		return mark{}, false, fmt.Errorf("read %s: %w", name, fileFault(err))
	}
	if marked = text != ""; marked {
		m, err = parseMark(text)
	} else {
		m, err = measure(io.Discard, io.NewSectionReader(h, 0, info.Size))
	}
	if err == nil && m.size != info.Size {
		err = fault.New(fault.Corrupt, "%d bytes, %d were put", info.Size, m.size)
	}
	if err != nil {
		return mark{}, false, fmt.Errorf("read %s: %w", name, fileFault(err))
	}
	info.ETag = etagOf(m, info.Modified.UnixNano())
	return m, marked, nil
}

// checkedBody ends only when it has delivered size bytes of checksum crc.
type checkedBody struct {
	name    string
	from    io.ReadCloser
	left    int64
	crc     uint32
	want    uint32
	checked bool
}

func newCheckedBody(name string, from io.ReadCloser, size int64, want uint32, checked bool) io.ReadCloser {
	return &checkedBody{name: name, from: from, left: size, want: want, checked: checked}
}

func (b *checkedBody) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	b.left -= int64(n)
	if b.checked {
		b.crc = crc32.Update(b.crc, castagnoli, p[:n])
	}
	switch {
	case err == nil:
		return n, nil
	case !errors.Is(err, io.EOF):
		return n, fmt.Errorf("read %s: %w", b.name, fileFault(err))
	case b.left != 0:
		return n, fault.New(fault.Corrupt, "read %s: the file ends %d bytes early", b.name, b.left)
	case b.checked && b.crc != b.want:
		return n, fault.New(fault.Corrupt, "read %s: checksum of the bytes is %08x, %08x was put", b.name, b.crc, b.want)
	}
	return n, io.EOF
}

func (b *checkedBody) Close() error { return b.from.Close() }

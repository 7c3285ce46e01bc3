package event

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"runtime"

	"anabranch/internal/planted"
)

// FrameKind is what one record of the log holds.
type FrameKind uint8

// The kinds of frames.
const (
	Rows    FrameKind = 1 // a batch of events; the body is an Arrow record batch without its schema
	Barrier FrameKind = 2 // the border of one batch cycle; no body
)

// FrameVersion is the format written today; docs/formats/frame.md describes it.
const FrameVersion = 1

// Header describes one frame. The CRC-32C over header and body stands in
// front of everything and is checked before anything else is looked at.
type Header struct {
	Kind     FrameKind
	Pipeline string
	Schema   uint32 // version of the schema that the body's columns follow
	Rows     uint32 // events in the body
	Producer string // who appended: one gateway process, from start to end
	Sequence uint64 // 1, 2, 3, ... per producer and partition: a gap is a lost frame, a repeat a retried append
	Ingested int64  // when the gateway took the events, microseconds since 1970
	Trace    [16]byte
	Barrier  uint64 // Barrier: the batch cycle k it opens
	Admit    string // Barrier: the import it admits, or empty
}

const (
	frameMagic = "ABF"
	// fixed is the part of a frame before its two strings and body.
	fixed = 3 + 1 + 4 + 1 + 4 + 4 + 8 + 8 + 16 + 8 + 2 + 2 + 2 + 4
	// MaxFrame bounds one frame; it stays below the log's payload limit.
	MaxFrame = 8<<20 - 64<<10
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// AppendFrame appends the frame of h and body to dst.
func AppendFrame(dst []byte, h Header, body []byte) ([]byte, error) {
	for _, s := range []string{h.Pipeline, h.Producer, h.Admit} {
		if len(s) > math.MaxUint16 {
			return dst, &Error{"bug", fmt.Sprintf("frame header: string of %d bytes", len(s))}
		}
	}
	if n := fixed + len(h.Pipeline) + len(h.Producer) + len(h.Admit) + len(body); n > MaxFrame {
		return dst, invalid("frame of %d bytes is over the limit of %d", n, MaxFrame)
	}
	start := len(dst)
	le := binary.LittleEndian
	dst = append(dst, frameMagic...)
	dst = append(dst, FrameVersion)
	dst = le.AppendUint32(dst, 0) // CRC, filled in below
	dst = append(dst, byte(h.Kind))
	dst = le.AppendUint32(dst, h.Schema)
	dst = le.AppendUint32(dst, h.Rows)
	dst = le.AppendUint64(dst, h.Sequence)
	dst = le.AppendUint64(dst, uint64(h.Ingested))
	dst = append(dst, h.Trace[:]...)
	dst = le.AppendUint64(dst, h.Barrier)
	dst = le.AppendUint16(dst, uint16(len(h.Pipeline)))
	dst = le.AppendUint16(dst, uint16(len(h.Producer)))
	dst = le.AppendUint16(dst, uint16(len(h.Admit)))
	dst = le.AppendUint32(dst, uint32(len(body)))
	dst = append(dst, h.Pipeline...)
	dst = append(dst, h.Producer...)
	dst = append(dst, h.Admit...)
	dst = append(dst, body...)
	le.PutUint32(dst[start+4:], crc32.Checksum(dst[start+8:], castagnoli))
	return dst, nil
}

// checksum is the CRC-32C of what is mostly in no cache yet. It reads in three places
// at once, which is less than a processor can wait for: each block is loaded first.
func checksum(b []byte) (sum uint32) {
	const block, line = 16 << 10, 64
	warm := byte(0)
	for len(b) > 0 {
		n := min(len(b), block)
		for i := 0; i < n; i += line {
			warm |= b[i]
		}
		sum = crc32.Update(sum, castagnoli, b[:n])
		b = b[n:]
	}
	runtime.KeepAlive(warm) // the loads are not dropped
	return sum
}

// ParseFrame checks frame and returns its header and body, which points into
// frame. An error is always Corrupt: the bytes are not what was appended.
func ParseFrame(frame []byte) (Header, []byte, error) {
	if len(frame) < fixed || string(frame[:3]) != frameMagic {
		return Header{}, nil, corrupt("frame of %d bytes does not begin with %q", len(frame), frameMagic)
	}
	if frame[3] != FrameVersion {
		return Header{}, nil, corrupt("frame version %d; this program reads version %d", frame[3], FrameVersion)
	}
	le := binary.LittleEndian
	if want, got := le.Uint32(frame[4:]), checksum(frame[8:]); want != got && !planted.On(planted.ChecksumUnread) {
		return Header{}, nil, corrupt("frame checksum is %08x, its bytes give %08x", want, got)
	}
	h := Header{
		Kind: FrameKind(frame[8]), Schema: le.Uint32(frame[9:]), Rows: le.Uint32(frame[13:]),
		Sequence: le.Uint64(frame[17:]), Ingested: int64(le.Uint64(frame[25:])), Barrier: le.Uint64(frame[49:]),
	}
	copy(h.Trace[:], frame[33:49])
	pipeline, producer, admit := int(le.Uint16(frame[57:])), int(le.Uint16(frame[59:])), int(le.Uint16(frame[61:]))
	body := int(le.Uint32(frame[63:]))
	rest := frame[fixed:]
	if len(rest) != pipeline+producer+admit+body {
		return Header{}, nil, corrupt("frame holds %d bytes behind its header, which announces %d", len(rest), pipeline+producer+admit+body)
	}
	h.Pipeline, rest = string(rest[:pipeline]), rest[pipeline:]
	h.Producer, rest = string(rest[:producer]), rest[producer:]
	h.Admit, rest = string(rest[:admit]), rest[admit:]
	return h, rest, nil
}

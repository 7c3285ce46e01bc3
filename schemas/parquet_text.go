package schemas

import (
	"encoding/binary"
	"math/bits"
	"sync"

	kzstd "github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/encoding/delta"

	"anabranch/event"
)

// textEncoders compress texts that hardly repeat: ids, free text. What finds
// no match in them still has letters that are more common than others, so
// those get their shorter codes here, which the fastest level leaves out.
var textEncoders = sync.Pool{New: func() any {
	e, err := kzstd.NewWriter(nil, kzstd.WithEncoderConcurrency(1), kzstd.WithEncoderLevel(kzstd.SpeedFastest),
		kzstd.WithZeroFrames(true), kzstd.WithEncoderCRC(false), kzstd.WithAllLitEntropyCompression(true))
	if err != nil {
		panic(err) // of its options
	}
	return e
}}

func compressTexts(dst, src []byte) []byte {
	e := textEncoders.Get().(*kzstd.Encoder)
	defer textEncoders.Put(e)
	return e.EncodeAll(src, dst)
}

// addTexts appends the texts with the given codes.
func (p *page) addTexts(d *event.Dict, codes []uint32) {
	for len(codes) > 0 {
		// Texts that hardly repeat stand in the dictionary in the order of the rows.
		first, n := codes[0], 1
		for n < len(codes) && codes[n] == first+uint32(n) {
			n++
		}
		offsets := d.Offsets[first : int(first)+n+1]
		p.texts = append(p.texts, d.Data[offsets[0]:offsets[n]]...)
		for i, from := range offsets[:n] {
			p.lengths = append(p.lengths, int32(offsets[i+1]-from))
		}
		codes = codes[n:]
	}
}

// encodePrefixed appends the texts of p as DELTA_BYTE_ARRAY does: for each how
// much of the one before it begins with, and the rest.
func (e *pageEncoder) encodePrefixed(dst []byte, p *page) ([]byte, error) {
	e.prefixes, e.suffixes = e.prefixes[:0], e.suffixes[:0]
	e.small = e.small[:0]
	var before []byte
	rest := p.texts
	for _, n := range p.lengths {
		text := rest[:n:n]
		rest = rest[n:]
		same := commonPrefix(before, text)
		e.prefixes, e.suffixes = append(e.prefixes, int32(same)), append(e.suffixes, n-int32(same))
		e.small = append(e.small, text[same:]...)
		before = text
	}
	dst, err := (&delta.BinaryPackedEncoding{}).EncodeInt32(dst, e.prefixes)
	if err != nil {
		return dst, err
	}
	lengths, err := (&delta.BinaryPackedEncoding{}).EncodeInt32(e.lengths, e.suffixes)
	if err != nil {
		return dst, err
	}
	e.lengths = lengths
	return append(append(dst, lengths...), e.small...), nil
}

// commonPrefix returns with how many same bytes two texts begin.
func commonPrefix(a, b []byte) int {
	n := min(len(a), len(b))
	i := 0
	for ; i+8 <= n; i += 8 {
		if x := binary.LittleEndian.Uint64(a[i:]) ^ binary.LittleEndian.Uint64(b[i:]); x != 0 {
			return i + bits.TrailingZeros64(x)/8
		}
	}
	for i < n && a[i] == b[i] {
		i++
	}
	return i
}

// sharePrefixes reports whether texts begin so much like the one before them
// that it pays to leave that out: ids that rise.
func sharePrefixes(p *page) bool {
	same, all := 0, 0
	var before []byte
	rest := p.texts
	for _, n := range p.lengths {
		text := rest[:n]
		rest = rest[n:]
		same, all = same+commonPrefix(before, text), all+len(text)
		before = text
	}
	return 4*same >= all && all > 0
}

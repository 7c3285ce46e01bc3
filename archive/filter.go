package archive

import (
	"encoding/binary"
	"math/bits"

	"anabranch/event"
	"anabranch/fault"
)

// filter is a split-block Bloom filter: an id sets one bit in each of the
// eight words of one block, so that asking touches one cache line. With
// filterBits bits an id about 1 in 200 strangers passes.
type filter [][8]uint32

const (
	filterBits  = 12
	filterBlock = 32 // bytes
)

// salts spread the low half of a hash over the words of a block; they are
// those of Parquet's Bloom filters.
var salts = [8]uint32{0x47b6137b, 0x44974d91, 0x8824ad5b, 0xa2b7289d, 0x705495c7, 0x2df1424b, 0x9efc4947, 0x5c6bfb31}

// newFilter returns a filter for up to n ids.
func newFilter(n int64) filter {
	return make(filter, max(1, (n*filterBits+8*filterBlock-1)/(8*filterBlock)))
}

// filterHash mixes both halves of an id, which need not be random.
func filterHash(id event.ID) uint64 {
	h := id.Hi ^ bits.RotateLeft64(id.Lo*0x9E3779B97F4A7C15, 32)
	h = (h ^ h>>32) * 0xD6E8FEB86659FD93
	h = (h ^ h>>32) * 0xD6E8FEB86659FD93
	return h ^ h>>32
}

func (f filter) block(h uint64) *[8]uint32 { return &f[(h>>32)*uint64(len(f))>>32] }

func (f filter) add(h uint64) {
	b := f.block(h)
	for i, salt := range salts {
		b[i] |= 1 << (uint32(h) * salt >> 27)
	}
}

// has reports whether the id with hash h may have been added.
func (f filter) has(h uint64) bool {
	b := f.block(h)
	for i, salt := range salts {
		if b[i]>>(uint32(h)*salt>>27)&1 == 0 {
			return false
		}
	}
	return true
}

func (f filter) append(dst []byte) []byte {
	for i := range f {
		for _, word := range f[i] {
			dst = binary.LittleEndian.AppendUint32(dst, word)
		}
	}
	return dst
}

func parseFilter(b []byte) (filter, error) {
	if len(b) == 0 || len(b)%filterBlock != 0 {
		return nil, fault.New(fault.Corrupt, "its filter has %d bytes", len(b))
	}
	f := make(filter, len(b)/filterBlock)
	for i := range f {
		for j := range f[i] {
			f[i][j] = binary.LittleEndian.Uint32(b[i*filterBlock+4*j:])
		}
	}
	return f, nil
}

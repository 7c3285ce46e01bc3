package schemas

import (
	"math"
	"math/bits"

	"github.com/zeebo/xxh3"
)

// What follows is XXH3 with a seed, of texts of 4 to 32 bytes, for a column of a
// block at once: a call for each text costs as much as its hash. A test holds it to be
// equal to xxh3.

// hashTexts sets out to what xxh3.HashSeed makes of each text of a block, 0 of
// an empty one, and adds that to sums.
func hashTexts(b *blockText, spans []span, seed uint64, out, sums *[blockLines]uint64) {
	for row, s := range spans {
		from, to, hash := int(s.from), int(s.to), uint64(0)
		switch n := to - from; {
		case n > 32:
			hash = xxh3.HashSeed(b[from:to], seed)
		case n > 16:
			hash = hash17(b.word(from), b.word(from+8), b.word(to-16), b.word(to-8), n, seed)
		case n > 8:
			hash = hash9(b.word(from), b.word(to-8), n, seed)
		case n > 3:
			hash = hash4(uint32(b.word(from)), uint32(b.word(to-4)), n, seed)
		case n > 0:
			hash = hash1(b[from], b[from+n/2], b[to-1], n, seed)
		}
		row &= blockLines - 1
		out[row] = hash
		sums[row] += hash
	}
}

// Words of XXH3's secret, by where they begin in it, and its primes.
const (
	secret0      = 0xbe4ba423396cfeb8
	secret8      = 0x1cad21f72c81017c
	secret16     = 0xdb979083e96dd4de
	secret24     = 0x1f67b3b7a4a44072
	secret32     = 0x78e5c0cc4ee679cb
	secret40     = 0x2172ffcc7dd05a82
	secret48     = 0x8e2443f7744608b8
	secretHalves = secret0>>32 ^ secret0&math.MaxUint32
	prime1       = 0x9e3779b185ebca87
	prime2       = 0xc2b2ae3d27d4eb4f
	prime3       = 0x165667b19e3779f9
	avalancher   = 0x165667919e3779f9
	mixer        = 0x9fb21c651e98df25
)

// hash1 is the hash of n bytes, 1 to 3, of which these are the first, the middle one
// (of two the second) and the last.
func hash1(first, middle, last byte, n int, seed uint64) uint64 {
	h := uint64(first)<<16 | uint64(middle)<<24 | uint64(last) | uint64(n)<<8
	h ^= secretHalves + seed
	h ^= h >> 33
	h *= prime2
	h ^= h >> 29
	h *= prime3
	return h ^ h>>32
}

// hash4 is the hash of n bytes, 4 to 8, of which these are the first and the last
// four.
func hash4(head, tail uint32, n int, seed uint64) uint64 {
	seed ^= uint64(bits.ReverseBytes32(uint32(seed))) << 32
	h := uint64(tail) + uint64(head)<<32 ^ (secret8 ^ secret16 - seed)
	h ^= bits.RotateLeft64(h, 49) ^ bits.RotateLeft64(h, 24)
	h *= mixer
	h ^= h>>35 + uint64(n)
	h *= mixer
	return h ^ h>>28
}

// hash9 is the hash of n bytes, 9 to 16, of which these are the first and the last
// eight.
func hash9(head, tail uint64, n int, seed uint64) uint64 {
	head ^= secret24 ^ secret32 + seed
	tail ^= secret40 ^ secret48 - seed
	return avalanche(uint64(n) + bits.ReverseBytes64(head) + tail + folded(head, tail))
}

// hash17 is the hash of n bytes, 17 to 32, of which these are the first two words
// and the last two.
func hash17(w0, w1, w2, w3 uint64, n int, seed uint64) uint64 {
	return avalanche(uint64(n)*prime1 + folded(w0^(secret0+seed), w1^(secret8-seed)) + folded(w2^(secret16+seed), w3^(secret24-seed)))
}

func avalanche(h uint64) uint64 {
	h ^= h >> 37
	h *= avalancher
	return h ^ h>>32
}

func folded(x, y uint64) uint64 {
	hi, lo := bits.Mul64(x, y)
	return hi ^ lo
}

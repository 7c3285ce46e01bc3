// Package jsonbits finds the bytes of JSON text that end a string or make it odd,
// 64 bytes at a time.
//
// On amd64 with AVX2 a function in assembler does it; elsewhere, and for what is
// left at the end, plain Go does. A test and a fuzz test hold them to be equal.
package jsonbits

import "encoding/binary"

// Mark sets in quotes which bytes of b are quotes, and in odd which are
// backslashes, control bytes (line ends among them) or not ASCII: bit i%8 of byte i/8 stands
// for b[i]. b has a multiple of 64 bytes, quotes and odd at least an eighth of that.
func Mark(b, quotes, odd []byte) {
	n := len(b) / 64
	if n == 0 {
		return
	}
	_, _ = quotes[8*n-1], odd[8*n-1]
	mark(b, quotes, odd, n)
}

const (
	lows  = 0x0101010101010101
	highs = 0x8080808080808080
)

// markPlain is Mark for n times 64 bytes.
func markPlain(b, quotes, odd []byte, n int) {
	for i := range 8 * n {
		w := binary.LittleEndian.Uint64(b[8*i:])
		low := w &^ highs
		// Adding 0x7f to the low seven bits sets the high bit of all but zero, and
		// adding 0x60 of all from 0x20 on; no carry leaves a byte.
		quote := ^((low ^ lows*'"') + lows*0x7f | w) & highs
		backslash := ^((low ^ lows*'\\') + lows*0x7f | w)
		control := ^(low + lows*0x60)
		quotes[i], odd[i] = gather(quote), gather((backslash|control|w)&highs)
	}
}

// gather returns the high bits of eight bytes as one byte.
func gather(w uint64) byte { return byte(w >> 7 * 0x0102040810204080 >> 56) }

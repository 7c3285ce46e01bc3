package jsonbits

import "golang.org/x/sys/cpu"

// markAVX2 is Mark for n > 0 times 64 bytes.
//
//go:noescape
func markAVX2(b, quotes, odd *byte, n int)

func mark(b, quotes, odd []byte, n int) {
	if cpu.X86.HasAVX2 {
		markAVX2(&b[0], &quotes[0], &odd[0], n)
		return
	}
	markPlain(b, quotes, odd, n)
}

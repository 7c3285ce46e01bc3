//go:build !amd64

package jsonbits

func mark(b, quotes, odd []byte, n int) { markPlain(b, quotes, odd, n) }

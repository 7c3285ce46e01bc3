package jsonbits

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// check marks b, which has any length, both ways and byte by byte.
func check(t *testing.T, b []byte) {
	t.Helper()
	b = b[:len(b)/64*64]
	// What is behind the marks stays as it is.
	marks := func() []byte { return bytes.Repeat([]byte{0xaa}, len(b)/8+8) }
	quotes, odd, plainQuotes, plainOdd := marks(), marks(), marks(), marks()
	Mark(b, quotes, odd)
	markPlain(b, plainQuotes, plainOdd, len(b)/64)
	if !bytes.Equal(quotes, plainQuotes) || !bytes.Equal(odd, plainOdd) {
		t.Fatalf("%q: quotes %x and %x, odd bytes %x and %x", b, quotes, plainQuotes, odd, plainOdd)
	}
	for i, c := range b {
		quote, other := quotes[i/8]>>(i%8)&1 == 1, odd[i/8]>>(i%8)&1 == 1
		if quote != (c == '"') || other != (c == '\\' || c < 0x20 || c >= 0x80) {
			t.Fatalf("byte %d of %q: quote %t, odd %t", i, b, quote, other)
		}
	}
	if !bytes.Equal(quotes[len(b)/8:], odd[len(b)/8:]) || quotes[len(b)/8] != 0xaa {
		t.Fatalf("written behind the end: %x, %x", quotes, odd)
	}
}

// TestEveryByteAtEveryPlace: a byte is told by itself, whatever stands beside it.
func TestEveryByteAtEveryPlace(t *testing.T) {
	t.Parallel()
	for _, beside := range []byte{'a', '"', '\\', 0, 0xff, ' '} {
		for at := range 128 {
			for c := range 256 {
				b := bytes.Repeat([]byte{beside}, 128)
				b[at] = byte(c)
				check(t, b)
			}
		}
	}
}

func TestRandomBytes(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(50, 1))
	const letters = "\"\"\\\n\t\x1f \x7f\x80\xffab{:,"
	for range 2000 {
		room := make([]byte, r.IntN(1000))
		for i := range room {
			if room[i] = letters[r.IntN(len(letters))]; r.IntN(4) == 0 {
				room[i] = byte(r.Uint32())
			}
		}
		check(t, room[min(len(room), r.IntN(64)):]) // at any address
	}
}

func FuzzMark(f *testing.F) {
	f.Add([]byte(`{"event_id":"01KE5Q8600R70R5CMN92M1A08C","ts":"2026-01-05T00:00:00.000000Z","card":"card_00047671","x":"\"\u00e9é"}` + "\n"))
	f.Fuzz(check)
}

func BenchmarkMark(b *testing.B) {
	text := bytes.Repeat([]byte(`{"event_id":"01KE5Q8600R70R5CMN92M1A08C","amount":22.91}`+"\n\t\t\t\t\t\t\t"), 64)
	quotes, odd := make([]byte, len(text)/8), make([]byte, len(text)/8)
	for name, mark := range map[string]func(b, quotes, odd []byte, n int){"here": mark, "plain": markPlain} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				mark(text, quotes, odd, len(text)/64)
			}
		})
	}
}

package schemas

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestNarrowDecimals: what the short way reads, the long way reads the same.
func TestNarrowDecimals(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	const letters = "00123456789999..-+e "
	read := 0
	for range 300_000 {
		text := make([]byte, r.IntN(22))
		for i := range text {
			if text[i] = letters[r.IntN(len(letters))]; r.IntN(3) > 0 {
				text[i] = '0' + byte(r.IntN(10))
			}
		}
		if len(text) > 3 && r.IntN(2) == 0 {
			text[1+r.IntN(len(text)-2)] = '.'
		}
		scale := r.IntN(19)
		v, ok := parseNarrow(text, scale)
		if !ok {
			continue
		}
		read++
		if want, what := parseDecimal(text, scale); what != 0 || !want.IsInt64() || want.Int64() != v {
			t.Fatalf("%q with %d digits behind the point is %d, want %v (%v)", text, scale, v, want, what)
		}
	}
	if read < 10_000 {
		t.Errorf("only %d texts were read", read)
	}
	for text, want := range map[string]int64{"12.5": 1250, "-0.07": -7, "0": 0, "7": 700, "-3": -300} {
		if v, ok := parseNarrow([]byte(text), 2); !ok || v != want {
			t.Errorf("%s is %d, %t", text, v, ok)
		}
	}
}

// Package spoil damages files the way disks do, for tests: a flipped bit, a
// file that ends too early, a block of zeros.
package spoil

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"anabranch/internal/soak"
)

// Times is how often a test damages each kind of file; a soak wants 10,000.
var Times = flag.Int("damage", 100, "how often each kind of file is damaged")

var seedFlag = flag.Uint64("damage-seed", 0, "of what the tests damage; 0 picks one")

// Seed returns the seed of a test: that of -damage-seed, or a new one.
func Seed() uint64 {
	if *seedFlag > 0 {
		return *seedFlag
	}
	return uint64(time.Now().UnixNano())
}

// Bytes returns a damaged copy of data, and says how it differs. Data is not
// empty.
func Bytes(rnd *rand.Rand, data []byte) (bad []byte, how string) {
	for {
		bad = bytes.Clone(data)
		at := rnd.IntN(len(data))
		switch rnd.IntN(3) {
		case 0:
			bit := byte(1) << rnd.IntN(8)
			bad[at] ^= bit
			return bad, fmt.Sprintf("bit %08b flipped at %d of %d", bit, at, len(data))
		case 1:
			return bad[:at], fmt.Sprintf("cut from %d to %d bytes", len(data), at)
		}
		to := min(len(data), at+1+rnd.IntN(4096))
		clear(bad[at:to])
		if !bytes.Equal(bad, data) { // zeros were there before
			return bad, fmt.Sprintf("zeros from %d to %d of %d", at, to, len(data))
		}
	}
}

// File is a file to damage and what is then expected of those who read it.
type File struct {
	Kind string // is counted in the record of the soak
	Name string // stands in every error
	Data []byte
	// Read reads everything in a damaged copy and returns it as text.
	Read func(bad []byte) (string, error)
	// Corrupt tells an error about damage from others.
	Corrupt func(error) bool
}

// Each damages f often: what is read is the truth to the last bit, or an error
// that says that the file is damaged and names it. A panic ends the test.
func (f File) Each(t testing.TB, rnd *rand.Rand, run *soak.Run) {
	t.Helper()
	truth, err := f.Read(f.Data)
	if err != nil {
		t.Fatalf("%s, undamaged: %v", f.Name, err)
	}
	harmless := 0
	for range *Times {
		bad, how := Bytes(rnd, f.Data)
		if f.whole(t, truth, bad, how) {
			harmless++
		}
	}
	run.Add("damaged "+f.Kind, int64(*Times))
	t.Logf("%s: %d times damaged, %d of them without effect", f.Kind, *Times, harmless)
}

// EveryBit flips each bit of a small file, one at a time.
func (f File) EveryBit(t testing.TB) {
	t.Helper()
	truth, err := f.Read(f.Data)
	if err != nil {
		t.Fatalf("%s, undamaged: %v", f.Name, err)
	}
	for at := range f.Data {
		for bit := range 8 {
			bad := bytes.Clone(f.Data)
			bad[at] ^= 1 << bit
			f.whole(t, truth, bad, fmt.Sprintf("bit %d flipped at %d of %d", bit, at, len(bad)))
		}
	}
}

// whole reads bad and reports whether the truth came of it.
func (f File) whole(t testing.TB, truth string, bad []byte, how string) bool {
	t.Helper()
	got, err := f.Read(bad)
	switch {
	case err == nil && got == truth:
		return true
	case err == nil:
		t.Fatalf("%s, %s: read as if it were whole, and wrong", f.Name, how)
	case !f.Corrupt(err):
		t.Fatalf("%s, %s: not told as damage: %v", f.Name, how, err)
	case !strings.Contains(err.Error(), f.Name):
		t.Fatalf("%s, %s: the error does not name it: %v", f.Name, how, err)
	}
	return false
}

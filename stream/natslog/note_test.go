package natslog

import (
	"math/rand/v2"
	"testing"

	"anabranch/internal/disk"
	"anabranch/internal/disk/faultdisk"
)

// After a power cut the note remembers something that was acknowledged, or
// nothing; after a kill it remembers the last.
func TestNoteAndPowerCuts(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	forgot := 0
	for range 300 {
		d := faultdisk.New(rnd.Uint64())
		if err := disk.MkdirAll(d, "/log"); err != nil {
			t.Fatal(err)
		}
		n, err := openNote(d, "/log/note")
		if err != nil {
			t.Fatal(err)
		}
		last := uint64(0)
		for range rnd.IntN(5) {
			last += 1 + rnd.Uint64N(1000)
			if err := n.acknowledged(last); err != nil {
				t.Fatal(err)
			}
		}
		d = d.Kill()
		if n, err = openNote(d, "/log/note"); err != nil || n.highest() != last {
			t.Fatalf("after a kill %d, want %d: %v", n.highest(), last, err)
		}
		d, _ = d.Cut()
		if n, err = openNote(d, "/log/note"); err != nil || n.highest() != 0 && n.highest() != last {
			t.Fatalf("after a power cut %d, want %d or nothing: %v", n.highest(), last, err)
		}
		if n.highest() < last {
			forgot++
		}
	}
	if forgot == 0 {
		t.Error("nothing was ever forgotten")
	}
}

package deadletter

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"anabranch/bucket"
	"anabranch/fault"
	"anabranch/internal/soak"
	"anabranch/internal/spoil"
)

// TestDamage damages letters and the note of a release; -damage says how
// often. Whoever lists the letters and who checks the files agree about it.
func TestDamage(t *testing.T) {
	t.Parallel()
	seed := spoil.Seed()
	run := soak.Open(t, "damage-letters", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	tb := setup(t)
	letters := tb.put(t, "r1", "odd", "odd", "negative")
	if err := tb.store.Release(t.Context(), letters[1].ID, Release{By: "somebody", At: tb.now}); err != nil {
		t.Fatal(err)
	}
	for kind, prefix := range map[string]string{"letters": "letters/", "release": "letters-released/"} {
		name := names(t, tb.bucket, prefix)[0]
		put := func(data []byte) {
			if _, err := tb.bucket.Put(t.Context(), name, bytes.NewReader(data), bucket.Condition{}); err != nil {
				t.Fatal(err)
			}
		}
		good, err := tb.store.object(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		file := spoil.File{
			Kind: kind, Name: name, Data: good,
			Corrupt: func(err error) bool { return fault.Is(err, fault.Corrupt) },
			Read: func(bad []byte) (string, error) {
				put(bad)
				found := ""
				if err := tb.store.Check(t.Context(), func(name string, err error) { found = name }); err != nil {
					return "", err
				}
				out, failed := "", error(nil)
				for l, err := range tb.store.List(t.Context(), Options{}) {
					if failed = err; err == nil {
						released := fmt.Sprintf("%+v", l.Released)
						l.Released = nil // an address says nothing
						out += fmt.Sprintf("%+v %s\n", l, released)
					}
				}
				if (found == name) != (failed != nil) {
					return "", fmt.Errorf("the list says %v, the check names %q", failed, found)
				}
				return out, failed
			},
		}
		file.EveryBit(t)
		file.Each(t, rnd, run)
		put(good)
	}
}

package speed

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"anabranch/fault"
	"anabranch/internal/soak"
	"anabranch/internal/spoil"
)

// TestDamagedSnapshots damages the snapshot of a partition; -damage says how
// often. Who restores and who checks files agree about it.
func TestDamagedSnapshots(t *testing.T) {
	t.Parallel()
	seed := spoil.Seed()
	run := soak.Open(t, "damage-snapshots", seed)
	w := setup(t, nil)
	w.fill(10)
	w.nightly(0)
	w.fill(10)
	w.kill()
	p := w.speed.part[0]
	data, err := p.encode()
	w.no(err)
	spoil.File{
		Kind: "snapshot", Name: "snapshot", Data: data,
		Corrupt: func(err error) bool { return fault.Is(err, fault.Corrupt) },
		Read: func(bad []byte) (string, error) {
			s, err := decode(p.opt, bad)
			if checked := CheckSnapshot(bad); (checked == nil) != (err == nil) {
				return "", fmt.Errorf("restore says %v, the check %v", err, checked)
			}
			if err != nil {
				return "", err
			}
			return fmt.Sprint(s.next, s.manifest, s.k, s.cut, s.maxTime, s.hot.n, len(s.gens)), nil
		},
	}.Each(t, rand.New(rand.NewPCG(seed, 1)), run)
}

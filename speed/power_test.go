package speed

import (
	"bytes"
	"fmt"
	"testing"

	"anabranch/fault"
	"anabranch/internal/disk/faultdisk"
)

// The power goes at every call of three snapshots: the newest that was called
// durable is there, whole, and a process that died leaves no litter behind the
// next snapshot.
func TestSnapshotsAndPowerCuts(t *testing.T) {
	t.Parallel()
	content := func(seq uint64) []byte { return bytes.Repeat(fmt.Appendf(nil, "snapshot %d ", seq), 100) }
	for seed := range uint64(20) {
		for n, cut := 0, true; cut; n++ {
			d := faultdisk.New(seed)
			open := func() *shelf { return newShelf(&Options{Pipeline: "p", Disk: d, Dir: "/var/anabranch/speed"}, 0) }
			s := open()
			d.PowerOff(n)
			durable := uint64(0)
			cut = false
			for seq := uint64(1); seq <= 3; seq++ {
				ok, err := s.put(t.Context(), seq, content(seq))
				if ok {
					durable = seq
				}
				if err != nil && !fault.KindOf(err).Retryable() {
					t.Fatalf("seed %d, call %d: %v (%s)", seed, n, err, fault.KindOf(err))
				}
				cut = cut || err != nil
			}
			if seed%2 == 0 {
				d = d.Kill() // the process dies first, and the next one looks
				seen, err := open().list(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if len(seen) > 0 { // the log is trimmed below what a start finds
					durable = max(durable, seen[0].seq)
				}
			}
			d, _ = d.Cut()
			s = open()
			places, err := s.list(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if durable > 0 && (len(places) == 0 || places[0].seq < durable) {
				t.Fatalf("seed %d, call %d: snapshot %d was durable, there are %v", seed, n, durable, places)
			}
			for _, at := range places {
				if data, err := s.get(t.Context(), at); err != nil || !bytes.Equal(data, content(at.seq)) {
					t.Fatalf("seed %d, call %d: snapshot %d is damaged: %v", seed, n, at.seq, err)
				}
			}
			if ok, err := s.put(t.Context(), 9, content(9)); err != nil || !ok {
				t.Fatalf("seed %d, call %d: the next snapshot: %v", seed, n, err)
			}
			if left, err := d.ReadDir(s.dir); err != nil || len(left) > keepSnapshots {
				t.Fatalf("seed %d, call %d: %d files beside: %v, %v", seed, n, len(left), left, err)
			}
		}
	}
}

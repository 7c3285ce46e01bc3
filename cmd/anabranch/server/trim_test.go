package server

import (
	"testing"
)

// The log is trimmed no further than what both the archive and a snapshot
// have: whatever is missing in one of them is still in the log.
func TestTheLogIsTrimmedBelowWhatIsSealedAndInASnapshot(t *testing.T) {
	t.Parallel()
	s := mustSmall(t)
	rnd := seeded(t, 0)
	first := func() (at [2]uint64) {
		t.Helper()
		for n := range at {
			var err error
			if at[n], _, err = s.log.Bounds(t.Context(), n); err != nil {
				t.Fatal(err)
			}
		}
		return at
	}
	snapshots := func() {
		t.Helper()
		for range 2 { // the older of the two kept counts
			s.send(rnd, 10, 500)
			s.settle()
			if err := s.speed.Snapshot(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	trimmed := func() [2]uint64 {
		t.Helper()
		if err := s.trim(t.Context()); err != nil {
			t.Fatal(err)
		}
		return first()
	}
	snapshots()
	begin := first()
	if got := trimmed(); got != begin {
		t.Fatalf("trimmed up to %v, and nothing is sealed", got)
	}
	s.nightly("n1")
	snapshots() // above what is sealed
	snapshots()
	sealed := s.sealer.Sealed()
	for n, at := range trimmed() {
		if at < begin[n]+10 {
			t.Errorf("partition %d begins at %d still; it is sealed up to %d and in snapshots above that", n, at, sealed[n])
		}
		r, err := s.log.Read(t.Context(), n, sealed[n])
		if err != nil {
			t.Fatalf("partition %d is sealed up to %d, and the log behind that: %v", n, sealed[n], err)
		}
		r.Close()
	}
	balanced(t, s)
}

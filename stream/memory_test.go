package stream_test

import (
	"testing"

	"go.uber.org/goleak"

	"anabranch/fault"
	"anabranch/stream"
	"anabranch/stream/streamtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemory(t *testing.T) {
	t.Parallel()
	streamtest.Run(t, func(*testing.T) stream.Store { return stream.NewMemory() })
}

func TestMemoryHasGapsAndALimit(t *testing.T) {
	t.Parallel()
	s := stream.NewMemory()
	l, err := s.Open(t.Context(), "shop", 4)
	if err != nil {
		t.Fatal(err)
	}
	firsts := map[uint64]bool{}
	for p := range 4 {
		var last uint64
		gaps := 0
		for i := range 50 {
			offset, err := l.Append(t.Context(), p, []byte("0123456789"))
			if err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				firsts[offset] = true
			} else if offset > last+1 {
				gaps++
			}
			last = offset
		}
		if gaps < 10 {
			t.Errorf("partition %d: %d gaps in 50 records", p, gaps)
		}
	}
	if !firsts[0] || len(firsts) < 2 {
		t.Errorf("first offsets %v: want 0 and others", firsts)
	}
	s.Limit(510)
	if _, err := l.Append(t.Context(), 0, []byte("0123456789")); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(t.Context(), 0, []byte("0")); !fault.Is(err, fault.Full) {
		t.Fatalf("over the limit: %v", err)
	}
	if err := l.Trim(t.Context(), 0, 5); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(t.Context(), 0, []byte("0")); err != nil {
		t.Fatalf("after trimming: %v", err)
	}
}

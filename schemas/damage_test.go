package schemas

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"anabranch/event"
	"anabranch/fault"
	"anabranch/internal/soak"
	"anabranch/internal/spoil"
)

// TestDamagedFrames damages records of the log; -damage says how often.
func TestDamagedFrames(t *testing.T) {
	t.Parallel()
	seed := spoil.Seed()
	run := soak.Open(t, "damage-frames", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	s := schemaOf(t, randomShape(rnd))
	f := s.NewFrameBuilder()
	f.Append(randomBatch(rnd, s.shape, 300), nil)
	body, err := f.Finish()
	if err != nil {
		t.Fatal(err)
	}
	frame, err := event.AppendFrame(nil, event.Header{Kind: event.Rows, Pipeline: "shop", Producer: "g", Schema: 1, Rows: 300, Sequence: 7}, body)
	if err != nil {
		t.Fatal(err)
	}
	spoil.File{
		Kind: "frame", Name: "frame", Data: frame,
		Corrupt: func(err error) bool { return fault.Is(err, fault.Corrupt) },
		Read: func(bad []byte) (string, error) {
			h, body, err := event.ParseFrame(bad)
			if err != nil {
				return "", err
			}
			b, err := s.DecodeFrame(body)
			if err != nil {
				return "", err
			}
			return fmt.Sprint(h, b.N, b.IDs, b.Hashes), nil
		},
	}.Each(t, rnd, run)

	// Were the checksum not there, the decoder would still not panic.
	for range *spoil.Times {
		bad, _ := spoil.Bytes(rnd, body)
		if _, err := s.DecodeFrame(bytes.Clone(bad)); err != nil && !fault.Is(err, fault.Corrupt) {
			t.Fatal(err)
		}
	}
}

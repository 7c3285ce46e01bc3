package server

import (
	"context"
	"sync"
	"testing"
	"time"

	"anabranch/event"
	"anabranch/stream"
)

// trimmedMeanwhile is a log that is trimmed once after somebody has looked at
// the segments, and before he reads on in the log.
type trimmedMeanwhile struct {
	stream.Log
	once sync.Once
	trim func()
}

func (l *trimmedMeanwhile) Read(ctx context.Context, partition int, from uint64) (stream.Reader, error) {
	l.once.Do(l.trim)
	return l.Log.Read(ctx, partition, from)
}

// Who adds up segments and log gets them whole, also when the log is trimmed
// meanwhile.
func TestTheLogIsTrimmedMeanwhile(t *testing.T) {
	t.Parallel()
	for name, look := range map[string]func(s *small, events int64) error{
		"ledger": func(s *small, _ int64) error {
			l, err := s.ledger(s.Context())
			if err == nil && (!l.Balanced || l.Received == 0) {
				s.Errorf("%+v", l)
			}
			return err
		},
		"bisect": func(s *small, _ int64) error {
			parts, err := s.bisect(s.Context())
			for _, p := range parts {
				if !p.Equal {
					s.Errorf("%+v", p)
				}
			}
			return err
		},
		"cut at a time": func(s *small, _ int64) error {
			cut, err := s.cutAt(s.Context(), time.Now().Add(time.Hour))
			head, _ := s.head(s.Context())
			if err == nil && cut.String() != head.String() {
				s.Errorf("%v of %v", cut, head)
			}
			return err
		},
		"raw": func(s *small, events int64) error {
			head, err := s.head(s.Context())
			if err != nil {
				return err
			}
			got := int64(0)
			for n := range head {
				last := int64(-1)
				err := s.raw(s.Context(), n, head[n], func(b *event.Batch, offsets []uint64, at []int32) error {
					for i := range offsets {
						if p := int64(offsets[i])<<32 + int64(at[i]); p <= last {
							s.Errorf("partition %d: offset %d, row %d again", n, offsets[i], at[i])
						} else {
							last = p
						}
					}
					got += int64(b.N)
					return nil
				})
				if err != nil {
					return err
				}
			}
			if got != events {
				s.Errorf("%d of %d events", got, events)
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := mustSmall(t)
			rnd := seeded(t, 0)
			for range 3 {
				s.send(rnd, 10, 500)
				s.settle()
			}
			head, err := s.head(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			events, _, err := s.pipeline.rows(t.Context(), head, head)
			if err != nil || events == 0 {
				t.Fatal(events, err)
			}
			log := s.log
			before, _, err := log.Bounds(t.Context(), 0)
			if err != nil {
				t.Fatal(err)
			}
			looked := false
			s.log = &trimmedMeanwhile{Log: log, trim: func() {
				looked = true
				s.nightly("n1")
				for range 2 { // the older of the two kept counts
					if err := s.speed.Snapshot(t.Context()); err != nil {
						t.Error(err)
					}
					s.send(rnd, 10, 500)
					s.settle()
				}
				if err := s.speed.Snapshot(t.Context()); err != nil {
					t.Error(err)
				}
				if err := s.trim(t.Context()); err != nil {
					t.Error(err)
				}
				if after, _, _ := log.Bounds(t.Context(), 0); after <= before {
					t.Errorf("nothing was trimmed: the log begins at %d still", after)
				}
			}}
			if err := look(s, events); err != nil || !looked {
				t.Errorf("%v; looked at the log: %v", err, looked)
			}
		})
	}
}

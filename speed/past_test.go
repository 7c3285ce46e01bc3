package speed

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"anabranch/archive"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/view"
)

// image is all that a delta says, as bytes.
func image(t *testing.T, d *view.Delta, names []string) []byte {
	t.Helper()
	var b []byte
	for _, n := range []int64{d.Counted, d.Duplicates, d.Filtered, d.Conflicts} {
		b = append(b, byte(n), byte(n>>8))
	}
	for _, name := range names {
		groups, _, err := d.States[name].Finish()
		if err != nil {
			t.Fatal(err)
		}
		for i := range groups.Columns {
			c := &groups.Columns[i]
			for r := range groups.N {
				switch {
				case c.Dict != nil:
					b = append(b, c.Bytes(r)...)
				case c.Ints != nil:
					b = append(b, byte(c.Ints[r]), byte(c.Ints[r]>>8), byte(c.Ints[r]>>40))
				}
				b = append(b, ';')
			}
		}
	}
	return b
}

// TestPast asks for what speed answered earlier, after it has gone on, further
// versions were published, and the log was trimmed so that segments and log
// together hold what is asked for.
func TestPast(t *testing.T) {
	t.Parallel()
	var compared, fromSegments int
	for seed := range uint64(8) {
		w := newWorld(t, rand.New(rand.NewPCG(seed, 31)), 2)
		w.alone = true
		w.start()
		sealer := archive.NewSealer(w.archive, w.log.Log, archive.SealerOptions{MaxRows: 7})
		w.no(sealer.Start(t.Context()))
		// Before the first version: a sealer that begins behind it takes what
		// lies below its cut as archived, which here nobody else does.
		w.fill(20)
		for p, st := range sealer.Stats() {
			_, end, err := w.log.Bounds(t.Context(), p)
			for w.no(err); st.Read < end; st = sealer.Stats()[p] {
				time.Sleep(time.Millisecond)
			}
		}
		var names []string
		for _, v := range w.f.views {
			names = append(names, v.Name())
		}
		type answer struct {
			m     *archive.Manifest
			at    event.Cut
			image []byte
		}
		var answers []answer
		for range 6 {
			w.fill(1 + w.r.IntN(25))
			w.speed.Notice(w.newest().m)
			w.settle()
			d, err := w.speed.Since(t.Context(), w.newest().m.K, nil)
			w.no(err)
			answers = append(answers, answer{w.newest().m, d.At, image(t, d, names)})
			if w.r.IntN(3) == 0 {
				w.nightly(0)
				w.fill(3)
			}
		}
		for i, a := range answers {
			if i == len(answers)/2 { // what comes now is in segments, in part
				end, _ := w.cutAt(w.k) // a barrier ends a segment
				for end != nil && !sealer.Sealed().AtLeast(end) {
					time.Sleep(time.Millisecond)
				}
				for p := range w.entries {
					chain, err := w.archive.Segments(t.Context(), p, 0)
					w.no(err)
					if len(chain) == 0 {
						continue
					}
					sealed := chain[len(chain)-1].To // the border of a segment, as always
					w.no(w.log.Trim(t.Context(), p, sealed))
					if sealed > lowest(a.m.Cut, p) && a.at[p] > lowest(a.m.Cut, p) {
						fromSegments++
					}
				}
			}
			d, err := w.speed.Past(t.Context(), a.m, a.at, w.f.views)
			if err != nil {
				t.Fatalf("seed %d, answer %d at %s: %v", seed, i, a.at, err)
			}
			compared++
			if got := image(t, d, names); !bytes.Equal(got, a.image) || !d.At.AtLeast(a.at) || !a.at.AtLeast(d.At) {
				t.Errorf("seed %d, answer %d of manifest %d at %s: it is another", seed, i, a.m.Version, a.at)
			}
		}
		if _, err := w.speed.Past(t.Context(), w.newest().m, event.Cut{1 << 40, 1 << 40}, w.f.views); !fault.Is(err, fault.Invalid) {
			t.Errorf("a position that was never reached: %v", err)
		}
		w.mustCheck() // what it holds itself is as it was
		w.kill()
		sealer.Stop()
	}
	if compared < 40 || fromSegments == 0 {
		t.Errorf("%d answers compared, %d partitions read from segments", compared, fromSegments)
	}
}

// Runs that were collected are told as such.
func TestAPastThatIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rand.New(rand.NewPCG(4, 32)), 1)
	w.alone = true
	w.start()
	w.fill(30)
	w.nightly(0)
	w.fill(5)
	m, at := w.newest().m, w.speed.At()
	for _, r := range m.Runs[0] {
		w.no(w.bucket.Delete(t.Context(), r.Name))
	}
	if d, err := w.speed.Past(t.Context(), m, at, w.f.views); !errIs(err, ErrPastGone) {
		t.Errorf("%v, %v", d, err)
	}
	w.kill()
}

package archive

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"anabranch/event"
	"anabranch/fault"
	"anabranch/internal/soak"
	"anabranch/internal/spoil"
)

func isCorrupt(err error) bool { return fault.Is(err, fault.Corrupt) }

// TestDamage damages each kind of file that the archive writes, some hundred
// times each; -damage says how often.
func TestDamage(t *testing.T) {
	t.Parallel()
	seed := spoil.Seed()
	run := soak.Open(t, "damage-archive", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	tb := setup(t, seed)
	a := tb.open(tb.bucket, "")
	ctx := t.Context()
	each := func(kind, name string, read func(a *Archive, emit func(...any)) error) {
		good := object(t, tb.bucket, name)
		defer replace(t, tb.bucket, name, good)
		spoil.File{Kind: kind, Name: name, Data: good, Corrupt: isCorrupt, Read: func(bad []byte) (string, error) {
			replace(t, tb.bucket, name, bad)
			var out strings.Builder
			err := read(tb.open(tb.bucket, ""), func(v ...any) { fmt.Fprintln(&out, v...) })
			return out.String(), err
		}}.Each(t, rnd, run)
	}
	rowsOf := func(emit func(...any)) func(*event.Batch) error {
		return func(b *event.Batch) error {
			for i := range b.N {
				emit(row(&event.Batch{Shape: b.Shape, N: b.N, Columns: b.Columns}, i))
			}
			return nil
		}
	}

	// A segment of two schema versions and a barrier.
	o := &openSegment{from: 0, to: 0}
	for i, version := range []uint32{1, 3, 1} {
		b := tb.batch(version, 700)
		o.add(uint64(i+1), event.Header{Kind: event.Rows, Schema: version, Ingested: int64(i), Producer: "g", Sequence: uint64(i + 1)}, 100, b)
	}
	o.to = 5
	segment, err := a.putSegment(ctx, 0, o, 1, "")
	if err != nil {
		t.Fatal(err)
	}
	each("segment", segment.Name, func(a *Archive, emit func(...any)) error {
		chain, err := a.Segments(ctx, 0, 0)
		if err != nil {
			return err
		}
		return a.ReadSegment(ctx, chain[0], func(b *event.Batch, offsets []uint64, rows []int32) error {
			for i := range b.N {
				emit(chain[0], offsets[i], rows[i], row(b, i))
			}
			return nil
		})
	})

	var entries []Entry
	for i := range 3000 {
		entries = append(entries, Entry{ID: event.ID{Hi: uint64(i) << 40, Lo: rnd.Uint64()}, Hash: rnd.Uint64(), Offset: uint64(rnd.IntN(1000)), Row: int32(rnd.IntN(100))})
	}
	ids, err := a.WriteRun(ctx, 0, 1, "", entries)
	if err != nil {
		t.Fatal(err)
	}
	each("id run", ids.Name, func(a *Archive, emit func(...any)) error {
		// As speed does, by ranges; the whole file's sum is not looked at.
		runs, err := a.OpenRuns(ctx, []Run{ids})
		if err != nil {
			return err
		}
		defer runs.Close()
		var asked []event.ID
		for _, e := range entries {
			asked = append(asked, e.ID, event.ID{Hi: e.ID.Hi, Lo: e.ID.Lo + 1})
		}
		hits := make([]Hit, len(asked))
		if err := runs.Lookup(ctx, asked, hits); err != nil {
			return err
		}
		emit(hits)
		return nil
	})

	w := a.NewDayWriter(ctx, 1, 0, "")
	for day := range int32(5) {
		if err := w.Write(day, tb.batch(3, 400)); err != nil {
			t.Fatal(err)
		}
	}
	days, err := w.Close(ctx, []string{segment.Name})
	if err != nil {
		t.Fatal(err)
	}
	each("day file", days[0].Name, func(a *Archive, emit func(...any)) error {
		for day := range int32(5) {
			if err := readDay(ctx, a, days, day, nil, rowsOf(emit)); err != nil {
				return err
			}
		}
		return nil
	})

	states, err := writeStates(ctx, a, "v", "1", "k1", func(emit func(int32, *event.Batch) error) error {
		for day := range int32(5) {
			if err := emit(day, tb.batch(3, 300)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	each("state file", states.Name, func(a *Archive, emit func(...any)) error {
		return a.ReadStates(ctx, states, nil, func(_ int32, b *event.Batch) error { return rowsOf(emit)(b) })
	})

	result, err := a.WriteResult(ctx, "v", "1", "all", 0, "", tb.batch(3, 1500))
	if err != nil {
		t.Fatal(err)
	}
	each("result file", result.Name, func(a *Archive, emit func(...any)) error {
		return a.ReadResult(ctx, result, nil, rowsOf(emit))
	})

	m := &Manifest{
		Version: 1, K: 1, Cut: make(event.Cut, partitions), Kind: "nightly", Runs: [][]Run{{ids}}, Days: days,
		Views: map[string]*ViewFiles{"v": {Version: "1", States: []StateFile{states}, Results: []ResultFile{result}}},
	}
	if err := a.Publish(ctx, m); err != nil {
		t.Fatal(err)
	}
	each("manifest", a.manifestName(1), func(a *Archive, emit func(...any)) error {
		m, err := a.Manifest(ctx, 1)
		if err == nil {
			emit(m.Hash(), fmt.Sprintf("%+v", *m.Views["v"]))
		}
		return err
	})

	if err := a.PutWork(ctx, "r1", "plan.json", []byte(`{"Format":1,"Rows":123456,"K":7}`)); err != nil {
		t.Fatal(err)
	}
	each("note", "shop/work/r1/plan.json.zst", func(a *Archive, emit func(...any)) error {
		text, err := a.GetWork(ctx, "r1", "plan.json")
		emit(string(text))
		return err
	})
}

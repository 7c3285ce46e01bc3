package archive

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"anabranch/bucket"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/internal/clock"
	"anabranch/schemas"
	"anabranch/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The versions of a schema: amount grows from int to long in 2, note comes
// with a default that is another one in 3.
var versions = []string{
	`{"type":"record","name":"e","fields":[
		{"name":"at","type":{"type":"long","logicalType":"timestamp-micros"}},
		{"name":"name","type":["null","string"],"default":null},
		{"name":"amount","type":"int"}]}`,
	`{"type":"record","name":"e","fields":[
		{"name":"at","type":{"type":"long","logicalType":"timestamp-micros"}},
		{"name":"amount","type":"long"},
		{"name":"name","type":["null","string"],"default":null},
		{"name":"note","type":"string","default":"two"}]}`,
	`{"type":"record","name":"e","fields":[
		{"name":"at","type":{"type":"long","logicalType":"timestamp-micros"}},
		{"name":"amount","type":"long"},
		{"name":"name","type":["null","string"],"default":null},
		{"name":"note","type":"string","default":"three"}]}`,
}

func set(t testing.TB, newest int) *schemas.Set {
	t.Helper()
	var all []*schemas.Schema
	for v := 1; v <= newest; v++ {
		s, err := schemas.Parse(uint32(v), []byte(versions[v-1]))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	return schemas.NewSet(all...)
}

type testBundle struct {
	testing.TB
	r      *rand.Rand
	bucket *bucket.Memory
	clock  *clock.Manual
	store  *stream.Memory
	log    stream.Log
	set    *schemas.Set
	seq    uint64
	events uint64 // made so far
}

const partitions = 3

func setup(t testing.TB, seed uint64) *testBundle {
	t.Helper()
	t.Logf("seed %d", seed)
	now := clock.NewManual(time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC))
	tb := &testBundle{
		TB: t, r: rand.New(rand.NewPCG(seed, 7)), clock: now, bucket: bucket.NewMemoryAt(now),
		store: stream.NewMemory(), set: set(t, 3),
	}
	log, err := tb.store.Open(context.Background(), "shop", partitions)
	if err != nil {
		t.Fatal(err)
	}
	tb.log = log
	return tb
}

// open returns the archive; dir may be empty.
func (tb *testBundle) open(b bucket.Bucket, dir string) *Archive {
	return Open(b, "shop", tb.set, Options{Partitions: partitions, CacheDir: dir, Clock: tb.clock})
}

// batch makes n new events of a schema version.
func (tb *testBundle) batch(version uint32, n int) *event.Batch {
	s, _ := tb.set.Get(version)
	b := &event.Batch{Shape: s.Shape(), N: n, Columns: make([]event.Column, len(s.Shape().Fields)), IDs: make([]event.ID, n), Hashes: make([]uint64, n)}
	for c, f := range s.Shape().Fields {
		col := event.Column{Type: f.Type}
		if f.Type.Storage() == event.InCodes {
			col.Dict, col.Codes = &event.Dict{}, make([]uint32, n)
		} else {
			col.Ints = make([]int64, n)
		}
		if f.Nullable {
			col.Valid = event.NewBitmap(n)
		}
		b.Columns[c] = col
	}
	for i := range n {
		tb.events++
		b.IDs[i] = event.ID{Hi: tb.events * 0x9E3779B97F4A7C15, Lo: tb.events}
		b.Hashes[i] = tb.r.Uint64()
		b.Column("at").Ints[i] = int64(tb.r.Uint64N(1e15))
		b.Column("amount").Ints[i] = int64(int32(tb.r.Uint32()))
		name := b.Column("name")
		if tb.r.IntN(4) > 0 {
			name.Valid.Set(i)
			name.Codes[i] = name.Dict.Append(fmt.Appendf(nil, "name %d", tb.r.IntN(5)))
		} else if name.Dict.Len() == 0 {
			name.Dict.Append(nil)
		}
		if note := b.Column("note"); note != nil {
			note.Codes[i] = note.Dict.Append(fmt.Appendf(nil, "note %d", tb.events))
		}
	}
	return b
}

func (tb *testBundle) frame(h event.Header, b *event.Batch) []byte {
	tb.Helper()
	var body []byte
	if b != nil {
		s, _ := tb.set.Get(h.Schema)
		f := s.NewFrameBuilder()
		f.Append(b, nil)
		var err error
		if body, err = f.Finish(); err != nil {
			tb.Fatal(err)
		}
	}
	data, err := event.AppendFrame(nil, h, body)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func (tb *testBundle) append(partition int, frame []byte) uint64 {
	tb.Helper()
	offset, err := tb.log.Append(context.Background(), partition, frame)
	if err != nil {
		tb.Fatal(err)
	}
	return offset
}

// send appends n events.
func (tb *testBundle) send(partition int, version uint32, n int) uint64 {
	tb.Helper()
	return tb.append(partition, tb.rows(version, n))
}

func (tb *testBundle) rows(version uint32, n int) []byte {
	tb.seq++
	return tb.frame(event.Header{
		Kind: event.Rows, Pipeline: "shop", Schema: version, Rows: uint32(n), Producer: "g1", Sequence: tb.seq, Ingested: int64(tb.seq),
	}, tb.batch(version, n))
}

func (tb *testBundle) barrier(partition int, k uint64, admit string) uint64 {
	tb.Helper()
	return tb.append(partition, tb.frame(event.Header{Kind: event.Barrier, Pipeline: "shop", Barrier: k, Admit: admit}, nil))
}

// row is one event as text.
func row(b *event.Batch, i int) string {
	var s strings.Builder
	for c, f := range b.Shape.Fields {
		col := &b.Columns[c]
		switch {
		case !col.Valid.Get(i):
			fmt.Fprintf(&s, "%s=null ", f.Name)
		case f.Type.Storage() == event.InCodes:
			fmt.Fprintf(&s, "%s=%q ", f.Name, col.Bytes(i))
		default:
			fmt.Fprintf(&s, "%s=%d ", f.Name, col.Ints[i])
		}
	}
	if b.IDs != nil {
		fmt.Fprintf(&s, "%x %x", b.IDs[i], b.Hashes[i])
	}
	return s.String()
}

// inLog returns what the log holds below end, by position, and its barriers.
func (tb *testBundle) inLog(partition int, end uint64) (rows map[event.Position]string, barriers map[uint64]uint64, order []uint64) {
	tb.Helper()
	ctx := context.Background()
	rows, barriers = map[event.Position]string{}, map[uint64]uint64{}
	first, next, err := tb.log.Bounds(ctx, partition)
	if err != nil {
		tb.Fatal(err)
	}
	next = min(next, end)
	if first >= next {
		return rows, barriers, nil
	}
	reader, err := tb.log.Read(ctx, partition, first)
	if err != nil {
		tb.Fatal(err)
	}
	defer reader.Close()
	for {
		records, err := reader.Next(ctx)
		if err != nil {
			tb.Fatal(err)
		}
		for _, rec := range records {
			if rec.Offset >= next {
				return rows, barriers, order
			}
			h, body, err := event.ParseFrame(rec.Frame)
			if err != nil {
				tb.Fatal(err)
			}
			if h.Kind == event.Barrier {
				barriers[rec.Offset] = h.Barrier
				order = append(order, rec.Offset)
			} else {
				from, _ := tb.set.Get(h.Schema)
				b, err := from.DecodeFrame(body)
				if err != nil {
					tb.Fatal(err)
				}
				if from != tb.set.Newest() {
					if b, err = tb.set.Newest().Upgrade(b, from); err != nil {
						tb.Fatal(err)
					}
				}
				for i := range b.N {
					rows[event.Position{Partition: int32(partition), Offset: rec.Offset, Row: int32(i)}] = row(b, i)
				}
			}
			if rec.Offset+1 == next {
				return rows, barriers, order
			}
		}
	}
}

// checkArchive compares the segments of every partition with the log.
func (tb *testBundle) checkArchive(a *Archive) {
	tb.Helper()
	ctx := context.Background()
	for p := range partitions {
		chain, err := a.Segments(ctx, p, 0)
		if err != nil {
			tb.Fatal(err)
		}
		end := uint64(0)
		if len(chain) > 0 {
			end = chain[len(chain)-1].To
		}
		want, barriers, _ := tb.inLog(p, end)
		at, rows := uint64(0), 0
		for _, s := range chain {
			if s.From != at || s.To <= s.From {
				tb.Fatalf("partition %d: segment %d to %d behind %d", p, s.From, s.To, at)
			}
			at = s.To
			if k := barriers[s.To-1]; k != s.Barrier {
				tb.Fatalf("partition %d: segment to %d has barrier %d, the log %d", p, s.To, s.Barrier, k)
			}
			delete(barriers, s.To-1)
			n := int64(0)
			err := a.ReadSegment(ctx, s, func(b *event.Batch, offsets []uint64, rows []int32) error {
				n += int64(b.N)
				for i := range b.N {
					pos := event.Position{Partition: int32(p), Offset: offsets[i], Row: rows[i]}
					if offsets[i] < s.From || offsets[i] >= s.To {
						return fmt.Errorf("%v in a segment from %d to %d", pos, s.From, s.To)
					}
					if got := row(b, i); got != want[pos] {
						return fmt.Errorf("%v is %s, want %s", pos, got, want[pos])
					}
					delete(want, pos)
				}
				return nil
			})
			if err != nil {
				tb.Fatal(err)
			}
			if n != s.Rows {
				tb.Fatalf("%d rows, want %d", n, s.Rows)
			}
			rows += int(n)
			from, err := a.Segments(ctx, p, s.From)
			if err != nil || len(from) == 0 || from[0] != s {
				tb.Fatalf("segments from %d: %v %v", s.From, from, err)
			}
		}
		if len(want) > 0 || len(barriers) > 0 {
			tb.Fatalf("partition %d: %d rows and barriers %v are missing in %d rows up to %d", p, len(want), barriers, rows, end)
		}
	}
}

func object(t testing.TB, b bucket.Bucket, name string) []byte {
	t.Helper()
	body, _, err := b.Get(context.Background(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	data, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func replace(t testing.TB, b bucket.Bucket, name string, data []byte) {
	t.Helper()
	if _, err := b.Put(context.Background(), name, bytes.NewReader(data), bucket.Condition{}); err != nil {
		t.Fatal(err)
	}
}

// flips calls read after flipping bits of an object, one at a time, every
// step-th byte. Read has to be Corrupt and to name the object.
func flips(t testing.TB, b bucket.Bucket, name string, step int, read func() error) {
	t.Helper()
	good := object(t, b, name)
	if err := read(); err != nil {
		t.Fatalf("undamaged: %v", err)
	}
	damaged := func(what string, bad []byte) {
		t.Helper()
		replace(t, b, name, bad)
		if err := read(); !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), name) {
			t.Fatalf("%s: %v; want corrupt and the name %s", what, err, name)
		}
	}
	for i := 0; i < len(good); i += step {
		bad := bytes.Clone(good)
		bad[i] ^= 1 << (i % 8)
		damaged(fmt.Sprintf("bit flipped in byte %d of %d", i, len(good)), bad)
	}
	for n := 0; n < len(good); n += 7*step + 1 {
		damaged(fmt.Sprintf("cut to %d of %d bytes", n, len(good)), good[:n])
	}
	replace(t, b, name, good)
}

func names(t testing.TB, b bucket.Bucket, prefix string) []string {
	t.Helper()
	var out []string
	for info, err := range b.List(context.Background(), prefix, "") {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, info.Name)
	}
	return out
}

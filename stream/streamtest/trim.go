package streamtest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"anabranch/stream"
)

func bounds(t *testing.T, l stream.Log, partition int) (first, end uint64) {
	t.Helper()
	first, end, err := l.Bounds(background(t), partition)
	if err != nil {
		t.Fatal(err)
	}
	return first, end
}

func trim(t *testing.T, l stream.Log, partition int, below uint64) {
	t.Helper()
	if err := l.Trim(background(t), partition, below); err != nil {
		t.Fatal(err)
	}
}

// trimmed checks that reading from an offset is refused as trimmed.
func trimmed(t *testing.T, l stream.Log, partition int, from uint64) {
	t.Helper()
	if r, err := l.Read(background(t), partition, from); !errors.Is(err, stream.ErrTrimmed) {
		if err == nil {
			r.Close()
		}
		t.Fatalf("read from trimmed offset %d: %v", from, err)
	}
}

func testTrim(t *testing.T, s stream.Store) {
	l := openLog(t, s, "shop", 2)
	trim(t, l, 0, 0) // nothing there, nothing done
	var want []stream.Record
	for i := range 6 {
		want = append(want, appendOne(t, l, 0, fmt.Sprint(i)))
	}
	first, end := bounds(t, l, 0)
	if first > want[0].Offset || end != want[5].Offset+1 {
		t.Fatalf("bounds %d to %d of records %s", first, end, show(want))
	}
	trim(t, l, 0, want[2].Offset)
	for range 2 {
		if first, _ := bounds(t, l, 0); first != want[2].Offset {
			t.Fatalf("first %d after trimming below %d", first, want[2].Offset)
		}
		trimmed(t, l, 0, 0)
		trimmed(t, l, 0, want[1].Offset)
		same(t, read(t, l, 0, want[2].Offset, 4), want[2:])
		trim(t, l, 0, want[1].Offset) // less than before: nothing
	}
	trim(t, l, 0, end)
	if first, next := bounds(t, l, 0); first != end || next != end {
		t.Fatalf("all trimmed: %d to %d, want %d", first, next, end)
	}
	trimmed(t, l, 0, want[5].Offset)
	after := appendOne(t, l, 0, "after")
	if after.Offset < end {
		t.Fatalf("offset %d was given a second time", after.Offset)
	}
	same(t, read(t, l, 0, end, 1), []stream.Record{after})
	if first, next := bounds(t, l, 1); first != next {
		t.Fatalf("the other partition: %d to %d", first, next)
	}
}

func testTrimUnderReader(t *testing.T, s stream.Store) {
	l := openLog(t, s, "shop", 1)
	first := appendOne(t, l, 0, "first")
	r, err := l.Read(background(t), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	same(t, next(t, r, 1), []stream.Record{first})
	for i := range 5 {
		appendOne(t, l, 0, fmt.Sprint(i))
	}
	_, end := bounds(t, l, 0)
	trim(t, l, 0, end)
	last := appendOne(t, l, 0, "last")
	// What was already on its way may still come, in order; then the hole.
	for at := first.Offset; ; {
		got, err := r.Next(background(t))
		if errors.Is(err, stream.ErrTrimmed) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range got {
			if g.Offset <= at || g.Offset == last.Offset && at < end-1 {
				t.Fatalf("offset %d after %d: trimmed records were left out without a word", g.Offset, at)
			}
			at = g.Offset
		}
		if at == last.Offset {
			break // everything had been on its way
		}
	}
	same(t, read(t, l, 0, end, 1), []stream.Record{last})
}

// testHistory does random things and compares with a plain list.
func testHistory(t *testing.T, s stream.Store) {
	seed := rand.Uint64()
	if text := os.Getenv("SEED"); text != "" {
		seed, _ = strconv.ParseUint(text, 10, 64)
	}
	t.Logf("SEED=%d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	l := openLog(t, s, "history", 1)
	var want []stream.Record // what is there
	gone := uint64(0)        // highest trimmed offset + 1
	for step := range 120 {
		switch x := rnd.IntN(10); {
		case x < 5:
			r := appendOne(t, l, 0, fmt.Sprintf("%d %x", step, make([]byte, rnd.IntN(2000))))
			if len(want) > 0 && r.Offset <= want[len(want)-1].Offset || r.Offset < gone {
				t.Fatalf("step %d: offset %d given twice", step, r.Offset)
			}
			want = append(want, r)
		case x < 8 && len(want) > 0:
			i := rnd.IntN(len(want))
			same(t, read(t, l, 0, want[i].Offset, len(want)-i), want[i:])
		case x < 9 && len(want) > 0:
			i := rnd.IntN(len(want) + 1)
			below := want[len(want)-1].Offset + 1
			if i < len(want) {
				below = want[i].Offset
			}
			trim(t, l, 0, below)
			if i > 0 {
				gone = want[i-1].Offset + 1
				trimmed(t, l, 0, gone-1)
			}
			want = want[i:]
		default:
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			l = openLog(t, s, "history", 1)
		}
		first, end := bounds(t, l, 0)
		switch {
		case len(want) == 0 && first != end,
			len(want) > 0 && (first > want[0].Offset || end != want[len(want)-1].Offset+1):
			t.Fatalf("step %d: bounds %d to %d, records %s", step, first, end, show(want))
		}
	}
}

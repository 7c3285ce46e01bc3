// Package streamtest holds the one suite that every driver of the log has to
// pass.
package streamtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"anabranch/event"
	"anabranch/fault"
	"anabranch/stream"
)

// Run runs the suite. Open returns an empty store, and cleans up after itself;
// it is called once for each test of the suite.
func Run(t *testing.T, open func(t *testing.T) stream.Store) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, s stream.Store)
	}{
		{"order and resume at any offset", testOrder},
		{"concurrent appends", testConcurrent},
		{"the frame is the caller's again", testFrameReuse},
		{"bounds and trim", testTrim},
		{"trimmed under a reader", testTrimUnderReader},
		{"a waiting reader wakes", testWake},
		{"cancel and close end a wait", testEndOfWait},
		{"reopen", testReopen},
		{"logs do not mix", testSeparate},
		{"refusals", testRefusals},
		{"random history", testHistory},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, open(t))
		})
	}
}

// patience bounds what should take milliseconds.
const patience = 5 * time.Minute

func background(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	t.Cleanup(cancel)
	return ctx
}

func openLog(t *testing.T, s stream.Store, pipeline string, partitions int) stream.Log {
	t.Helper()
	l, err := s.Open(background(t), pipeline, partitions)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if l.Partitions() != partitions {
		t.Fatalf("%d partitions, want %d", l.Partitions(), partitions)
	}
	return l
}

func appendOne(t *testing.T, l stream.Log, partition int, text string) stream.Record {
	t.Helper()
	offset, err := l.Append(background(t), partition, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return stream.Record{Offset: offset, Frame: []byte(text)}
}

// read returns the next n records of partition from an offset on.
func read(t *testing.T, l stream.Log, partition int, from uint64, n int) []stream.Record {
	t.Helper()
	r, err := l.Read(background(t), partition, from)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	return next(t, r, n)
}

func next(t *testing.T, r stream.Reader, n int) []stream.Record {
	t.Helper()
	var got []stream.Record
	for len(got) < n {
		more, err := r.Next(background(t))
		if err != nil {
			t.Fatalf("after %d of %d records: %v", len(got), n, err)
		}
		if len(more) == 0 {
			t.Fatal("next returned neither records nor an error")
		}
		got = append(got, more...)
	}
	return got
}

func same(t *testing.T, got, want []stream.Record) {
	t.Helper()
	if !slices.EqualFunc(got, want, func(a, b stream.Record) bool { return a.Offset == b.Offset && bytes.Equal(a.Frame, b.Frame) }) {
		t.Fatalf("got %s\nwant %s", show(got), show(want))
	}
}

func show(records []stream.Record) string {
	var b bytes.Buffer
	for _, r := range records {
		fmt.Fprintf(&b, "%d:%.20q ", r.Offset, r.Frame)
	}
	return b.String()
}

func testOrder(t *testing.T, s stream.Store) {
	l := openLog(t, s, "shop", 3)
	var want []stream.Record
	for i := range 20 {
		r := appendOne(t, l, 2, fmt.Sprint("frame ", i))
		if i > 0 && r.Offset <= want[i-1].Offset {
			t.Fatalf("offset %d after %d", r.Offset, want[i-1].Offset)
		}
		want = append(want, r)
	}
	same(t, read(t, l, 2, 0, 20), want)
	for i, r := range want {
		same(t, read(t, l, 2, r.Offset, 20-i), want[i:])
		if i+1 < len(want) {
			same(t, read(t, l, 2, r.Offset+1, 19-i), want[i+1:])
		}
	}
	for p := range 2 {
		if first, end, err := l.Bounds(background(t), p); err != nil || first != end {
			t.Fatalf("untouched partition %d: %d to %d, %v", p, first, end, err)
		}
	}
}

func testConcurrent(t *testing.T, s stream.Store) {
	const writers, each = 8, 25
	l := openLog(t, s, "shop", 2)
	ctx := background(t)
	var acked [writers][]uint64
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				offset, err := l.Append(ctx, w%2, fmt.Appendf(nil, "%d %d", w, i))
				if err != nil {
					t.Error(err)
					return
				}
				acked[w] = append(acked[w], offset)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	for p := range 2 {
		text := map[uint64]string{}
		last := -1
		for _, r := range read(t, l, p, 0, writers/2*each) {
			if int(r.Offset) <= last {
				t.Fatalf("offset %d after %d", r.Offset, last)
			}
			last = int(r.Offset)
			text[r.Offset] = string(r.Frame)
		}
		for w := p; w < writers; w += 2 {
			if !slices.IsSorted(acked[w]) {
				t.Fatalf("one after the other, yet offsets %v", acked[w])
			}
			for i, offset := range acked[w] {
				if want := fmt.Sprintf("%d %d", w, i); text[offset] != want {
					t.Fatalf("offset %d holds %q, acknowledged for %q", offset, text[offset], want)
				}
			}
		}
	}
}

func testFrameReuse(t *testing.T, s stream.Store) {
	l := openLog(t, s, "shop", 1)
	frame := []byte("first")
	for _, text := range []string{"first", "again"} {
		copy(frame, text)
		if _, err := l.Append(background(t), 0, frame); err != nil {
			t.Fatal(err)
		}
	}
	copy(frame, "xxxxx")
	got := read(t, l, 0, 0, 2)
	if string(got[0].Frame) != "first" || string(got[1].Frame) != "again" {
		t.Fatal(show(got))
	}
}

func testWake(t *testing.T, s stream.Store) {
	l := openLog(t, s, "shop", 1)
	appendOne(t, l, 0, "before")
	_, end, err := l.Bounds(background(t), 0)
	if err != nil {
		t.Fatal(err)
	}
	r, err := l.Read(background(t), 0, end)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for i := range 3 {
		got := make(chan []stream.Record)
		go func() {
			records, err := r.Next(background(t))
			if err != nil {
				t.Error(err)
			}
			got <- records
		}()
		want := appendOne(t, l, 0, fmt.Sprint("after ", i))
		same(t, <-got, []stream.Record{want})
	}
}

func testEndOfWait(t *testing.T, s stream.Store) {
	l := openLog(t, s, "shop", 1)
	r, err := l.Read(background(t), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(background(t))
	wait := func(ctx context.Context, r stream.Reader) <-chan error {
		c := make(chan error, 1)
		go func() {
			_, err := r.Next(ctx)
			c <- err
		}()
		return c
	}
	done := wait(ctx, r)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatalf("cancelled: %v", err)
	}
	want := appendOne(t, l, 0, "x")
	same(t, next(t, r, 1), []stream.Record{want}) // and goes on

	done = wait(background(t), r)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, stream.ErrClosed) {
		t.Fatalf("reader closed: %v", err)
	}
	r2, err := l.Read(background(t), 0, want.Offset+1)
	if err != nil {
		t.Fatal(err)
	}
	done = wait(background(t), r2)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, stream.ErrClosed) {
		t.Fatalf("log closed: %v", err)
	}
	if _, err := l.Append(background(t), 0, nil); !errors.Is(err, stream.ErrClosed) {
		t.Fatalf("append after close: %v", err)
	}
	if _, err := l.Read(background(t), 0, 0); !errors.Is(err, stream.ErrClosed) {
		t.Fatalf("read after close: %v", err)
	}
	if _, _, err := l.Bounds(background(t), 0); !errors.Is(err, stream.ErrClosed) {
		t.Fatalf("bounds after close: %v", err)
	}
	if r.Close() != nil || r2.Close() != nil || l.Close() != nil {
		t.Fatal("closing twice")
	}
}

func testReopen(t *testing.T, s stream.Store) {
	l := openLog(t, s, "shop", 2)
	want := []stream.Record{appendOne(t, l, 1, "a"), appendOne(t, l, 1, "b")}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, wrong := range []int{1, 3} {
		if _, err := s.Open(background(t), "shop", wrong); !fault.Is(err, fault.Invalid) {
			t.Fatalf("opened with %d partitions: %v", wrong, err)
		}
	}
	l = openLog(t, s, "shop", 2)
	want = append(want, appendOne(t, l, 1, "c"))
	same(t, read(t, l, 1, 0, 3), want)
}

func testSeparate(t *testing.T, s stream.Store) {
	names := []string{"a", "A-1", "a_p0000", "a_p0000_p0000"}
	var want []stream.Record
	for _, name := range names {
		want = append(want, appendOne(t, openLog(t, s, name, 1), 0, name))
	}
	for i, name := range names {
		same(t, read(t, openLog(t, s, name, 1), 0, 0, 1), want[i:i+1])
	}
}

func testRefusals(t *testing.T, s stream.Store) {
	ctx := background(t)
	for _, name := range []string{"", "a.b", "a b", "a*", "a>", "a/b", "ä", string(make([]byte, 65))} {
		if _, err := s.Open(ctx, name, 1); !fault.Is(err, fault.Invalid) {
			t.Errorf("pipeline %q: %v", name, err)
		}
	}
	for _, n := range []int{-1, 0, stream.MaxPartitions + 1} {
		if _, err := s.Open(ctx, "shop", n); !fault.Is(err, fault.Invalid) {
			t.Errorf("%d partitions: %v", n, err)
		}
	}
	l := openLog(t, s, "shop", 2)
	for _, p := range []int{-1, 2} {
		_, err := l.Append(ctx, p, []byte("x"))
		_, err2 := l.Read(ctx, p, 0)
		_, _, err3 := l.Bounds(ctx, p)
		for _, err := range []error{err, err2, err3, l.Trim(ctx, p, 0)} {
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("partition %d: %v", p, err)
			}
		}
	}
	if _, err := l.Append(ctx, 0, make([]byte, event.MaxFrame+1)); !fault.Is(err, fault.Invalid) {
		t.Errorf("a frame that is too large: %v", err)
	}
	largest := bytes.Repeat([]byte{7}, event.MaxFrame)
	offset, err := l.Append(ctx, 0, largest)
	if err != nil {
		t.Fatal(err)
	}
	same(t, read(t, l, 0, 0, 1), []stream.Record{{Offset: offset, Frame: largest}})
	_, end, err := l.Bounds(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Read(ctx, 0, end+1); !fault.Is(err, fault.Corrupt) {
		t.Errorf("read above the end: %v", err)
	}
	if err := l.Trim(ctx, 0, end+1); !fault.Is(err, fault.Invalid) {
		t.Errorf("trim above the end: %v", err)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := l.Append(ended, 0, []byte("x")); !errors.Is(err, context.Canceled) {
		t.Errorf("append under a context that ended: %v", err)
	}
}

package archive

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"anabranch/bucket/faultbucket"
	"anabranch/event"
	"anabranch/fault"
)

func text(b *event.Batch) []string {
	var out []string
	for i := range b.N {
		out = append(out, row(&event.Batch{Shape: b.Shape, N: b.N, Columns: b.Columns}, i))
	}
	return out
}

func TestDaysComeBackAsWritten(t *testing.T) {
	t.Parallel()
	for _, cached := range []bool{false, true} {
		tb := setup(t, 21)
		dir := ""
		if cached {
			dir = t.TempDir()
		}
		ctx := context.Background()
		a := tb.open(tb.bucket, dir)
		want := map[int32][]string{}
		var files []DayFile
		for k := uint64(1); k <= 3; k++ { // three nightly batches
			w := a.NewDayWriter(ctx, k, 1, "")
			for day := int32(-3); day < 20; day++ {
				for range tb.r.IntN(3) {
					b := tb.batch(3, tb.r.IntN(200))
					if err := w.Write(day, b); err != nil {
						t.Fatal(err)
					}
					want[day] = append(want[day], text(b)...)
				}
			}
			got, err := w.Close(ctx, []string{"segment a", "segment b"})
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range got {
				if f.K != k || f.Partition != 1 || f.Schema != 3 || len(f.Segments) != 2 {
					t.Fatalf("%+v", f)
				}
			}
			files = append(files, got...)
		}
		for day := int32(-5); day < 22; day++ {
			var got []string
			err := readDay(ctx, a, files, day, nil, func(b *event.Batch) error {
				got = append(got, text(b)...)
				return nil
			})
			if err != nil || !slices.Equal(got, want[day]) {
				t.Fatalf("day %d: %d rows %v, want %d", day, len(got), err, len(want[day]))
			}
			var scanned []string
			r := a.ScanDays(files)
			err = r.Day(ctx, day, nil, func(b *event.Batch) error {
				scanned = append(scanned, text(b)...)
				return nil
			})
			r.Close()
			if err != nil || !slices.Equal(scanned, want[day]) {
				t.Fatalf("day %d: %d rows %v, want %d", day, len(scanned), err, len(want[day]))
			}
			var few []string
			err = readDay(ctx, a, files, day, []string{"note", "amount"}, func(b *event.Batch) error {
				for _, line := range text(b) {
					if b.Shape.Names()[0] != "note" || len(b.Columns) != 2 {
						return errors.New("columns")
					}
					few = append(few, strings.TrimSpace(line))
				}
				return nil
			})
			if err != nil || len(few) != len(want[day]) {
				t.Fatal(day, len(few), err)
			}
		}
	}
}

func TestLargeDaysAreSplit(t *testing.T) {
	t.Parallel()
	tb := setup(t, 22)
	ctx := context.Background()
	a := tb.open(tb.bucket, "")
	w := a.NewDayWriter(ctx, 1, 0, "")
	b := tb.batch(3, 5000)
	const n = 60
	for range n {
		if err := w.Write(7, b); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Write(8, b); err != nil {
		t.Fatal(err)
	}
	files, err := w.Close(ctx, nil)
	if err != nil || len(files) != 1 {
		t.Fatal(len(files), err)
	}
	d := files[0].Days
	if len(d) != 2 || d[0].Rows != n*5000 || len(d[0].RowGroups) != 3 || len(d[1].RowGroups) != 1 || d[1].RowGroups[0] != 3 {
		t.Fatalf("%+v", d)
	}
	rows := 0
	if err := readDay(ctx, a, files, 7, []string{"at"}, func(b *event.Batch) error { rows += b.N; return nil }); err != nil || rows != n*5000 {
		t.Fatal(rows, err)
	}
}

func TestDayWriterRefusesDisorder(t *testing.T) {
	t.Parallel()
	tb := setup(t, 23)
	dir := t.TempDir()
	a := tb.open(tb.bucket, dir)
	w := a.NewDayWriter(t.Context(), 1, 0, "")
	if err := w.Write(5, tb.batch(3, 2)); err != nil {
		t.Fatal(err)
	}
	if err := w.Write(4, tb.batch(3, 2)); !fault.Is(err, fault.Bug) {
		t.Fatal(err)
	}
	if err := w.Write(6, tb.batch(1, 2)); !fault.Is(err, fault.Bug) {
		t.Fatalf("an older schema's columns: %v", err)
	}
	w.Abandon()
	if _, err := w.Close(t.Context(), nil); !fault.Is(err, fault.Bug) {
		t.Fatal(err)
	}
	if n := names(t, tb.bucket, ""); len(n) != 0 {
		t.Fatal(n)
	}
	if left := tempFiles(t, dir); len(left) > 0 {
		t.Fatal(left)
	}
}

func TestOldDaysAreReadUp(t *testing.T) {
	t.Parallel()
	tb := setup(t, 24)
	ctx := context.Background()
	newest := tb.set
	tb.set = set(t, 1)
	old := tb.open(tb.bucket, "")
	b := tb.batch(1, 50)
	w := old.NewDayWriter(ctx, 1, 0, "")
	if err := w.Write(1, b); err != nil {
		t.Fatal(err)
	}
	files, err := w.Close(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	one, _ := newest.Get(1)
	want, err := newest.Newest().Upgrade(b, one)
	if err != nil {
		t.Fatal(err)
	}
	tb.set = newest
	a := tb.open(tb.bucket, "")
	for _, columns := range [][]string{nil, {"note"}, {"amount", "name"}} {
		expect := want
		if columns != nil {
			if expect, err = project(want, columns); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		err := readDay(ctx, a, files, 1, columns, func(b *event.Batch) error { got = append(got, text(b)...); return nil })
		if err != nil || !slices.Equal(got, text(expect)) {
			t.Fatalf("%v: %v %v", columns, got, err)
		}
	}
	if err := readDay(ctx, a, files, 1, []string{"nothing"}, func(*event.Batch) error { return nil }); !fault.Is(err, fault.Invalid) {
		t.Fatal(err)
	}
}

// groups makes a batch of n groups of a day.
func (tb *testBundle) groups(day int32, n int) *event.Batch {
	shape := event.NewShape(
		event.Field{Name: "country", Type: event.Type{Kind: event.String}, Nullable: true},
		event.Field{Name: "_state", Type: event.Type{Kind: event.Bytes}},
	)
	b := &event.Batch{Shape: shape, N: n, Columns: []event.Column{
		{Type: shape.Fields[0].Type, Dict: &event.Dict{}, Codes: make([]uint32, n), Valid: event.NewBitmap(n)},
		{Type: shape.Fields[1].Type, Dict: &event.Dict{}, Codes: make([]uint32, n)},
	}}
	for i := range n {
		b.Columns[0].Codes[i] = b.Columns[0].Dict.Append(fmt.Appendf(nil, "country %d of day %d", i, day))
		b.Columns[1].Codes[i] = b.Columns[1].Dict.Append(fmt.Appendf(nil, "\xff\x00%d", tb.r.Uint64()))
		if i%5 > 0 {
			b.Columns[0].Valid.Set(i)
		}
	}
	return b
}

// writeStates stores what fill emits.
func writeStates(ctx context.Context, a *Archive, view, version, tag string, fill func(emit func(int32, *event.Batch) error) error) (StateFile, error) {
	w := a.NewStates(view, version, tag)
	defer w.Abandon()
	if err := fill(w.Write); err != nil {
		return StateFile{}, err
	}
	return w.Close(ctx)
}

func TestStatesComeBackByDay(t *testing.T) {
	t.Parallel()
	tb := setup(t, 25)
	ctx := context.Background()
	a := tb.open(tb.bucket, t.TempDir())
	want := map[int32][]string{}
	var days []int32
	f, err := writeStates(ctx, a, "sales", "v1", "u7", func(emit func(int32, *event.Batch) error) error {
		for day := int32(-2); day < 200; day += 1 + int32(tb.r.IntN(3)) {
			days = append(days, day)
			parts := tb.r.IntN(3)
			if parts == 0 {
				if err := emit(day, tb.groups(day, 0)); err != nil {
					return err
				}
			}
			for range parts {
				n := 1 + tb.r.IntN(30)
				if day%50 == 0 {
					n = groupRows + 10
				}
				b := tb.groups(day, n)
				if err := emit(day, b); err != nil {
					return err
				}
				want[day] = append(want[day], text(b)...)
			}
		}
		return nil
	})
	if err != nil || !slices.Equal(f.Days, days) {
		t.Fatal(f.Days, err)
	}
	rows := 0
	for _, w := range want {
		rows += len(w)
	}
	if f.Rows != int64(rows) {
		t.Fatal(f.Rows, rows)
	}
	read := func(ask map[int32]bool) map[int32][]string {
		got := map[int32][]string{}
		last := int32(-100)
		err := a.ReadStates(ctx, f, ask, func(day int32, b *event.Batch) error {
			if day < last || ask != nil && !ask[day] {
				return fmt.Errorf("day %d behind %d", day, last)
			}
			last = day
			if strings.Join(b.Shape.Names(), " ") != "country _state" {
				return errors.New("columns")
			}
			got[day] = append(got[day], text(b)...)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	check := func(ask map[int32]bool) {
		t.Helper()
		got := read(ask)
		for day, w := range want {
			if (ask == nil || ask[day]) != (got[day] != nil) || got[day] != nil && !slices.Equal(got[day], w) {
				t.Fatalf("day %d: %d groups, want %d", day, len(got[day]), len(w))
			}
		}
	}
	check(nil)
	check(map[int32]bool{})
	for range 20 {
		ask := map[int32]bool{}
		for range 1 + tb.r.IntN(5) {
			ask[days[tb.r.IntN(len(days))]] = true
		}
		check(ask)
	}
}

func TestStatesOfNothing(t *testing.T) {
	t.Parallel()
	tb := setup(t, 26)
	a := tb.open(tb.bucket, "")
	f, err := writeStates(t.Context(), a, "sales", "v1", "t", func(emit func(int32, *event.Batch) error) error { return emit(3, nil) })
	if err != nil || len(f.Days) != 1 || f.Rows != 0 {
		t.Fatal(f, err)
	}
	if err := a.ReadStates(t.Context(), f, nil, func(int32, *event.Batch) error { return errors.New("rows") }); err != nil {
		t.Fatal(err)
	}
	_, err = writeStates(t.Context(), a, "sales", "v1", "t", func(emit func(int32, *event.Batch) error) error {
		return errors.Join(emit(3, tb.groups(3, 1)), emit(2, tb.groups(2, 1)))
	})
	if !fault.Is(err, fault.Bug) {
		t.Fatal(err)
	}
}

func TestResultsComeBack(t *testing.T) {
	t.Parallel()
	tb := setup(t, 27)
	a := tb.open(tb.bucket, t.TempDir())
	for _, n := range []int{0, 1, 1000, groupRows + 5} {
		b := tb.groups(0, n)
		f, err := a.WriteResult(t.Context(), "sales", "v1", "2011-11", 3, "", b)
		if err != nil || f.Rows != int64(n) || f.Shard != 3 || f.Period != "2011-11" {
			t.Fatal(f, err)
		}
		again, err := a.WriteResult(t.Context(), "sales", "v1", "2011-11", 3, "", b)
		if err != nil || again != f {
			t.Fatalf("the same rows have another file: %+v %+v %v", again, f, err)
		}
		var got []string
		if err := a.ReadResult(t.Context(), f, nil, func(b *event.Batch) error { got = append(got, text(b)...); return nil }); err != nil || !slices.Equal(got, text(b)) {
			t.Fatal(len(got), err)
		}
	}
}

func TestDamagedFilesAreNamed(t *testing.T) {
	t.Parallel()
	tb := setup(t, 28)
	ctx := context.Background()
	a := tb.open(tb.bucket, "")
	w := a.NewDayWriter(ctx, 1, 0, "")
	if err := w.Write(3, tb.batch(3, 40)); err != nil {
		t.Fatal(err)
	}
	days, err := w.Close(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	states, err := writeStates(ctx, a, "sales", "v1", "t", func(emit func(int32, *event.Batch) error) error { return emit(3, tb.groups(3, 9)) })
	if err != nil {
		t.Fatal(err)
	}
	result, err := a.WriteResult(ctx, "sales", "v1", "p", 0, "", tb.groups(3, 9))
	if err != nil {
		t.Fatal(err)
	}
	none := func(*event.Batch) error { return nil }
	flips(t, tb.bucket, days[0].Name, 13, func() error { return readDay(ctx, a, days, 3, nil, none) })
	flips(t, tb.bucket, states.Name, 13, func() error { return a.ReadStates(ctx, states, nil, func(int32, *event.Batch) error { return nil }) })
	flips(t, tb.bucket, result.Name, 13, func() error { return a.ReadResult(ctx, result, nil, none) })
	flips(t, tb.bucket, result.Name, 101, func() error {
		c := tb.open(tb.bucket, t.TempDir())
		_, release, err := c.Local(ctx, result.Name, result.Size, result.Sum)
		release()
		return err
	})
}

func readDay(ctx context.Context, a *Archive, files []DayFile, day int32, columns []string, fn func(*event.Batch) error) error {
	r := a.ReadDays(files)
	defer r.Close()
	return r.Day(ctx, day, columns, fn)
}

// TestDayFilesAreOpenedOnce: what the days of a file cost does not grow with
// how many there are, and few files are open, however many there are.
func TestDayFilesAreOpenedOnce(t *testing.T) {
	t.Parallel()
	tb := setup(t, 41)
	ctx, calls := t.Context(), faultbucket.Wrap(tb.bucket, nil)
	a := Open(calls, "shop", tb.set, Options{Clock: tb.clock})
	const days, many = 9, openDayFiles + 3
	var files []DayFile
	for k := range uint64(many) {
		w := a.NewDayWriter(ctx, k+1, 0, "")
		for day := range int32(days) {
			if err := w.Write(day, tb.batch(3, 5)); err != nil {
				t.Fatal(err)
			}
		}
		made, err := w.Close(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, made...)
	}
	read := func(files []DayFile) (rows, fetched int) {
		before := len(calls.Calls())
		r := a.ReadDays(files)
		defer r.Close()
		for day := range int32(days) {
			if err := r.Day(ctx, day, nil, func(b *event.Batch) error { rows += b.N; return nil }); err != nil {
				t.Fatal(err)
			}
			if len(r.open) > openDayFiles {
				t.Fatalf("%d files are open", len(r.open))
			}
		}
		return rows, len(calls.Calls()) - before
	}
	if rows, fetched := read(files[:openDayFiles]); rows != openDayFiles*days*5 || fetched != openDayFiles {
		t.Errorf("%d rows in %d fetches of %d files", rows, fetched, openDayFiles)
	}
	if rows, _ := read(files); rows != many*days*5 {
		t.Errorf("%d rows of %d files", rows, many)
	}
}

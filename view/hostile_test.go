package view

import (
	"bytes"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"anabranch/event"
	"anabranch/fault"
)

// fuzzView has every aggregate over every kind of column.
func fuzzView() (*View, *event.Shape) {
	keys := []event.Type{{Kind: event.String}, {Kind: event.Timestamp}, {Kind: event.Float64}, {Kind: event.Huge}}
	args := []event.Type{{Kind: event.Int64}, {Kind: event.Float64}, {Kind: event.String}, {Kind: event.Decimal, Precision: 30, Scale: 3}}
	aggs := []aggregate{{fn: aggCountStar, arg: -1, by: -1, filter: -1, out: event.Type{Kind: event.Int64}}}
	for i, t := range args {
		for fn := aggCount; fn <= aggArgMax; fn++ {
			if t.Kind == event.String && (fn == aggSum || fn == aggAvg || fn == aggApproxQuantile) {
				continue
			}
			a := aggregate{fn: fn, arg: i, by: -1, filter: -1, in: t, out: outType(fn, t), quantile: 0.9}
			if fn >= aggArgMin {
				a.by, a.byType = (i+1)%len(args), args[(i+1)%len(args)]
			}
			aggs = append(aggs, a)
		}
	}
	var fields []event.Field
	for i, t := range append(append([]event.Type{}, keys...), args...) {
		fields = append(fields, event.Field{Name: string(rune('a' + i)), Type: t, Nullable: true})
	}
	return testView(keys, args, aggs), event.NewShape(fields...)
}

func fuzzState(tb testing.TB, rows int) *State {
	v, shape := fuzzView()
	s := v.New()
	b := randomBatch(rand.New(rand.NewPCG(3, 4)), shape, len(v.program.keys), rows, false)
	if err := s.Fold(b, nil); err != nil {
		tb.Fatal(err)
	}
	return s
}

// usable does with s what its owner would; whatever it holds, nothing panics
// and what it writes can be read.
func usable(tb testing.TB, s *State) {
	groups, _, err := s.Finish()
	if groups == nil {
		tb.Fatal(err)
	}
	if err := s.view.New().MergeGroups(groups); err != nil {
		tb.Fatal(err)
	}
	data, err := s.AppendBinary(nil)
	if err != nil {
		tb.Fatal(err)
	}
	back := s.view.New()
	if err := back.UnmarshalBinary(data); err != nil {
		tb.Fatal(err)
	}
	again, _, _ := back.Finish()
	if !bytes.Equal(image(groups), image(again)) {
		tb.Fatal("a state read from damaged bytes is not written as it is")
	}
}

func FuzzUnmarshalBinary(f *testing.F) {
	for _, rows := range []int{0, 1, 20} {
		data, err := fuzzState(f, rows).AppendBinary(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, _ := fuzzView()
		s := v.New()
		switch err := s.UnmarshalBinary(data); {
		case err == nil:
			usable(t, s)
		case !fault.Is(err, fault.Corrupt):
			t.Fatal(err)
		case s.Len() != 0:
			t.Fatal("a snapshot that was refused left something")
		}
	})
}

func FuzzMergeGroups(f *testing.F) {
	groups, err := fuzzState(f, 20).Groups()
	if err != nil {
		f.Fatal(err)
	}
	state := groups.Columns[len(groups.Columns)-1]
	for i := range groups.N {
		f.Add(state.Bytes(i))
	}
	f.Fuzz(func(t *testing.T, blob []byte) {
		v, _ := fuzzView()
		s := v.New()
		b := groups.Gather([]uint32{0, 1})
		c := &b.Columns[len(b.Columns)-1]
		c.Dict = &event.Dict{}
		c.Codes = []uint32{c.Dict.Append(blob), 0}
		switch err := s.MergeGroups(b); {
		case err == nil:
			usable(t, s)
		case !fault.Is(err, fault.Corrupt):
			t.Fatal(err)
		default:
			if _, err := s.Result(); !fault.Is(err, fault.Corrupt) {
				t.Fatalf("a broken state answers: %v", err)
			}
			s.Reset()
			if _, err := s.Result(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestDamagedSnapshots cuts and changes snapshots at every byte.
func TestDamagedSnapshots(t *testing.T) {
	t.Parallel()
	s := fuzzState(t, 12)
	data, err := s.AppendBinary(nil)
	check(t, err)
	to := s.view.New()
	for n := range data {
		if err := to.UnmarshalBinary(data[:n]); !fault.Is(err, fault.Corrupt) {
			t.Fatalf("cut to %d of %d bytes: %v", n, len(data), err)
		}
	}
	if err := to.UnmarshalBinary(append(bytes.Clone(data), 0)); !fault.Is(err, fault.Corrupt) {
		t.Fatalf("a byte too many: %v", err)
	}
	for i := range data {
		for _, with := range []byte{data[i] ^ 1, data[i] ^ 0x80, 0, 0xff} {
			bad := bytes.Clone(data)
			bad[i] = with
			if err := to.UnmarshalBinary(bad); err == nil {
				usable(t, to)
			} else if !fault.Is(err, fault.Corrupt) {
				t.Fatal(err)
			}
		}
	}
}

// TestNumbersInHostileBytesAllocateNothing announces enormous counts at every
// byte; memory stays in proportion to the bytes there are.
func TestNumbersInHostileBytesAllocateNothing(t *testing.T) {
	s := fuzzState(t, 3)
	data, err := s.AppendBinary(nil)
	check(t, err)
	huge := []byte{0xff, 0xff, 0xff, 0xff, 0x7f}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range data {
		bad := append(append(bytes.Clone(data[:i]), huge...), data[i+1:]...)
		_ = s.view.New().UnmarshalBinary(bad)
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / uint64(len(data)); each > 1<<20 {
		t.Fatalf("%d bytes for each of %d-byte snapshots", each, len(data))
	}
}

func TestSnapshotOfAnotherView(t *testing.T) {
	t.Parallel()
	s := fuzzState(t, 5)
	data, err := s.AppendBinary(nil)
	check(t, err)
	other, _ := fuzzView()
	other.version = "v2"
	if err := other.New().UnmarshalBinary(data); !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "another view") {
		t.Fatal(err)
	}
	if err := other.New().Merge(s); !fault.Is(err, fault.Bug) {
		t.Fatal(err)
	}
}

// TestSumsThatLeaveTheirTypeAreErrors: never a wrap, and no error where a sum
// only passes beyond the type on its way.
func TestSumsThatLeaveTheirTypeAreErrors(t *testing.T) {
	t.Parallel()
	high := event.Int128{Hi: math.MaxInt64, Lo: math.MaxUint64}
	low := event.Int128{Hi: math.MinInt64}
	_, nines := limits128(event.Type{Kind: event.Decimal, Precision: 38})
	one, minus := event.Int128Of(1), event.Int128Of(-1)
	huge, dec := event.Type{Kind: event.Huge}, event.Type{Kind: event.Decimal, Precision: 38, Scale: 2}
	for _, c := range []struct {
		typ    event.Type
		values []event.Int128
		want   event.Int128
		ok     bool
	}{
		{huge, []event.Int128{high}, high, true},
		{huge, []event.Int128{high, one}, one, false},
		{huge, []event.Int128{high, one, minus}, high, true},
		{huge, []event.Int128{high, high, low, low}, event.Int128Of(-2), true},
		{huge, []event.Int128{low, minus}, one, false},
		{dec, []event.Int128{nines}, nines, true},
		{dec, []event.Int128{nines, one}, one, false},
		{dec, []event.Int128{nines, nines, nines, one}, one, false},
	} {
		v := testView([]event.Type{{Kind: event.Date}}, []event.Type{c.typ}, []aggregate{{fn: aggSum, by: -1, filter: -1, in: c.typ, out: outType(aggSum, c.typ)}})
		shape := event.NewShape(event.Field{Name: "day", Type: event.Type{Kind: event.Date}}, event.Field{Name: "v", Type: c.typ})
		s := v.New()
		for i := range c.values {
			one := v.New()
			check(t, one.Fold(&event.Batch{Shape: shape, N: 1, Columns: []event.Column{
				{Type: shape.Fields[0].Type, Ints: []int64{15000}}, {Type: c.typ, Wide: c.values[i : i+1]},
			}}, nil))
			groups, err := one.Groups()
			check(t, err)
			check(t, s.MergeGroups(groups))
		}
		result, err := s.Result()
		if c.ok {
			check(t, err)
			if got := result.Columns[1].Wide[0]; got != c.want {
				t.Errorf("%v: %v, want %v", c.values, got, c.want)
			}
			continue
		}
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "view sales: group (k0 = 2011-01-26): sum leaves") {
			t.Errorf("%v: %v", c.values, err)
		}
	}
}

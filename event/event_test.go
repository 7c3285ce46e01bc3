package event

import (
	"bytes"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"anabranch/fault"
)

func TestFrameRoundTripAndEveryFlippedBit(t *testing.T) {
	t.Parallel()
	h := Header{
		Kind: Rows, Pipeline: "retail", Schema: 3, Rows: 2, Producer: "g1", Sequence: 7, Ingested: 1321000000000000,
		Trace: [16]byte{1, 2, 3}, Barrier: 9, Admit: "imp-1",
	}
	body := []byte("columns")
	frame, err := AppendFrame([]byte("before"), h, body)
	if err != nil {
		t.Fatal(err)
	}
	frame = frame[len("before"):]
	got, b, err := ParseFrame(frame)
	if err != nil || got != h || !bytes.Equal(b, body) {
		t.Fatalf("got %+v %q %v", got, b, err)
	}
	for i := range len(frame) * 8 {
		bad := bytes.Clone(frame)
		bad[i/8] ^= 1 << (i % 8)
		if _, _, err := ParseFrame(bad); !fault.Is(err, fault.Corrupt) {
			t.Fatalf("bit %d flipped: %v", i, err)
		}
	}
	for n := range len(frame) {
		if _, _, err := ParseFrame(frame[:n]); !fault.Is(err, fault.Corrupt) {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
	}
}

func TestInt128AgainstBig(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	edge := []Int128{{}, {0, 1}, {-1, math.MaxUint64}, {math.MaxInt64, math.MaxUint64}, {math.MinInt64, 0}, Int128Of(math.MinInt64)}
	pick := func() Int128 {
		if r.IntN(3) == 0 {
			return edge[r.IntN(len(edge))]
		}
		return Int128{int64(r.Uint64()), r.Uint64()}
	}
	for range 10000 {
		a, b := pick(), pick()
		want := new(big.Int).Add(a.Big(), b.Big())
		wantN, wantFits := Int128FromBig(want)
		got, fits := a.Add(b)
		if fits != wantFits || fits && got != wantN {
			t.Fatalf("%v + %v = %v %v, want %v %v", a, b, got, fits, want, wantFits)
		}
		if a.Compare(b) != a.Big().Cmp(b.Big()) {
			t.Fatalf("compare %v %v", a, b)
		}
		x, y := int64(r.Uint64()), int64(r.Uint64())
		if p := MulInt64(x, y); p.Big().Cmp(new(big.Int).Mul(big.NewInt(x), big.NewInt(y))) != 0 {
			t.Fatalf("%d * %d = %v", x, y, p)
		}
		if n, ok := a.Neg(); ok && n.Big().Cmp(new(big.Int).Neg(a.Big())) != 0 {
			t.Fatalf("-%v = %v", a, n)
		}
	}
	if s := Int128Of(-5).FormatDecimal(3); s != "-0.005" {
		t.Fatal(s)
	}
}

func TestPositionAndCut(t *testing.T) {
	t.Parallel()
	p := Position{3, 12, 7}
	if got, err := ParsePosition(p.String()); err != nil || got != p {
		t.Fatal(got, err)
	}
	if _, err := ParsePosition("3/x/7"); !fault.Is(err, fault.Invalid) {
		t.Fatal(err)
	}
	c := Cut{0, 5, 9, 13}
	if got, err := ParseCut(c.String()); err != nil || !c.AtLeast(got) || !got.AtLeast(c) {
		t.Fatal(got, err)
	}
	if !c.Covers(p) || c.Covers(Position{3, 13, 0}) || c.AtLeast(Cut{1}) || !c.AtLeast(Cut{0, 5}) ||
		c.AtLeast(Cut{0, 5, 9, 13, 1}) || !c.AtLeast(Cut{0, 5, 9, 13, 0}) || c.Covers(Position{4, 0, 0}) {
		t.Fatal("cut borders")
	}
}

func TestGatherAndBitmap(t *testing.T) {
	t.Parallel()
	d := &Dict{}
	for _, s := range []string{"a", "", "ccc"} {
		d.Append([]byte(s))
	}
	valid := NewBitmap(3)
	valid.Set(0)
	valid.Set(2)
	b := &Batch{Shape: NewShape(Field{Name: "s", Type: Type{Kind: String}}), N: 3, IDs: []ID{{1, 1}, {2, 2}, {3, 3}},
		Columns: []Column{{Type: Type{Kind: String}, Codes: []uint32{0, 1, 2}, Dict: d, Valid: valid}}}
	g := b.Gather([]uint32{2, 1})
	if string(g.Columns[0].Bytes(0)) != "ccc" || g.Columns[0].Bytes(1) != nil || g.IDs[0].Hi != 3 || g.Hashes != nil {
		t.Fatalf("%+v", g)
	}
	full := Bitmap{^uint64(0), ^uint64(0)} // what lies behind the last row is not counted
	if full.Count(70) != 70 || full.Count(64) != 64 || full.Count(0) != 0 || valid.Count(3) != 2 || Bitmap(nil).Count(70) != 70 {
		t.Fatal("count")
	}
}

func TestDictAppendAll(t *testing.T) {
	t.Parallel()
	var from, to Dict
	for _, v := range []string{"a", "", "bcd", "ef"} {
		from.Append([]byte(v))
	}
	for n, want := range []uint32{0, 3, 3} { // the second call appends nothing
		first := []int{0, 2, 1}[n]
		last := []int{3, 2, 4}[n]
		if code := to.AppendAll(from.Data, from.Offsets[first:last+1]); code != want {
			t.Errorf("call %d: code %d, want %d", n, code, want)
		}
	}
	var got []string
	for c := range uint32(to.Len()) {
		got = append(got, string(to.Value(c)))
	}
	if want := []string{"a", "", "bcd", "", "bcd", "ef"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

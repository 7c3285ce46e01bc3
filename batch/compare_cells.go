package batch

import (
	"bytes"
	"cmp"
	"context"
	"math"
	"math/big"
	"slices"

	"anabranch/archive"
	"anabranch/event"
)

func text(c *event.Column, i int) string { return string(c.AppendText(nil, i)) }

// equalCell compares values; two that no number is, are equal.
func equalCell(a *event.Column, i int, b *event.Column, j int) bool {
	if va, vb := a.Valid.Get(i), b.Valid.Get(j); !va || !vb {
		return va == vb
	}
	if a.Type != b.Type {
		return text(a, i) == text(b, j)
	}
	switch a.Type.Storage() {
	case event.InFloats:
		return a.Floats[i] == b.Floats[j] || math.IsNaN(a.Floats[i]) && math.IsNaN(b.Floats[j])
	case event.InWide:
		return a.Wide[i] == b.Wide[j]
	case event.InCodes:
		return bytes.Equal(a.Bytes(i), b.Bytes(j))
	}
	return a.Ints[i] == b.Ints[j]
}

// number returns a cell as a number, roughly; 0 for what is none.
func number(c *event.Column, i int) float64 {
	if c == nil || !numeric(c.Type) || !c.Valid.Get(i) {
		return 0
	}
	switch c.Type.Storage() {
	case event.InFloats:
		return c.Floats[i]
	case event.InWide:
		return c.Wide[i].Float64() / math.Pow10(int(c.Type.Scale))
	}
	return float64(c.Ints[i]) / math.Pow10(int(c.Type.Scale))
}

func numeric(t event.Type) bool {
	switch t.Kind {
	case event.Int32, event.Int64, event.Float64, event.Decimal, event.Huge:
		return true
	}
	return false
}

// totals are the sums of the numeric columns, in their order.
type totals struct {
	names []string
	by    map[string]*total
}

type total struct{ was, is sum }

// sum is exact for integers and decimals.
type sum struct {
	exact big.Int
	scale int
	float float64
	kind  event.Kind
}

// sides are those that rows stand on.
type sides uint8

const (
	onOld sides = 1 << iota
	onNew
	onBoth = onOld | onNew
)

func (t *totals) add(b *event.Batch, keys []string, on sides) {
	finishedColumns(b.Shape, keys, func(c int, name string) {
		col := &b.Columns[c]
		if !numeric(col.Type) {
			return
		}
		if t.by == nil {
			t.by = map[string]*total{}
		}
		if t.by[name] == nil {
			t.by[name] = &total{}
			t.names = append(t.names, name)
		}
		part := sumOf(col, b.N)
		if on&onOld != 0 {
			t.by[name].was.add(part)
		}
		if on&onNew != 0 {
			t.by[name].is.add(part)
		}
	})
}

func (s *sum) add(o *sum) {
	s.kind, s.scale = o.kind, o.scale
	s.exact.Add(&s.exact, &o.exact)
	s.float += o.float
}

func sumOf(c *event.Column, n int) *sum {
	s := &sum{kind: c.Type.Kind, scale: int(c.Type.Scale)}
	var part event.Int128 // flushed before it can overflow
	flush := func() { s.exact.Add(&s.exact, part.Big()); part = event.Int128{} }
	for i := range n {
		if !c.Valid.Get(i) {
			continue
		}
		var v event.Int128
		switch c.Type.Storage() {
		case event.InFloats:
			s.float += c.Floats[i]
			continue
		case event.InWide:
			v = c.Wide[i]
		default:
			v = event.Int128Of(c.Ints[i])
		}
		next, ok := part.Add(v)
		if !ok {
			flush()
			next = v
		}
		part = next
	}
	flush()
	return s
}

func (s *sum) value() float64 {
	if s.kind == event.Float64 {
		return s.float
	}
	f, _ := new(big.Float).SetInt(&s.exact).Float64()
	return f / math.Pow10(s.scale)
}

func (s *sum) String() string {
	switch {
	case s.kind == 0:
		return "" // there is no such column on this side
	case s.kind == event.Float64:
		c := event.Column{Type: event.Type{Kind: event.Float64}, Floats: []float64{s.float}}
		return text(&c, 0)
	}
	if v, ok := event.Int128FromBig(&s.exact); ok {
		return v.FormatDecimal(s.scale)
	}
	return new(big.Float).SetInt(&s.exact).Text('g', 20)
}

// changes lists the totals, those that did not change too.
func (t *totals) changes() (out []TotalChange) {
	for _, name := range t.names {
		c := t.by[name]
		a, b := c.was.value(), c.is.value()
		change := TotalChange{Column: name, Old: c.was.String(), New: c.is.String()}
		if d := math.Abs(b - a); d > 0 {
			change.Share = min(1, d/max(math.Abs(a), math.Abs(b)))
		} else if change.Old != change.New {
			change.Share = math.SmallestNonzeroFloat64 // NaN, or less than floats can tell
		}
		out = append(out, change)
	}
	return out
}

// How many differences a comparison tells itself; all are in its object.
const (
	worstOfColumn = 10
	worstOfView   = 20
)

// worst keeps the largest differences of every column.
type worst struct{ by map[string][]ranked }

type ranked struct {
	Difference
	by float64
}

func (w *worst) see(d Difference, by float64) {
	if w.by == nil {
		w.by = map[string][]ranked{}
	}
	by = math.Abs(by)
	list := w.by[d.Column]
	if len(list) == worstOfColumn {
		if !(by > list[worstOfColumn-1].by) {
			return
		}
		list = list[:worstOfColumn-1]
	}
	at, _ := slices.BinarySearchFunc(list, by, func(r ranked, by float64) int { return cmp.Compare(by, r.by) })
	for at < len(list) && list[at].by == by {
		at++ // the first that came stays first
	}
	w.by[d.Column] = slices.Insert(list, at, ranked{d, by})
}

// list returns the largest of all columns, measured by the column's total.
func (w *worst) list(t *totals) (out []Difference) {
	var all []ranked
	for _, list := range w.by {
		for _, r := range list {
			if c := t.by[r.Column]; c != nil {
				r.by /= max(math.Abs(c.was.value()), math.Abs(c.is.value()), math.SmallestNonzeroFloat64)
			}
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(b.by, a.by), cmp.Compare(a.Column, b.Column), slices.Compare(a.Group, b.Group))
	})
	for _, r := range all[:min(len(all), worstOfView)] {
		out = append(out, r.Difference)
	}
	return out
}

// cellWriter writes differing cells: the group, the column, old and new.
type cellWriter struct {
	w     *archive.ComparisonWriter
	shape *event.Shape
	rows  [][]string // by column of shape
}

func (v *viewComparer) newCellWriter() (*cellWriter, error) {
	var fields []event.Field
	for _, name := range append(slices.Clone(v.keys), "_column", "_old", "_new") {
		fields = append(fields, event.Field{Name: name, Type: event.Type{Kind: event.String}, Nullable: true})
	}
	shape := event.NewShape(fields...)
	w, err := v.r.Archive.NewComparison(v.name, v.out.View, shape)
	return &cellWriter{w: w, shape: shape, rows: make([][]string, len(fields))}, err
}

const cellRows = 4096

func (c *cellWriter) add(d Difference) error {
	for i, s := range append(slices.Clone(d.Group), d.Column, d.Old, d.New) {
		c.rows[i] = append(c.rows[i], s)
	}
	if len(c.rows[0]) < cellRows {
		return nil
	}
	return c.flush()
}

func (c *cellWriter) flush() error {
	b := &event.Batch{Shape: c.shape, N: len(c.rows[0]), Columns: make([]event.Column, len(c.rows))}
	for i, values := range c.rows {
		col := event.Column{Type: c.shape.Fields[i].Type, Dict: &event.Dict{}}
		codes := map[string]uint32{}
		for _, s := range values {
			code, ok := codes[s]
			if !ok {
				code = col.Dict.Append([]byte(s))
				codes[s] = code
			}
			col.Codes = append(col.Codes, code)
		}
		b.Columns[i], c.rows[i] = col, c.rows[i][:0]
	}
	return c.w.Write(b)
}

func (c *cellWriter) finish(ctx context.Context) (string, error) {
	if len(c.rows[0]) > 0 {
		if err := c.flush(); err != nil {
			return "", err
		}
	}
	return c.w.Finish(ctx)
}

func (c *cellWriter) close() { c.w.Close() }

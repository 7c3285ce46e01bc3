package servingtest

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"anabranch/event"
	"anabranch/schemas"
)

// Sale is the schema of Sales: a shop that may be null, a time, units and a
// price in cents.
const Sale = `{"type":"record","name":"Sale","fields":[
	{"name":"shop","type":["null","string"],"default":null},
	{"name":"ts","type":{"type":"long","logicalType":"local-timestamp-micros"}},
	{"name":"units","type":"int"},
	{"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":10,"scale":2}}]}`

// Schema reads a schema.
func Schema(t testing.TB, text string) *schemas.Schema {
	t.Helper()
	s, err := schemas.Parse(1, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Shops is how many shops there are in Sales.
const Shops = 7

// Sales says how random sales are; one in five has no shop.
type Sales struct {
	From        time.Time
	Hours       int64 // from From on
	Least, Most int64 // units from the one to below the other
	Cents       int64 // below this
}

// Usual are those of most tests: of ten hours in March 2011.
func Usual() Sales {
	return Sales{From: time.UnixMicro(1_300_000_000_000_000), Hours: 10, Least: -50, Most: 50, Cents: 100_000}
}

// Make makes n of them.
func (s Sales) Make(r *rand.Rand, shape *event.Shape, n int) *event.Batch {
	out := &event.Batch{Shape: shape, N: n, Columns: make([]event.Column, 4)}
	for i, f := range shape.Fields {
		out.Columns[i].Type = f.Type
	}
	dict, valid := &event.Dict{}, event.NewBitmap(n)
	for i := range Shops {
		dict.Append(fmt.Appendf(nil, "shop '%d'", i))
	}
	for i := range n {
		if r.IntN(5) > 0 {
			valid.Set(i)
		}
		out.Columns[0].Codes = append(out.Columns[0].Codes, uint32(r.IntN(Shops)))
		out.Columns[1].Ints = append(out.Columns[1].Ints, s.From.UnixMicro()+r.Int64N(s.Hours*3600)*1_000_000)
		out.Columns[2].Ints = append(out.Columns[2].Ints, s.Least+r.Int64N(s.Most-s.Least))
		out.Columns[3].Ints = append(out.Columns[3].Ints, r.Int64N(s.Cents))
	}
	out.Columns[0].Dict, out.Columns[0].Valid = dict, valid
	return out
}

package archive

import (
	"fmt"
	"slices"

	"anabranch/event"
	"anabranch/fault"
	"anabranch/schemas"
)

// systemFields stand behind the event's own columns in a segment.
var systemFields = []event.Field{
	{Name: "_offset", Type: event.Type{Kind: event.Int64}, Doc: "offset of the frame in the partition's log"},
	{Name: "_row", Type: event.Type{Kind: event.Int32}, Doc: "row in the frame"},
	{Name: "_ingested", Type: event.Type{Kind: event.Timestamp}, Doc: "when the gateway took the event"},
	{Name: "_id_hi", Type: event.Type{Kind: event.Int64}, Doc: "event identity, high half"},
	{Name: "_id_lo", Type: event.Type{Kind: event.Int64}, Doc: "event identity, low half"},
	{Name: "_hash", Type: event.Type{Kind: event.Int64}, Doc: "content hash"},
}

// scannedFields are those of them that tell which event a row is.
var scannedFields = []event.Field{systemFields[0], systemFields[1], systemFields[3], systemFields[4]}

// layout says which columns a segment has when its rows follow several schema
// versions, and which of them are the fields of each version. What one version
// wrote must be read as that version, whatever came later: two ways of reading
// up may end in two values (a default that changed), and batch would differ
// from speed.
type layout struct {
	shape    *event.Shape
	versions []*schemas.Schema // ascending
	columns  [][]int           // by version: the column of each of its fields
}

// newLayout makes the layout of some versions. A field that has the same name
// and type in two versions is one column; otherwise the later one gets a
// column with its version in the name. With several versions every column is
// nullable.
func newLayout(set *schemas.Set, versions []uint32) (*layout, error) {
	l := &layout{}
	var fields []event.Field
	at := map[string]int{}
	for _, v := range slices.Sorted(slices.Values(versions)) {
		s, ok := set.Get(v)
		if !ok {
			return nil, fault.New(fault.Invalid, "schema version %d is not among those of the pipeline; start the program with the definition that has it", v)
		}
		columns := make([]int, len(s.Shape().Fields))
		for i, f := range s.Shape().Fields {
			if slices.ContainsFunc(systemFields, func(sys event.Field) bool { return sys.Name == f.Name }) {
				return nil, fault.New(fault.Invalid, "schema version %d has a field %q, which segments use themselves; call it something else", v, f.Name)
			}
			f.Nullable = f.Nullable || len(versions) > 1
			c, known := at[f.Name]
			if known && fields[c].Type != f.Type {
				f.Name = fmt.Sprintf("%s@%d", f.Name, v)
				known = false
			}
			if !known {
				c = len(fields)
				at[f.Name] = c
				fields = append(fields, f)
			}
			columns[i] = c
		}
		l.versions = append(l.versions, s)
		l.columns = append(l.columns, columns)
	}
	l.shape = event.NewShape(append(fields, systemFields...)...)
	return l, nil
}

// place returns where version v is in the layout, or -1.
func (l *layout) place(v uint32) int {
	return slices.IndexFunc(l.versions, func(s *schemas.Schema) bool { return s.Version() == v })
}

// names returns the columns that hold the fields of the i-th version and the
// system columns.
func (l *layout) names(i int) []string {
	var names []string
	for _, c := range l.columns[i] {
		names = append(names, l.shape.Fields[c].Name)
	}
	for _, f := range systemFields {
		names = append(names, f.Name)
	}
	return names
}

// spread lays a batch of the i-th version out over all columns but the system
// ones.
func (l *layout) spread(i int, b *event.Batch) []event.Column {
	out := make([]event.Column, len(l.shape.Fields)-len(systemFields), len(l.shape.Fields))
	filled := make([]bool, len(out))
	for f, c := range l.columns[i] {
		out[c], filled[c] = b.Columns[f], true
	}
	for c := range out {
		if !filled[c] {
			out[c] = nulls(l.shape.Fields[c].Type, b.N)
		}
	}
	return out
}

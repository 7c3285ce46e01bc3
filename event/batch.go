package event

import "math/bits"

// ID is the identity of an event: a 128-bit hash of its event id, scoped to
// its key. Two events with one ID are copies of one event.
type ID struct{ Hi, Lo uint64 }

// Less orders ids; id runs are sorted by it.
func (a ID) Less(b ID) bool { return a.Hi < b.Hi || a.Hi == b.Hi && a.Lo < b.Lo }

// Compare orders ids as Less does.
func (a ID) Compare(b ID) int {
	switch {
	case a.Less(b):
		return -1
	case b.Less(a):
		return 1
	}
	return 0
}

// Bitmap says which rows are valid, bit i of word i/64 for row i; nil means
// that all are.
type Bitmap []uint64

// NewBitmap returns a bitmap for n rows, all clear.
func NewBitmap(n int) Bitmap { return make(Bitmap, (n+63)/64) }

// Get reports whether bit i is set; a nil bitmap has every bit set.
func (b Bitmap) Get(i int) bool { return b == nil || b[i>>6]>>(uint(i)&63)&1 == 1 }

// Set sets bit i.
func (b Bitmap) Set(i int) { b[i>>6] |= 1 << (uint(i) & 63) }

// Clear clears bit i.
func (b Bitmap) Clear(i int) { b[i>>6] &^= 1 << (uint(i) & 63) }

// Count returns how many of the first n bits are set.
func (b Bitmap) Count(n int) int {
	if b == nil {
		return n
	}
	c := 0
	for w := 0; w < n>>6; w++ {
		c += bits.OnesCount64(b[w])
	}
	if r := uint(n) & 63; r != 0 {
		c += bits.OnesCount64(b[n>>6] & (1<<r - 1))
	}
	return c
}

// Dict holds the distinct values of a String or Bytes column: value c is
// Data[Offsets[c]:Offsets[c+1]]. A dictionary may hold values that no row
// uses, and, when hardly any repeats or it came from a foreign file, one value twice.
type Dict struct {
	Offsets []uint32
	Data    []byte
}

// Len returns the number of values.
func (d *Dict) Len() int {
	if d == nil || len(d.Offsets) == 0 {
		return 0
	}
	return len(d.Offsets) - 1
}

// Value returns value c; the caller does not change it.
func (d *Dict) Value(c uint32) []byte { return d.Data[d.Offsets[c]:d.Offsets[c+1]:d.Offsets[c+1]] }

// Append adds a value without looking for an equal one and returns its code.
func (d *Dict) Append(v []byte) uint32 {
	if len(d.Offsets) == 0 {
		d.Offsets = append(d.Offsets, 0)
	}
	d.Data = append(d.Data, v...)
	d.Offsets = append(d.Offsets, uint32(len(d.Data)))
	return uint32(len(d.Offsets) - 2)
}

// AppendAll appends the values that lie in data one behind the other, each from
// an offset to the next, as Append does; it returns the code of the first.
func (d *Dict) AppendAll(data []byte, offsets []uint32) uint32 {
	if len(d.Offsets) == 0 {
		d.Offsets = append(d.Offsets, 0)
	}
	first, last := offsets[0], len(offsets)-1
	code, at := uint32(len(d.Offsets)-1), uint32(len(d.Data))
	d.Data = append(d.Data, data[first:offsets[last]]...)
	for _, end := range offsets[1:] {
		d.Offsets = append(d.Offsets, at+end-first)
	}
	return code
}

// Column is one column of a batch. Type.Storage says which slice holds the
// values; that slice has a value for every row, meaningless where Valid is
// clear (Codes are then still inside Dict, unless Dict is empty). Columns are
// shared freely and therefore never changed once a batch is handed on.
type Column struct {
	Type   Type
	Valid  Bitmap
	Ints   []int64
	Floats []float64
	Wide   []Int128
	Codes  []uint32
	Dict   *Dict
}

// Bytes returns the value of row i of a String or Bytes column, nil when it
// is null; the caller does not change it.
func (c *Column) Bytes(i int) []byte {
	if !c.Valid.Get(i) {
		return nil
	}
	return c.Dict.Value(c.Codes[i])
}

// Batch is many events (or result rows) as columns.
type Batch struct {
	Shape   *Shape
	N       int
	Columns []Column // one for each field of Shape, each of N rows

	// IDs and Hashes tell events apart: the identity of each row, and a hash
	// of its content by which a conflicting copy is known. Both have N
	// elements in a batch of events and are nil in a batch of result rows.
	IDs    []ID
	Hashes []uint64
}

// Column returns the column called name, or nil.
func (b *Batch) Column(name string) *Column {
	if i := b.Shape.Index(name); i >= 0 {
		return &b.Columns[i]
	}
	return nil
}

// Memory returns about how many bytes the batch holds, without dictionaries
// that seen knows already; seen gets to know the others.
func (b *Batch) Memory(seen map[*Dict]bool) int64 {
	n := int64(16*len(b.IDs) + 8*len(b.Hashes))
	for i := range b.Columns {
		c := &b.Columns[i]
		n += int64(8*len(c.Valid) + 8*len(c.Ints) + 8*len(c.Floats) + 16*len(c.Wide) + 4*len(c.Codes))
		if c.Dict != nil && !seen[c.Dict] {
			seen[c.Dict] = true
			n += int64(len(c.Dict.Data) + 4*len(c.Dict.Offsets))
		}
	}
	return n
}

// Gather returns a new batch with the given rows, in the given order.
// Dictionaries are shared, everything else is copied.
func (b *Batch) Gather(rows []uint32) *Batch {
	out := &Batch{Shape: b.Shape, N: len(rows), Columns: make([]Column, len(b.Columns))}
	for i := range b.Columns {
		out.Columns[i] = b.Columns[i].Gather(rows)
	}
	out.IDs = gather(b.IDs, rows)
	out.Hashes = gather(b.Hashes, rows)
	return out
}

// Gather returns a column with the given rows, in the given order, sharing
// the dictionary.
func (c *Column) Gather(rows []uint32) Column {
	out := Column{
		Type: c.Type, Dict: c.Dict,
		Ints: gather(c.Ints, rows), Floats: gather(c.Floats, rows), Wide: gather(c.Wide, rows), Codes: gather(c.Codes, rows),
	}
	if c.Valid != nil {
		out.Valid = NewBitmap(len(rows))
		for i, r := range rows {
			if c.Valid.Get(int(r)) {
				out.Valid.Set(i)
			}
		}
	}
	return out
}

func gather[T any](from []T, rows []uint32) []T {
	if from == nil {
		return nil
	}
	to := make([]T, len(rows))
	for i, r := range rows {
		to[i] = from[r]
	}
	return to
}

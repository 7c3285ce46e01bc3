package schemas

import (
	"bytes"
	"fmt"
	"io"

	"anabranch/event"
	"anabranch/fault"
)

// Format is how events are written in a body.
type Format int

// The formats.
const (
	NDJSON    Format = iota // one JSON object a line; empty lines are skipped
	JSONArray               // one JSON array of objects
	CSV                     // RFC 4180 with a header line; columns are found by name
)

// String returns the name of the format as pipeline.yaml spells it.
func (f Format) String() string {
	switch f {
	case NDJSON:
		return "ndjson"
	case JSONArray:
		return "json"
	case CSV:
		return "csv"
	}
	return fmt.Sprintf("format(%d)", int(f))
}

// MaxRows is how many events Decoder.Next returns at most.
const MaxRows = 4096

// Rows is a number of decoded events.
type Rows struct {
	Batch *event.Batch // with IDs and Hashes; its columns and dictionaries stay valid for ever, or until it is given back
	Keys  []uint64     // hash of the key: the partition is Keys[i] % P
	Lines []int        // where row i began in the body, 1-based
	Bad   []Bad

	raw    []byte
	bounds []int // row i is raw[bounds[2*i]:bounds[2*i+1]]
}

// Raw returns row i as received, without its line end; valid until the next
// call of Next or Reset.
func (r *Rows) Raw(i int) []byte { return r.raw[r.bounds[2*i]:r.bounds[2*i+1]] }

// Decoder reads events from bodies, straight into columns. It is not safe for
// concurrent use; reusing one for many bodies saves its buffers.
type Decoder struct {
	s       *Schema
	format  Format
	names   map[string]int // fields by name and alias
	time    int            // field of the event time, or -1
	in      source
	cells   []cellSpan // of the row at hand
	scratch []byte     // its texts that had to be unescaped
	columns []builder
	hasher  *hasher
	rows    Rows
	ids     []event.ID
	hashes  []uint64
	fresh   bool // the columns are empty and nobody else's yet
	back    bool // they were given back
	begun   bool // the head of the body has been read
	over    bool // nothing more comes from this body
	skip    bool // the rest of a line that is too long is passed over
	array   arrayState

	keys   keyTable
	layout jsonLayout
	block  jsonBlock
	csv    csvParser
}

// NewDecoder returns a decoder of s; Reset gives it a body. Invalid when id
// names fields that the schema does not have, or a time that is none.
func (s *Schema) NewDecoder(format Format, id Identity) (*Decoder, error) {
	h, err := s.newHasher(id)
	if err != nil {
		return nil, err
	}
	d := &Decoder{s: s, format: format, names: map[string]int{}, time: -1, cells: make([]cellSpan, len(s.fields)), columns: make([]builder, len(s.fields)), hasher: h, block: newBlock(len(s.fields))}
	if id.Time != "" {
		if d.time = s.shape.Index(id.Time); d.time < 0 {
			return nil, fault.New(fault.Invalid, "event time: the schema has no field %q: %s", id.Time, DidYouMean(id.Time, s.shape.Names()))
		}
		if k := s.fields[d.time].Type.Kind; k != event.Timestamp && k != event.Date {
			return nil, fault.New(fault.Invalid, "event time: field %q is %s: use a timestamp or a date", id.Time, s.fields[d.time].Type)
		}
	}
	for i := range s.fields {
		f := &s.fields[i]
		d.columns[i] = builder{field: f, interner: interner{seed: h.names[i]}, texts: f.Type.Kind == event.String && f.symbols == nil}
		d.names[f.Name] = i
		for _, a := range f.aliases {
			d.names[a] = i
		}
	}
	d.keys = newKeyTable(d.names)
	d.Reset(bytes.NewReader(nil))
	return d, nil
}

// Reset makes the decoder read a new body from its beginning.
func (d *Decoder) Reset(r io.Reader) {
	d.in.reset(r)
	d.begun, d.over, d.skip, d.array = false, false, false, beforeArray
	d.csv.header = d.csv.header[:0]
	d.layout.begin()
}

// step is what became of one attempt to decode an event.
type step int

const (
	more step = iota // it is not all in the window
	done             // an event, a Bad, or something to pass over
	end              // the body is over
)

// Next returns the next events, up to MaxRows of good and bad ones together,
// and io.EOF when there are no more. A body that cannot be understood further
// ends with a Bad. Rows, its Keys, Lines and raw bytes are valid until the
// next call; its Batch and Bad are the caller's for ever, or until GiveBack. Other
// errors are those of the body's reader, after the events that were whole.
func (d *Decoder) Next() (*Rows, error) {
	d.in.slide()
	d.rows = Rows{Keys: d.rows.Keys[:0], Lines: d.rows.Lines[:0], bounds: d.rows.bounds[:0]}
	if !d.fresh { // what a call that found no more events has made is still there
		d.renew()
	}
	for !d.over && len(d.ids)+len(d.rows.Bad) < MaxRows {
		switch d.one() {
		case end:
			d.over = true
		case more:
			if len(d.ids)+len(d.rows.Bad) > 0 {
				return d.take(), nil
			}
			if d.in.err != nil && !d.in.ended() {
				return nil, d.in.err
			}
			d.in.slide() // no row stands in the window yet
			d.in.fill()
		}
	}
	if len(d.ids)+len(d.rows.Bad) == 0 {
		return nil, io.EOF
	}
	return d.take(), nil
}

// renew begins columns that are as large as those before, or the same again.
func (d *Decoder) renew() {
	hint := len(d.ids) + len(d.ids)/8 + 16
	d.ids, d.hashes = renewed(d.ids, hint, d.back), renewed(d.hashes, hint, d.back)
	for i := range d.columns {
		d.columns[i].reset(hint, d.back)
	}
	d.fresh, d.back = true, false
}

// renewed returns an empty slice: s when it may be written over, or a new one.
func renewed[T any](s []T, hint int, again bool) []T {
	if again && s != nil {
		return s[:0]
	}
	return make([]T, 0, hint)
}

// GiveBack ends the life of the latest batch: the next call of Next writes over
// its columns and dictionaries. Who copies what a batch holds spares the memory of
// new ones, which costs more than to fill them.
func (d *Decoder) GiveBack() { d.back = !d.fresh }

func (d *Decoder) one() step {
	if !d.begun {
		if len(d.in.rest()) < 3 && !d.in.ended() {
			return more
		}
		if bytes.HasPrefix(d.in.rest(), byteOrderMark) {
			d.in.from += len(byteOrderMark)
		}
	}
	switch d.format {
	case CSV:
		return d.oneCSV()
	case JSONArray:
		return d.oneElement()
	}
	d.begun = true
	return d.oneLine()
}

var byteOrderMark = []byte("\xef\xbb\xbf")

// take hands out what has been decoded.
func (d *Decoder) take() *Rows {
	n := len(d.ids)
	b := &event.Batch{Shape: d.s.shape, N: n, Columns: make([]event.Column, len(d.columns)), IDs: d.ids, Hashes: d.hashes}
	for i := range d.columns {
		b.Columns[i] = d.columns[i].take(n)
	}
	d.rows.Batch, d.rows.raw, d.fresh = b, d.in.buf, false
	return &d.rows
}

// event makes the cells at hand a row, or a Bad; its text is the next n bytes.
func (d *Decoder) event(n int) {
	row, text := len(d.ids), d.in.rest()[:n]
	d.hasher.begin()
	if d.hasher.needID {
		for _, i := range d.hasher.id {
			if d.cells[i].from == d.cells[i].to {
				d.bad(n, i, CodeMissingID, "the event id is missing: every event needs "+d.s.fields[i].Name)
				return
			}
		}
	}
	for i := range d.columns {
		t := cellText{raw: d.cells[i].raw(text, d.scratch), token: d.cells[i].token}
		t.hash = d.hasher.add(i, t.raw)
		if code, message := d.columns[i].add(row, &t); code != "" {
			for j := range i + 1 {
				d.columns[j].cut(row)
			}
			d.bad(n, i, code, message)
			return
		}
	}
	if d.time >= 0 && !d.columns[d.time].Valid.Get(row) {
		for i := range d.columns {
			d.columns[i].cut(row)
		}
		d.bad(n, d.time, CodeMissingField, "the event time is missing")
		return
	}
	id, content, key := d.hasher.hashes()
	d.ids, d.hashes = append(d.ids, id), append(d.hashes, content)
	d.rows.Keys = append(d.rows.Keys, key)
	d.rows.Lines = append(d.rows.Lines, d.in.line)
	d.rows.bounds = append(d.rows.bounds, d.in.from, d.in.from+n)
}

// bad records that the next n bytes are not an event, because of a field.
func (d *Decoder) bad(n, field int, code, message string) {
	d.badAt(n, int(d.cells[field].at), d.s.fields[field].Name, code, message)
}

// badAt records that the next n bytes are not an event; at is the byte among
// them that shows it.
func (d *Decoder) badAt(n, at int, field, code, message string) {
	raw := d.in.rest()[:n]
	at = min(max(at, 0), n)
	d.rows.Bad = append(d.rows.Bad, Bad{
		Line: d.in.line + bytes.Count(raw[:at], newline), Column: d.in.column(d.in.from + at),
		Field: field, Code: code, Message: message, Raw: bytes.Clone(raw[:min(n, MaxEvent)]),
	})
}

package schemas

import (
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

// Identity tells how an event's id, content hash and key hash are computed.
// All of them work on raw text: the bytes of a field as received, where null,
// absent and empty are the same.
type Identity struct {
	Fields  []string // what identifies an event
	Content bool     // Fields are content, which may be empty; else each of them must be there
	Key     []string // what orders events; empty: the fields of the id
	Time    string   // the event time: a Timestamp or Date field
}

// Codes of Bad.
const (
	CodeMalformed    = "malformed"     // not JSON or not CSV
	CodeWrongType    = "wrong_type"    // the value is of another type than the field
	CodeMissingField = "missing_field" // a field without null and default is not there
	CodeMissingID    = "missing_id"    // a field of the event id is not there, null or empty
	CodeBadDate      = "bad_date"      // not a date or time
	CodeBadDecimal   = "bad_decimal"   // not a decimal, or too many digits behind the point
	CodeOutOfRange   = "out_of_range"  // a number too large for its field
	CodeBadUTF8      = "bad_utf8"      // a string that is not UTF-8
	CodeDuplicateKey = "duplicate_key" // one field twice in one event
	CodeTooLong      = "too_long"      // the event is over MaxEvent bytes
)

// MaxEvent is the largest event as received, in bytes.
const MaxEvent = 1 << 20

// MaxRows is how many events Decoder.Next returns at most.
const MaxRows = 4096

// Bad is an event that could not be decoded.
type Bad struct {
	Line, Column int    // where in the body, 1-based; Column counts bytes
	Field        string // empty when it is not about one field
	Code         string // one of the Code constants
	Message      string
	Raw          []byte // the event as received, at most MaxEvent bytes of it; the receiver's to keep
}

// Rows is a number of decoded events.
type Rows struct {
	Batch *event.Batch // with IDs and Hashes; its columns and dictionaries stay valid for ever
	Keys  []uint64     // hash of the key: the partition is Keys[i] % P
	Lines []int        // where row i began in the body, 1-based
	Bad   []Bad

	raw    []byte
	bounds []uint32 // row i is raw[bounds[2*i]:bounds[2*i+1]]
}

// Raw returns row i as received, without its line end; valid until the next
// call of Next or Reset.
func (r *Rows) Raw(i int) []byte { return r.raw[r.bounds[2*i]:r.bounds[2*i+1]] }

// Decoder reads events from bodies, straight into columns. It is not safe for
// concurrent use; reusing one for many bodies saves its buffers.
type Decoder struct{}

// NewDecoder returns a decoder of s; Reset gives it a body. Invalid when id
// names fields that the schema does not have.
func (s *Schema) NewDecoder(f Format, id Identity) (*Decoder, error) {
	return nil, fault.New(fault.Bug, "schemas.NewDecoder is not built yet")
}

// Reset makes the decoder read a new body from its beginning.
func (d *Decoder) Reset(r io.Reader) {}

// Next returns the next events, up to MaxRows of good and bad ones together,
// and io.EOF when there are no more. A body that cannot be understood further
// ends with a Bad. Rows, its Keys, Lines and raw bytes are valid until the
// next call; its Batch is the caller's for ever. Other errors are those of the
// body's reader.
func (d *Decoder) Next() (*Rows, error) {
	return nil, fault.New(fault.Bug, "schemas.Decoder is not built yet")
}

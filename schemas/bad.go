package schemas

// Codes of Bad. They are stored in dead letters and asked for by operators:
// add new ones, never change what one means.
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

// Bad is an event that could not be decoded.
type Bad struct {
	Line, Column int    // where in the body, 1-based; Column counts bytes
	Field        string // empty when it is not about one field
	Code         string // one of the Code constants
	Message      string
	Raw          []byte // the event as received, at most MaxEvent bytes of it; the receiver's to keep
}

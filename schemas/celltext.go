package schemas

import "strconv"

// textKind is what a field is in the text of an event.
type textKind uint8

const (
	absent textKind = iota
	null
	quotedText // a JSON string, unescaped
	number     // a JSON number
	isTrue
	isFalse
	nested // a JSON object or array
	plainText
)

// cellText is the text of one field.
type cellText struct {
	raw   []byte // raw text; empty for null and absent
	hash  uint64 // of raw, as the column's interner computes it; 0 when raw is empty
	token textKind
}

// cellSpan is where one field of the row at hand is. It holds no pointer: cells
// are written for every field of every event, and a pointer would cost a
// write barrier each time while the garbage collector runs.
type cellSpan struct {
	at, from, to int32 // where the field begins in the row, where its raw text is
	token        textKind
	unescaped    bool // the raw text is in the scratch buffer, not in the row
}

// raw returns the raw text of a field of row.
func (c *cellSpan) raw(row, scratch []byte) []byte {
	if c.unescaped {
		row = scratch
	}
	return row[c.from:c.to]
}

func wrongType(t *cellText, want string) (code, message string) {
	return CodeWrongType, shown(t) + " is not " + want
}

// shown renders a value for a message, short enough for a log line.
func shown(t *cellText) string {
	const enough = 40
	switch t.token {
	case nested:
		return "an object or array"
	case quotedText, plainText:
		if len(t.raw) > enough {
			return strconv.Quote(string(t.raw[:enough])) + "…"
		}
		return strconv.Quote(string(t.raw))
	}
	if len(t.raw) > enough {
		return string(t.raw[:enough]) + "…"
	}
	return string(t.raw)
}

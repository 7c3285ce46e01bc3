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

// cellText is one field of the row at hand.
type cellText struct {
	raw   []byte // raw text; empty for null and absent
	at    int    // where it begins in the row
	token textKind
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

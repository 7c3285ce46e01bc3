package httpapi

import (
	"bytes"
	"encoding/json"
	"strings"

	"anabranch/fault"
)

// onceEach is the error about a name that an object of text, which is JSON, has
// twice: readers of JSON do not agree on which of the two counts. Names of the
// outermost object are those of fields, which letters in the other case mean too.
func onceEach(text []byte) error {
	type object struct {
		names map[string]bool // nil: a list
		value bool            // what comes next is the value of a name
	}
	var open []object
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	for {
		from := d.InputOffset()
		token, err := d.Token()
		if err != nil { // the end: what does not parse has been refused
			return nil
		}
		if token == json.Delim('}') || token == json.Delim(']') {
			open = open[:len(open)-1]
			continue
		}
		if n := len(open); n > 0 && open[n-1].names != nil {
			in := &open[n-1]
			name, _ := token.(string)
			if in.value = !in.value; in.value {
				key := name
				if n == 1 {
					key = strings.ToLower(strings.ToUpper(name))
				}
				if in.names[key] {
					at := int(from) + bytes.IndexByte(text[from:], '"')
					line := 1 + bytes.Count(text[:at], []byte{'\n'})
					return fault.New(fault.Invalid, "the request's JSON has %.80q twice in one object (line %d, column %d)", name, line, at-bytes.LastIndexByte(text[:at], '\n'))
				}
				in.names[key] = true
				continue
			}
		}
		switch token {
		case json.Delim('{'):
			open = append(open, object{names: map[string]bool{}})
		case json.Delim('['):
			open = append(open, object{})
		}
	}
}

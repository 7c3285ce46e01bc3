package schemas

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// place is where one field stands in an Avro text.
type place struct {
	offset int
	name   string
	raw    json.RawMessage
}

// placeFields finds the elements of the record's "fields", in text that is
// known to be JSON.
func placeFields(text []byte) []place {
	d := json.NewDecoder(bytes.NewReader(text))
	if t, _ := d.Token(); t != json.Delim('{') {
		return nil
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil
		}
		if key != "fields" {
			var skip json.RawMessage
			if d.Decode(&skip) != nil {
				return nil
			}
			continue
		}
		if t, _ := d.Token(); t != json.Delim('[') {
			return nil
		}
		var places []place
		for d.More() {
			var p place
			if d.Decode(&p.raw) != nil {
				return nil
			}
			p.offset = int(d.InputOffset()) - len(p.raw)
			var named struct {
				Name string `json:"name"`
			}
			_ = json.Unmarshal(p.raw, &named) // a name of another type has been refused by the parser, or will be
			p.name = named.Name
			places = append(places, p)
		}
		return places
	}
	return nil
}

func checkJSON(text []byte) *Problem {
	d := json.NewDecoder(bytes.NewReader(text))
	var v json.RawMessage
	err := d.Decode(&v)
	at := int64(len(text))
	var syntax *json.SyntaxError
	switch {
	case err == nil:
		if _, err := d.Token(); err == io.EOF {
			return nil
		}
		at, err = d.InputOffset(), errors.New("more text behind the schema")
		line, column := lineColumn(text, int(at))
		return &Problem{Line: line, Column: column, Message: err.Error()}
	case errors.As(err, &syntax):
		at = syntax.Offset - 1
	}
	line, column := lineColumn(text, int(at))
	return &Problem{Line: line, Column: column, Message: fmt.Sprintf("not JSON: %v", err)}
}

// lineColumn returns the 1-based place of a byte.
func lineColumn(text []byte, offset int) (line, column int) {
	offset = min(max(offset, 0), len(text))
	line = 1 + bytes.Count(text[:offset], []byte{'\n'})
	return line, offset - bytes.LastIndexByte(text[:offset], '\n')
}

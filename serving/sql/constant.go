package sql

import (
	"encoding/json"
	"strconv"
	"time"
)

// constant is a value that is written, or that a parameter has.
type constant struct {
	kind   constantKind
	number int64  // or microseconds, or days
	text   string // also of what is written without a type
}

type constantKind int

const (
	aNull    constantKind = iota
	aNumber               // whole
	aText                 // of no type yet: DuckDB reads it as what it is compared with
	aVarchar              // a text for good
	aMoment
	aDay
)

// constant reads a node; what is computed is not understood.
func (w *needing) constant(n any) (c constant, ok bool) {
	v, _ := n.(map[string]any)
	switch v["class"] {
	case "CONSTANT":
		value, _ := v["value"].(map[string]any)
		if null, _ := value["is_null"].(bool); null {
			return c, true
		}
		kind, _ := value["type"].(map[string]any)
		switch kind["id"] {
		case "TINYINT", "SMALLINT", "INTEGER", "BIGINT":
			number, _ := value["value"].(json.Number)
			i, err := number.Int64()
			return constant{kind: aNumber, number: i}, err == nil
		case "VARCHAR":
			text, ok := value["value"].(string)
			return constant{kind: aText, text: text}, ok
		}
	case "PARAMETER":
		name, _ := v["identifier"].(string)
		i, err := strconv.Atoi(name)
		if err != nil || i < 1 || i > len(w.args) {
			return c, false
		}
		switch x := w.args[i-1].(type) {
		case nil:
			return c, true
		case int64:
			return constant{kind: aNumber, number: x}, true
		case string:
			return constant{kind: aText, text: x}, true
		case time.Time:
			return constant{kind: aMoment, number: x.UnixMicro()}, x.Nanosecond()%1000 == 0
		}
	case "CAST":
		kind, _ := v["cast_type"].(map[string]any)
		if c, ok = w.constant(v["child"]); ok {
			return c.cast(kind["id"])
		}
	}
	return c, false
}

// cast is a constant as another type, where that is certain.
func (c constant) cast(to any) (constant, bool) {
	switch to {
	case "VARCHAR":
		if c.kind == aText || c.kind == aVarchar {
			return constant{kind: aVarchar, text: c.text}, true
		}
	case "INTEGER", "BIGINT":
		if c.kind == aNumber {
			return c, true
		}
		if i, ok := wholeNumber(c.text); ok && c.kind == aText {
			return constant{kind: aNumber, number: i}, true
		}
	case "TIMESTAMP":
		i, ok := c.moment()
		return constant{kind: aMoment, number: i}, ok
	case "DATE":
		i, ok := c.day()
		return constant{kind: aDay, number: i}, ok
	}
	return c, false
}

// wholeNumber reads a text that is how a number is written, and nothing else.
func wholeNumber(s string) (int64, bool) {
	i, err := strconv.ParseInt(s, 10, 64)
	return i, err == nil && strconv.FormatInt(i, 10) == s
}

const aDayLong = 24 * 60 * 60 * 1_000_000 // microseconds

// moment is a constant as a TIMESTAMP: microseconds since 1970.
func (c constant) moment() (int64, bool) {
	switch c.kind {
	case aMoment:
		return c.number, true
	case aDay:
		return c.number * aDayLong, true
	case aText:
		for _, layout := range []string{"2006-01-02", "2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02T15:04:05Z"} {
			// Behind the seconds it takes digits as many as there are.
			if t, err := time.Parse(layout, c.text); err == nil && t.Nanosecond()%1000 == 0 && t.Year() > 0 {
				return t.UnixMicro(), true
			}
		}
	}
	return 0, false
}

// day is a constant as a DATE: days since 1970. It is none of a moment within a
// day.
func (c constant) day() (int64, bool) {
	switch c.kind {
	case aDay:
		return c.number, true
	case aMoment:
		return c.number / aDayLong, c.number%aDayLong == 0
	case aText:
		t, err := time.Parse(time.DateOnly, c.text)
		return t.Unix() / (aDayLong / 1_000_000), err == nil && t.Year() > 0
	}
	return 0, false
}

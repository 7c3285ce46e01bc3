package lookup

import (
	"encoding/base64"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"anabranch/event"
	"anabranch/fault"
	"anabranch/view"
)

// pick says which groups a request is about, of a version of the view.
func (r *Request) pick(v *view.View) (*view.Pick, error) {
	shape := v.StateShape()
	keys := shape.Fields[:len(shape.Fields)-1]
	p := &view.Pick{Keys: make([]*event.Column, len(keys)), Range: -1, From: math.MinInt64, To: math.MaxInt64}
	for _, e := range r.Key {
		k, err := keyCalled(keys, e.Column, false)
		if err != nil {
			return nil, err
		}
		if p.Keys[k] != nil {
			return nil, fault.New(fault.Invalid, "column %s is given twice", keys[k].Name)
		}
		if p.Keys[k], err = valueOf(keys[k], e); err != nil {
			return nil, err
		}
	}
	if r.From == "" && r.To == "" {
		if r.Time != "" {
			return nil, fault.New(fault.Invalid, "a time column needs from or to")
		}
		return p, nil
	}
	k, err := keyCalled(keys, r.Time, true)
	if err != nil {
		return nil, err
	}
	p.Range = k
	for _, side := range []struct {
		text string
		to   *int64
	}{{r.From, &p.From}, {r.To, &p.To}} {
		if side.text == "" {
			continue
		}
		c, err := valueOf(keys[k], Equal{Value: side.text})
		if err != nil {
			return nil, err
		}
		*side.to = c.Ints[0]
	}
	return p, nil
}

func isTime(t event.Type) bool { return t.Kind == event.Timestamp || t.Kind == event.Date }

// keyCalled returns the place of a key; without a name the only one there is
// that is a time, or is not.
func keyCalled(keys []event.Field, name string, times bool) (int, error) {
	names := make([]string, len(keys))
	only := -1
	for k, f := range keys {
		names[k] = f.Name
		if name != "" && strings.EqualFold(f.Name, name) {
			if times && !isTime(f.Type) {
				return 0, fault.New(fault.Invalid, "column %s is of type %s: a range is on a time", f.Name, f.Type.SQL())
			}
			return k, nil
		}
		if isTime(f.Type) == times {
			if only >= 0 {
				only = len(keys)
			} else {
				only = k
			}
		}
	}
	if name == "" && !times && len(keys) == 1 {
		only = 0 // a key that is a time, but the only one
	}
	if name == "" && only >= 0 && only < len(keys) {
		return only, nil
	}
	err := fault.New(fault.Invalid, "the key has no column %q", name)
	switch {
	case name == "" && times && only < 0:
		err = fault.New(fault.Invalid, "the key of the view has no time, so it takes no range")
	case name == "" && times:
		err = fault.New(fault.Invalid, "the key of the view has several times: name one with time=")
	case name == "":
		err = fault.New(fault.Invalid, "the key has several columns: write key.COLUMN=")
	}
	return 0, fault.WithHint(fault.WithCode(err, "unknown_column"), "%s", nearAndAll(name, slices.Clone(names)))
}

// times are the ways to write a moment, UTC where it does not say.
var times = []string{"2006-01-02 15:04:05.999999999", "2006-01-02T15:04:05.999999999", time.RFC3339Nano, "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04", "2006-01-02T15:04", time.DateOnly}

// valueOf reads a value of a key, a column of one row.
func valueOf(f event.Field, e Equal) (*event.Column, error) {
	c := &event.Column{Type: f.Type}
	text := e.Value
	wrong := fault.WithCode(fault.New(fault.Invalid, "column %s is of type %s, which %q is not", f.Name, f.Type.SQL(), text), "conversion")
	if e.Null {
		c.Valid = event.NewBitmap(1)
		switch f.Type.Storage() {
		case event.InFloats:
			c.Floats = []float64{0}
		case event.InWide:
			c.Wide = make([]event.Int128, 1)
		case event.InCodes:
			c.Codes, c.Dict = []uint32{0}, &event.Dict{Offsets: []uint32{0}}
		default:
			c.Ints = []int64{0}
		}
		return c, nil
	}
	switch kind := f.Type.Kind; {
	case kind == event.Bytes:
		raw, ok := fromBase64(text)
		if !ok {
			return nil, fault.WithHint(wrong, "write it in base64, as answers show it, + as %%2B or -")
		}
		c.Dict = &event.Dict{Offsets: []uint32{0}}
		c.Codes = []uint32{c.Dict.Append(raw)}
	case f.Type.Storage() == event.InCodes:
		c.Dict = &event.Dict{Offsets: []uint32{0}}
		c.Codes = []uint32{c.Dict.Append([]byte(text))}
	case kind == event.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return nil, wrong
		}
		c.Ints = []int64{0}
		if b {
			c.Ints[0] = 1
		}
	case kind == event.Float64:
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, wrong
		}
		c.Floats = []float64{v}
	case isTime(f.Type):
		at, ok := moment(text)
		if !ok {
			return nil, fault.WithHint(wrong, "write it as 2026-03-01 or 2026-03-01 12:30:00")
		}
		c.Ints = []int64{at.UnixMicro()}
		if kind == event.Date {
			c.Ints[0] = at.Truncate(24*time.Hour).Unix() / 86400
			if at.Hour()+at.Minute()+at.Second()+at.Nanosecond() != 0 {
				return nil, wrong
			}
		}
	default:
		scale := 0
		if kind == event.Decimal {
			scale = int(f.Type.Scale)
		}
		n, ok := unscaled(text, scale)
		if !ok {
			return nil, wrong
		}
		if f.Type.Storage() == event.InWide {
			w, ok := event.Int128FromBig(n)
			if !ok {
				return nil, wrong
			}
			c.Wide = []event.Int128{w}
		} else if !n.IsInt64() {
			return nil, wrong
		} else {
			c.Ints = []int64{n.Int64()}
		}
	}
	return c, nil
}

// fromBase64 reads base64 in the letters of answers, or in those that addresses
// take as they are, with or without = at its end.
func fromBase64(text string) ([]byte, bool) {
	text = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
	raw, err := base64.RawStdEncoding.DecodeString(text)
	return raw, err == nil
}

func moment(text string) (time.Time, bool) {
	for _, layout := range times {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

// unscaled reads a number as a multiple of 10^-scale.
func unscaled(text string, scale int) (*big.Int, bool) {
	whole, fraction, _ := strings.Cut(text, ".")
	fraction = strings.TrimRight(fraction, "0")
	if len(text) > 64 || len(fraction) > scale || strings.ContainsAny(text, "_xXeE") {
		return nil, false
	}
	return new(big.Int).SetString(whole+fraction+strings.Repeat("0", scale-len(fraction)), 10)
}

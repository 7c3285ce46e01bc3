package view

import (
	"bytes"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"anabranch/event"
	"anabranch/fault"
)

// parseClosure casts strings: once for each value of a dictionary.
func (b *builder) parseClosure(e *expr) closure {
	to := e.typ
	arg := b.build(e.args[0])
	r := &result{}
	try := e.op == "try_cast"
	var m valueMap[event.Int128]
	var floats valueMap[float64]
	whyNot := func(v []byte) error { return fault.New(fault.Invalid, "%.80q is not a %v", v, to) }
	return func(f *frame) *vec {
		x := arg(f)
		r.inherit(f.n, x)
		bad := func(i int) {
			if try {
				r.null(i, f.n)
			} else {
				r.fail(i, f.n, whyNot(x.Dict.Value(x.Codes[i])))
			}
		}
		var outF []float64
		var outW []event.Int128
		var out []int64
		switch to.Storage() {
		case event.InFloats:
			outF = r.floats(to, f.n)
			floats.reset(x.Dict)
		case event.InWide:
			outW = r.wides(to, f.n)
			m.reset(x.Dict)
		default:
			out = r.ints(to, f.n)
			m.reset(x.Dict)
		}
		for i := range f.n {
			if !x.Valid.Get(i) || x.hasFailed(i) {
				continue
			}
			if outF != nil {
				v, ok := floats.get(x.Codes[i], parseFloat)
				if outF[i] = v; !ok {
					bad(i)
				}
				continue
			}
			v, ok := m.get(x.Codes[i], func(s []byte) (event.Int128, bool) { return parseValue(s, to) })
			if !ok {
				bad(i)
			}
			if out != nil {
				out[i] = v.Int64()
			} else {
				outW[i] = v
			}
		}
		return &r.vec
	}
}

func trimSpace(s []byte) []byte { return bytes.Trim(s, " \t\n\v\f\r") }

func parseFloat(s []byte) (float64, bool) {
	s = trimSpace(s)
	text := string(s)
	lower := strings.ToLower(strings.TrimLeft(text, "+-"))
	if strings.ContainsAny(lower, "xp_") || len(lower) < len(text)-1 {
		return 0, false
	}
	f, err := strconv.ParseFloat(text, 64)
	return f, err == nil || math.IsInf(f, 0) && lower != "" && lower[0] == 'i'
}

// parseValue reads s as an unscaled value of type to.
func parseValue(s []byte, to event.Type) (event.Int128, bool) {
	s = trimSpace(s)
	switch to.Kind {
	case event.Bool:
		switch strings.ToLower(string(s)) {
		case "true", "t", "1", "yes", "y", "on":
			return event.Int128Of(1), true
		case "false", "f", "0", "no", "n", "off":
			return event.Int128Of(0), true
		}
		return event.Int128{}, false
	case event.Date:
		day, rest, ok := parseDate(s)
		if len(rest) > 0 {
			_, whole := parseTimestamp(s)
			ok = ok && whole
		}
		return event.Int128Of(day), ok
	case event.Timestamp:
		t, ok := parseTimestamp(s)
		return event.Int128Of(t), ok
	}
	return parseNumber(s, to)
}

// parseNumber reads digits with a point and an exponent, rounding what is too
// exact away from zero at the half.
func parseNumber(s []byte, to event.Type) (event.Int128, bool) {
	negative := false
	if len(s) > 0 && (s[0] == '-' || s[0] == '+') {
		negative, s = s[0] == '-', s[1:]
	}
	var digits []byte
	point, seen := 0, false
	i := 0
	for ; i < len(s); i++ {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			if digits = append(digits, c); seen {
				point++
			}
			continue
		case c == '.' && !seen:
			seen = true
			continue
		}
		break
	}
	if len(digits) == 0 {
		return event.Int128{}, false
	}
	exponent := 0
	if i < len(s) {
		if s[i] != 'e' && s[i] != 'E' {
			return event.Int128{}, false
		}
		var err error
		if exponent, err = strconv.Atoi(string(s[i+1:])); err != nil || exponent > 400 || exponent < -400 {
			return event.Int128{}, false
		}
	}
	if len(digits) > 400 {
		return event.Int128{}, false
	}
	v, _ := new(big.Int).SetString(string(digits), 10)
	shift := int(to.Scale) - point + exponent
	if shift >= 0 {
		v.Mul(v, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(shift)), nil))
	} else {
		p := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(-shift)), nil)
		half := new(big.Int).Rsh(p, 1)
		v.Quo(v.Add(v, half), p)
	}
	if negative {
		v.Neg(v)
	}
	w, ok := event.Int128FromBig(v)
	if to.Kind == event.Decimal {
		return w, ok && within128(w, to.Precision)
	}
	return w, ok && fitsInteger(w, to)
}

// formatClosure casts to strings.
func (b *builder) formatClosure(e *expr) closure {
	from := e.args[0].typ
	arg := b.build(e.args[0])
	r := &result{}
	var last *event.Dict
	known := map[event.Int128]uint32{}
	return func(f *frame) *vec {
		x := arg(f)
		out := r.codes(typeString, f.n)
		r.inherit(f.n, x)
		if last == nil || last.Len() > maxKnown {
			last = &event.Dict{}
			last.Append(nil)
			clear(known)
		}
		r.Dict = last
		var text []byte
		for i := range out {
			if !x.Valid.Get(i) {
				out[i] = 0
				continue
			}
			var key event.Int128
			switch from.Storage() {
			case event.InInts:
				key = event.Int128Of(x.Ints[i])
			case event.InWide:
				key = x.Wide[i]
			case event.InFloats:
				key.Lo = math.Float64bits(x.Floats[i])
			}
			code, ok := known[key]
			if !ok {
				text = appendValue(text[:0], key, from)
				code = last.Append(text)
				known[key] = code
			}
			out[i] = code
		}
		return &r.vec
	}
}

// maxKnown bounds the dictionaries that a closure keeps from call to call.
const maxKnown = 1 << 16

// appendValue renders a value as DuckDB's cast to VARCHAR does; a double comes
// as its bits.
func appendValue(to []byte, v event.Int128, t event.Type) []byte {
	switch t.Kind {
	case event.Bool:
		return strconv.AppendBool(to, v.Lo != 0)
	case event.Float64:
		return appendFloat(to, math.Float64frombits(v.Lo))
	case event.Decimal:
		if t.Scale == t.Precision {
			return append(to, strings.Replace(v.FormatDecimal(int(t.Scale)), "0.", ".", 1)...)
		}
		return append(to, v.FormatDecimal(int(t.Scale))...)
	case event.Date:
		return appendDate(to, v.Int64())
	case event.Timestamp:
		return appendTimestamp(to, v.Int64())
	case event.Huge:
		return append(to, v.String()...)
	}
	return strconv.AppendInt(to, v.Int64(), 10)
}

func appendFloat(to []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		if math.Signbit(f) {
			to = append(to, '-')
		}
		return append(to, "nan"...)
	case math.IsInf(f, 1):
		return append(to, "inf"...)
	case math.IsInf(f, -1):
		return append(to, "-inf"...)
	}
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e16) {
		s := strconv.FormatFloat(f, 'e', -1, 64)
		return append(to, s...)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	to = append(to, s...)
	if !strings.Contains(s, ".") {
		to = append(to, ".0"...)
	}
	return to
}

func appendDate(to []byte, day int64) []byte {
	y, m, d := civil(day)
	if y < 1 {
		return fmt.Appendf(to, "%04d-%02d-%02d (BC)", 1-y, m, d)
	}
	return fmt.Appendf(to, "%04d-%02d-%02d", y, m, d)
}

func appendTimestamp(to []byte, t int64) []byte {
	day := floorDiv(t, microsPerDay)
	rest := t - day*microsPerDay
	y, m, d := civil(day)
	era := ""
	if y < 1 {
		y, era = 1-y, " (BC)"
	}
	to = fmt.Appendf(to, "%04d-%02d-%02d %02d:%02d:%02d", y, m, d, rest/microsPerHour, rest/microsPerMinute%60, rest/microsPerSecond%60)
	if micros := rest % microsPerSecond; micros != 0 {
		to = append(to, bytes.TrimRight(fmt.Appendf(nil, ".%06d", micros), "0")...)
	}
	return append(to, era...)
}

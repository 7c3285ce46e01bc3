package schemas

import (
	"fmt"
	"strconv"
	"unicode/utf8"

	"anabranch/event"
)

// builder grows one column from texts.
type builder struct {
	event.Column
	field    *field
	interner interner
	texts    bool     // takes any text as it is
	token    textKind // how the layout of the body has its values
	date     lastDate
}

// reset begins a column with room for hint rows; again means that the one before
// may be written over.
func (c *builder) reset(hint int, again bool) {
	old := c.Column
	c.Column = event.Column{Type: c.field.Type}
	switch c.Type.Storage() {
	case event.InInts:
		c.Ints = renewed(old.Ints, hint, again)
	case event.InFloats:
		c.Floats = renewed(old.Floats, hint, again)
	case event.InWide:
		c.Wide = renewed(old.Wide, hint, again)
	case event.InCodes:
		c.Codes = renewed(old.Codes, hint, again)
		c.interner.next(len(old.Codes), again)
	}
}

// cut drops the rows from n on.
func (c *builder) cut(n int) {
	c.Ints, c.Floats = c.Ints[:min(n, len(c.Ints))], c.Floats[:min(n, len(c.Floats))]
	c.Wide, c.Codes = c.Wide[:min(n, len(c.Wide))], c.Codes[:min(n, len(c.Codes))]
}

// take returns the column of n rows.
func (c *builder) take(n int) event.Column {
	out := c.Column
	if out.Valid != nil {
		out.Valid = out.Valid[:(n+63)/64]
	}
	out.Dict = c.interner.dict
	return out
}

// add adds a row, or says by code and message why it cannot.
func (c *builder) add(row int, t *cellText) (code, message string) {
	if c.texts && t.token == quotedText && len(t.raw) > 0 { // most cells are
		c.addText(t)
		if c.Valid != nil {
			c.Valid.Set(row)
		}
		return "", ""
	}
	if t.token <= null || t.token == plainText && len(t.raw) == 0 {
		return c.addMissing(row, t)
	}
	if code, message := c.addValue(t); code != "" {
		return code, message
	}
	if c.Valid != nil {
		c.Valid.Set(row)
	}
	return "", ""
}

// addMissing adds a row for a field that is null, absent, or empty in CSV.
func (c *builder) addMissing(row int, t *cellText) (code, message string) {
	f := c.field
	switch {
	case f.Nullable && (t.token != absent || f.byDef == nil):
		c.addNull(row)
	case f.byDef != nil && f.byDef.null:
		c.addNull(row)
	case f.byDef != nil:
		c.addDefault(f.byDef)
		if c.Valid != nil {
			c.Valid.Set(row)
		}
	case t.token == plainText && c.Type.Storage() == event.InCodes && f.symbols == nil:
		c.Codes = append(c.Codes, c.interner.code(nil))
	case t.token == null:
		return CodeMissingField, "it is null, and the field has neither null nor a default"
	default:
		return CodeMissingField, "it is missing, and the field has neither null nor a default"
	}
	return "", ""
}

func (c *builder) addDefault(v *value) {
	if c.Type.Storage() == event.InCodes {
		c.Codes = append(c.Codes, c.interner.code(v.bytes))
		return
	}
	appendValue(&c.Column, v)
}

func (c *builder) addNull(row int) {
	if c.Valid == nil {
		c.Valid = event.NewBitmap(MaxRows)
		for i := range row {
			c.Valid.Set(i)
		}
	}
	c.Valid.Clear(row)
	switch c.Type.Storage() {
	case event.InInts:
		c.Ints = append(c.Ints, 0)
	case event.InFloats:
		c.Floats = append(c.Floats, 0)
	case event.InWide:
		c.Wide = append(c.Wide, event.Int128{})
	case event.InCodes:
		c.Codes = append(c.Codes, 0)
	}
}

// addValue adds a value that is there.
func (c *builder) addValue(t *cellText) (code, message string) {
	switch c.Type.Kind {
	case event.String:
		return c.addString(t)
	case event.Bytes:
		return c.addBytes(t)
	case event.Bool:
		return c.addBool(t)
	case event.Int32, event.Int64:
		return c.addInt(t)
	case event.Float64:
		return c.addFloat(t)
	case event.Decimal:
		return c.addDecimal(t)
	}
	return c.addTime(t)
}

func (c *builder) addString(t *cellText) (code, message string) {
	if t.token != quotedText && t.token != plainText {
		return wrongType(t, "a string")
	}
	if c.field.symbols != nil && !c.isSymbol(t.raw) {
		return CodeWrongType, fmt.Sprintf("%s is not one of %q", shown(t), c.field.symbols)
	}
	if len(t.raw) == 0 {
		c.Codes = append(c.Codes, c.interner.code(t.raw))
		return "", ""
	}
	c.addText(t)
	return "", ""
}

func (c *builder) addText(t *cellText) {
	c.Codes = append(c.Codes, c.interner.codeOf(t.raw, t.hash))
}

func (c *builder) isSymbol(raw []byte) bool {
	for _, s := range c.field.symbols {
		if string(raw) == s {
			return true
		}
	}
	return false
}

// addBytes reads bytes as Avro's JSON writes them: each character, U+0000 to
// U+00FF, is one byte.
func (c *builder) addBytes(t *cellText) (code, message string) {
	if t.token != quotedText && t.token != plainText {
		return wrongType(t, "a string of characters U+0000 to U+00FF, one for each byte")
	}
	ascii := true
	for _, b := range t.raw {
		ascii = ascii && b < utf8.RuneSelf
	}
	raw := t.raw
	if !ascii {
		raw = make([]byte, 0, len(t.raw))
		for _, r := range string(t.raw) {
			if r > 0xff {
				return CodeWrongType, fmt.Sprintf("%s holds the character %q: bytes are written as characters U+0000 to U+00FF", shown(t), r)
			}
			raw = append(raw, byte(r))
		}
	}
	c.Codes = append(c.Codes, c.interner.code(raw))
	return "", ""
}

func (c *builder) addBool(t *cellText) (code, message string) {
	v := int64(0)
	switch {
	case t.token == isTrue, t.token == plainText && string(t.raw) == "true":
		v = 1
	case t.token == isFalse, t.token == plainText && string(t.raw) == "false":
	default:
		return wrongType(t, "true or false")
	}
	c.Ints = append(c.Ints, v)
	return "", ""
}

func (c *builder) addInt(t *cellText) (code, message string) {
	if t.token != number && t.token != plainText {
		return wrongType(t, "a whole number")
	}
	v, what := parseInt(t.raw)
	switch {
	case what == notNumber:
		return wrongType(t, "a whole number")
	case what == tooLarge, c.Type.Kind == event.Int32 && v != int64(int32(v)):
		return CodeOutOfRange, fmt.Sprintf("%s does not fit %s", shown(t), c.Type)
	}
	c.Ints = append(c.Ints, v)
	return "", ""
}

func (c *builder) addFloat(t *cellText) (code, message string) {
	if t.token != number && (t.token != plainText || !isJSONNumber(t.raw)) {
		return wrongType(t, "a number")
	}
	v, err := strconv.ParseFloat(string(t.raw), 64)
	if err != nil {
		return CodeOutOfRange, fmt.Sprintf("%s does not fit %s", shown(t), c.Type)
	}
	c.Floats = append(c.Floats, v)
	return "", ""
}

func (c *builder) addDecimal(t *cellText) (code, message string) {
	if t.token != number && t.token != quotedText && t.token != plainText {
		return wrongType(t, "a decimal")
	}
	if c.Type.Storage() == event.InInts {
		if v, ok := parseNarrow(t.raw, int(c.Type.Scale)); ok && v < powersNarrow[c.Type.Precision] && -v < powersNarrow[c.Type.Precision] {
			c.Ints = append(c.Ints, v)
			return "", ""
		}
	}
	v, what := parseDecimal(t.raw, int(c.Type.Scale))
	switch {
	case what == notNumber:
		return CodeBadDecimal, shown(t) + " is not a decimal"
	case what == tooFine:
		return CodeBadDecimal, fmt.Sprintf("%s has more than %d digits behind the point", shown(t), c.Type.Scale)
	case what == tooLarge || !fitsDigits(v, c.Type.Precision):
		return CodeOutOfRange, fmt.Sprintf("%s does not fit %s", shown(t), c.Type)
	}
	if c.Type.Storage() == event.InInts {
		c.Ints = append(c.Ints, v.Int64())
	} else {
		c.Wide = append(c.Wide, v)
	}
	return "", ""
}

func (c *builder) addTime(t *cellText) (code, message string) {
	var v int64
	var what numberError
	isDate := c.Type.Kind == event.Date
	switch {
	case c.field.layout != "" && t.token != quotedText && t.token != plainText:
		return wrongType(t, "a time written "+c.field.layout)
	case c.field.layout != "":
		if v, what = parseLayout(t.raw, c.field.layout); what != 0 {
			return CodeBadDate, shown(t) + " is not written " + c.field.layout + ", as the schema's format says"
		}
		if isDate {
			v /= dayMicros // exact: a date's layout has no time of day
		}
	case t.token == number, t.token == plainText && isDigits(t.raw):
		if v, what = parseInt(t.raw); what == notNumber {
			return CodeBadDate, shown(t) + " is not a whole number of " + c.unit()
		}
		if what == 0 && c.field.millis && !isDate {
			if v > maxMicros/1000 || v < minMicros/1000 {
				what = tooLarge
			}
			v *= 1000
		}
	case t.token != quotedText && t.token != plainText:
		return wrongType(t, "a time")
	case isDate:
		v, what = parseDate(t.raw)
	default:
		v, what = parseTimestamp(t.raw, c.field.zoned, &c.date)
	}
	switch {
	case what == notNumber && isDate:
		return CodeBadDate, shown(t) + " is not a date: write 2011-12-09"
	case what == notNumber:
		return CodeBadDate, shown(t) + " is not a time: write 2011-12-09 12:50:00 or 2011-12-09T12:50:00Z"
	case what == tooLarge, isDate && (v < minDays || v > maxDays), !isDate && (v < minMicros || v > maxMicros):
		return CodeOutOfRange, shown(t) + " is outside the years 1 to 9999"
	}
	c.Ints = append(c.Ints, v)
	return "", ""
}

func (c *builder) unit() string {
	switch {
	case c.Type.Kind == event.Date:
		return "days"
	case c.field.millis:
		return "milliseconds"
	}
	return "microseconds"
}

package sql

// #include "overlay.h"
import "C"

import (
	"cmp"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"anabranch/event"
)

// filter is a need in the types of the columns of an overlay, which may have
// to be of another version than the one that the query was checked against.
type filter struct {
	kind   C.enum_kind
	of     []*filter
	column int
	ranges []textRange // or of numbers
	spans  []span
	told   string // as EXPLAIN tells it
}

// span is numbers from one to another, both with it.
type span struct{ least, most int64 }

// textRange is texts from one to another.
type textRange struct {
	least, most string
	open        C.enum_open
}

// plainName is a name that needs no quotes.
var plainName = regexp.MustCompile(`^[\pL_][\pL\pN_]*$`)

// typed returns a need as a filter; nil is none. Of what cannot be compared
// for certain as DuckDB will compare it nothing is said.
func (n *need) typed(fields []event.Field) *filter {
	switch {
	case n == nil:
		return nil
	case n.all != nil:
		c := &filter{kind: C.all_of}
		for _, m := range n.all {
			if t := m.typed(fields); t != nil {
				c.of = append(c.of, t)
			}
		}
		if len(c.of) == 0 {
			return nil
		}
		return c.joined(" AND ")
	case n.any != nil:
		c := &filter{kind: C.any_of}
		for _, m := range n.any {
			t := m.typed(fields)
			if t == nil {
				return nil
			}
			c.of = append(c.of, t)
		}
		return c.joined(" OR ")
	}
	at := slices.IndexFunc(fields, func(f event.Field) bool { return f.Name == n.column })
	if at < 0 {
		return nil
	}
	return n.leaf(at, fields[at])
}

// joined tells filters as one.
func (c *filter) joined(with string) *filter {
	if len(c.of) == 1 {
		return c.of[0]
	}
	told := make([]string, len(c.of))
	for i, o := range c.of {
		told[i] = o.told
		if o.kind == C.any_of {
			told[i] = "(" + o.told + ")"
		}
	}
	c.told = strings.Join(told, with)
	return c
}

// leaf is typed of a column.
func (n *need) leaf(at int, f event.Field) *filter {
	c := &filter{column: at}
	var told []string
	for _, v := range n.values {
		switch f.Type.Kind {
		case event.String:
			if v.kind != aText && v.kind != aVarchar {
				return nil
			}
			c.kind = C.text_in
			c.ranges = append(c.ranges, textsBeside(n.op, v.text))
			told = append(told, text(v.text))
		case event.Int32, event.Int64, event.Timestamp, event.Date:
			i, shown, ok := v.as(f.Type.Kind, n.op)
			if !ok {
				return nil
			}
			c.kind = C.number_in
			c.spans = append(c.spans, numbersBeside(n.op, i))
			told = append(told, shown)
		default:
			return nil
		}
	}
	if n.op == "=" { // the others have one value
		slices.SortFunc(c.spans, func(a, b span) int { return cmp.Compare(a.least, b.least) })
		c.spans = slices.Compact(c.spans)
		slices.SortFunc(c.ranges, func(a, b textRange) int { return strings.Compare(a.least, b.least) })
		c.ranges = slices.Compact(c.ranges)
	}
	column := f.Name
	if !plainName.MatchString(column) {
		column = name(column)
	}
	switch {
	case len(n.values) == 0:
		c.kind, c.told = C.any_of, "false" // among nulls alone
	case len(n.values) > 1:
		c.told = column + " IN (" + strings.Join(told, ", ") + ")"
	case n.op == "prefix":
		c.told = "starts_with(" + column + ", " + told[0] + ")"
	default:
		c.told = column + n.op + told[0]
	}
	return c
}

// as is a constant as a value of a column of numbers, and how it is shown.
func (c constant) as(k event.Kind, op string) (i int64, shown string, ok bool) {
	switch k {
	case event.Timestamp:
		i, ok = c.moment()
		return i, text(time.UnixMicro(i).UTC().Format("2006-01-02 15:04:05.999999")) + "::TIMESTAMP", ok && op != "prefix"
	case event.Date:
		i, ok = c.day()
		return i, text(time.Unix(i*24*60*60, 0).UTC().Format(time.DateOnly)) + "::DATE", ok && op != "prefix"
	}
	switch c.kind {
	case aNumber:
		return c.number, number(c.number), op != "prefix"
	case aText: // whether it is compared as a number or as a text
		i, ok = wholeNumber(c.text)
		return i, number(i), ok && op == "="
	}
	return 0, "", false
}

// numbersBeside are the numbers that have op to v. Where there are none most is
// below least.
func numbersBeside(op string, v int64) span {
	switch {
	case op == "<" && v == math.MinInt64, op == ">" && v == math.MaxInt64:
		return span{0, -1}
	case op == "<":
		return span{math.MinInt64, v - 1}
	case op == "<=":
		return span{math.MinInt64, v}
	case op == ">":
		return span{v + 1, math.MaxInt64}
	case op == ">=":
		return span{v, math.MaxInt64}
	}
	return span{v, v}
}

// textsBeside are the texts that have op to v.
func textsBeside(op, v string) textRange {
	switch op {
	case "<":
		return textRange{most: v, open: C.no_least | C.below_most}
	case "<=":
		return textRange{most: v, open: C.no_least}
	case ">":
		return textRange{least: v, open: C.no_most | C.above_least}
	case ">=":
		return textRange{least: v, open: C.no_most}
	case "prefix":
		end := []byte(v)
		for len(end) > 0 && end[len(end)-1] == math.MaxUint8 {
			end = end[:len(end)-1]
		}
		if len(end) == 0 {
			return textRange{least: v, open: C.no_most}
		}
		end[len(end)-1]++
		return textRange{least: v, most: string(end), open: C.below_most}
	}
	return textRange{least: v, most: v}
}

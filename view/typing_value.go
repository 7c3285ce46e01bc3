package view

import (
	"encoding/json"
	"math/big"
	"strconv"

	"anabranch/event"
)

func (b *binder) bindConstant(n *astNode) (*expr, error) {
	t, ok := kindOf(n.Value.Type)
	switch {
	case n.Value.Type.ID == "NULL":
		return &expr{op: "constant", null: true, value: &event.Column{Ints: []int64{0}, Valid: event.NewBitmap(1)}, at: n.place()}, nil
	case !ok:
		return nil, b.refuse(n, "", "a constant of type %s is not supported in a view", n.Value.Type.ID)
	case n.Value.Null:
		return nullOf(t, n.place()), nil
	}
	c := &event.Column{Type: t}
	raw := n.Value.Value
	var err error
	switch t.Kind {
	case event.Bool:
		c.Ints = []int64{0}
		if string(raw) == "true" {
			c.Ints[0] = 1
		}
	case event.String:
		var s string
		err = json.Unmarshal(raw, &s)
		return stringOf(s, n.place()), err
	case event.Float64:
		var f float64
		err = json.Unmarshal(raw, &f)
		c.Floats = []float64{f}
	default:
		var v event.Int128
		if v, err = wideConstant(raw); err != nil {
			break
		}
		if t.Storage() == event.InWide {
			c.Wide = []event.Int128{v}
		} else {
			c.Ints = []int64{v.Int64()}
		}
	}
	if err != nil {
		return nil, b.refuse(n, "", "the constant %s is not supported in a view", raw)
	}
	return &expr{op: "constant", typ: t, value: c, at: n.place()}, nil
}

// wideConstant reads an integer, or the two halves of a 128-bit one.
func wideConstant(raw json.RawMessage) (event.Int128, error) {
	if v, ok := new(big.Int).SetString(string(raw), 10); ok {
		w, _ := event.Int128FromBig(v)
		return w, nil
	}
	var halves struct {
		Upper int64  `json:"upper"`
		Lower uint64 `json:"lower"`
	}
	err := json.Unmarshal(raw, &halves)
	return event.Int128{Hi: halves.Upper, Lo: halves.Lower}, err
}

// kindOf returns our type for DuckDB's.
func kindOf(t astType) (event.Type, bool) {
	switch t.ID {
	case "BOOLEAN":
		return typeBool, true
	case "INTEGER":
		return typeInt32, true
	case "BIGINT":
		return typeInt64, true
	case "HUGEINT":
		return typeHuge, true
	case "DOUBLE":
		return typeFloat, true
	case "VARCHAR":
		return typeString, true
	case "DATE":
		return typeDate, true
	case "TIMESTAMP":
		return typeTimestamp, true
	case "BLOB":
		return typeBytes, true
	case "DECIMAL":
		if t.Info != nil {
			return typeDecimal(t.Info.Width, t.Info.Scale), true
		}
		return typeDecimal(18, 3), true
	}
	return event.Type{}, false
}

// instead says which type to take for one that is not supported.
var instead = map[string]string{
	"TINYINT": "INTEGER", "SMALLINT": "INTEGER", "UTINYINT": "INTEGER", "USMALLINT": "INTEGER", "UINTEGER": "BIGINT", "UBIGINT": "HUGEINT",
	"UHUGEINT": "HUGEINT", "FLOAT": "DOUBLE", "TIMESTAMP WITH TIME ZONE": "TIMESTAMP", "TIMESTAMP_S": "TIMESTAMP", "TIMESTAMP_MS": "TIMESTAMP",
	"TIMESTAMP_NS": "TIMESTAMP", "TIME": "TIMESTAMP", "UUID": "VARCHAR", "BIT": "VARCHAR", "ENUM": "VARCHAR",
}

func (b *binder) bindCast(n *astNode) (*expr, error) {
	if n.CastType.ID == "INTERVAL" {
		return b.bindInterval(n)
	}
	t, ok := kindOf(*n.CastType)
	if !ok {
		hint := ""
		if to := instead[n.CastType.ID]; to != "" {
			hint = "cast to " + to
		}
		return nil, b.refuse(n, hint, "the type %s is not supported in a view", n.CastType.ID)
	}
	e, err := b.bind(n.Child)
	if err != nil {
		return nil, err
	}
	if !castable(e, t) {
		return nil, b.refuse(n, "", "a cast of %v to %v is not supported in a view", e.typ, t)
	}
	c := cast(e, t, n.TryCast)
	if n.TryCast && e.typ == t && !e.null {
		return e, nil
	}
	return c, nil
}

// castable reports whether a cast to t is computed here.
func castable(e *expr, t event.Type) bool {
	from := e.typ
	switch {
	case e.op == opInterval:
		return false
	case e.untyped(), from == t:
		return true
	case from.Kind == event.Bytes || t.Kind == event.Bytes:
		return false
	case from.Kind == event.String || t.Kind == event.String:
		return true
	case isTime(from) && isTime(t):
		return true
	}
	number := func(t event.Type) bool { return isNumber(t) || t.Kind == event.Bool }
	return number(from) && number(t)
}

// bindInterval reads a constant interval.
func (b *binder) bindInterval(n *astNode) (*expr, error) {
	var iv interval
	ok := false
	if n.Class == "CAST" && n.Child.Class == "CONSTANT" && n.Child.Value.Type.ID == "VARCHAR" {
		var text string
		if json.Unmarshal(n.Child.Value.Value, &text) == nil {
			var err error
			iv, err = b.duck.interval(b.ctx, text)
			ok = err == nil
		}
	} else if n.Class == "FUNCTION" && len(n.Children) == 1 {
		// INTERVAL 5 MINUTE is to_minutes(CAST(trunc(CAST(5 AS DOUBLE)) AS BIGINT)).
		c := n.Children[0]
		for c.Class == "CAST" || c.Class == "FUNCTION" && c.Function == "trunc" && len(c.Children) == 1 {
			if c.Class == "CAST" {
				c = c.Child
			} else {
				c = c.Children[0]
			}
		}
		if c.Class == "CONSTANT" && !c.Value.Null {
			count, err := strconv.ParseInt(string(c.Value.Value), 10, 32)
			iv, ok = unitsOf[n.Function], err == nil && c.Value.Type.ID == "INTEGER"
			iv.months, iv.days, iv.micros = iv.months*count, iv.days*count, iv.micros*count
		}
	}
	if !ok {
		return nil, b.refuse(n, "write INTERVAL '1 hour'", "an INTERVAL that is not a constant is not supported in a view")
	}
	return &expr{op: opInterval, number: [3]int64{iv.months, iv.days, iv.micros}, at: n.place()}, nil
}

// unitsOf are the functions that make intervals.
var unitsOf = map[string]interval{
	"to_years": {months: 12}, "to_quarters": {months: 3}, "to_months": {months: 1}, "to_weeks": {days: 7}, "to_days": {days: 1}, "to_hours": {micros: microsPerHour},
	"to_minutes": {micros: microsPerMinute}, "to_seconds": {micros: microsPerSecond}, "to_milliseconds": {micros: 1000}, "to_microseconds": {micros: 1},
}

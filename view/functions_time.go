package view

import (
	"strings"

	"anabranch/event"
)

// units maps DuckDB's names of parts of a time to the one used here.
var units = map[string]string{
	"year": "year", "years": "year", "y": "year", "yr": "year", "quarter": "quarter", "quarters": "quarter", "month": "month", "months": "month", "mon": "month",
	"week": "week", "weeks": "week", "w": "week", "weekofyear": "week", "day": "day", "days": "day", "d": "day", "dayofmonth": "day", "hour": "hour", "hours": "hour", "h": "hour", "hr": "hour",
	"minute": "minute", "minutes": "minute", "m": "minute", "min": "minute", "second": "second", "seconds": "second", "s": "second", "sec": "second",
	"millisecond": "millisecond", "milliseconds": "millisecond", "ms": "millisecond", "microsecond": "microsecond", "microseconds": "microsecond", "us": "microsecond",
	"dow": "dow", "dayofweek": "dow", "weekday": "dow", "isodow": "isodow", "doy": "doy", "dayofyear": "doy", "epoch": "epoch",
	"decade": "decade", "century": "century", "isoyear": "isoyear",
}

// constantText returns the value of a constant string.
func constantText(e *expr) (string, bool) {
	if !e.literal() || e.isNull() {
		return "", false
	}
	return string(e.value.Bytes(0)), true
}

// timeFunction types the functions over dates and timestamps.
func (b *binder) timeFunction(n *astNode, name string, args []*expr) (*expr, error) {
	at := n.place()
	make := func(op, text string, t event.Type, x *expr) *expr {
		return fold(&expr{op: op, typ: t, args: []*expr{x}, text: text, null: x.null, at: at})
	}
	switch name {
	case "date_trunc", "date_part":
		if len(args) != 2 || !isTime(args[1].typ) {
			return nil, nil
		}
		word, ok := constantText(args[0])
		unit := units[strings.ToLower(word)]
		if !ok || unit == "" {
			return nil, b.refuse(n, "write one of year, quarter, month, week, day, hour, minute, second", "%s by %q is not supported in a view", name, word)
		}
		if name == "date_part" {
			if unit == "epoch" {
				return make("epoch", "", typeFloat, cast(args[1], typeTimestamp, false)), nil
			}
			return make("date_part", unit, typeInt64, cast(args[1], typeTimestamp, false)), nil
		}
		if !truncates[unit] {
			return nil, b.refuse(n, "write one of year, quarter, month, week, day, hour, minute, second", "date_trunc to %q is not supported in a view", word)
		}
		return make("date_trunc", unit, typeTimestamp, cast(args[1], typeTimestamp, false)), nil
	case "strftime":
		if len(args) != 2 {
			return nil, nil
		}
		if args[0].literal() {
			args[0], args[1] = args[1], args[0]
		}
		format, ok := constantText(args[1])
		if !ok || !isTime(args[0].typ) {
			return nil, b.refuse(n, "write strftime(t, '%Y-%m-%d')", "strftime of %v by a format that is not a constant is not supported in a view", args[0].typ)
		}
		if bad := unknownSpecifier(format); bad != "" {
			return nil, b.refuse(n, "take %Y %m %d %H %M %S %f %g %y %j %b %B %a %A %I %p %u %w or %-d and the like", "%s in strftime is not supported in a view", bad)
		}
		return make("strftime", format, typeString, cast(args[0], typeTimestamp, false)), nil
	case "time_bucket":
		return b.timeBucket(n, args)
	case "epoch":
		if len(args) == 1 && isTime(args[0].typ) {
			return make("epoch", "", typeFloat, cast(args[0], typeTimestamp, false)), nil
		}
	case "epoch_ms", "epoch_us":
		if len(args) == 1 && isTime(args[0].typ) {
			return make(name, "", typeInt64, cast(args[0], typeTimestamp, false)), nil
		}
	}
	return nil, nil
}

func (b *binder) timeBucket(n *astNode, args []*expr) (*expr, error) {
	if len(args) != 2 {
		return nil, b.refuse(n, "write time_bucket(INTERVAL '1 hour', t)", "time_bucket with an origin or offset is not supported in a view")
	}
	if args[0].op != opInterval || !isTime(args[1].typ) {
		return nil, b.refuse(n, "write time_bucket(INTERVAL '1 hour', t)", "time_bucket by a width that is not a constant is not supported in a view")
	}
	w := args[0].number
	switch micros, ok := bucketMicros(w); {
	case w[0] > 0 && w[1] == 0 && w[2] == 0:
	case w[0] == 0 && ok && micros > 0:
	default:
		return nil, b.refuse(n, "take either months or days and less, above zero", "this width of time_bucket is not supported in a view")
	}
	x := cast(args[1], typeTimestamp, false)
	e := fold(&expr{op: "time_bucket", typ: typeTimestamp, args: []*expr{x}, number: w, null: x.null, at: n.place()})
	return cast(e, args[1].typ, false), nil
}

// bucketMicros returns days and microseconds of a width as microseconds.
func bucketMicros(w [3]int64) (int64, bool) {
	if w[1] < 0 || w[1] > 1e6 {
		return 0, false
	}
	return w[1]*microsPerDay + w[2], true
}

// shift types a time plus or minus a constant interval.
func (b *binder) shift(n *astNode, op string, args []*expr, which int) (*expr, error) {
	if len(args) != 2 || op != "+" && (op != "-" || which != 1) || !isTime(args[1-which].typ) {
		return nil, b.refuse(n, "add an INTERVAL to a time only", "this arithmetic with an INTERVAL is not supported in a view")
	}
	w := args[which].number
	if op == "-" {
		w = [3]int64{-w[0], -w[1], -w[2]}
	}
	x := cast(args[1-which], typeTimestamp, false)
	return fold(&expr{op: "shift", typ: typeTimestamp, args: []*expr{x}, number: w, null: x.null, at: n.place()}), nil
}

// dates types the arithmetic of dates: date ± integer, date - date.
func (b *binder) dates(n *astNode, op string, x, y *expr) (*expr, error) {
	at := n.place()
	switch {
	case x.typ == typeDate && y.typ == typeInt32 && (op == "+" || op == "-"):
		return apply(op+" days", typeDate, at, x, y), nil
	case x.typ == typeInt32 && y.typ == typeDate && op == "+":
		return apply("+ days", typeDate, at, y, x), nil
	case x.typ == typeDate && y.typ == typeDate && op == "-":
		return apply("- days", typeInt64, at, x, y), nil
	}
	return nil, b.refuse(n, "subtract epoch_ms(t)", "%v %s %v is not supported in a view", x.typ, op, y.typ)
}

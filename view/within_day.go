package view

import (
	"strings"

	"anabranch/event"
)

// withinDay reports whether one of the keys tells the day of the event time.
func withinDay(keys []*expr, shape *event.Shape, timeField string) bool {
	at := shape.Index(timeField)
	if at < 0 || !isTime(shape.Fields[at].Type) {
		return false
	}
	for _, k := range keys {
		if tellsDay(k, at) {
			return true
		}
	}
	return false
}

// tellsDay reports whether equal values of e mean equal days of column time.
func tellsDay(e *expr, time int) bool {
	switch e.op {
	case "column":
		return e.column == time
	case "cast":
		return (isTime(e.typ) || e.typ == typeString) && tellsDay(e.args[0], time)
	case "date_trunc":
		switch e.text {
		case "day", "hour", "minute", "second", "millisecond", "microsecond":
			return tellsDay(e.args[0], time)
		}
	case "time_bucket":
		// Buckets of days and less begin at a midnight, so a width that
		// divides the day never reaches over one.
		width, ok := bucketMicros(e.number)
		return e.number[0] == 0 && ok && width > 0 && microsPerDay%width == 0 && tellsDay(e.args[0], time)
	case "strftime":
		return formatTellsDay(e.text) && tellsDay(e.args[0], time)
	case "epoch", "epoch_ms", "epoch_us":
		return tellsDay(e.args[0], time)
	}
	return false
}

// formatTellsDay reports whether a format writes year, month and day, or year
// and day of the year. Numbers of varying length must stand apart, so only
// padded letters count.
func formatTellsDay(format string) bool {
	letters := ""
	for i := 0; i+1 < len(format); i++ {
		if format[i] == '%' {
			i++
			if format[i] == '-' {
				return false
			}
			letters += string(format[i])
		}
	}
	has := func(l string) bool { return strings.Contains(letters, l) }
	month := has("m") || has("b") || has("B")
	return has("x") || has("c") || has("Y") && (month && has("d") || has("j"))
}

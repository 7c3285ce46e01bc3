package view

import (
	"fmt"
	"math"
	"strings"

	"anabranch/event"
	"anabranch/internal/planted"
)

const (
	microsPerSecond = 1_000_000
	microsPerMinute = 60 * microsPerSecond
	microsPerHour   = 60 * microsPerMinute
	microsPerDay    = 24 * microsPerHour
)

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// civil returns the year, month and day of a day since 1970.
func civil(day int64) (y, m, d int64) {
	z := day + 719468
	era := floorDiv(z, 146097)
	doe := z - era*146097
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	d = doy - (153*mp+2)/5 + 1
	m = mp + 3
	if m > 12 {
		m -= 12
	}
	y = yoe + era*400
	if m <= 2 {
		y++
	}
	return y, m, d
}

// dayOf is the inverse of civil.
func dayOf(y, m, d int64) int64 {
	if m <= 2 {
		y--
	}
	era := floorDiv(y, 400)
	yoe := y - era*400
	mp := m - 3
	if m <= 2 {
		mp = m + 9
	}
	doy := (153*mp+2)/5 + d - 1
	return era*146097 + yoe*365 + yoe/4 - yoe/100 + doy - 719468
}

// isoWeekday is 1 for Monday to 7 for Sunday.
func isoWeekday(day int64) int64 { return (day + 3) - 7*floorDiv(day+3, 7) + 1 }

// isoWeek returns the ISO year and week of a day.
func isoWeek(day int64) (year, week int64) {
	thursday := day - isoWeekday(day) + 4
	year, _, _ = civil(thursday)
	return year, (thursday-dayOf(year, 1, 1))/7 + 1
}

func daysInMonth(y, m int64) int64 {
	if m == 12 {
		return 31
	}
	return dayOf(y, m+1, 1) - dayOf(y, m, 1)
}

// timeClosure makes the functions from a timestamp to an integer; months and
// years are found once for each run of one day.
func (b *builder) timeClosure(e *expr) closure {
	arg := b.build(e.args[0])
	r := &result{}
	step := int64(0)
	origin := int64(0)
	switch {
	case e.op == "date_trunc":
		step = map[string]int64{"microsecond": 1, "millisecond": 1000, "second": microsPerSecond, "minute": microsPerMinute, "hour": microsPerHour,
			"day": microsPerDay}[e.text]
	case e.op == "time_bucket" && e.number[0] == 0:
		step, _ = bucketMicros(e.number)
		origin = dayOf(2000, 1, 3) * microsPerDay
	}
	if step > 0 {
		origin -= step * floorDiv(origin, step)
		return func(f *frame) *vec {
			x := arg(f)
			out := r.ints(e.typ, f.n)
			r.inherit(f.n, x)
			for i, v := range x.Ints[:f.n] {
				v -= origin
				rest := v % step
				if rest < 0 && !planted.On(planted.BucketBefore1970) {
					rest += step
				}
				out[i] = v - rest + origin
			}
			return &r.vec
		}
	}
	fn, days := timeFunction(e)
	why := overflow(e.op, e.typ)
	lastDay, lastValue := int64(math.MinInt64), int64(0)
	return func(f *frame) *vec {
		x := arg(f)
		out := r.ints(e.typ, f.n)
		r.inherit(f.n, x)
		for i, v := range x.Ints[:f.n] {
			if !days {
				w, ok := fn(v)
				if out[i] = w; !ok {
					r.fail(i, f.n, why)
				}
				continue
			}
			if day := floorDiv(v, microsPerDay); day != lastDay {
				lastDay = day
				lastValue, _ = fn(v)
			}
			out[i] = lastValue
		}
		return &r.vec
	}
}

// timeFunction returns the function of e, and whether it depends on the day only.
func timeFunction(e *expr) (fn func(t int64) (int64, bool), days bool) {
	day := func(fn func(day int64) int64) (func(t int64) (int64, bool), bool) {
		return func(t int64) (int64, bool) { return fn(floorDiv(t, microsPerDay)), true }, true
	}
	of := func(fn func(t int64) int64) (func(t int64) (int64, bool), bool) {
		return func(t int64) (int64, bool) { return fn(t), true }, false
	}
	switch e.op {
	case "epoch_ms":
		return of(func(t int64) int64 { return t / 1000 })
	case "epoch_us":
		return of(func(t int64) int64 { return t })
	case "shift":
		return func(t int64) (int64, bool) { return shiftTime(t, e.number) }, false
	case "time_bucket":
		return day(func(d int64) int64 {
			y, m, _ := civil(d)
			months := (y-2000)*12 + m - 1
			months = floorDiv(months, e.number[0]) * e.number[0]
			y = 2000 + floorDiv(months, 12)
			return dayOf(y, months-12*floorDiv(months, 12)+1, 1) * microsPerDay
		})
	case "date_trunc":
		return day(func(d int64) int64 { return truncDay(d, e.text) * microsPerDay })
	}
	if fn, ok := dayParts[e.text]; ok {
		return day(fn)
	}
	within := func(t, unit int64) int64 { return t - unit*floorDiv(t, unit) }
	switch e.text {
	case "hour":
		return of(func(t int64) int64 { return within(t, microsPerDay) / microsPerHour })
	case "minute":
		return of(func(t int64) int64 { return within(t, microsPerHour) / microsPerMinute })
	case "second":
		return of(func(t int64) int64 { return within(t, microsPerMinute) / microsPerSecond })
	case "millisecond":
		return of(func(t int64) int64 { return within(t, microsPerMinute) / 1000 })
	}
	return of(func(t int64) int64 { return within(t, microsPerMinute) })
}

// truncates are the units that date_trunc knows.
var truncates = map[string]bool{"year": true, "quarter": true, "month": true, "week": true, "day": true, "hour": true, "minute": true, "second": true,
	"millisecond": true, "microsecond": true, "decade": true, "century": true, "isoyear": true}

// dayParts are the parts of a date, from the day since 1970.
var dayParts = map[string]func(day int64) int64{
	"year":    func(d int64) int64 { y, _, _ := civil(d); return y },
	"quarter": func(d int64) int64 { _, m, _ := civil(d); return (m-1)/3 + 1 },
	"month":   func(d int64) int64 { _, m, _ := civil(d); return m },
	"day":     func(d int64) int64 { _, _, day := civil(d); return day },
	"week":    func(d int64) int64 { _, w := isoWeek(d); return w },
	"isoyear": func(d int64) int64 { y, _ := isoWeek(d); return y },
	"dow":     func(d int64) int64 { return isoWeekday(d) % 7 },
	"isodow":  isoWeekday,
	"doy":     func(d int64) int64 { y, _, _ := civil(d); return d - dayOf(y, 1, 1) + 1 },
	"decade":  func(d int64) int64 { y, _, _ := civil(d); return y / 10 },
	"century": func(d int64) int64 {
		if y, _, _ := civil(d); y > 0 {
			return (y-1)/100 + 1
		} else {
			return y/100 - 1
		}
	},
}

func truncDay(d int64, unit string) int64 {
	y, m, _ := civil(d)
	switch unit {
	case "month":
		return dayOf(y, m, 1)
	case "quarter":
		return dayOf(y, (m-1)/3*3+1, 1)
	case "week":
		return d - isoWeekday(d) + 1
	case "decade":
		return dayOf(y/10*10, 1, 1)
	case "century":
		return dayOf(y/100*100, 1, 1)
	case "isoyear":
		iso, _ := isoWeek(d)
		first := dayOf(iso, 1, 4)
		return first - isoWeekday(first) + 1
	}
	return dayOf(y, 1, 1)
}

// shiftTime adds months (to the last day of the month at most), days and
// microseconds, in this order.
func shiftTime(t int64, by [3]int64) (int64, bool) {
	day := floorDiv(t, microsPerDay)
	rest := t - day*microsPerDay
	if by[0] != 0 {
		y, m, d := civil(day)
		months := y*12 + m - 1 + by[0]
		y = floorDiv(months, 12)
		m = months - 12*y + 1
		day = dayOf(y, m, min(d, daysInMonth(y, m)))
	}
	day += by[1]
	if day > math.MaxInt64/microsPerDay-1 || day < -math.MaxInt64/microsPerDay+1 {
		return 0, false
	}
	return intOnce("+", day*microsPerDay+rest, by[2], math.MinInt64+1, math.MaxInt64-1)
}

func (b *builder) epochClosure(e *expr) closure {
	arg := b.build(e.args[0])
	r := &result{}
	return func(f *frame) *vec {
		x := arg(f)
		out := r.floats(typeFloat, f.n)
		r.inherit(f.n, x)
		for i, v := range x.Ints[:f.n] {
			out[i] = float64(v) / microsPerSecond
		}
		return &r.vec
	}
}

var (
	monthNames = strings.Fields("January February March April May June July August September October November December")
	dayNames   = strings.Fields("Sunday Monday Tuesday Wednesday Thursday Friday Saturday")
)

// specifiers are the letters of strftime, with how fine each looks at a time.
var specifiers = map[byte]int64{
	'Y': microsPerDay, 'y': microsPerDay, 'm': microsPerDay, 'd': microsPerDay, 'j': microsPerDay, 'b': microsPerDay, 'B': microsPerDay, 'a': microsPerDay,
	'A': microsPerDay, 'u': microsPerDay, 'w': microsPerDay, 'V': microsPerDay, 'G': microsPerDay, 'x': microsPerDay, 'H': microsPerHour, 'I': microsPerHour,
	'p': microsPerHour, 'M': microsPerMinute, 'S': microsPerSecond, 'X': microsPerSecond, 'c': microsPerSecond, 'g': 1, 'f': 1, '%': microsPerDay,
}

// unpadded are the letters that %- may stand before.
const unpadded = "dmyHIMSj"

// unknownSpecifier returns the first specifier of format that is not known.
func unknownSpecifier(format string) string {
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			continue
		}
		i++
		switch {
		case i < len(format) && format[i] == '-' && i+1 < len(format) && strings.IndexByte(unpadded, format[i+1]) >= 0:
			i++
		case i == len(format):
			return "a lone %"
		case specifiers[format[i]] == 0:
			return format[i-1 : i+1]
		}
	}
	return ""
}

// strftimeClosure formats once for each distinct unit of time that the format
// can tell apart.
func (b *builder) strftimeClosure(e *expr) closure {
	arg := b.build(e.args[0])
	unit := int64(microsPerDay)
	for i := 0; i < len(e.text); i++ {
		if e.text[i] != '%' {
			continue
		}
		if i++; e.text[i] == '-' {
			i++
		}
		unit = min(unit, specifiers[e.text[i]])
	}
	r := &result{}
	var dict *event.Dict
	known := map[int64]uint32{}
	return func(f *frame) *vec {
		x := arg(f)
		out := r.codes(typeString, f.n)
		r.inherit(f.n, x)
		if dict == nil || dict.Len() > maxKnown {
			dict = &event.Dict{}
			dict.Append(nil)
			clear(known)
		}
		r.Dict = dict
		lastUnit, lastCode := int64(math.MinInt64), uint32(0)
		var text []byte
		for i, v := range x.Ints[:f.n] {
			if !x.Valid.Get(i) {
				out[i] = 0
				continue
			}
			u := floorDiv(v, unit)
			if u != lastUnit {
				code, ok := known[u]
				if !ok {
					text = appendTime(text[:0], e.text, u*unit)
					code = dict.Append(text)
					known[u] = code
				}
				lastUnit, lastCode = u, code
			}
			out[i] = lastCode
		}
		return &r.vec
	}
}

// appendTime formats t as DuckDB's strftime does.
func appendTime(to []byte, format string, t int64) []byte {
	day := floorDiv(t, microsPerDay)
	rest := t - day*microsPerDay
	y, m, d := civil(day)
	hour, minute, second := rest/microsPerHour, rest/microsPerMinute%60, rest/microsPerSecond%60
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			to = append(to, format[i])
			continue
		}
		i++
		two := "%02d"
		three := "%03d"
		if format[i] == '-' {
			two, three = "%d", "%d"
			i++
		}
		hour12 := (hour+11)%12 + 1
		switch format[i] {
		case 'Y':
			if to = fmt.Appendf(to, "%04d", y); y < 0 {
				to = fmt.Appendf(to[:len(to)-len(fmt.Sprintf("%04d", y))], "%d", y)
			}
		case 'y':
			to = fmt.Appendf(to, two, ((y%100)+100)%100)
		case 'm':
			to = fmt.Appendf(to, two, m)
		case 'd':
			to = fmt.Appendf(to, two, d)
		case 'H':
			to = fmt.Appendf(to, two, hour)
		case 'I':
			to = fmt.Appendf(to, two, hour12)
		case 'M':
			to = fmt.Appendf(to, two, minute)
		case 'S':
			to = fmt.Appendf(to, two, second)
		case 'j':
			to = fmt.Appendf(to, three, dayParts["doy"](day))
		case 'p':
			to = append(to, [2]string{"AM", "PM"}[hour/12]...)
		case 'f':
			to = fmt.Appendf(to, "%06d", rest%microsPerSecond)
		case 'g':
			to = fmt.Appendf(to, "%03d", rest%microsPerSecond/1000)
		case 'b':
			to = append(to, monthNames[m-1][:3]...)
		case 'B':
			to = append(to, monthNames[m-1]...)
		case 'a':
			to = append(to, dayNames[isoWeekday(day)%7][:3]...)
		case 'A':
			to = append(to, dayNames[isoWeekday(day)%7]...)
		case 'u':
			to = fmt.Appendf(to, "%d", isoWeekday(day))
		case 'w':
			to = fmt.Appendf(to, "%d", isoWeekday(day)%7)
		case 'V':
			to = fmt.Appendf(to, "%02d", dayParts["week"](day))
		case 'G':
			to = fmt.Appendf(to, "%04d", dayParts["isoyear"](day))
		case 'x':
			to = appendTime(to, "%Y-%m-%d", t)
		case 'X':
			to = appendTime(to, "%H:%M:%S", t)
		case 'c':
			to = appendTime(to, "%Y-%m-%d %H:%M:%S", t)
		case '%':
			to = append(to, '%')
		}
	}
	return to
}

// parseDate reads year-month-day at the start of s and returns the rest.
func parseDate(s []byte) (day int64, rest []byte, ok bool) {
	var part [3]int64
	for p := range part {
		i := 0
		for i < len(s) && i < 6 && s[i] >= '0' && s[i] <= '9' {
			part[p] = part[p]*10 + int64(s[i]-'0')
			i++
		}
		if i == 0 || p > 0 && i > 2 {
			return 0, nil, false
		}
		s = s[i:]
		if p < 2 {
			if len(s) == 0 || s[0] != '-' && s[0] != '/' {
				return 0, nil, false
			}
			s = s[1:]
		}
	}
	y, m, d := part[0], part[1], part[2]
	if m < 1 || m > 12 || d < 1 || d > daysInMonth(y, m) {
		return 0, nil, false
	}
	return dayOf(y, m, d), s, true
}

// parseTimestamp reads a date and, behind a blank or T, a time of day.
func parseTimestamp(s []byte) (int64, bool) {
	day, s, ok := parseDate(s)
	if !ok || len(s) == 0 {
		return day * microsPerDay, ok
	}
	if s[0] != ' ' && s[0] != 'T' {
		return 0, false
	}
	s = s[1:]
	var part [3]int64
	for p := range part {
		i := 0
		for i < len(s) && i < 2 && s[i] >= '0' && s[i] <= '9' {
			part[p] = part[p]*10 + int64(s[i]-'0')
			i++
		}
		if i == 0 {
			return 0, false
		}
		if s = s[i:]; len(s) == 0 && p == 1 || p == 2 {
			break
		}
		if len(s) == 0 || s[0] != ':' {
			return 0, false
		}
		s = s[1:]
	}
	if part[0] > 23 || part[1] > 59 || part[2] > 59 {
		return 0, false
	}
	t := day*microsPerDay + part[0]*microsPerHour + part[1]*microsPerMinute + part[2]*microsPerSecond
	if len(s) > 1 && s[0] == '.' {
		unit := int64(100_000)
		for s = s[1:]; len(s) > 0 && s[0] >= '0' && s[0] <= '9'; s = s[1:] {
			t += int64(s[0]-'0') * unit
			unit /= 10
		}
	}
	if len(s) == 1 && s[0] == 'Z' {
		s = nil
	}
	return t, len(s) == 0
}

package schemas

import "encoding/binary"

// Times stay inside the years 1 to 9999, which every reader understands.
const (
	minMicros = -62135596800 * 1000000
	maxMicros = 253402300800*1000000 - 1
	minDays   = -719162
	maxDays   = 2932896
)

const dayMicros = 24 * 60 * 60 * 1000000

// parseDate reads 2011-12-09 as days since 1970.
func parseDate(b []byte) (int64, numberError) {
	if len(b) != 10 || b[4] != '-' || b[7] != '-' {
		return 0, notNumber
	}
	year, month, day := two(b)*100+two(b[2:]), two(b[5:]), two(b[8:])
	if year < 0 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) {
		return 0, notNumber
	}
	return civil(year, month, day), 0
}

// lastDate keeps the date that was read last: times that follow each other are
// mostly of one day.
type lastDate struct {
	text [10]byte
	day  int64
}

func (d *lastDate) parse(b []byte) (int64, numberError) {
	text := [10]byte(b)
	if text == d.text {
		return d.day, 0
	}
	day, what := parseDate(b)
	if what == 0 {
		d.text, d.day = text, day
	}
	return day, what
}

// parseTimestamp reads 2011-12-09 12:50:00 or 2011-12-09T12:50:00, with up to
// nine digits of a second, of which six count, and a zone behind, as
// microseconds since 1970. A moment in time (zoned) is moved to UTC; without a
// zone it is taken as UTC. A wall clock stays as written, whatever its zone.
func parseTimestamp(b []byte, zoned bool, last *lastDate) (int64, numberError) {
	if len(b) < 19 || b[10]|0x20 != 't' && b[10] != ' ' {
		return 0, notNumber
	}
	day, what := last.parse(b[:10])
	clock, ok := parseClock(binary.LittleEndian.Uint64(b[11:]))
	if what != 0 || !ok {
		return 0, notNumber
	}
	micros := day*dayMicros + clock
	if len(b) == 19 {
		return micros, 0
	}
	if n := len(b) - 21; uint(n-1) < 6 && b[19] == '.' && b[20+n]|0x20 == 'z' { // most are
		part := binary.LittleEndian.Uint64(b[13+n:]) >> (56 - 8*n) & firstBytes(n)
		part -= zeros & firstBytes(n)
		if !areDigits(part) {
			return 0, notNumber
		}
		return micros + int64(eightDigits(part<<16)), 0
	}
	b = b[19:]
	if b[0] == '.' {
		n, unit := 1, int64(100000)
		for ; n < len(b) && isDigit(b[n]); n++ {
			micros += int64(b[n]-'0') * unit
			unit /= 10
		}
		if n == 1 || n > 10 {
			return 0, notNumber
		}
		b = b[n:]
	}
	offset, ok := parseZone(b)
	if !ok {
		return 0, notNumber
	}
	if zoned {
		micros -= offset
	}
	return micros, 0
}

// parseClock reads the eight bytes of 12:50:00.
func parseClock(w uint64) (micros int64, ok bool) {
	const (
		colons = 0x0000ff0000ff0000
		digits = ^uint64(colons)
	)
	w ^= ':'<<16 | ':'<<40
	if w&colons != 0 {
		return 0, false
	}
	w -= zeros & digits
	pairs := w*10 + w>>8
	hour, minute, second := pairs&0xff, pairs>>24&0xff, pairs>>48&0xff
	if !areDigits(w) || hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	return int64((hour*60+minute)*60+second) * 1000000, true
}

// parseZone reads Z, +01:00 or nothing.
func parseZone(b []byte) (micros int64, ok bool) {
	switch {
	case len(b) == 0, len(b) == 1 && b[0]|0x20 == 'z':
		return 0, true
	case len(b) != 6 || b[3] != ':' || b[0] != '+' && b[0] != '-':
		return 0, false
	}
	hour, minute := two(b[1:]), two(b[4:])
	if uint(hour) > 23 || uint(minute) > 59 {
		return 0, false
	}
	micros = int64(hour*60+minute) * 60 * 1000000
	if b[0] == '-' {
		micros = -micros
	}
	return micros, true
}

// two returns the number of two digits, or one far below zero.
func two(b []byte) int {
	if !isDigit(b[0]) || !isDigit(b[1]) {
		return -1 << 20
	}
	return int(b[0]-'0')*10 + int(b[1]-'0')
}

func daysIn(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// civil returns the days from 1970-01-01 to a day of the Gregorian calendar,
// counting years from March so that the leap day comes last.
func civil(year, month, day int) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	era := year / 400
	if year < 0 {
		era = (year - 399) / 400
	}
	ofEra := year - era*400
	ofYear := (153*(month-3)+2)/5 + day - 1
	return int64(era)*146097 + int64(ofEra*365+ofEra/4-ofEra/100+ofYear) - 719468
}

package schemas

import (
	"fmt"

	"anabranch/event"
)

// layoutWidths are the parts of a format and how many digits each has.
var layoutWidths = map[byte]int{'Y': 4, 'm': 2, 'd': 2, 'H': 2, 'M': 2, 'S': 2}

// readLayout takes a field's "format": how its texts write a date or a wall
// clock, in the parts that strftime has.
func readLayout(out *field, format any) *Problem {
	layout, ok := format.(string)
	if !ok || out.Type.Kind != event.Date && out.Type.Kind != event.Timestamp {
		return &Problem{Message: "a format is for a date or a timestamp", Hint: `write "format": "%d/%m/%Y" beside such a type, or leave it away`}
	}
	seen := map[byte]bool{}
	for i := 0; i < len(layout); i++ {
		if layout[i] != '%' {
			continue
		}
		i++
		if i == len(layout) || layoutWidths[layout[i]] == 0 || seen[layout[i]] {
			return &Problem{Message: fmt.Sprintf("the format %q cannot be read", layout), Hint: "use each of %Y %m %d %H %M %S at most once, and other characters as they stand"}
		}
		seen[layout[i]] = true
	}
	if !seen['Y'] || !seen['m'] || !seen['d'] {
		return &Problem{Message: fmt.Sprintf("the format %q does not give a day", layout), Hint: "it needs %Y, %m and %d"}
	}
	if out.Type.Kind == event.Date && (seen['H'] || seen['M'] || seen['S']) {
		return &Problem{Message: fmt.Sprintf("the format %q of a date has a time of day", layout), Hint: "make the field a timestamp"}
	}
	out.layout = layout
	return nil
}

// parseLayout reads a text written as layout says, all of it, as microseconds
// since 1970. What the layout does not have is nought.
func parseLayout(b []byte, layout string) (micros int64, what numberError) {
	year, month, day, hour, minute, second := 0, 0, 0, 0, 0, 0
	for i := 0; i < len(layout); i++ {
		if layout[i] != '%' {
			if len(b) == 0 || b[0] != layout[i] {
				return 0, notNumber
			}
			b = b[1:]
			continue
		}
		i++
		width := layoutWidths[layout[i]]
		if len(b) < width {
			return 0, notNumber
		}
		n := two(b)
		if width == 4 {
			n = n*100 + two(b[2:])
		}
		if n < 0 {
			return 0, notNumber
		}
		b = b[width:]
		switch layout[i] {
		case 'Y':
			year = n
		case 'm':
			month = n
		case 'd':
			day = n
		case 'H':
			hour = n
		case 'M':
			minute = n
		case 'S':
			second = n
		}
	}
	if len(b) > 0 || year < 1 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) || hour > 23 || minute > 59 || second > 59 {
		return 0, notNumber
	}
	return civil(year, month, day)*dayMicros + int64((hour*60+minute)*60+second)*1000000, 0
}

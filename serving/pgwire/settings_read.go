package pgwire

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"anabranch/fault"
	"anabranch/serving"
)

// optionsOf reads "-c name=value --name=value", where \ hides a space.
func optionsOf(text string) func(func(string) bool) {
	return func(yield func(string) bool) {
		var words []string
		var b strings.Builder
		for i := 0; i < len(text); i++ {
			switch {
			case text[i] == '\\' && i+1 < len(text):
				i++
				b.WriteByte(text[i])
			case text[i] == ' ':
				words = append(words, b.String())
				b.Reset()
			default:
				b.WriteByte(text[i])
			}
		}
		words = append(words, b.String())
		for i := 0; i < len(words); i++ {
			w := words[i]
			switch {
			case w == "-c" && i+1 < len(words):
				i++
				w = words[i]
			case strings.HasPrefix(w, "-c"):
				w = w[2:]
			case strings.HasPrefix(w, "--"):
				w = strings.ReplaceAll(w[2:], "-", "_")
			}
			if strings.Contains(w, "=") && !yield(w) {
				return
			}
		}
	}
}

func milliseconds(d time.Duration) string {
	switch {
	case d%time.Minute == 0 && d > 0:
		return strconv.Itoa(int(d/time.Minute)) + "min"
	case d%time.Second == 0 && d > 0:
		return strconv.Itoa(int(d/time.Second)) + "s"
	}
	return strconv.Itoa(int(d/time.Millisecond)) + "ms"
}

// Besides names and hours, zones are written as an interval to the east of
// Greenwich, SET TIME ZONE INTERVAL '+02:00' HOUR TO MINUTE, and as POSIX has
// them, to the west of it: GMT-02:00 and <+02>-02 are in the east.
var (
	offsetInterval = regexp.MustCompile(`^(?i:interval) ([+-]?)(\d{1,2}):(\d{2})(?i: hour to minute)?$`)
	offsetPOSIX    = regexp.MustCompile(`^(?:[A-Za-z]{3,}|<[A-Za-z0-9+:-]+>)?([+-]?)(\d{1,2})(?::(\d{2}))?$`)
)

// offset returns seconds.
func offset(sign, hours, minutes string) int {
	h, _ := strconv.Atoi(hours)
	m, _ := strconv.Atoi(minutes) // 0 without any
	if sign == "-" {
		h, m = -h, -m
	}
	return (h*60 + m) * 60
}

// posixZone is how PostgreSQL shows an offset in seconds to the east.
func posixZone(east int) string {
	at := func(seconds int, sign byte) string {
		if seconds < 0 {
			seconds = -seconds
			sign = map[byte]byte{'+': '-', '-': '+'}[sign]
		}
		s := fmt.Sprintf("%c%02d", sign, seconds/3600)
		if m := seconds / 60 % 60; m > 0 {
			s += fmt.Sprintf(":%02d", m)
		}
		return s
	}
	return "<" + at(east, '+') + ">" + at(east, '-')
}

func readZone(value string) (zone *time.Location, shown string, err error) {
	value = strings.TrimSpace(value)
	switch strings.ToLower(value) {
	case "", "utc", "gmt", "default", "local", "z":
		return time.UTC, "UTC", nil
	}
	if hours, err := strconv.ParseFloat(value, 64); err == nil && hours > -24 && hours < 24 {
		return time.FixedZone(value, int(hours*3600)), value, nil
	}
	if m := offsetInterval.FindStringSubmatch(value); m != nil {
		east := offset(m[1], m[2], m[3])
		shown = posixZone(east)
		return time.FixedZone(shown, east), shown, nil
	}
	if m := offsetPOSIX.FindStringSubmatch(value); m != nil {
		return time.FixedZone(value, -offset(m[1], m[2], m[3])), value, nil
	}
	zone, err = time.LoadLocation(value)
	if err != nil {
		return nil, "", fault.WithCode(fault.New(fault.Invalid, "there is no time zone %q", value), "setting_value")
	}
	return zone, value, nil
}

// readDuration reads milliseconds, or a number with its unit.
func readDuration(value string) (time.Duration, error) {
	value = strings.ReplaceAll(strings.TrimSpace(value), " ", "")
	bad := fault.WithCode(fault.New(fault.Invalid, "statement_timeout %q: want milliseconds, or a number with us, ms, s, min, h or d", value), "setting_value")
	n := 0
	for n < len(value) && (value[n] >= '0' && value[n] <= '9' || value[n] == '.') {
		n++
	}
	number, err := strconv.ParseFloat(value[:n], 64)
	if value == "" || strings.EqualFold(value, "default") {
		return 0, nil
	}
	unit, ok := map[string]time.Duration{"": time.Millisecond, "us": time.Microsecond, "ms": time.Millisecond, "s": time.Second, "min": time.Minute, "h": time.Hour, "d": 24 * time.Hour}[value[n:]]
	if err != nil || !ok || number > 1e12 {
		return 0, bad
	}
	return time.Duration(min(number*float64(unit), float64(365*24*time.Hour))), nil
}

// readConsistency reads eventual, latest or at-least with a receipt.
func readConsistency(value string) (f serving.Fresh, err error) {
	value = strings.TrimSpace(value)
	verb, receipt, _ := strings.Cut(value, " ")
	switch strings.ToLower(verb) {
	case "", "default", "eventual":
		return f, nil
	case "latest":
		f.Latest = true
		return f, nil
	case "at-least", "at_least":
		if strings.TrimSpace(receipt) == "" {
			break
		}
		f.AtLeast, err = serving.ParseAtLeast(receipt)
		return f, fault.WithCode(err, "receipt")
	}
	return f, fault.WithCode(fault.New(fault.Invalid, "consistency %q: want eventual, latest or 'at-least RECEIPT'", value), "setting_value")
}

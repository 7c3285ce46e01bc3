package schemas

import (
	"encoding/binary"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestShortNumbers: what is read as one word is a number of JSON, and what the
// long way reads.
func TestShortNumbers(t *testing.T) {
	t.Parallel()
	r := seeded(t, 48)
	const letters = "00123456789999..-+e /:\x00\x80\xff"
	read, refused := 0, 0
	for range 500_000 {
		text := make([]byte, r.IntN(10))
		for i := range text {
			if text[i] = '0' + byte(r.IntN(10)); r.IntN(8) == 0 {
				text[i] = letters[r.IntN(len(letters))]
			}
		}
		if len(text) > 2 && r.IntN(2) == 0 {
			text[1+r.IntN(len(text)-2)] = '.'
		}
		behindIt := []byte{'.', '0', ',', '7', '}', '\n', 0xff, '9', '8', '7', '6'}
		v, behind, ok := shortNumber(binary.LittleEndian.Uint64(append(text[:len(text):len(text)], behindIt...)), len(text))
		short := len(text) <= 8 && isJSONNumber(text) && !strings.ContainsAny(string(text), "-e")
		if ok != short {
			t.Fatalf("%q is read: %t", text, ok)
		}
		if !ok {
			refused++
			continue
		}
		read++
		if want, what := parseDecimal(text, behind); what != 0 || want.Int64() != int64(v) {
			t.Fatalf("%q is %d with %d digits behind the point, want %v (%v)", text, v, behind, want, what)
		}
	}
	if read < 10_000 || refused < 10_000 {
		t.Errorf("only %d texts were read and %d refused", read, refused)
	}
}

// plainTimestamp reads a moment digit by digit.
func plainTimestamp(b []byte) (micros int64, ok bool) {
	if len(b) < 19 || b[10] != 'T' && b[10] != 't' && b[10] != ' ' || b[13] != ':' || b[16] != ':' {
		return 0, false
	}
	day, what := parseDate(b[:10])
	hour, minute, second := two(b[11:]), two(b[14:]), two(b[17:])
	if what != 0 || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59 {
		return 0, false
	}
	micros = day*dayMicros + int64((hour*60+minute)*60+second)*1000000
	if b = b[19:]; len(b) > 0 && b[0] == '.' {
		n, unit := 1, int64(100000)
		for ; n < len(b) && isDigit(b[n]); n++ {
			micros += int64(b[n]-'0') * unit
			unit /= 10
		}
		if n == 1 || n > 10 {
			return 0, false
		}
		b = b[n:]
	}
	offset, ok := parseZone(b)
	return micros - offset, ok
}

// TestTimestamps: a timestamp is what its digits say, however many digits of
// a second it has.
func TestTimestamps(t *testing.T) {
	t.Parallel()
	r := seeded(t, 49)
	const letters = "0123456789:.-TZz +/;\x00\x7f\x80\xff"
	read, refused := 0, 0
	var last lastDate
	for range 300_000 {
		at := time.UnixMicro(minMicros + r.Int64N(maxMicros-minMicros)).UTC()
		text := []byte(at.Format("2006-01-02T15:04:05." + strings.Repeat("0", 1+r.IntN(9)) + []string{"", "Z", "Z", "+01:30"}[r.IntN(4)]))
		switch r.IntN(6) {
		case 0:
			text = []byte(at.Format(time.RFC3339))
		case 1:
			text[20+r.IntN(len(text)-20)] = letters[r.IntN(len(letters))]
		case 2:
			text[r.IntN(20)] = letters[r.IntN(len(letters))]
		case 3:
			text = text[:r.IntN(len(text))]
		}
		micros, what := parseTimestamp(text, true, &last)
		if want, ok := plainTimestamp(text); ok != (what == 0) || ok && micros != want {
			t.Fatalf("%q is %d (%d), want %d, %t", text, micros, what, want, ok)
		}
		if what == 0 {
			read++
		} else {
			refused++
		}
	}
	if read < 10_000 || refused < 10_000 {
		t.Errorf("only %d texts were read and %d refused", read, refused)
	}
}

// TestLongNumbers: a number of up to 19 digits is read as the long way reads it, and
// nothing else is.
func TestLongNumbers(t *testing.T) {
	t.Parallel()
	r := seeded(t, 51)
	var b blockText
	const letters = "00123456789999..-+e /:\x00\x80\xff"
	read, refused := 0, 0
	for range 500_000 {
		from := r.IntN(100)
		for i := range 64 {
			if b[from+i] = '0' + byte(r.IntN(10)); r.IntN(40) == 0 {
				b[from+i] = letters[r.IntN(len(letters))]
			}
		}
		n := r.IntN(24)
		if n > 2 && r.IntN(2) == 0 {
			b[from+1+r.IntN(n-2)] = '.'
		}
		text := b[from : from+n]
		v, behind, ok := longNumber(&b, from, n)
		digits := n - strings.Count(string(text), ".")
		if want := digits <= longest && isJSONNumber(text) && !strings.ContainsAny(string(text), "-e"); ok != want {
			t.Fatalf("%q is read: %t", text, ok)
		}
		if !ok {
			refused++
			continue
		}
		read++
		if want, what := parseDecimal(text, behind); what != 0 || want.Hi != 0 || want.Lo != v {
			t.Fatalf("%q is %d with %d digits behind the point, want %v (%v)", text, v, behind, want, what)
		}
		if got := nearestFloat(v, behind); got != parsed(t, string(text)) {
			t.Fatalf("%q is %v, want %v", text, got, parsed(t, string(text)))
		}
	}
	if read < 10_000 || refused < 10_000 {
		t.Errorf("only %d texts were read and %d refused", read, refused)
	}
}

func parsed(t *testing.T, text string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestNearestFloats: numbers in the middle between two floating-point numbers, and
// beside it, become the one that the standard library has.
func TestNearestFloats(t *testing.T) {
	t.Parallel()
	r := seeded(t, 52)
	for range 200_000 {
		behind := r.IntN(longest + 1)
		v := r.Uint64N(powersUnsigned[longest]) >> r.IntN(64)
		if r.IntN(2) == 0 { // 54 bits, the last of which is set, are in the middle
			behind = r.IntN(12)
			v = (r.Uint64N(1<<53) | 1<<53 | 1) << r.IntN(2)
			if p := uint64(1); behind > 0 { // times a power of five: in the middle behind the point, too
				for range min(behind, 4) {
					p *= 5
				}
				behind, v = min(behind, 4), (v>>10|1)*p
			}
			v += r.Uint64N(3) - 1
		}
		text := strconv.FormatUint(v, 10) + "e-" + strconv.Itoa(behind)
		if got, want := nearestFloat(v, behind), parsed(t, text); got != want {
			t.Fatalf("%s is %v, want %v", text, got, want)
		}
	}
}

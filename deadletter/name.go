package deadletter

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/zeebo/xxh3"
)

const (
	suffix = ".ndjson.zst"
	// maxRequest and maxCodes bound the parts of an object's name, which some
	// stores cut off at 900 bytes.
	maxRequest = 200
	maxCodes   = 400
)

// object is what the name of an object tells:
//
//	letters/<pipeline>/<day>/<request>.<n>[.<code>=<n>]....ndjson.zst
//
// Codes are left out where they do not fit into a name.
type object struct {
	day     string
	request string // escaped
	n       int
	codes   map[string]int64 // nil: to be found inside
}

func (o object) name(prefix string) string {
	var b strings.Builder
	b.WriteString(prefix + o.day + "/" + o.request + "." + strconv.Itoa(o.n))
	for _, code := range slices.Sorted(maps.Keys(o.codes)) {
		fmt.Fprintf(&b, ".%s=%d", code, o.codes[code])
	}
	return b.String() + suffix
}

// parseName reads a name without its prefix; ok is false for what is not ours.
func parseName(rest string) (o object, ok bool) {
	rest, ok = strings.CutSuffix(rest, suffix)
	day, file, found := strings.Cut(rest, "/")
	if !ok || !found || !isDay(day) {
		return object{}, false
	}
	part := strings.Split(file, ".")
	if len(part) < 2 || part[0] == "" {
		return object{}, false
	}
	o = object{day: day, request: part[0]}
	var err error
	if o.n, err = strconv.Atoi(part[1]); err != nil || o.n < 1 {
		return object{}, false
	}
	for _, p := range part[2:] {
		code, count, found := strings.Cut(p, "=")
		n, err := strconv.ParseInt(count, 10, 64)
		if !found || err != nil {
			return object{}, false
		}
		if o.codes == nil {
			o.codes = map[string]int64{}
		}
		o.codes[code] = n
	}
	return o, true
}

// countCodes returns how many letters there are of each code, or nil when the
// codes do not fit into a name.
func countCodes(letters []Letter) map[string]int64 {
	codes := map[string]int64{}
	length := 0
	for i := range letters {
		code := letters[i].Code
		if codes[code]++; codes[code] > 1 {
			continue
		}
		length += len(code) + 12
		if length > maxCodes || code == "" || !plain(code) {
			return nil
		}
	}
	return codes
}

func plain(s string) bool {
	for i := range len(s) {
		if !plainByte(s[i]) {
			return false
		}
	}
	return true
}

func plainByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}

// escape makes a request fit into a name and an ID: other bytes than letters,
// digits, _ and - become =XX; what is too long is replaced by its hash.
func escape(request string) string {
	var b strings.Builder
	for i := range len(request) {
		if c := request[i]; plainByte(c) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "=%02X", c)
		}
	}
	if b.Len() == 0 || b.Len() > maxRequest {
		h := xxh3.HashString128(request).Bytes()
		return "=" + hex.EncodeToString(h[:])
	}
	return b.String()
}

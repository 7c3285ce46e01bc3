package sql

import (
	"errors"
	"regexp"
	"strconv"
	"strings"

	"anabranch/fault"
)

// told is a place as messages tell it: it ends them, but for what to do.
var told = regexp.MustCompile(`\(line ([0-9]+), column ([0-9]+)\)`)

// PlaceOf returns the line and the column, in characters and both from 1, that an
// error of the engine points at in the query's text.
func PlaceOf(err error) (line, column int, ok bool) {
	if err == nil {
		return 0, 0, false
	}
	m := lastTold(withoutHint(err))
	if m == nil {
		return 0, 0, false
	}
	message := withoutHint(err)
	line, err1 := strconv.Atoi(message[m[2]:m[3]])
	column, err2 := strconv.Atoi(message[m[4]:m[5]])
	return line, column, err1 == nil && err2 == nil && line > 0 && column > 0
}

// WithPlace is a message of the engine that tells another place: the one of a
// byte in text.
func WithPlace(message, text string, at int) string {
	m := lastTold(message)
	if m == nil {
		return message
	}
	return message[:m[0]] + strings.TrimPrefix(placeAt(text, at), " ") + message[m[1]:]
}

func lastTold(message string) []int {
	all := told.FindAllStringSubmatchIndex(message, -1)
	if all == nil {
		return nil
	}
	return all[len(all)-1]
}

// withoutHint is the message of an error that may have a hint: names in a hint
// are the client's too.
func withoutHint(err error) string {
	var f *fault.Error
	if errors.As(err, &f) && f.Hint != "" && f.Error() == err.Error() {
		return f.Err.Error()
	}
	return err.Error()
}

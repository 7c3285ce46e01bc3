package httpapi

import (
	"bytes"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"anabranch/fault"
)

// wholeTexts is the error about JSON whose texts are none: bytes that are not UTF-8,
// and halves of pairs of escapes. Its decoder would put another character in their
// place, and the question would be another one than was asked.
func wholeTexts(text []byte) error {
	if !utf8.Valid(text) {
		return fault.New(fault.Invalid, "the request's JSON is not UTF-8")
	}
	escaped := func(at int) rune { // of \uXXXX; -1 where there is none
		if len(text) < at+6 || text[at] != '\\' || text[at+1] != 'u' {
			return -1
		}
		n, err := strconv.ParseUint(string(text[at+2:at+6]), 16, 16)
		if err != nil {
			return -1
		}
		return rune(n)
	}
	for at := 0; ; at += 2 {
		next := bytes.IndexByte(text[min(at, len(text)):], '\\')
		if next < 0 {
			return nil
		}
		at += next
		c := escaped(at)
		if !utf16.IsSurrogate(c) {
			continue
		}
		if utf16.DecodeRune(c, escaped(at+6)) == utf8.RuneError {
			line := 1 + bytes.Count(text[:at], []byte{'\n'})
			return fault.New(fault.Invalid, "the request's JSON has %s, half of a pair (line %d, column %d)", text[at:at+6], line, at-bytes.LastIndexByte(text[:at], '\n'))
		}
		at += 10 // and two more: the pair
	}
}

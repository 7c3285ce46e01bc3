package pgwire

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"anabranch/serving/sql"
)

// origin tells where the text of a statement comes from, so that errors point
// at what the client wrote. The zero origin is of a text that no client sent.
type origin struct {
	sent  string // the query string, with the other statements in it
	base  int    // where the statement begins in it, in bytes
	steps [][]stretch
}

// A stretch of an edited text, from byte at on: it began at byte from before the
// edit. Words that were put in come all from one place.
type stretch struct {
	at, from int
	put      bool
}

// edited is the origin of the text with these edits, as edited makes them.
func (o origin) edited(edits []edit) origin {
	var step []stretch
	at, from := 0, 0
	for _, e := range edits {
		if e.start < from {
			continue
		}
		step = append(step, stretch{at, from, false}, stretch{at + e.start - from, e.start, true})
		at += e.start - from + len(e.words)
		from = e.end
	}
	o.steps = append(slices.Clip(o.steps), append(step, stretch{at, from, false}))
	return o
}

// cut is the origin of the text from a byte on.
func (o origin) cut(from int) origin {
	return origin{o.sent, o.base, append(slices.Clip(o.steps), []stretch{{0, from, false}})}
}

// back returns where in the query string a byte of the text was.
func (o origin) back(at int) int {
	for _, step := range slices.Backward(o.steps) {
		i, exact := slices.BinarySearchFunc(step, at, func(s stretch, at int) int { return cmp.Compare(s.at, at) })
		if !exact {
			i--
		}
		for i+1 < len(step) && step[i+1].at == at {
			i++
		}
		s := step[max(i, 0)]
		if s.put {
			at = s.from
		} else {
			at += s.from - s.at
		}
	}
	return o.base + at
}

// placed is an error whose place is known in what the client sent.
type placed struct {
	error
	sent string
	at   int // bytes
}

func (p placed) Unwrap() error { return p.error }

// placed adds to an error of the engine, which was asked this statement, where in
// the query string it lies.
func (s statement) placed(err error) error {
	line, column, ok := sql.PlaceOf(err)
	if !ok || s.origin.sent == "" {
		return err
	}
	at := 0
	for range line - 1 {
		end := strings.IndexByte(s.text[at:], '\n')
		if end < 0 {
			return err
		}
		at += end + 1
	}
	for range column - 1 {
		_, size := utf8.DecodeRuneInString(s.text[at:])
		at += size
	}
	return placed{err, s.origin.sent, s.origin.back(at)}
}

// positionOf returns the place of an error as PostgreSQL tells it: in characters
// of the query string, from 1; 0 for none. The message is as the place says it.
func positionOf(err error, message string) (position int32, told string) {
	var p placed
	if !errors.As(err, &p) || p.at > len(p.sent) {
		return 0, message
	}
	return int32(utf8.RuneCountInString(p.sent[:p.at])) + 1, sql.WithPlace(message, p.sent, p.at)
}

package view

import (
	"bytes"
	"unicode"
	"unicode/utf8"

	"anabranch/event"
)

// valueMap remembers a function of a dictionary's values: it is computed once
// for each value that some row uses, and kept while the dictionary stays.
type valueMap[T any] struct {
	dict  *event.Dict
	state []uint8 // 0 not computed, 1 a value, 2 none
	value []T
}

// reset gets ready for codes of d.
func (m *valueMap[T]) reset(d *event.Dict) {
	if m.dict != d {
		m.dict, m.state = d, m.state[:0]
	}
	n := max(d.Len(), 1)
	if old := len(m.state); old < n {
		m.state = sizedKeep(m.state, n)
		clear(m.state[old:])
		m.value = sizedKeep(m.value, n)
	}
}

// sizedKeep is sized with the elements kept.
func sizedKeep[T any](s []T, n int) []T {
	if cap(s) < n {
		to := make([]T, n, n+n/4)
		copy(to, s)
		return to
	}
	return s[:n]
}

func (m *valueMap[T]) get(code uint32, fn func(v []byte) (T, bool)) (T, bool) {
	if m.state[code] == 0 {
		v, ok := fn(m.dict.Value(code))
		m.value[code], m.state[code] = v, 2
		if ok {
			m.state[code] = 1
		}
	}
	return m.value[code], m.state[code] == 1
}

// overValues makes a BOOLEAN or BIGINT of each value of a string column.
func (b *builder) overValues(x *expr, fn func(v []byte) int64) closure {
	arg := b.build(x)
	r := &result{}
	var m valueMap[int64]
	return func(f *frame) *vec {
		x := arg(f)
		out := r.ints(typeBool, f.n)
		r.inherit(f.n, x)
		m.reset(x.Dict)
		if x.Dict.Len() == 0 {
			clear(out)
			return &r.vec
		}
		codes := x.Codes[:len(out)]
		for i, c := range codes {
			if m.state[c] == 0 {
				m.value[c], m.state[c] = fn(m.dict.Value(c)), 1
			}
			out[i] = m.value[c]
		}
		return &r.vec
	}
}

// lengthClosure counts the characters, or for strlen the bytes, of a string.
func (b *builder) lengthClosure(e *expr) closure {
	inner := b.overValues(e.args[0], func(v []byte) int64 {
		if e.op == "strlen" {
			return int64(len(v))
		}
		return int64(utf8.RuneCount(v))
	})
	return func(f *frame) *vec {
		v := inner(f)
		v.Type = typeInt64
		return v
	}
}

// matchClosure makes the predicates over text.
func (b *builder) matchClosure(e *expr) closure {
	match := map[string]func(v, w []byte) bool{
		"starts_with": bytes.HasPrefix, "ends_with": bytes.HasSuffix, "contains": bytes.Contains, "~~": like,
		"~~*": func(v, w []byte) bool { return like(changeCase(nil, v, unicode.ToLower), w) },
	}[e.op]
	x, y := e.args[0], e.args[1]
	if y.constant() && !y.isNull() {
		want := bytes.Clone(y.value.Bytes(0))
		if e.op == "~~*" {
			want = changeCase(nil, want, unicode.ToLower)
		}
		return b.overValues(x, func(v []byte) int64 { return bit(match(v, want)) })
	}
	cx, cy := b.build(x), b.build(y)
	r := &result{}
	return func(f *frame) *vec {
		x, y := cx(f), cy(f)
		out := r.ints(typeBool, f.n)
		r.inherit(f.n, x, y)
		for i := range out {
			out[i] = 0
			if r.Valid.Get(i) && !r.hasFailed(i) {
				out[i] = bit(match(x.Dict.Value(x.Codes[i]), y.Dict.Value(y.Codes[i])))
			}
		}
		return &r.vec
	}
}

// like matches v against a pattern of %, _ and characters.
func like(v, pattern []byte) bool {
	// After a mismatch the last % takes one more byte and matching goes on there.
	i, p, star, from := 0, 0, -1, 0
	for i < len(v) {
		switch {
		case p < len(pattern) && pattern[p] == '%':
			star, from = p, i
			p++
		case p < len(pattern) && pattern[p] == '_':
			_, size := utf8.DecodeRune(v[i:])
			i += size
			p++
		case p < len(pattern) && pattern[p] == v[i]:
			i++
			p++
		case star >= 0:
			_, size := utf8.DecodeRune(v[from:])
			from += size
			i, p = from, star+1
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '%' {
		p++
	}
	return p == len(pattern)
}

func changeCase(to, v []byte, fn func(rune) rune) []byte {
	for len(v) > 0 {
		r, size := utf8.DecodeRune(v)
		to = utf8.AppendRune(to, fn(r))
		v = v[size:]
	}
	return to
}

// toUpper is unicode.ToUpper with DuckDB's capital sharp s.
func toUpper(r rune) rune {
	if r == 'ß' {
		return 'ẞ'
	}
	return unicode.ToUpper(r)
}

// textClosure makes the functions from one string and constants to a string.
func (b *builder) textClosure(e *expr) closure {
	for _, a := range e.args[1:] {
		if a.isNull() {
			return b.build(nullOf(typeString, e.at))
		}
	}
	fn := textFunction(e)
	arg := b.build(e.args[0])
	r := &result{}
	var m valueMap[uint32]
	var dict *event.Dict
	return func(f *frame) *vec {
		x := arg(f)
		out := r.codes(typeString, f.n)
		r.inherit(f.n, x)
		if dict == nil || m.dict != x.Dict {
			dict = &event.Dict{}
		}
		m.reset(x.Dict)
		if r.Dict = dict; x.Dict.Len() == 0 {
			clear(out)
			return &r.vec
		}
		var text []byte
		for i, c := range x.Codes[:len(out)] {
			if m.state[c] == 0 {
				text = fn(text[:0], m.dict.Value(c))
				m.value[c], m.state[c] = dict.Append(text), 1
			}
			out[i] = m.value[c]
		}
		return &r.vec
	}
}

// textFunction returns what e appends for a value.
func textFunction(e *expr) func(to, v []byte) []byte {
	var number [2]int64
	var words [2][]byte
	for i, a := range e.args[1:] {
		if a.typ == typeString {
			words[i] = bytes.Clone(a.value.Bytes(0))
		} else {
			number[i] = a.value.Ints[0]
		}
	}
	switch e.op {
	case "upper":
		return func(to, v []byte) []byte { return changeCase(to, v, toUpper) }
	case "lower":
		return func(to, v []byte) []byte { return changeCase(to, v, unicode.ToLower) }
	case "replace":
		return func(to, v []byte) []byte {
			if len(words[0]) == 0 {
				return append(to, v...)
			}
			return append(to, bytes.ReplaceAll(v, words[0], words[1])...)
		}
	case "trim", "ltrim", "rtrim":
		cut := func(r rune) bool { return unicode.Is(unicode.Zs, r) }
		if len(e.args) == 2 {
			set := map[rune]bool{}
			for _, r := range string(words[0]) {
				set[r] = true
			}
			cut = func(r rune) bool { return set[r] }
		}
		return func(to, v []byte) []byte {
			if e.op != "rtrim" {
				v = bytes.TrimLeftFunc(v, cut)
			}
			if e.op != "ltrim" {
				v = bytes.TrimRightFunc(v, cut)
			}
			return append(to, v...)
		}
	case "left", "right":
		return func(to, v []byte) []byte {
			n, count := int64(utf8.RuneCount(v)), number[0]
			if count < 0 {
				count = max(0, n+count)
			}
			count = min(count, n)
			if e.op == "left" {
				return append(to, between(v, 0, count)...)
			}
			return append(to, between(v, n-count, n)...)
		}
	}
	length := int64(1) << 32
	if len(e.args) == 3 {
		length = number[1]
	}
	return func(to, v []byte) []byte { return append(to, substr(v, number[0], length)...) }
}

// substr cuts as DuckDB does: places count characters from 1, from the end
// when negative, and a negative length reaches to the left.
func substr(v []byte, offset, length int64) []byte {
	n := int64(utf8.RuneCount(v))
	var start, end int64
	switch {
	case length == 0:
		return nil
	case offset > 0:
		start = min(n, offset-1)
	case offset < 0:
		start = n + offset
	default:
		if length--; length <= 0 {
			return nil
		}
	}
	if end = start + length; length < 0 {
		start, end = end, start
	}
	return between(v, max(start, 0), min(max(end, 0), n))
}

// between returns the characters from start to end.
func between(v []byte, start, end int64) []byte {
	at, from, to := int64(0), len(v), len(v)
	for i := 0; i < len(v); at++ {
		if at == start {
			from = i
		}
		if at == end {
			to = i
			break
		}
		_, size := utf8.DecodeRune(v[i:])
		i += size
	}
	if from > to {
		return nil
	}
	return v[from:to]
}

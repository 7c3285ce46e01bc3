package schemas

import "bytes"

// object parses b, which holds one event and nothing else.
func (d *Decoder) object(b []byte) *textError {
	clear(d.cells)
	d.scratch = d.scratch[:0]
	i := skipSpace(b, 0)
	if i == len(b) || b[i] != '{' {
		if next, err := skipValue(b, i, 0, &d.scratch); err == nil && skipSpace(b, next) == len(b) {
			return &textError{code: CodeWrongType, message: "an event is a JSON object", at: i}
		}
		return malformed(i, "an event is a JSON object")
	}
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == '}' {
		return behindObject(b, i+1)
	}
	for {
		field, next, err := d.key(b, i)
		if err != nil {
			return err
		}
		i = next
		if i = skipSpace(b, i); field >= 0 {
			if i, err = d.value(b, i, field); err != nil {
				err.field = d.s.fields[field].Name
			}
		} else {
			i, err = skipValue(b, i, 0, &d.scratch)
		}
		if err != nil {
			return err
		}
		i = skipSpace(b, i)
		switch {
		case i == len(b):
			return malformed(i, "the object does not end")
		case b[i] == '}':
			return behindObject(b, i+1)
		case b[i] != ',':
			return malformed(i, "a comma is missing")
		}
		i = skipSpace(b, i+1)
	}
}

func behindObject(b []byte, i int) *textError {
	if i = skipSpace(b, i); i < len(b) {
		return malformed(i, "there is text behind the event")
	}
	return nil
}

// key reads the key of an object at i and the colon behind it, and says which field it
// names, -1 for none.
func (d *Decoder) key(b []byte, i int) (field, next int, err *textError) {
	if i == len(b) || b[i] != '"' {
		return 0, i, malformed(i, "a key is missing")
	}
	field, next, plain := d.keys.find(b, i+1)
	if !plain {
		var name []byte
		if name, next, err = scanString(b, i+1, &d.scratch); err != nil {
			return 0, next, err
		}
		var known bool
		if field, known = d.names[string(name)]; !known {
			field = -1
		}
	}
	if field >= 0 && d.cells[field].token != absent {
		return 0, i, d.duplicate(field, i)
	}
	if next < len(b) && b[next] != ':' {
		next = skipSpace(b, next)
	}
	if next == len(b) || b[next] != ':' {
		return 0, next, malformed(next, "a colon is missing behind a key")
	}
	return field, next + 1, nil
}

func (d *Decoder) duplicate(field, at int) *textError {
	return &textError{CodeDuplicateKey, "it stands there twice", at, d.s.fields[field].Name}
}

// value reads the value at i into the cell of a field.
func (d *Decoder) value(b []byte, i, field int) (next int, err *textError) {
	c := &d.cells[field]
	c.at, c.from, c.to, c.unescaped = int32(i), 0, 0, false
	if i == len(b) {
		return i, malformed(i, "a value is missing")
	}
	switch b[i] {
	case '"':
		c.token = quotedText
		if end := special(b, i+1); end < len(b) && b[end] == '"' { // most strings
			c.from, c.to = int32(i+1), int32(end)
			return end + 1, nil
		}
		before := len(d.scratch)
		if _, next, err = scanString(b, i+1, &d.scratch); len(d.scratch) > before { // no escape stands for nothing
			c.from, c.to, c.unescaped = int32(before), int32(len(d.scratch)), true
		} else {
			c.from, c.to = int32(i+1), int32(next-1)
		}
		return next, err
	case '{', '[':
		c.token = nested
	case 't':
		c.token = isTrue
	case 'f':
		c.token = isFalse
	case 'n':
		c.token = null
	default:
		c.token = number
	}
	if next, err = skipValue(b, i, 0, &d.scratch); err == nil && c.token != null {
		c.from, c.to = int32(i), int32(next)
	}
	return next, err
}

// oneLine decodes the next line of an NDJSON body.
func (d *Decoder) oneLine() step {
	if !d.skip && d.layout.promises() && d.nextBlock() > 0 {
		return done
	}
	b := d.in.rest()
	n := bytes.IndexByte(b, '\n')
	whole := n >= 0
	if !whole {
		n = len(b)
		switch {
		case d.skip:
			d.in.pass(n)
			if d.in.ended() {
				return end
			}
			return more
		case n > MaxEvent:
			d.tooLong(n)
			d.in.from += n
			d.skip = true
			return done
		case !d.in.ended():
			return more
		case n == 0:
			return end
		}
	}
	line := bytes.TrimSuffix(b[:n], []byte{'\r'})
	switch {
	case d.skip:
		d.skip = false
	case len(line) > MaxEvent:
		d.tooLong(n)
	case skipSpace(line, 0) == len(line):
	default:
		rows := len(d.ids)
		d.parsed(len(line), d.object(line))
		if d.layout.isOdd() && whole && len(d.ids) > rows {
			d.learn(b[:n+1])
		}
	}
	d.in.from += n
	if whole {
		d.in.from++
		d.in.line++
	}
	return done
}

// parsed makes a row of the cells, or a Bad of what was wrong with its text.
func (d *Decoder) parsed(n int, err *textError) {
	if err == nil {
		d.event(n)
		return
	}
	d.badAt(n, err.at, err.field, err.code, err.message)
}

func (d *Decoder) tooLong(n int) {
	d.badAt(n, 0, "", CodeTooLong, "the event is longer than 1 MiB")
}

package schemas

// arrayState is where in a JSON array the decoder stands.
type arrayState uint8

const (
	beforeArray  arrayState = iota // in front of the bracket
	firstElement                   // behind the bracket
	nextElement                    // behind an element
	behindArray                    // behind the closing bracket
)

// oneElement decodes the next element of a JSON array.
func (d *Decoder) oneElement() step {
	if n := skipSpace(d.in.rest(), 0); n > 0 {
		d.in.pass(n)
	}
	b := d.in.rest()
	if len(b) == 0 {
		if !d.in.ended() {
			return more
		}
		if d.array != behindArray {
			d.badAt(0, 0, "", CodeMalformed, "the array does not end")
		}
		return end
	}
	i := 0 // where the element begins
	switch d.array {
	case behindArray:
		return d.giveUp(0, "there is text behind the array")
	case beforeArray:
		if b[0] != '[' {
			return d.giveUp(0, "the body is not a JSON array")
		}
		d.begun, d.array = true, firstElement
		d.in.pass(1)
		return done
	case nextElement:
		if b[0] == ']' {
			break
		}
		if b[0] != ',' {
			return d.giveUp(0, "a comma is missing between two events")
		}
		if i = skipSpace(b, 1); i == len(b) && !d.in.ended() {
			return more
		}
		if i == len(b) || b[i] == ']' || b[i] == ',' {
			return d.giveUp(0, "an event is missing behind a comma")
		}
	}
	if b[i] == ']' {
		d.array = behindArray
		d.in.pass(i + 1)
		return done
	}
	n := elementEnd(b[i:])
	switch {
	case n == 0 && len(b)-i > MaxEvent:
		d.in.pass(i)
		d.tooLong(len(b) - i)
		return end
	case n == 0 && !d.in.ended():
		return more
	case n == 0:
		return d.giveUp(len(b), "the array does not end")
	}
	d.in.pass(i)
	d.array = nextElement
	if n > MaxEvent {
		d.tooLong(n)
	} else {
		d.parsed(n, d.object(d.in.rest()[:n]))
	}
	d.in.pass(n)
	return done
}

// elementEnd returns how long the element at the beginning of b is, by its
// brackets and quotes alone, or 0 when it does not end inside of b.
func elementEnd(b []byte) int {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			if i = stringEnd(b, i+1); i < 0 {
				return 0
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i // the end of the array
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',':
			if depth == 0 {
				return i
			}
		}
	}
	return 0
}

// stringEnd returns the place of the quote that ends the string around i, or
// -1.
func stringEnd(b []byte, i int) int {
	for ; i < len(b); i++ {
		if i = special(b, i); i == len(b) {
			break
		}
		switch b[i] {
		case '"':
			return i
		case '\\':
			i++
		}
	}
	return -1
}

// giveUp ends a body that cannot be understood from its next byte at on; the
// Bad holds what is left of it, as far as it is there.
func (d *Decoder) giveUp(at int, what string) step {
	n := len(d.in.rest())
	d.badAt(n, at, "", CodeMalformed, what+"; the rest of the body was not read")
	d.in.pass(n)
	return end
}

package schemas

import "anabranch/event"

// Dictionaries makes one dictionary of many, in which each value stands once.
type Dictionaries struct{ interner interner }

// NewDictionaries returns one without values.
func NewDictionaries() *Dictionaries {
	d := &Dictionaries{}
	d.interner.reset()
	return d
}

// Add adds the values of from and returns which codes they have, by their
// codes in from.
func (d *Dictionaries) Add(from *event.Dict) []uint32 {
	codes := make([]uint32, from.Len())
	for c := range codes {
		codes[c] = d.interner.code(from.Value(uint32(c)))
	}
	return codes
}

// Dict returns the dictionary of all values that were added.
func (d *Dictionaries) Dict() *event.Dict { return d.interner.dict }

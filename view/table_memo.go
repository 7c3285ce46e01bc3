package view

import (
	"math"
	"math/bits"

	"anabranch/event"
)

// memo remembers the slots of tuples by the codes of their texts, so that a row
// whose tuple was met lately is neither hashed nor compared. Events come in the
// order of time, more or less: the integers among the keys (an hour, a day)
// stay the same for long stretches. Rows are told apart by them first, into a
// few rounds; within a round the codes of all texts, and of integers that are few,
// together are the number of a cell. It grows with the table, up to a cell for each group.
//
// It only ever says what the table would say, and may forget at any time.
type memo struct {
	ints, codes  []int // which keys are of which kind
	narrow, wide []int // of ints, those that are codes too, and those that make rounds
	known        []narrowKey

	width  []uint32 // by key: codes that there is room for, null among them
	size   int      // cells of one round; 0: nothing is known
	rounds []round
	values []int64  // of the wide keys, for each round
	cells  []uint32 // slot+1; 0: not known
	batch  uint32   // number of this batch
	pause  int      // batches for which it is not asked, since it was of no help

	met, missed int // rows since it was last judged, and those among them that it did not know

	asked []uint32 // rows whose tuples the table is asked for
	at    []uint32 // by row: its cell, or noCell and its place in asked
}

// round is what rows with the same integers in wide keys share.
type round struct {
	batch uint32 // the last that used it; 0: none did
	nulls uint64 // by key
}

const (
	memoRounds = 8
	memoCells  = 1 << 16 // of all rounds
	memoPause  = 32
	memoJudged = 1 << 15 // rows after which it is judged: those that begin a round are in it
	noCell     = 1 << 31
)

// newMemo returns nil for keys that it is of no use for.
func newMemo(types []event.Type) *memo {
	m := &memo{width: make([]uint32, len(types)), known: make([]narrowKey, len(types))}
	for k, t := range types {
		switch t.Storage() {
		case event.InInts:
			m.ints = append(m.ints, k)
		case event.InCodes:
			m.codes = append(m.codes, k)
		default:
			return nil
		}
	}
	if len(types) == 0 || onlyText(types) {
		return nil
	}
	return m
}

// forget is called when slots mean something else from now on.
func (m *memo) forget() { m.size, m.pause, m.met, m.missed = 0, 0, 0, 0 }

// rest has it not asked for some batches, and begin anew then.
func (m *memo) rest() { m.size, m.pause = 0, memoPause }

func (m *memo) bytes() int64 {
	n := sliceBytes(m.cells) + sliceBytes(m.asked) + sliceBytes(m.at) + sliceBytes(m.values)
	for k := range m.known {
		n += sliceBytes(m.known[k].codes)
	}
	return n
}

// begin makes room for the codes of n rows of keys, with these dictionaries, in a
// table of so many groups. False: m is of no use for this batch.
func (m *memo) begin(keys []event.Column, dicts []*interner, n, groups int) bool {
	if m.pause > 0 {
		m.pause--
		return false
	}
	fits := m.size > 0 && m.batch < math.MaxUint32
	for _, k := range m.codes {
		fits = fits && dicts[k].values.Len() < int(m.width[k])
	}
	if fits && m.encode(keys, n) {
		m.batch++
		if n := m.fitting(groups); n > len(m.rounds) {
			m.hold(n)
		}
		return true
	}
	m.size = 1
	for _, k := range m.codes {
		m.width[k] = 1 << max(6, bits.Len(uint(dicts[k].values.Len())))
		if m.size *= int(m.width[k]); m.size > memoCells {
			m.rest()
			return false
		}
	}
	m.divide(keys, n)
	m.encode(keys, n)
	m.rounds, m.values, m.cells, m.batch = m.rounds[:0], m.values[:0], m.cells[:0], 1
	m.hold(m.fitting(groups))
	return true
}

// fitting returns how many rounds a table of so many groups is worth.
func (m *memo) fitting(groups int) int {
	return min(max(groups/m.size, 1), memoRounds, memoCells/m.size)
}

// hold makes n rounds of those that there are.
func (m *memo) hold(n int) {
	m.rounds = extend(m.rounds, n-len(m.rounds))
	m.values = extend(m.values, n*len(m.wide)-len(m.values))
	known := len(m.cells)
	if n *= m.size; cap(m.cells) < n {
		m.cells = append(make([]uint32, 0, n), m.cells...) // no more than is used
	}
	m.cells = m.cells[:n]
	clear(m.cells[known:])
}

// find looks for the tuples of n rows, whose texts have the given codes, by
// key; what it does not know is in asked.
func (m *memo) find(keys []event.Column, codes [][]uint32, n int) {
	m.at = extend(m.at[:0], n)
	stride := uint32(1)
	for _, k := range m.codes {
		for i, code := range codes[k][:n] {
			m.at[i] += code * stride
		}
		stride *= m.width[k]
	}
	for _, k := range m.narrow {
		for i, code := range m.known[k].codes {
			m.at[i] += code * stride
		}
		stride *= m.width[k]
	}
	m.asked = m.asked[:0]
	for from := 0; from < n; {
		to := m.stretch(keys, from, n)
		r := m.round(keys, from, to-from)
		if r < 0 {
			for i := from; i < to; i++ {
				m.at[i] = noCell | uint32(len(m.asked))
				m.asked = append(m.asked, uint32(i))
			}
			from = to
			continue
		}
		base, cells := uint32(r*m.size), m.cells[r*m.size:(r+1)*m.size]
		for i := from; i < to; i++ {
			cell := &cells[m.at[i]]
			m.at[i] += base
			if *cell == 0 {
				*cell = math.MaxUint32 // until it is learned
				m.asked = append(m.asked, uint32(i))
			}
		}
		from = to
	}
	m.met, m.missed = m.met+n, m.missed+len(m.asked)
	if m.met >= memoJudged {
		if 2*m.missed > m.met {
			m.rest()
		}
		m.met, m.missed = 0, 0
	}
}

// stretch returns the end of the rows that have the same integers as row from.
func (m *memo) stretch(keys []event.Column, from, n int) int {
	for _, k := range m.wide {
		ints, valid := keys[k].Ints, keys[k].Valid
		to := from + 1
		if v := ints[from]; valid == nil {
			for to < n && ints[to] == v {
				to++
			}
		} else {
			for is := valid.Get(from); to < n && valid.Get(to) == is && (ints[to] == v || !is); {
				to++
			}
		}
		n = to
	}
	return n
}

// round returns the round of row i, with which a stretch of n rows begins, or -1
// when all of them are in use by this batch for other integers. A row between
// others makes no new round: it is one that came late, and would drive out those of
// hours from which more is to come.
func (m *memo) round(keys []event.Column, i, n int) int {
	nulls := uint64(0)
	for _, k := range m.wide {
		if !keys[k].Valid.Get(i) {
			nulls |= 1 << k
		}
	}
	oldest := 0
	for r := range m.rounds {
		if m.rounds[r].batch != 0 && m.rounds[r].nulls == nulls && m.has(r, keys, i, nulls) {
			m.rounds[r].batch = m.batch
			return r
		}
		if m.rounds[r].batch < m.rounds[oldest].batch {
			oldest = r
		}
	}
	if n == 1 || m.rounds[oldest].batch == m.batch {
		return -1
	}
	m.rounds[oldest] = round{m.batch, nulls}
	clear(m.cells[oldest*m.size : (oldest+1)*m.size])
	for j, k := range m.wide {
		m.values[oldest*len(m.wide)+j] = keys[k].Ints[i]
	}
	return oldest
}

func (m *memo) has(r int, keys []event.Column, i int, nulls uint64) bool {
	for j, k := range m.wide {
		if nulls>>k&1 == 0 && m.values[r*len(m.wide)+j] != keys[k].Ints[i] {
			return false
		}
	}
	return true
}

// learn takes the slots of the rows in asked and fills in those of all rows.
func (m *memo) learn(found, slots []uint32) {
	for j, i := range m.asked {
		if at := m.at[i]; at&noCell == 0 {
			m.cells[at] = found[j] + 1
		}
	}
	for i, at := range m.at {
		if at&noCell == 0 {
			slots[i] = m.cells[at] - 1
		} else {
			slots[i] = found[at&^noCell]
		}
	}
}

package metamorphic

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"

	"anabranch/event"
)

// The events of the one-cut test move amounts in pairs that sum to zero.
//
//   - "pair" moves within one account: both halves come in one frame, so that
//     no answer has one without the other, whatever its cut.
//   - "moved" moves between two accounts, mostly of two partitions, in two
//     appends: an answer may stand between them, and its receipt says so. What
//     the sum has to be at each position is known.
//
// Copies, and copies with other amounts, come again at any time later.
var onecut = plan{
	pipeline: "pairs",
	schema: `{"type":"record","name":"Move","fields":[
		{"name":"account","type":"string"},
		{"name":"ts","type":{"type":"long","logicalType":"local-timestamp-micros"}},
		{"name":"pair","type":"long"},
		{"name":"moved","type":"long"}]}`,
	time: "ts",
	views: []View{
		{Name: "total", SQL: "SELECT count(*) AS n, sum(pair) AS pair, sum(moved) AS moved FROM events"},
		{Name: "accounts", SQL: "SELECT account, count(*) AS n, sum(pair) AS pair, sum(moved) AS moved FROM events GROUP BY ALL"},
		{Name: "days", SQL: "SELECT date_trunc('day', ts) AS day, count(*) AS n, sum(pair) AS pair, sum(moved) AS moved FROM events GROUP BY ALL"},
	},
	partitions: 3,
}

const (
	accounts  = 4 // of one partition
	pairDays  = 5
	dayMicros = 24 * 60 * 60 * 1_000_000
)

// move is one event.
type move struct {
	id          uint64
	account     int
	ts          int64
	pair, moved int64
}

// sums is what an answer adds up to.
type sums struct{ n, pair, moved int64 }

func (s *sums) add(o sums) { s.n, s.pair, s.moved = s.n+o.n, s.pair+o.pair, s.moved+o.moved }

// tally is what is known of a partition below an offset.
type tally struct {
	sums
	copies, conflicts int64
}

// books know what every answer has to be, by its position.
type books struct {
	mu    sync.Mutex
	parts [][]entry
}

// entry is what the events up to a frame come to.
type entry struct {
	offset uint64
	tally  tally
}

// at returns what is below cut.
func (b *books) at(cut event.Cut) (t tally) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for p, entries := range b.parts {
		i, _ := slices.BinarySearchFunc(entries, cut[p], func(e entry, next uint64) int {
			if e.offset < next {
				return -1
			}
			return 1
		})
		if i > 0 {
			e := entries[i-1].tally
			t.add(e.sums)
			t.copies += e.copies
			t.conflicts += e.conflicts
		}
	}
	return t
}

// mover appends moves.
type mover struct {
	*rig
	rnd   *rand.Rand
	books *books
	next  uint64
	past  [][]move // by partition: events that counted
	owed  []move   // by partition: the second half of a move whose first half is in the log
	owes  []bool
}

func newMover(r *rig, rnd *rand.Rand) *mover {
	return &mover{
		rig: r, rnd: rnd, books: &books{parts: make([][]entry, r.partitions)},
		past: make([][]move, r.partitions), owed: make([]move, r.partitions), owes: make([]bool, r.partitions),
	}
}

func (m *mover) new(account int) move {
	m.next++
	return move{id: m.next, account: account, ts: int64(m.rnd.IntN(pairDays))*dayMicros + m.rnd.Int64N(dayMicros)}
}

// append writes one frame and returns the position behind it.
func (m *mover) append() (event.Cut, error) {
	p := m.rnd.IntN(m.partitions)
	var moves []move
	for range 1 + m.rnd.IntN(3) {
		one := m.new(m.rnd.IntN(accounts))
		two := m.new(one.account)
		one.pair = 1 + m.rnd.Int64N(1_000_000)
		two.pair = -one.pair
		moves = append(moves, one, two)
	}
	if m.owes[p] {
		moves = append(moves, m.owed[p])
		m.owes[p] = false
	} else if to := m.rnd.IntN(m.partitions); to != p && !m.owes[to] {
		one, two := m.new(m.rnd.IntN(accounts)), m.new(m.rnd.IntN(accounts))
		one.moved = 1 + m.rnd.Int64N(1_000_000)
		two.moved = -one.moved
		moves = append(moves, one)
		m.owed[to], m.owes[to] = two, true
	}
	counted := len(moves)
	t := tally{}
	for range m.rnd.IntN(4) {
		if len(m.past[p]) == 0 {
			break
		}
		again := m.past[p][m.rnd.IntN(len(m.past[p]))]
		if m.rnd.IntN(4) == 0 {
			again.pair, again.ts = again.pair+7, m.rnd.Int64N(pairDays*dayMicros)
			t.conflicts++
		} else {
			t.copies++
		}
		moves = append(moves, again)
	}
	for _, e := range moves[:counted] {
		t.add(sums{1, e.pair, e.moved})
	}
	m.past[p] = append(m.past[p], moves[:counted]...)
	m.rnd.Shuffle(len(moves), func(i, j int) { moves[i], moves[j] = moves[j], moves[i] })
	frame, err := m.frame(p, moves)
	if err != nil {
		return nil, err
	}
	// Readers see the frame as soon as it is in the log, and look here then.
	m.books.mu.Lock()
	defer m.books.mu.Unlock()
	offset, err := m.log.Append(m.ctx, p, frame)
	if err != nil {
		return nil, err
	}
	if entries := m.books.parts[p]; len(entries) > 0 {
		before := entries[len(entries)-1].tally
		t.add(before.sums)
		t.copies += before.copies
		t.conflicts += before.conflicts
	}
	m.books.parts[p] = append(m.books.parts[p], entry{offset, t})
	at := make(event.Cut, m.partitions)
	at[p] = offset + 1
	return at, nil
}

func (m *mover) frame(p int, moves []move) ([]byte, error) {
	shape := m.set.Newest().Shape()
	b := &event.Batch{Shape: shape, N: len(moves), Columns: make([]event.Column, len(shape.Fields))}
	for i, f := range shape.Fields {
		b.Columns[i].Type = f.Type
	}
	dict := &event.Dict{}
	for i := range accounts {
		dict.Append(fmt.Appendf(nil, "account %d of %d", i, p))
	}
	b.Columns[0].Dict = dict
	for _, e := range moves {
		b.Columns[0].Codes = append(b.Columns[0].Codes, uint32(e.account))
		b.Columns[1].Ints = append(b.Columns[1].Ints, e.ts)
		b.Columns[2].Ints = append(b.Columns[2].Ints, e.pair)
		b.Columns[3].Ints = append(b.Columns[3].Ints, e.moved)
		b.IDs = append(b.IDs, event.ID{Hi: e.id * 0x9e3779b97f4a7c15, Lo: e.id})
		b.Hashes = append(b.Hashes, uint64(e.ts)*31^uint64(e.pair)*37^uint64(e.moved))
	}
	return m.rows(b)
}

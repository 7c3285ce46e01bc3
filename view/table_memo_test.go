package view

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"anabranch/event"
)

// TestMemo looks tuples up in batches as they come and as they should not, and
// compares the slots with those of a plain map.
func TestMemo(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	integer, text, few := event.Type{Kind: event.Timestamp}, event.Type{Kind: event.String}, event.Type{Kind: event.Int64}
	helped := 0
	for _, types := range [][]event.Type{{integer}, {text}, {text, integer}, {integer, text, integer, text}, {few}, {few, integer}, {text, few, integer, few}} {
		for range 20 {
			table := newTable(types)
			slots := map[string]uint32{}
			distinct, stretch, nulls := 1+r.IntN(300), 1+r.IntN(200), r.IntN(2) == 0
			var dict *event.Dict
			now := int64(0)
			for range 30 {
				if r.IntN(40) == 0 {
					table.reset()
					clear(slots)
				}
				if dict == nil || r.IntN(4) == 0 {
					dict = &event.Dict{}
					for _, v := range r.Perm(distinct) {
						dict.Append(fmt.Appendf(nil, "text %d", v))
					}
				}
				n := 1 + r.IntN(500)
				keys := make([]event.Column, len(types))
				for k, typ := range types {
					c := &keys[k]
					c.Type = typ
					if nulls {
						c.Valid = event.NewBitmap(n)
					}
					for i := range n {
						if nulls && r.IntN(10) != 0 {
							c.Valid.Set(i)
						}
						if typ == text {
							c.Codes, c.Dict = append(c.Codes, uint32(r.IntN(distinct))), dict
							continue
						}
						if typ == few {
							v := r.Int64N(int64(distinct)) + now/int64(1+stretch)
							if r.IntN(5000) == 0 {
								v = []int64{math.MinInt64, math.MaxInt64, -1, now}[r.IntN(4)]
							}
							c.Ints = append(c.Ints, v)
							continue
						}
						if r.IntN(stretch) == 0 {
							now++
						}
						v := now
						if r.IntN(50) == 0 {
							v -= r.Int64N(20)
						}
						c.Ints = append(c.Ints, v)
					}
				}
				got, err := table.lookup(keys, n)
				if err != nil {
					t.Fatal(err)
				}
				if table.memo != nil && len(table.memo.asked) < n/2 {
					helped++
				}
				for i := range n {
					tuple := ""
					for k := range keys {
						switch c := &keys[k]; {
						case !c.Valid.Get(i):
							tuple += "null,"
						case c.Dict != nil:
							tuple += string(c.Bytes(i)) + ","
						default:
							tuple += fmt.Sprint(c.Ints[i], ",")
						}
					}
					want, known := slots[tuple]
					if !known {
						want = got[i]
						slots[tuple] = want
					}
					if got[i] != want {
						t.Fatalf("keys %v, row %d, %s: slot %d, want %d", types, i, tuple, got[i], want)
					}
				}
				of := map[uint32]bool{}
				for tuple, slot := range slots {
					if of[slot] || int(slot) >= table.n {
						t.Fatalf("keys %v, %s: slot %d of %d is another's", types, tuple, slot, table.n)
					}
					of[slot] = true
				}
				if table.n != len(slots) {
					t.Fatalf("keys %v: %d slots for %d tuples", types, table.n, len(slots))
				}
			}
		}
	}
	if helped == 0 {
		t.Error("nothing was ever remembered")
	}
}

// TestMemoKeepsItsHours has most rows of one hour, each of a few texts, and some
// that came late: these are asked for, and of the others only what is new.
func TestMemoKeepsItsHours(t *testing.T) {
	t.Parallel()
	const texts, rows, late = 1500, 4000, 20 // one row in so many is late
	r := rand.New(rand.NewPCG(1, 2))
	dict := &event.Dict{}
	for i := range texts {
		dict.Append(fmt.Appendf(nil, "text %d", i))
	}
	table := newTable([]event.Type{{Kind: event.String}, {Kind: event.Timestamp}})
	asked, all, groups := 0, 0, 0
	for batch := range 50 {
		keys := []event.Column{{Type: table.types[0], Dict: dict}, {Type: table.types[1]}}
		for i := range rows {
			hour := int64((batch*rows + i) / 10_000)
			if r.IntN(late) == 0 {
				hour -= 1 + r.Int64N(72)
			}
			keys[0].Codes, keys[1].Ints = append(keys[0].Codes, uint32(r.IntN(texts))), append(keys[1].Ints, hour)
		}
		if _, err := table.lookup(keys, rows); err != nil {
			t.Fatal(err)
		}
		if table.memo.pause > 0 {
			t.Fatalf("batch %d: it is taken to be of no use", batch)
		}
		asked, all, groups = asked+len(table.memo.asked), all+rows, table.n
	}
	if most := groups + all*3/(2*late); asked > most {
		t.Errorf("of %d rows in %d groups %d were asked for, at most %d are new or late", all, groups, asked, most)
	}
}

// TestMemoOfFewNumbers has keys that are a flag, an hour of the day and the number of a
// shop, in no order: what was met is not asked for again.
func TestMemoOfFewNumbers(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	table := newTable([]event.Type{{Kind: event.Bool}, {Kind: event.Int64}, {Kind: event.Int32}, {Kind: event.Timestamp}})
	const rows = 4000
	asked := 0
	for batch := range 50 {
		keys := []event.Column{{Type: table.types[0]}, {Type: table.types[1]}, {Type: table.types[2], Valid: event.NewBitmap(rows)}, {Type: table.types[3]}}
		for i := range rows {
			keys[0].Ints, keys[1].Ints = append(keys[0].Ints, r.Int64N(2)), append(keys[1].Ints, r.Int64N(24))
			keys[2].Ints, keys[3].Ints = append(keys[2].Ints, 400+r.Int64N(20)), append(keys[3].Ints, int64(batch/25)*3_600_000_000)
			if r.IntN(8) > 0 {
				keys[2].Valid.Set(i)
			}
		}
		if _, err := table.lookup(keys, rows); err != nil {
			t.Fatal(err)
		}
		asked += len(table.memo.asked)
	}
	if len(table.memo.narrow) != 3 || asked > table.n {
		t.Errorf("%d keys are narrow, and of %d groups %d were asked for", len(table.memo.narrow), table.n, asked)
	}
}

package batch

import (
	"cmp"
	"math"
	"slices"

	"anabranch/event"
)

// ref is one event of a chunk that counts.
type ref struct {
	time int64 // microseconds since the begin of day
	day  int32
	part int32 // batch of the chunk
	row  int32 // of that batch
}

// sortRefs sorts refs by time, those of one time by part and row. Tmp has room
// for them.
func sortRefs(refs, tmp []ref) {
	first, last := int32(math.MaxInt32), int32(math.MinInt32)
	for i := range refs {
		first, last = min(first, refs[i].day), max(last, refs[i].day)
	}
	if int64(last)-int64(first) > math.MaxInt64/microsPerDay { // a key does not hold the microseconds of so many days
		slices.SortFunc(refs, compareRefs)
		return
	}
	sortSpread(refs, tmp, func(r *ref) uint64 {
		return uint64(int64(r.day)-int64(first))*uint64(microsPerDay) + uint64(r.time)
	}, compareRefs)
}

func compareRefs(a, b ref) int {
	switch {
	case a.day != b.day:
		return cmp.Compare(a.day, b.day)
	case a.time != b.time:
		return cmp.Compare(a.time, b.time)
	case a.part != b.part:
		return cmp.Compare(a.part, b.part)
	}
	return cmp.Compare(a.row, b.row)
}

// dayRows is how many rows go to a writer at once.
const dayRows = 32 << 10

// writeDays sorts refs by time, those of one time by part and row, and hands their
// events to write, one day after the other; tmp has room for refs. A batch is
// write's until it returns.
func writeDays(parts []*event.Batch, refs, tmp []ref, write func(day int32, b *event.Batch) error) error {
	sortRefs(refs, tmp)
	g := newGatherer(parts)
	for len(refs) > 0 {
		n := 1
		for n < len(refs) && n < dayRows && refs[n].day == refs[0].day {
			n++
		}
		if err := write(refs[0].day, g.gather(refs[:n])); err != nil {
			return err
		}
		refs = refs[n:]
	}
	return nil
}

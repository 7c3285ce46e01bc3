package archive

import (
	"context"

	"anabranch/event"
	"anabranch/fault"
	"anabranch/internal/pace"
	"anabranch/internal/planted"
)

// MergeRuns stores all entries of runs, which are of one partition, as one
// run. Of two entries with one ID the first in log order stays. Plan becomes part
// of its name.
func (a *Archive) MergeRuns(ctx context.Context, runs []Run, k uint64, plan string) (Run, error) {
	if len(runs) == 0 {
		return Run{}, fault.New(fault.Bug, "merge no id runs")
	}
	most := int64(0)
	readers := make([]*runReader, 0, len(runs))
	defer func() {
		for _, r := range readers {
			r.release()
		}
	}()
	for _, run := range runs {
		if run.Partition != runs[0].Partition {
			return Run{}, fault.New(fault.Bug, "merge id runs %s and %s: they are of two partitions", runs[0].Name, run.Name)
		}
		r, err := a.newRunReader(ctx, run)
		if err != nil {
			return Run{}, err
		}
		readers = append(readers, r)
		most += run.Entries
	}
	w, err := a.newRunWriter(runs[0].Partition, k, plan, most)
	if err != nil {
		return Run{}, err
	}
	defer w.spool.close()
	for {
		e, more, err := smallest(readers)
		if err != nil {
			return Run{}, err
		}
		if !more {
			return w.finish(ctx)
		}
		if err := w.add(e); err != nil {
			return Run{}, err
		}
		if w.tail.entries%runBlock == 0 {
			if err := pace.Yield(ctx); err != nil {
				return Run{}, err
			}
		}
	}
}

// smallest takes the smallest id from all readers, in its first place.
func smallest(readers []*runReader) (e Entry, found bool, err error) {
	var id event.ID
	for _, r := range readers {
		more, err := r.next()
		if err != nil {
			return Entry{}, false, err
		}
		if more && (!found || r.entries[0].ID.Less(id)) {
			id, found = r.entries[0].ID, true
		}
	}
	if !found {
		return Entry{}, false, nil
	}
	first := true
	for _, r := range readers {
		if len(r.entries) == 0 || r.entries[0].ID != id {
			continue
		}
		if first || r.entries[0].before(&e) != planted.On(planted.LaterCopyKept) {
			e, first = r.entries[0], false
		}
		r.entries = r.entries[1:]
	}
	return e, true, nil
}

const (
	// tierRuns of about one size are merged into one of the next tier: the
	// number of runs and how often an entry is rewritten both grow with the
	// logarithm of the entries.
	tierRuns = 4
	// tierBase is the size of the lowest tier; what is smaller belongs to it.
	tierBase = 1 << 16
)

// PickMerge chooses which runs of one partition MergeRuns should join now, so
// that their number grows with the logarithm of their entries and each entry
// is rewritten as rarely. Merge is empty when all is well.
func PickMerge(runs []Run) (merge, keep []Run) {
	tiers := map[int][]Run{}
	for _, r := range runs {
		t := tierOf(r.Entries)
		tiers[t] = append(tiers[t], r)
	}
	// The merged run may itself fill the next tier: it goes along.
	merging := map[string]bool{}
	entries := int64(0)
	for t := 0; len(tiers) > 0; t++ {
		tier, ok := tiers[t]
		delete(tiers, t)
		if !ok {
			continue
		}
		n := len(tier)
		if len(merging) > 0 && tierOf(entries) == t {
			n++
		}
		if n < tierRuns {
			continue
		}
		for _, r := range tier {
			merging[r.Name] = true
			entries += r.Entries
		}
	}
	for _, r := range runs {
		if merging[r.Name] {
			merge = append(merge, r)
		} else if len(merging) == 0 || !planted.On(planted.TierDropped) {
			keep = append(keep, r)
		}
	}
	return merge, keep
}

// tierOf returns t for tierBase*tierRuns^t entries up to the next such number.
func tierOf(entries int64) int {
	t := 0
	for size := int64(tierBase * tierRuns); entries >= size && t < 20; size *= tierRuns {
		t++
	}
	return t
}

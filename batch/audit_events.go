package batch

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"anabranch/archive"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/view"
)

// audit is the work on one unit.
type audit struct {
	r       *Runner
	m       *archive.Manifest
	unit    AuditUnit
	day     map[int32]int // place in unit.Days
	counted []int64       // events that count, by day
	views   []auditView
	out     Audited
}

// auditView is one version of a view, with what the raw events make of it.
type auditView struct {
	key    string
	files  *archive.ViewFiles
	view   *view.View
	states []*view.State // by day
}

// firstCopy is the place of the first copy of an id that an audited day has.
type firstCopy struct {
	offset uint64
	row    int32
	ours   bool // it is of an audited day
}

// seen is a row of a segment, as far as finding first copies needs it.
type seen struct {
	id event.ID
	firstCopy
}

// partition folds the events of the audited days that count in one partition.
// It goes through the log backwards, so that only ids of these days have to be
// remembered: whatever stands before has the say.
func (a *audit) partition(ctx context.Context, partition int) error {
	border := a.m.RawFrom(partition).From
	segments, err := a.r.newSegments(ctx, partition, border, a.m.Cut[partition])
	if err != nil {
		return err
	}
	firsts := map[event.ID]firstCopy{}
	for _, s := range slices.Backward(segments) {
		if err := a.look(ctx, s, firsts); err != nil {
			return err
		}
	}
	if border > 0 {
		if err := a.copiesOf(ctx, partition, border, firsts); err != nil {
			return err
		}
	}
	counts := make([]int64, len(segments)) // first copies in each segment
	for _, f := range firsts {
		if f.ours {
			i, _ := slices.BinarySearchFunc(segments, f.offset, func(s archive.Segment, at uint64) int {
				if at < s.To {
					return 1 // the first that ends behind it
				}
				return -1
			})
			counts[i]++
		}
	}
	for i, s := range segments {
		if counts[i] == 0 {
			continue
		}
		if err := a.fold(ctx, s, firsts, counts[i]); err != nil {
			return err
		}
	}
	return nil
}

// copiesOf takes out what is a copy of an event below the border. The segments
// there have expired: only the id runs remember.
func (a *audit) copiesOf(ctx context.Context, partition int, border uint64, firsts map[event.ID]firstCopy) error {
	runs, err := a.r.Archive.OpenRuns(ctx, a.m.Runs[partition])
	if err != nil {
		return err
	}
	defer runs.Close()
	ids := make([]event.ID, 0, len(firsts))
	for id, f := range firsts {
		if f.ours {
			ids = append(ids, id)
		}
	}
	hits := make([]archive.Hit, len(ids))
	if err := runs.Lookup(ctx, ids, hits); err != nil {
		return fmt.Errorf("look up %d ids: %w", len(ids), err)
	}
	for i, h := range hits {
		if h.Found && h.Offset < border {
			delete(firsts, ids[i])
		}
	}
	return nil
}

// look enters the ids of a segment that stands before all that were looked at.
func (a *audit) look(ctx context.Context, s archive.Segment, firsts map[event.ID]firstCopy) error {
	if s.Rows == 0 {
		return nil
	}
	rows := make([]seen, 0, s.Rows)
	var columns []string
	if a.r.TimeField != "" {
		columns = []string{a.r.TimeField}
	}
	err := a.r.Archive.ScanSegment(ctx, s, columns, func(b *event.Batch, offsets []uint64, inFrame []int32) error {
		day := dayColumn(b, a.r.TimeField)
		for i := range b.N {
			d, _ := day(i)
			_, ours := a.day[d]
			rows = append(rows, seen{b.IDs[i], firstCopy{offsets[i], inFrame[i], ours}})
		}
		return nil
	})
	if err != nil {
		return err
	}
	if int64(len(rows)) != s.Rows {
		return fault.New(fault.Corrupt, "segment %s has %d rows, its footer says %d", s.Name, len(rows), s.Rows)
	}
	a.out.Rows += s.Rows
	inLogOrder := func(a, b seen) int { return cmp.Or(cmp.Compare(a.offset, b.offset), cmp.Compare(a.row, b.row)) }
	if !slices.IsSortedFunc(rows, inLogOrder) { // several schema versions
		slices.SortFunc(rows, inLogOrder)
	}
	for _, w := range slices.Backward(rows) {
		if _, known := firsts[w.id]; known || w.ours {
			firsts[w.id] = w.firstCopy
		}
	}
	return nil
}

// fold takes the first copies in a segment that are of an audited day, n of
// them, as far as no filter rule takes them out.
func (a *audit) fold(ctx context.Context, s archive.Segment, firsts map[event.ID]firstCopy, n int64) error {
	filters, err := a.filters(ctx, s)
	if err != nil {
		return err
	}
	err = a.r.Archive.ReadSegment(ctx, s, func(b *event.Batch, offsets []uint64, inFrame []int32) error {
		var rows []uint32
		for i, id := range b.IDs {
			if f, ok := firsts[id]; ok && f.ours && f.offset == offsets[i] && f.row == inFrame[i] {
				rows = append(rows, uint32(i))
			}
		}
		n -= int64(len(rows))
		if rows, err = passing(filters, b, rows); err != nil {
			return err
		}
		return a.foldRows(b, rows)
	})
	if err != nil {
		return err
	}
	if n != 0 {
		return fault.New(fault.Corrupt, "segment %s: %d events were there a moment ago and are not", s.Name, n)
	}
	return nil
}

// passing returns those of the rows that no filter rule takes out. A rule that
// fails for a row does not match it.
func passing(filters []view.NamedPredicate, b *event.Batch, rows []uint32) ([]uint32, error) {
	for _, f := range filters {
		if len(rows) == 0 {
			return nil, nil
		}
		match := make([]bool, b.N)
		if err := f.Predicate.Eval(b, match); err != nil && !fault.Is(err, fault.Invalid) {
			return nil, fmt.Errorf("filter rule %q: %w", f.Code, err)
		}
		rows = slices.DeleteFunc(rows, func(i uint32) bool { return match[i] })
	}
	return rows, nil
}

func (a *audit) foldRows(b *event.Batch, rows []uint32) error {
	if len(rows) == 0 {
		return nil
	}
	byDay := map[int][]uint32{}
	day := dayColumn(b, a.r.TimeField)
	for _, i := range rows {
		d, _ := day(int(i))
		byDay[a.day[d]] = append(byDay[a.day[d]], i)
	}
	for d, rows := range byDay {
		a.counted[d] += int64(len(rows))
		a.out.Counted += int64(len(rows))
		for _, v := range a.views {
			if err := v.states[d].Fold(b, rows); err != nil {
				return fmt.Errorf("view %s: %w", v.key, err)
			}
		}
	}
	return nil
}

// filters returns the filter rules that were in force when batch counted the
// events of a segment.
func (a *audit) filters(ctx context.Context, s archive.Segment) ([]view.NamedPredicate, error) {
	if a.r.FiltersThen == nil {
		return a.r.Filters, nil
	}
	// The first version whose cut has the segment was made when it was counted.
	low, high := uint64(1), a.m.Version
	for low < high {
		mid := (low + high) / 2
		m, err := a.whole(ctx, mid, high)
		switch {
		case err != nil:
			return nil, err
		case m.Cut[s.Partition] >= s.To:
			high = mid
		default:
			low = m.Version + 1
		}
	}
	m, err := a.whole(ctx, low, a.m.Version)
	if err != nil {
		return nil, err
	}
	filters, err := a.r.FiltersThen(ctx, m.Definition)
	if err != nil {
		return nil, fmt.Errorf("the filter rules of definition %s, which counted %s: %w", m.Definition, s.Name, err)
	}
	return filters, nil
}

// whole returns the first manifest from version v on, up to last, that is
// still there.
func (a *audit) whole(ctx context.Context, v, last uint64) (*archive.Manifest, error) {
	for ; ; v++ {
		if v == a.m.Version {
			return a.m, nil
		}
		m, err := a.r.Archive.Manifest(ctx, v)
		if err == nil || v >= last || !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Corrupt) {
			return m, err
		}
	}
}

package batch

import (
	"context"
	"fmt"
	"slices"
	"time"

	"anabranch/archive"
	"anabranch/fault"
)

// raw moves the borders of raw events in next, and reports whether any moves.
func (e *expiring) raw(ctx context.Context, next *archive.Manifest) (changed bool, err error) {
	safe, err := e.safe(ctx)
	if err != nil {
		return false, err
	}
	old := e.now.Add(-max(e.r.Retention.Raw, restTime))
	for p := range e.m.Cut {
		from := e.m.RawFrom(p)
		all, err := e.r.newSegments(ctx, p, from.From, e.m.Cut[p])
		if err != nil {
			return false, err
		}
		n, needed, err := e.oldOnes(ctx, all, old, safe.Cut[p])
		if err != nil {
			return false, err
		}
		if needed > 0 {
			e.out.Kept = append(e.out.Kept, fmt.Sprintf("partition %d: %d segments above the cut of version %d, which a rollback may go back to", p, needed, safe.Version))
		}
		n = e.wholeChunks(p, all, n, next)
		if n == 0 {
			continue
		}
		for _, s := range all[:n] {
			from.From, from.Rows = s.To, from.Rows+s.Rows
		}
		next.Raw[p], changed = from, true
	}
	return changed, nil
}

// oldOnes returns how many of the first segments are old enough, and how many
// of these a kept version needs, which are not among them.
func (e *expiring) oldOnes(ctx context.Context, all []archive.Segment, old time.Time, safe uint64) (n, needed int, err error) {
	for _, s := range all {
		written, ok, err := e.r.Archive.Written(ctx, s.Name)
		if err != nil {
			return 0, 0, err
		}
		if !ok || !written.Before(old) {
			break
		}
		if s.To > safe {
			needed++
			continue
		}
		n++
	}
	return n, needed, nil
}

// wholeChunks returns how many of the first n segments of a partition go, so
// that no day file loses only some of those that it was made from; and marks
// the day files that go with them.
func (e *expiring) wholeChunks(p int, all []archive.Segment, n int, next *archive.Manifest) int {
	at := map[string]int{}
	for i, s := range all {
		at[s.Name] = i
	}
	for again := true; again; {
		again = false
		for _, f := range next.Days {
			if f.Partition != p || f.Gone {
				continue
			}
			first, last := len(all), -1
			for _, s := range f.Segments {
				if i, ok := at[s]; ok {
					first, last = min(first, i), max(last, i)
				}
			}
			if first < n && last >= n {
				n, again = first, true
			}
		}
	}
	for i, f := range next.Days {
		if f.Partition != p || f.Gone {
			continue
		}
		inside := slices.ContainsFunc(f.Segments, func(s string) bool { i, ok := at[s]; return ok && i < n })
		if inside {
			next.Days[i].Gone = true
		}
	}
	return n
}

// rawObjects lists the segments and day files that next does not count on.
func (e *expiring) rawObjects(ctx context.Context, next *archive.Manifest) error {
	why := fmt.Sprintf("raw events, counted more than %s ago", days(e.r.Retention.Raw))
	for p := range next.Cut {
		gone, err := e.r.Archive.ExpiredSegments(ctx, next, p)
		if err != nil {
			return err
		}
		e.add("segments", why, gone)
	}
	var files []archive.Aged
	for _, f := range next.Days {
		if !f.Gone {
			continue
		}
		written, there, err := e.r.Archive.Written(ctx, f.Name)
		if err != nil {
			return err
		}
		if there {
			files = append(files, archive.Aged{Name: f.Name, Size: f.Size, Written: written})
		}
	}
	e.add("day files", why, files)
	return e.packedAway(ctx, next, why)
}

// packedAway lists the day files that were put together since, whose events
// have expired: older versions mention them still, and Collect would take its
// time.
func (e *expiring) packedAway(ctx context.Context, next *archive.Manifest, why string) error {
	seen := map[string]bool{}
	for _, f := range next.Days {
		seen[f.Name] = true
	}
	var files []archive.Aged
	for v := e.m.Version; v > 0 && v+archive.KeepVersions > e.m.Version && slices.ContainsFunc(next.Raw, func(b archive.RawBorder) bool { return b.From > 0 }); v-- {
		m, err := e.r.Archive.Manifest(ctx, v)
		if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Corrupt) {
			continue
		}
		if err != nil {
			return err
		}
		for _, f := range m.Days {
			if seen[f.Name] || f.Gone || !e.expired(f, next) {
				continue
			}
			seen[f.Name] = true
			written, there, err := e.r.Archive.Written(ctx, f.Name)
			if err != nil {
				return err
			}
			if there {
				files = append(files, archive.Aged{Name: f.Name, Size: f.Size, Written: written})
			}
		}
	}
	e.add("day files", why, files)
	return nil
}

// expired reports whether all events of a day file lie below the border of raw
// events.
func (e *expiring) expired(f archive.DayFile, m *archive.Manifest) bool {
	return !slices.ContainsFunc(f.Segments, func(s string) bool {
		from, ok := e.r.Archive.SegmentFrom(f.Partition, s)
		return !ok || from >= m.RawFrom(f.Partition).From
	})
}

package batch

import (
	"context"
	"slices"

	"anabranch/archive"
	"anabranch/fault"
)

// since returns day files with just the events of files that came behind the
// cut of base. Names tell nothing: a file may have been put together since, of
// events from before and after. Then it is what it was put together of that
// counts, as the versions between base and newest have it; they are kept for as
// long as a rollback may go back to base.
func (r *Runner) since(ctx context.Context, base, newest *archive.Manifest, files []archive.DayFile) ([]archive.DayFile, error) {
	var out []archive.DayFile
	for _, f := range files {
		before, behind := r.sides(f, base)
		switch {
		case !behind:
		case !before:
			out = append(out, f)
		default:
			parts, at, err := r.parts(ctx, f, base, newest)
			if err != nil {
				return nil, err
			}
			if parts, err = r.since(ctx, base, at, parts); err != nil {
				return nil, err
			}
			out = append(out, parts...)
		}
	}
	return out, nil
}

// sides reports on which sides of a manifest's cut a day file has events.
func (r *Runner) sides(f archive.DayFile, m *archive.Manifest) (before, behind bool) {
	for _, s := range f.Segments {
		from, ok := r.Archive.SegmentFrom(f.Partition, s)
		if !ok || f.Partition >= len(m.Cut) || from >= m.Cut[f.Partition] {
			behind = true
		} else {
			before = true
		}
	}
	return before, behind
}

// parts returns what a file was put together of, and the version that has it:
// the last one above base that does not have the file.
func (r *Runner) parts(ctx context.Context, f archive.DayFile, base, newest *archive.Manifest) ([]archive.DayFile, *archive.Manifest, error) {
	for v := newest.Version - 1; v > base.Version; v-- {
		m, err := r.Archive.Manifest(ctx, v)
		if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Corrupt) {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		if slices.ContainsFunc(m.Days, func(d archive.DayFile) bool { return d.Name == f.Name }) {
			continue
		}
		var parts []archive.DayFile
		segments := 0
		for _, c := range chunksOf(m.Days) {
			if d := c.files[0]; d.Partition == f.Partition && within(d.Segments, f.Segments) {
				parts = append(parts, c.files...)
				segments += len(d.Segments)
			}
		}
		if segments == len(f.Segments) {
			return parts, m, nil
		}
	}
	return nil, nil, fault.WithHint(fault.WithCode(fault.New(fault.Invalid, "%s holds events from before and behind version %d, other events of its days have expired, and nothing tells which came since", f.Name, base.Version), archive.RawGone),
		"go back to a version that is no older than the compaction that made it")
}

// within reports whether all of some are in all.
func within(some, all []string) bool {
	return !slices.ContainsFunc(some, func(s string) bool { return !slices.Contains(all, s) })
}

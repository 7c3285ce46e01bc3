package batch

import (
	"context"
	"fmt"
	"slices"
	"time"

	"anabranch/archive"
	"anabranch/fault"
)

// versions moves the first version in next, and reports whether it moves.
func (e *expiring) versions(ctx context.Context, next *archive.Manifest) (bool, error) {
	all, err := e.r.Archive.ManifestTimes(ctx)
	if err != nil {
		return false, err
	}
	keep := max(e.r.Retention.Versions, archive.KeepVersions)
	if e.r.Retention.Versions > 0 {
		for i, o := range all {
			// The next one's birth is when this one stopped being the newest:
			// queries may have pinned it until then.
			v, ok := e.r.Archive.ManifestOf(o.Name)
			if !ok || i >= len(all)-keep || !all[i+1].Written.Before(e.now.Add(-restTime)) {
				break
			}
			if needed, err := e.filtersOf(ctx, v, next); err != nil {
				return false, err
			} else if needed {
				e.out.Kept = append(e.out.Kept, fmt.Sprintf("version %d and later: they say which filter rules were in force when raw events were counted that are still there", v))
				break
			}
			next.Oldest = max(next.Oldest, v+1)
		}
	}
	var gone []archive.Aged
	for _, o := range all {
		if v, ok := e.r.Archive.ManifestOf(o.Name); ok && v < next.Oldest {
			gone = append(gone, o)
		}
	}
	e.add("manifests", fmt.Sprintf("more than %d versions old", keep), gone)
	return next.Oldest != e.m.Oldest, nil
}

// filtersOf reports whether a version is needed to know which filter rules
// counted raw events that are still there.
func (e *expiring) filtersOf(ctx context.Context, v uint64, next *archive.Manifest) (bool, error) {
	if e.r.FiltersThen == nil {
		return false, nil
	}
	m, err := e.r.Archive.Manifest(ctx, v)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Corrupt) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for p := range m.Cut {
		if m.Cut[p] > next.RawFrom(p).From {
			return true, nil
		}
	}
	return false, nil
}

// leftovers lists what nothing counts on, once it is old.
func (e *expiring) leftovers(ctx context.Context) error {
	if e.r.Retention.Comparisons == 0 {
		return nil
	}
	old := e.now.Add(-max(e.r.Retention.Comparisons, restTime))
	all, err := e.r.Archive.Comparisons(ctx)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(o archive.Aged) bool { return !o.Written.Before(old) })
	e.add("comparisons", "made more than "+days(e.r.Retention.Comparisons)+" ago", all)
	atLeast := max(e.r.Retention.Comparisons, releaseTime)
	pages, err := e.r.Letters.OldPages(ctx, e.now.Add(-atLeast))
	if err != nil {
		return err
	}
	g := Forgotten{Kind: "pages of releases", Why: "sent more than " + days(atLeast) + " ago"}
	for _, p := range pages {
		g.count(p.Name, p.Size)
		e.drop = append(e.drop, func(ctx context.Context) error { return e.r.Letters.DropPage(ctx, p) })
	}
	e.kind(g)
	return nil
}

// add notes objects of the archive that go.
func (e *expiring) add(kind, why string, objects []archive.Aged) {
	g := Forgotten{Kind: kind, Why: why}
	for _, o := range objects {
		g.count(o.Name, o.Size)
		e.drop = append(e.drop, func(ctx context.Context) error { return e.r.Archive.Drop(ctx, o.Name) })
	}
	e.kind(g)
}

func (g *Forgotten) count(name string, size int64) {
	g.Objects++
	g.Bytes += size
	if len(g.Names) < goneNames {
		g.Names = append(g.Names, name)
	}
}

// kind adds g to what is of its kind.
func (e *expiring) kind(g Forgotten) {
	e.out.Objects += g.Objects
	e.out.Bytes += g.Bytes
	if g.Objects == 0 {
		return
	}
	for i := range e.out.Kinds {
		if k := &e.out.Kinds[i]; k.Kind == g.Kind {
			k.Objects += g.Objects
			k.Bytes += g.Bytes
			k.Names = append(k.Names, g.Names[:min(len(g.Names), goneNames-len(k.Names))]...)
			return
		}
	}
	e.out.Kinds = append(e.out.Kinds, g)
}

func days(d time.Duration) string {
	if d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	}
	return d.String()
}

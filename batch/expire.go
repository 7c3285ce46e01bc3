package batch

import (
	"context"
	"fmt"
	"slices"
	"time"

	"anabranch/archive"
	"anabranch/fault"
)

// Expire is the kind of a manifest that counts no longer on raw events or
// versions that have expired. Its answers are those of the one before.
const Expire = "expire"

// Expired says what is forgotten, or would be. Workflows keep it in their
// history.
type Expired struct {
	Version uint64      `json:"version"` // that was published, or is the newest
	Dry     bool        `json:"dry,omitempty"`
	Objects int         `json:"objects"`
	Bytes   int64       `json:"bytes"`
	Kinds   []Forgotten `json:"kinds,omitempty"`
	Kept    []string    `json:"kept,omitempty"` // what is older than wanted and needed all the same
	At      time.Time   `json:"at"`
}

// Forgotten is one kind of objects that are forgotten.
type Forgotten struct {
	Kind    string   `json:"kind"` // segments, day files, manifests, comparisons, pages of releases
	Why     string   `json:"why"`
	Objects int      `json:"objects"`
	Bytes   int64    `json:"bytes"`
	Names   []string `json:"names,omitempty"` // the first
}

const (
	goneNames = 10
	// restTime is how long anything is left alone that a run or a query may
	// hold; longer than either takes.
	restTime = 24 * time.Hour
	// releaseTime is how long pages of a release are kept at least: a release
	// that was interrupted sends the same bytes again.
	releaseTime = 30 * 24 * time.Hour
)

// expiring is what may be forgotten, seen from one manifest.
type expiring struct {
	r    *Runner
	m    *archive.Manifest
	now  time.Time
	next *archive.Manifest // nil: nothing changes
	out  Expired
	drop []func(context.Context) error
}

// Expire forgets what Options.Retention no longer wants, or, dry, only says
// what that would be. Raw events go in whole chunks that batch has counted
// together: their segments and day files. First a manifest is published that
// no longer counts on what goes, by one conditional put; then it is deleted.
// What a process that died has not deleted is found the next time.
//
// Never forgotten, however old: what lies above the cut of a version that a
// rollback may go back to; id runs, which know all copies for ever; states and
// results; the newest versions. Conflict when other runs published first
// again and again.
func (r *Runner) Expire(ctx context.Context, dry bool, reason, by string) (Expired, error) {
	for range plansOfRun {
		m, err := r.Archive.Newest(ctx)
		if err != nil {
			return Expired{}, err
		}
		e, err := r.expiring(ctx, m)
		if err != nil {
			return Expired{}, fmt.Errorf("expire: %w", err)
		}
		if e.out.Dry = dry; dry {
			return e.out, nil
		}
		if e.next != nil {
			e.next.Reason, e.next.By = reason, by
			err := r.Archive.Publish(ctx, e.next)
			if fault.Is(err, fault.Conflict) {
				continue
			}
			if err != nil {
				return Expired{}, fmt.Errorf("expire: %w", err)
			}
			e.out.Version = e.next.Version
		}
		for _, drop := range e.drop {
			if err := drop(ctx); err != nil {
				return Expired{}, fmt.Errorf("expire: %w", err)
			}
		}
		r.Logger.Info("expired", "pipeline", r.Pipeline, "objects", e.out.Objects, "bytes", e.out.Bytes, "version", e.out.Version)
		return e.out, nil
	}
	return Expired{}, fault.New(fault.Conflict, "expire: other runs published first %d times; try again", plansOfRun)
}

// expiring finds out what may be forgotten.
func (r *Runner) expiring(ctx context.Context, m *archive.Manifest) (*expiring, error) {
	e := &expiring{r: r, m: m, now: r.Clock.Now().UTC()}
	e.out = Expired{Version: m.Version, At: e.now}
	next := *m
	next.Version, next.Parent, next.Created, next.Kind = m.Version+1, m.Hash(), e.now, Expire
	next.Base, next.Run, next.Code = 0, "", r.Code
	next.Days, next.Raw = slices.Clone(m.Days), make([]archive.RawBorder, len(m.Cut))
	copy(next.Raw, m.Raw)
	changed := false
	if m.Version > 0 && r.Retention.Raw > 0 {
		raw, err := e.raw(ctx, &next)
		if err != nil {
			return nil, err
		}
		changed = raw
	}
	if err := e.rawObjects(ctx, &next); err != nil {
		return nil, err
	}
	versions, err := e.versions(ctx, &next)
	if err != nil {
		return nil, err
	}
	if changed || versions {
		e.next = &next
	}
	return e, e.leftovers(ctx)
}

// safe returns the cut of the oldest version that a rollback may go back to:
// what lies above may be folded again.
func (e *expiring) safe(ctx context.Context) (*archive.Manifest, error) {
	v := max(1, e.m.Oldest)
	if e.m.Version > archive.KeepVersions {
		v = max(v, e.m.Version-archive.KeepVersions+1)
	}
	for ; v < e.m.Version; v++ {
		m, err := e.r.Archive.Manifest(ctx, v)
		if err == nil {
			return m, nil
		}
		if !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Corrupt) {
			return nil, err
		}
	}
	return e.m, nil
}

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
	return nil
}

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

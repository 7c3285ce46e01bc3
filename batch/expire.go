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

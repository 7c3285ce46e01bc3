package archive

import (
	"context"
	"errors"
	"fmt"

	"anabranch/bucket"
	"anabranch/event"
	"anabranch/fault"
)

// Damage is one thing that Check found wrong.
type Damage struct {
	Kind      string // manifest, segment, run, day, state, result, once or orphan
	File      string
	Err       error
	View      string // of a state or a result
	Partition int    // of a segment, a run or a day file
	From, To  uint64 // of a segment; To is 0 when nothing says where it ended
	Version   uint64 // of a manifest that cannot be read or is gone
	Once      string // the name of a text of Once
}

// Check reads everything that is published: the chain of manifests, every
// file that the newest mentions with size, sum and counts, every segment and
// their chain, every text of Once; and it looks for files that no manifest mentions. Each finding
// is told once. The error is of the object store, not of what lies in it.
func (a *Archive) Check(ctx context.Context, found func(Damage)) error {
	newest, known, err := a.checkManifests(ctx, found)
	if err != nil {
		return err
	}
	if newest != nil {
		if err := a.checkFiles(ctx, newest, found); err != nil {
			return err
		}
	}
	for p := range a.opts.Partitions {
		if err := a.checkSegments(ctx, p, newest, found); err != nil {
			return err
		}
	}
	if err := a.checkOnce(ctx, found); err != nil {
		return err
	}
	if known == nil {
		return nil // a manifest that cannot be read may mention anything
	}
	for _, kind := range []string{"runs", "days", "views"} {
		for info, err := range a.bucket.List(ctx, a.object("%s", kind)+"/", "") {
			if err != nil {
				return fmt.Errorf("list %s: %w", kind, err)
			}
			if !known[info.Name] {
				found(Damage{Kind: "orphan", File: info.Name, Err: fault.New(fault.Invalid, "no manifest mentions it: of a run that did not finish; it is never read")})
			}
		}
	}
	return nil
}

// damaged reports whether err is about what lies there, so that the search
// goes on behind it.
func damaged(err error) bool {
	return fault.Is(err, fault.Corrupt) || fault.Is(err, fault.NotFound) || fault.Is(err, fault.Invalid) || errors.Is(err, bucket.ErrNotFound)
}

func (a *Archive) checkManifests(ctx context.Context, found func(Damage)) (newest *Manifest, known map[string]bool, err error) {
	aside, err := a.asideManifests(ctx)
	if err != nil {
		return nil, nil, err
	}
	known = map[string]bool{}
	var before *Manifest
	at, oldest := uint64(0), uint64(1)
	if m, err := a.Newest(ctx); err == nil && m.Oldest > 0 {
		at, oldest = m.Oldest-1, m.Oldest
	}
	for info, err := range a.bucket.List(ctx, a.manifestPrefix(), "") {
		if err != nil {
			return nil, nil, fmt.Errorf("list manifests: %w", err)
		}
		v, ok := a.manifestVersion(info.Name)
		if !ok || v < oldest {
			continue
		}
		for at++; at < v; at++ {
			if !aside[at] {
				found(Damage{Kind: "manifest", File: a.manifestName(at), Version: at, Err: fault.New(fault.Corrupt, "it is missing")})
			}
			before = nil
		}
		m, err := a.Manifest(ctx, v)
		if err != nil {
			if !damaged(err) {
				return nil, nil, err
			}
			found(Damage{Kind: "manifest", File: info.Name, Version: v, Err: err})
			before, known = nil, nil
			continue
		}
		if (before != nil || v == 1) && m.Parent != before.hashOrNone() {
			found(Damage{Kind: "manifest", File: info.Name, Err: fault.New(fault.Corrupt, "it follows a manifest with hash %q, the one before has %q", m.Parent, before.hashOrNone())})
		}
		for _, f := range m.files() {
			if known != nil {
				known[f.name] = true
			}
		}
		before, newest = m, m
	}
	return newest, known, nil
}

func (m *Manifest) hashOrNone() string {
	if m == nil {
		return ""
	}
	return m.Hash()
}

func (a *Archive) checkFiles(ctx context.Context, m *Manifest, found func(Damage)) error {
	see := func(d Damage, err error) error {
		if err == nil || !damaged(err) {
			return err
		}
		d.Err = err
		found(d)
		return nil
	}
	ids, counted := make([]int64, len(m.Cut)), make([]int64, len(m.Cut))
	for p, runs := range m.Runs {
		for _, r := range runs {
			entries := int64(0)
			_, err := a.fetch(ctx, r.Name, r.Size, r.Sum)
			if err == nil {
				err = a.ReadRun(ctx, r, func(e []Entry) error { entries += int64(len(e)); return nil })
			}
			if err == nil && entries != r.Entries {
				err = fault.New(fault.Corrupt, "it holds %d ids, the manifest says %d", entries, r.Entries)
			}
			if err := see(Damage{Kind: "run", File: r.Name, Partition: p}, err); err != nil {
				return err
			}
			ids[p] += r.Entries
		}
	}
	for _, d := range m.Days {
		rows, want := int64(0), int64(0)
		if d.Gone {
			for _, day := range d.Days {
				counted[d.Partition] += day.Rows
			}
			continue
		}
		_, err := a.fetch(ctx, d.Name, d.Size, d.Sum)
		reader := a.ReadDays([]DayFile{d})
		for _, day := range d.Days {
			want += day.Rows
			if err == nil {
				err = reader.Day(ctx, day.Day, nil, func(b *event.Batch) error { rows += int64(b.N); return nil })
			}
		}
		reader.Close()
		if err == nil && rows != want {
			err = fault.New(fault.Corrupt, "it holds %d events, the manifest says %d", rows, want)
		}
		if err := see(Damage{Kind: "day", File: d.Name, Partition: d.Partition}, err); err != nil {
			return err
		}
		counted[d.Partition] += want
	}
	for view, files := range m.Views {
		for _, f := range files.States {
			_, err := a.fetch(ctx, f.Name, f.Size, f.Sum)
			if err := see(Damage{Kind: "state", File: f.Name, View: view}, err); err != nil {
				return err
			}
		}
		for _, f := range files.Results {
			_, err := a.fetch(ctx, f.Name, f.Size, f.Sum)
			if err := see(Damage{Kind: "result", File: f.Name, View: view}, err); err != nil {
				return err
			}
		}
	}
	for p, account := range m.Accounts {
		if account.From == 0 && (account.Counted != counted[p] || account.Counted+account.Filtered != ids[p] || account.Rows != account.Accounted()) {
			found(Damage{Kind: "manifest", File: a.manifestName(m.Version), Partition: p, Err: fault.New(fault.Corrupt,
				"partition %d: %d events counted and %d filtered of %d; day files hold %d, id runs %d", p, account.Counted, account.Filtered, account.Rows, counted[p], ids[p])})
		}
	}
	return nil
}

func (a *Archive) checkSegments(ctx context.Context, partition int, newest *Manifest, found func(Damage)) error {
	at := uint64(0)
	if newest != nil {
		at = newest.RawFrom(partition).From
	}
	objects, err := a.listSegments(ctx, partition, at)
	if err != nil {
		return err
	}
	for i, o := range objects {
		from, _ := a.segmentFrom(partition, o.Name)
		to := uint64(0)
		if i+1 < len(objects) {
			to, _ = a.segmentFrom(partition, objects[i+1].Name)
		} else if newest != nil && partition < len(newest.Cut) && newest.Cut[partition] > from {
			to = newest.Cut[partition] // a segment ends there, and no other can
		}
		if from > at && at != unknownEnd {
			found(Damage{Kind: "segment", File: a.segmentName(partition, at), Partition: partition, From: at, To: from, Err: fault.New(fault.Corrupt, "it is missing: nothing holds the offsets from %d to %d", at, from)})
		}
		s, _, err := a.readSegmentMeta(ctx, partition, o)
		if err == nil {
			err = a.ReadSegment(ctx, s, func(*event.Batch, []uint64, []int32) error { return nil })
		}
		if err != nil {
			if !damaged(err) {
				return err
			}
			found(Damage{Kind: "segment", File: o.Name, Partition: partition, From: from, To: to, Err: err})
			at = unknownEnd
			continue
		}
		at = s.To
	}
	if newest != nil && partition < len(newest.Cut) && at < newest.Cut[partition] {
		found(Damage{Kind: "segment", File: a.segmentName(partition, at), Partition: partition, From: at, To: newest.Cut[partition], Err: fault.New(fault.Corrupt, "it is missing: the chain ends at %d, below the cut %d", at, newest.Cut[partition])})
	}
	return nil
}

// unknownEnd stands for the end of a segment that cannot be read.
const unknownEnd = ^uint64(0)

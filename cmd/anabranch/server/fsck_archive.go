package server

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	"anabranch/archive"
	"anabranch/batch"
	"anabranch/deadletter"
	"anabranch/fault"
	"anabranch/stream"
)

// told is a damage and the finding that tells it.
type told struct {
	archive.Damage
	at int
}

// archived looks at the archive and repairs it from the ground up: what is
// made again is made from what was looked at before.
func (p *checked) archived(ctx context.Context, open func()) error {
	p.say("archive")
	found, err := p.check(ctx)
	if err != nil {
		return err
	}
	if !p.Repair {
		return nil
	}
	p.segments(ctx, found["segment"])
	letters := deadletter.New(p.bucket, p.name)
	for _, d := range found["once"] {
		p.mend(d.at, func() error { return batch.MendFirstSeen(ctx, p.archive, letters, d.Once) })
	}
	again := p.manifests(ctx, found["manifest"])
	open()
	if err := p.daysAndRuns(ctx, found["run"], found["day"]); err != nil {
		return err
	}
	if err := p.views(ctx, append(found["state"], found["result"]...)); err != nil {
		return err
	}
	if again {
		if err := p.publishAgain(ctx); err != nil {
			return err
		}
	}
	open()
	return nil
}

// check tells everything that is wrong in the archive, by kind.
func (p *checked) check(ctx context.Context) (map[string][]told, error) {
	found := map[string][]told{}
	err := p.archive.Check(ctx, func(d archive.Damage) {
		if p.aboutSchema(d.Err) {
			return
		}
		meaning, todo := "", ""
		switch d.Kind {
		case "segment":
			meaning, todo = "batch and verify stop at it; published views stay right", "--repair seals it again if the log still has its range; else restore it from a copy of the bucket"
		case "manifest":
			meaning, todo = "the last whole manifest is served, which is as right; if it is the newest, nothing can be published", "--repair sets it aside and publishes again what the segments hold; a promotion or rollback that it made has to be made again"
		case "run":
			meaning, todo = "speed and batch stop rather than count a copy", "--repair makes it again from the segments"
		case "day":
			meaning, todo = "backfills of its days stop; published views stay right", "--repair makes it again from the segments"
		case "state", "result":
			meaning, todo = "queries of view "+archive.ViewOf(d.View)+" fail, or its next batch", "--repair computes it again from the day files"
		case "once":
			meaning, todo = "batch stops at the conflicting copies of its segment; published views stay right", "--repair takes the time again from the dead letters that bear it"
		case "orphan":
			meaning, todo = "none", "nothing: the server collects it when it is old enough"
		}
		found[d.Kind] = append(found[d.Kind], told{d, p.add(d.Kind, d.File, d.Err, meaning, todo)})
	})
	return found, err
}

// segments seals damaged and missing segments again from the log.
func (p *checked) segments(ctx context.Context, damages []told) {
	for _, d := range damages {
		p.mend(d.at, func() error {
			if p.log == nil || p.partial {
				return fault.New(fault.NotFound, "there is no log to seal it from, or a definition is missing")
			}
			to := d.To
			if to == 0 { // the last one, above every cut: up to the end of the log
				var err error
				if _, to, err = p.log.Bounds(ctx, d.Partition); err != nil {
					return err
				}
			}
			return p.archive.Reseal(ctx, p.log, d.Partition, d.From, to)
		})
	}
}

// manifests sets aside those that cannot be read, and reports whether the
// newest was among them.
func (p *checked) manifests(ctx context.Context, damages []told) (newest bool) {
	for _, d := range damages {
		p.mend(d.at, func() error {
			if d.Version == 0 {
				return fault.New(fault.Invalid, "it can be read, and what it says does not fit; restore it from a copy of the bucket")
			}
			err := p.archive.SetManifestAside(ctx, d.Version)
			newest = newest || err == nil
			return err
		})
	}
	return newest
}

// publishAgain publishes what the segments hold up to the newest barrier that
// is sealed everywhere: that of a manifest which was set aside. The files of
// that manifest come back under their names.
func (p *checked) publishAgain(ctx context.Context) error {
	runner, stop, err := p.runner(ctx, p.history)
	if err != nil {
		return nil // told with the definition
	}
	defer stop()
	next, err := runner.NextBarrier(ctx)
	if fault.Is(err, fault.Corrupt) {
		return nil // told with the segment; the next batch goes on from there
	}
	if err != nil {
		return err
	}
	m, err := p.archive.Newest(ctx)
	if err != nil {
		return err
	}
	for k := next - 1; k > m.K; k-- {
		if _, ok, err := runner.Sealed(ctx, k); err != nil || !ok {
			continue
		}
		p.say(fmt.Sprintf("publish barrier %d again", k))
		_, err := batch.Run(ctx, runner, batch.Request{Kind: batch.Nightly, K: k, RunID: fsckID(), Reason: "fsck: a damaged manifest", By: "fsck"})
		return err
	}
	return nil
}

func fsckID() string {
	var id [6]byte
	_, _ = rand.Read(id[:]) // never fails
	return "fsck-" + hex.EncodeToString(id[:])
}

// runner is batch with the definition that a history ends with. It appends
// nothing: its log is empty and in memory.
func (p *checked) runner(ctx context.Context, history []entry) (*batch.Runner, func(), error) {
	if p.partial || len(history) == 0 {
		return nil, nil, fault.New(fault.Invalid, "a definition cannot be read")
	}
	def, err := definition(history[len(history)-1].Files)
	if err != nil {
		return nil, nil, err
	}
	set, err := schemaSet(history)
	if err != nil {
		return nil, nil, err
	}
	c, err := compile(ctx, def)
	if err == nil {
		err = c.findOlder(ctx, history)
	}
	if err != nil {
		return nil, nil, err
	}
	log, err := stream.NewMemory().Open(ctx, def.Name, def.Partitions)
	if err != nil {
		return nil, nil, err
	}
	r, err := batch.New(batch.Options{
		Pipeline: def.Name, Schemas: set, Views: c.views, Older: c.older, Filters: c.filters, Log: log,
		Archive: archive.Open(p.bucket, def.Name, set, archive.Options{Partitions: def.Partitions}),
		Letters: deadletter.New(p.bucket, def.Name), TimeField: def.Identity.Time, Definition: def.Version(),
	})
	return r, func() { _ = log.Close() }, err
}

// at returns the history up to the definition that barrier k was published
// with: filters and schema may have changed since.
func (p *checked) at(ctx context.Context, newest *archive.Manifest, k uint64) []entry {
	for v := uint64(1); v <= newest.Version; v++ {
		m, err := p.archive.Manifest(ctx, v)
		if err != nil || m.K != k {
			continue
		}
		for i := len(p.history) - 1; i >= 0; i-- {
			if def, err := definition(p.history[i].Files); err == nil && def.Version() == m.Definition {
				return p.history[:i+1]
			}
		}
	}
	return p.history
}

// daysAndRuns makes id runs again, and then day files, which need them.
func (p *checked) daysAndRuns(ctx context.Context, runs, days []told) error {
	if len(runs)+len(days) == 0 {
		return nil
	}
	m, err := p.archive.Newest(ctx)
	if err != nil {
		return err
	}
	next := *m
	next.Runs = slices.Clone(m.Runs)
	lost := map[int]map[string]bool{}
	for _, d := range runs {
		if lost[d.Partition] == nil {
			lost[d.Partition] = map[string]bool{}
		}
		lost[d.Partition][d.File] = true
	}
	var fixed []int
	for _, partition := range slices.Sorted(maps.Keys(lost)) {
		p.say(fmt.Sprintf("id runs of partition %d", partition))
		fix := func() error {
			r, stop, err := p.runner(ctx, p.history)
			if err != nil {
				return err
			}
			defer stop()
			made, err := r.RebuildRuns(ctx, m, partition, lost[partition])
			if err == nil {
				next.Runs[partition] = made
			}
			return err
		}
		fixed = append(fixed, p.mendAll(runs, func(d told) bool { return d.Partition == partition }, fix)...)
	}
	for _, d := range days {
		if p.out.Findings[d.at].Repaired {
			continue // with another file of its chunk
		}
		i := slices.IndexFunc(m.Days, func(f archive.DayFile) bool { return f.Name == d.File })
		if i < 0 {
			continue
		}
		p.say("day file " + d.File)
		var chunk []archive.DayFile
		fix := func() error {
			old, made, err := p.rebuildDays(ctx, &next, m.Days[i])
			if err == nil {
				chunk, next.Days = old, batch.ReplaceDays(next.Days, old, made)
			}
			return err
		}
		if !p.Repair {
			continue
		}
		err := fix()
		here := func(o told) bool {
			return o.at == d.at || slices.ContainsFunc(chunk, func(f archive.DayFile) bool { return f.Name == o.File })
		}
		fixed = append(fixed, p.mendAll(days, here, func() error { return err })...)
	}
	r, stop, err := p.runner(ctx, p.history)
	if err != nil {
		return nil // told with each finding
	}
	defer stop()
	if _, err := r.Replace(ctx, m, next.Runs, next.Days, "fsck: files made again", "fsck"); err != nil {
		for _, at := range fixed {
			p.out.Findings[at].Repaired = false
			p.out.Findings[at].Todo = "not repaired: " + err.Error()
		}
	}
	return nil
}

// rebuildDays makes a day file again, with the definitions that its events were
// counted with.
func (p *checked) rebuildDays(ctx context.Context, m *archive.Manifest, f archive.DayFile) (old, made []archive.DayFile, err error) {
	of := func(k uint64) (*batch.Runner, func(), error) { return p.runner(ctx, p.at(ctx, m, k)) }
	if len(f.Packed) > 0 {
		return batch.RebuildPacked(ctx, m, f, of)
	}
	r, stop, err := of(f.K)
	if err != nil {
		return nil, nil, err
	}
	defer stop()
	return r.RebuildDays(ctx, m, f)
}

// mendAll mends several findings by one repair and returns those it has.
func (p *checked) mendAll(all []told, which func(told) bool, fix func() error) (fixed []int) {
	err, tried := error(nil), false
	for _, d := range all {
		if !which(d) {
			continue
		}
		p.mend(d.at, func() error {
			if !tried {
				err, tried = fix(), true
			}
			return err
		})
		if p.out.Findings[d.at].Repaired {
			fixed = append(fixed, d.at)
		}
	}
	return fixed
}

// views computes damaged view files again, from the day files.
func (p *checked) views(ctx context.Context, damages []told) error {
	byView := map[string]bool{}
	for _, d := range damages {
		byView[d.View] = true
	}
	for _, key := range slices.Sorted(maps.Keys(byView)) {
		p.say("view " + key)
		fix := func() error {
			r, stop, err := p.runner(ctx, p.history)
			if err != nil {
				return err
			}
			defer stop()
			for _, d := range damages { // the same bytes come back under the same name
				if d.View != key {
					continue
				}
				if err := p.bucket.Delete(ctx, d.File); err != nil {
					return err
				}
			}
			_, err = batch.Run(ctx, r, batch.Request{Kind: batch.Backfill, RunID: fsckID(), View: archive.ViewOf(key), Reason: "fsck: damaged files", By: "fsck"})
			return err
		}
		p.mendAll(damages, func(d told) bool { return d.View == key }, fix)
	}
	return nil
}

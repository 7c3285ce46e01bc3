package server

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"anabranch/archive"
	"anabranch/cmd/anabranch/api"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/speed"
)

// bisect finds, for each partition, the first offset at which the rows of the
// log and what became of them part. It looks at three borders: log against
// segments, frame by frame, as far as the log goes back; segments against the
// accounts of each published manifest; segments and log against what speed
// says of the events above its cut. A finding that concerns no single
// partition has partition -1.
func (p *pipeline) bisect(ctx context.Context) (found []api.Parting, err error) {
	err = settled(ctx, func() error {
		found, err = p.bisectOnce(ctx)
		return err
	})
	return found, err
}

func (p *pipeline) bisectOnce(ctx context.Context) ([]api.Parting, error) {
	history, err := p.manifests(ctx)
	if err != nil {
		if fault.Is(err, fault.Corrupt) {
			return []api.Parting{{Partition: -1, Where: "manifests", Reason: err.Error()}}, nil
		}
		return nil, err
	}
	out := totals(p.archive, history)
	stats := p.speed.Stats()
	for n := range p.def.Partitions {
		found, err := p.bisectPartition(ctx, n, history, stats.Partitions[n])
		if err != nil {
			return nil, fmt.Errorf("bisect partition %d: %w", n, err)
		}
		if found == nil {
			found = &api.Parting{Equal: true}
		}
		found.Partition = n
		out = append(out, *found)
	}
	return out, nil
}

// manifests returns every published manifest, the oldest first.
func (p *pipeline) manifests(ctx context.Context) ([]*archive.Manifest, error) {
	newest, err := p.archive.Newest(ctx)
	if err != nil {
		return nil, err
	}
	var all []*archive.Manifest
	for v := max(1, newest.Oldest); v <= newest.Version; v++ {
		m, err := p.archive.Manifest(ctx, v)
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

// totals compares the sums of each manifest with its accounts by partition.
func totals(a *archive.Archive, history []*archive.Manifest) []api.Parting {
	var rows, accounted int64 // of manifests that kept no accounts
	for _, m := range history {
		sum := m.Counted + m.Duplicates + m.Filtered + m.Conflicts
		if len(m.Accounts) == 0 {
			rows, accounted = m.Rows, sum
			continue
		}
		wantRows, wantSum := rows, accounted
		for _, account := range m.Accounts {
			wantRows += account.Rows
			wantSum += account.Accounted()
		}
		if m.Rows != wantRows || sum != wantSum {
			return []api.Parting{{
				Partition: -1, Where: a.ManifestName(m.Version), Rows: wantRows, Accounted: sum,
				Reason: fmt.Sprintf("its totals are %d rows and %d accounted for; its partitions add up to %d and %d", m.Rows, sum, wantRows, wantSum),
			}}
		}
	}
	return nil
}

func (p *pipeline) bisectPartition(ctx context.Context, n int, history []*archive.Manifest, stats speed.PartitionStats) (*api.Parting, error) {
	c, err := p.segments.refresh(ctx, n)
	if fault.Is(err, fault.Corrupt) {
		return &api.Parting{Where: fmt.Sprintf("segments of partition %d", n), Reason: err.Error()}, nil
	}
	if err != nil {
		return nil, err
	}
	part, err := p.bisectManifests(ctx, n, c, history)
	if part == nil && err == nil {
		part, err = p.bisectSpeed(ctx, n, c, stats)
	}
	if err != nil {
		return nil, err
	}
	// What the files and the log say frame by frame is more exact.
	frame, err := p.bisectFrames(ctx, n, c)
	if err != nil {
		return nil, err
	}
	if frame != nil && (part == nil || frame.Offset < part.Below) {
		return frame, nil
	}
	return part, nil
}

// bisectManifests compares the rows of the segments between two cuts with
// what the later manifest has added to its account.
func (p *pipeline) bisectManifests(ctx context.Context, n int, c chain, history []*archive.Manifest) (*api.Parting, error) {
	var before archive.Account
	at := uint64(0)
	for _, m := range history {
		if n >= len(m.Cut) {
			continue
		}
		if n >= len(m.Accounts) {
			at, before = m.Cut[n], archive.Account{From: m.Cut[n]}
			continue
		}
		account := m.Accounts[n]
		if at < c.begin { // what the segments held there has expired
			at, before = m.Cut[n], account
			continue
		}
		rows, err := p.rowsIn(ctx, n, c, at, m.Cut[n])
		if err != nil {
			return nil, err
		}
		gained, known := account.Rows-before.Rows, account.Accounted()-before.Accounted()
		if rows != gained || rows != known {
			return &api.Parting{
				Offset: at, Below: m.Cut[n], Where: p.archive.ManifestName(m.Version), Rows: rows, Accounted: known,
				Reason: fmt.Sprintf("the segments hold %d events, the manifest says %d, of which it accounts for %d", rows, gained, known),
			}, nil
		}
		at, before = m.Cut[n], account
	}
	return nil, nil
}

// bisectSpeed compares what lies above the cut that speed counts from with
// what it has counted.
func (p *pipeline) bisectSpeed(ctx context.Context, n int, c chain, st speed.PartitionStats) (*api.Parting, error) {
	if st.Err != nil {
		return &api.Parting{Offset: st.Next, Below: st.Next + 1, Where: "speed", Reason: "it is " + st.State + ": " + st.Err.Error()}, nil
	}
	from := uint64(0)
	if st.Manifest > 0 { // it may be newer than all of history
		m, err := p.archive.Manifest(ctx, st.Manifest)
		if err != nil {
			return nil, err
		}
		from = m.Cut[n]
	}
	if st.State != "folding" || st.Next < from {
		return nil, nil // on its way to the cut: it has counted nothing yet
	}
	rows, err := p.rowsIn(ctx, n, c, from, st.Next)
	if err != nil {
		return nil, err
	}
	known := st.Counted + st.Duplicates + st.Conflicts
	for _, k := range st.Filtered {
		known += k
	}
	if rows == known {
		return nil, nil
	}
	return &api.Parting{
		Offset: from, Below: st.Next, Where: "speed", Rows: rows, Accounted: known,
		Reason: fmt.Sprintf("segments and log hold %d events, speed has folded %d", rows, known),
	}, nil
}

// rowsIn counts the events in [from, to): in whole segments as far as they go,
// then in the log. From is 0 or the end of a segment.
func (p *pipeline) rowsIn(ctx context.Context, n int, c chain, from, to uint64) (int64, error) {
	rows, at := int64(0), from
	for _, s := range c.segments {
		if s.From >= from && s.To <= to {
			rows += s.Rows
			at = s.To
		}
	}
	err := tail(ctx, p.log, n, at, to, func(_ uint64, h event.Header, _ []byte) error {
		if h.Kind == event.Rows {
			rows += int64(h.Rows)
		}
		return nil
	})
	return rows, err
}

// bisectFrames compares segments with the log, offset by offset, where both
// are there.
func (p *pipeline) bisectFrames(ctx context.Context, n int, c chain) (*api.Parting, error) {
	first, next, err := p.log.Bounds(ctx, n)
	if err != nil {
		return nil, err
	}
	for _, s := range c.segments {
		sealed := map[uint64]int64{}
		err := p.archive.ReadSegment(ctx, s, func(b *event.Batch, offsets []uint64, _ []int32) error {
			for _, o := range offsets {
				sealed[o]++
			}
			return nil
		})
		if fault.Is(err, fault.Corrupt) || fault.Is(err, fault.NotFound) {
			return &api.Parting{Offset: s.From, Below: s.To, Where: s.Name, Rows: s.Rows, Reason: err.Error()}, nil
		}
		if err != nil {
			return nil, err
		}
		if s.To <= first || first == next {
			continue
		}
		logged := map[uint64]int64{}
		at := max(s.From, first)
		err = tail(ctx, p.log, n, at, min(s.To, next), func(offset uint64, h event.Header, _ []byte) error {
			at = offset + 1
			if h.Kind == event.Rows {
				logged[offset] = int64(h.Rows)
			}
			return nil
		})
		if fault.Is(err, fault.Corrupt) {
			return &api.Parting{Offset: at, Below: at + 1, Where: fmt.Sprintf("log of partition %d", n), Reason: err.Error()}, nil
		}
		if err != nil {
			return nil, err
		}
		offsets := slices.Sorted(maps.Keys(logged))
		for o := range sealed {
			if _, ok := logged[o]; !ok && o >= first {
				offsets = append(offsets, o)
			}
		}
		slices.Sort(offsets)
		if first, _, err = p.log.Bounds(ctx, n); err != nil { // it may have been trimmed meanwhile
			return nil, err
		}
		for _, o := range offsets {
			if sealed[o] != logged[o] && o >= first {
				return &api.Parting{
					Offset: o, Below: o + 1, Where: s.Name, Rows: logged[o], Accounted: sealed[o],
					Reason: fmt.Sprintf("the frame at offset %d has %d events in the log and %d in the segment", o, logged[o], sealed[o]),
				}, nil
			}
		}
	}
	return nil, nil
}

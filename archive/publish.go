package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"anabranch/bucket"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/internal/planted"
)

// Newest returns the newest manifest, or an empty one of version 0 when
// nothing was published. One that is damaged is said aloud and the newest
// whole one stands in for it: older, and with the log and the segments above
// its cut as right. Nothing can be published then, since the number is taken,
// until fsck has set it aside. Corrupt when none is whole. It costs one list
// of what came since the last call, and one read when something did that this
// Archive has not published itself.
func (a *Archive) Newest(ctx context.Context) (*Manifest, error) {
	known := a.newest.Load()
	after, v := "", uint64(0)
	if known != nil {
		after, v = a.manifestName(known.Version), known.Version
	}
	for info, err := range a.bucket.List(ctx, a.manifestPrefix(), after) {
		if err != nil {
			return nil, fmt.Errorf("look for the newest manifest of %s: %w", a.pipeline, err)
		}
		if n, ok := a.manifestVersion(info.Name); ok {
			v = max(v, n)
		}
	}
	switch {
	case v == 0:
		return &Manifest{
			Format: ManifestFormat, Cut: make(event.Cut, a.opts.Partitions),
			Runs: make([][]Run, a.opts.Partitions), Views: map[string]*ViewFiles{},
		}, nil
	case known != nil && known.Version == v:
		return known, nil
	}
	m, err := a.listed(ctx, v)
	if fault.Is(err, fault.Corrupt) {
		return a.lastWhole(ctx, known, v, err)
	}
	if err != nil {
		return nil, err
	}
	if known != nil && v == known.Version+1 && m.Parent != known.Hash() {
		return nil, fault.New(fault.Corrupt, "read manifest %s: it follows a version %d with hash %s, the one we know has %s", a.manifestName(v), known.Version, m.Parent, known.Hash())
	}
	a.remember(m)
	return m, nil
}

// Known returns the newest manifest that this process has seen; nil when it
// has seen none. It asks nobody.
func (a *Archive) Known() *Manifest { return a.newest.Load() }

// lastWhole returns the newest manifest that can be read below v, which is
// damaged. It is not remembered: what comes in v's place is seen at once.
func (a *Archive) lastWhole(ctx context.Context, known *Manifest, v uint64, damage error) (*Manifest, error) {
	if a.passed.Swap(v) != v {
		a.opts.Log.Error("archive: the newest manifest is damaged; the last whole one is served, and nothing can be published", "pipeline", a.pipeline,
			"manifest", a.manifestName(v), "error", damage, "do", "stop the program and run anabranch fsck --repair")
	}
	for at := v - 1; at > 0; at-- {
		if known != nil && at == known.Version {
			return known, nil
		}
		m, err := a.Manifest(ctx, at)
		if err == nil {
			return m, nil
		}
		if !fault.Is(err, fault.Corrupt) && !fault.Is(err, fault.NotFound) {
			return nil, err
		}
	}
	return nil, fault.WithHint(damage, "no other manifest can be read; stop the program and run `anabranch fsck --repair`, or restore %s from a copy of the bucket", a.manifestName(v))
}

// listed returns manifest v, which is there. One that this Archive has put is
// not read back: reading it would take more than all of publishing it.
func (a *Archive) listed(ctx context.Context, v uint64) (*Manifest, error) {
	if m := a.put.Load(); m != nil && m.Version == v {
		return m, nil
	}
	return a.Manifest(ctx, v)
}

// remember makes m the newest manifest known, unless a newer one is.
func (a *Archive) remember(m *Manifest) {
	for {
		known := a.newest.Load()
		if known != nil && known.Version >= m.Version || a.newest.CompareAndSwap(known, m) {
			break
		}
	}
	a.put.CompareAndSwap(m, nil)
}

func (a *Archive) manifestVersion(name string) (uint64, bool) {
	number, ok := strings.CutSuffix(strings.TrimPrefix(name, a.manifestPrefix()), ".json.zst")
	v, err := strconv.ParseUint(number, 10, 64)
	return v, ok && err == nil && a.manifestName(v) == name
}

// Manifest returns manifest v; NotFound when there is none.
func (a *Archive) Manifest(ctx context.Context, v uint64) (*Manifest, error) {
	if known := a.newest.Load(); known != nil && known.Version == v {
		return known, nil
	}
	name := a.manifestName(v)
	data, err := a.get(ctx, name)
	if errors.Is(err, bucket.ErrNotFound) {
		return nil, fault.New(fault.NotFound, "pipeline %s has no manifest %d", a.pipeline, v)
	}
	if err != nil {
		return nil, err
	}
	return decodeManifest(name, v, data)
}

// Publish makes m the newest manifest by one conditional put. Version must be
// the newest one's plus 1 and Parent the newest one's Hash. Conflict when
// another manifest was published meanwhile, or when m would go back behind
// the newest in K or Cut: plan again from the newest. Publishing the very same
// manifest again is a success, so a retry needs no care. NotFound when an
// object that m is the first to mention is not there.
func (a *Archive) Publish(ctx context.Context, m *Manifest) error {
	if err := m.check(a.opts.Partitions); err != nil {
		return err
	}
	parent, err := a.Newest(ctx)
	if err != nil {
		return err
	}
	if parent.Version >= m.Version {
		return a.published(ctx, m)
	}
	if err := follows(m, parent); err != nil {
		return err
	}
	if err := a.present(ctx, m, parent); err != nil {
		return err
	}
	p, err := m.inPieces(a.kept.Load())
	if err != nil {
		return err
	}
	name := a.manifestName(m.Version)
	_, err = a.bucket.Put(ctx, name, bytes.NewReader(p.object), bucket.Condition{Absent: !planted.On(planted.LoserPublishes)})
	if errors.Is(err, bucket.ErrCondition) {
		return a.published(ctx, m)
	}
	if err != nil {
		return fmt.Errorf("publish %s: %w", name, err)
	}
	a.kept.Store(p.kept)
	a.put.Store(m.asStored(p.hash))
	return nil
}

// published answers for a version that is there: it may be ours, put by an
// earlier attempt whose answer was lost.
func (a *Archive) published(ctx context.Context, m *Manifest) error {
	there, err := a.Manifest(ctx, m.Version)
	if err != nil {
		return err
	}
	text, err := m.encode()
	if err != nil {
		return err
	}
	if there.Hash() == hashOf(text) {
		return nil
	}
	return fault.New(fault.Conflict, "publish manifest %d of %s: another one (%s at barrier %d) was published meanwhile; plan again from the newest", m.Version, a.pipeline, there.Kind, there.K)
}

// follows reports whether m may come right after parent.
func follows(m, parent *Manifest) error {
	switch {
	case m.Version != parent.Version+1:
		return fault.New(fault.Conflict, "publish manifest %d: the newest is %d; plan again from it", m.Version, parent.Version)
	case m.Parent != parent.Hash():
		return fault.New(fault.Conflict, "publish manifest %d: it was planned from another manifest %d than the newest; plan again from it", m.Version, parent.Version)
	case (m.K < parent.K || !m.Cut.AtLeast(parent.Cut)) && !planted.On(planted.OlderPublishes):
		return fault.New(fault.Conflict, "publish manifest %d: barrier %d at %s goes back behind barrier %d at %s; an older batch never replaces a newer", m.Version, m.K, m.Cut, parent.K, parent.Cut)
	case !m.keepsGone(parent):
		return fault.New(fault.Bug, "publish manifest %d: it counts on raw events or versions that have expired", m.Version)
	case m.K == parent.K && !parent.Cut.AtLeast(m.Cut):
		return fault.New(fault.Bug, "publish manifest %d: cut %s, but barrier %d is at %s", m.Version, m.Cut, m.K, parent.Cut)
	}
	return nil
}

// keepsGone reports whether what has expired in parent has in m, too.
func (m *Manifest) keepsGone(parent *Manifest) bool {
	for p := range parent.Raw {
		if m.RawFrom(p).From < parent.Raw[p].From {
			return false
		}
	}
	return m.Oldest >= parent.Oldest
}

// present makes sure that what m is the first to mention is there, so that
// nothing that was collected meanwhile is ever published.
func (a *Archive) present(ctx context.Context, m, parent *Manifest) error {
	files, known := m.files(), parent.files()
	for len(files) > 0 && len(known) > 0 && files[0] == known[0] {
		files, known = files[1:], known[1:]
	}
	before := map[string]bool{}
	for _, f := range known {
		before[f.name] = true
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(16)
	for _, f := range files {
		if before[f.name] || planted.On(planted.PublishedUnseen) {
			continue
		}
		group.Go(func() error {
			info, err := a.bucket.Stat(ctx, f.name)
			if err != nil {
				return fmt.Errorf("publish manifest %d: look at %s: %w", m.Version, f.name, err)
			}
			if info.Size != f.size {
				return fault.New(fault.Corrupt, "publish manifest %d: %s has %d bytes, %d were written", m.Version, f.name, info.Size, f.size)
			}
			return nil
		})
	}
	return group.Wait()
}

package serving

import (
	"context"
	"fmt"
	"slices"

	"anabranch/archive"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/view"
)

// History is what a Batch has that keeps older versions.
type History interface {
	Manifest(ctx context.Context, version uint64) (*archive.Manifest, error)
	// ManifestTimes lists the objects of the manifests there are, oldest first,
	// and ManifestOf tells their versions.
	ManifestTimes(ctx context.Context) ([]archive.Aged, error)
	ManifestOf(name string) (version uint64, ok bool)
}

// receiptGone is the code of the error about a receipt that can no longer be
// answered at.
const receiptGone = "receipt_gone"

// Past pins what an earlier receipt covers, without the groups above the cut:
// Replay brings those. The error is NotFound with code receipt_gone, and names
// the oldest version there is, when the version or what was above its cut is
// gone; Invalid when the receipt was never given.
func (s *Serving) Past(ctx context.Context, src *Source, views []string, r PipelineReceipt) (*Pin, error) {
	history, ok := src.Batch.(History)
	if !ok || src.Past == nil {
		return nil, fault.New(fault.Invalid, "pipeline %s does not answer as of a receipt", src.Name)
	}
	if r.Rules != src.Rules {
		return nil, goneBecause(fault.New(fault.NotFound, "the filter rules of %s have changed since the receipt", src.Name))
	}
	m := &archive.Manifest{Cut: make(event.Cut, len(r.At)), Runs: make([][]archive.Run, len(r.At)), Views: map[string]*archive.ViewFiles{}}
	if r.Manifest > 0 {
		var err error
		m, err = history.Manifest(ctx, r.Manifest)
		switch {
		case fault.Is(err, fault.NotFound):
			return nil, s.Gone(ctx, src, fmt.Errorf("version %d of %s: %w", r.Manifest, src.Name, err))
		case err != nil:
			return nil, fmt.Errorf("pin version %d of %s: %w", r.Manifest, src.Name, err)
		case m.Hash() != r.ManifestHash || m.K != r.Barrier:
			return nil, fault.WithCode(fault.New(fault.Invalid, "the receipt is of another history of %s: its version %d is %.12s, here it is %.12s", src.Name, m.Version, r.ManifestHash, m.Hash()), "receipt_invalid")
		}
	}
	if len(r.At) != len(m.Cut) || !r.At.AtLeast(m.Cut) {
		return nil, fault.WithCode(fault.New(fault.Invalid, "the receipt says that %s stood at %s, its version %d begins at %s", src.Name, r.At, m.Version, m.Cut), "receipt_invalid")
	}
	p := &Pin{Source: src, Manifest: m, References: r.References, need: r.At, answers: map[string]*view.View{}}
	for _, name := range views {
		v := s.answering(src, m, name, 0) // not by chance: at one receipt there is one answer
		if version, ok := r.Views[name]; ok {
			v = src.version(archive.ViewOf(name), version)
		}
		if v == nil {
			return nil, s.Gone(ctx, src, fault.New(fault.NotFound, "the version of view %s.%s that answered then", src.Name, name))
		}
		p.answers[name] = v
	}
	return p, nil
}

// At returns the positions that a pin of Past covers.
func (p *Pin) At() event.Cut {
	if p.Delta != nil {
		return p.Delta.At
	}
	return p.need
}

// Replay brings the groups above the cut of a pin of Past, as they were then.
func (p *Pin) Replay(ctx context.Context) error {
	var views []*view.View
	for _, v := range p.answers {
		if !slices.Contains(views, v) {
			views = append(views, v)
		}
	}
	var err error
	p.Delta, err = p.Source.Past(ctx, p.Manifest, p.need, views)
	return err
}

// Gone says that a receipt can no longer be answered at, why, and what the
// oldest version is that can.
func (s *Serving) Gone(ctx context.Context, src *Source, why error) error {
	err := goneBecause(why)
	history, ok := src.Batch.(History)
	if !ok {
		return err
	}
	times, listed := history.ManifestTimes(ctx)
	if listed != nil || len(times) == 0 {
		return err
	}
	oldest := times[0]
	for _, t := range times {
		if t.Written.Before(oldest.Written) {
			oldest = t
		}
	}
	v, _ := history.ManifestOf(oldest.Name)
	return fault.WithHint(err, "the oldest version that %s still has is %d, of %s", src.Name, v, oldest.Written.UTC().Format("2006-01-02 15:04:05"))
}

func goneBecause(why error) error {
	return fault.WithCode(fault.New(fault.NotFound, "what the receipt covers is gone: %w", why), receiptGone)
}

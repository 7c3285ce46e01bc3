package serving

import (
	"context"
	"fmt"
	"time"

	"anabranch/archive"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/internal/planted"
	"anabranch/view"
)

// Pin is one cut of one pipeline: batch below it, speed at and above it.
type Pin struct {
	Source   *Source
	Manifest *archive.Manifest
	Delta    *view.Delta           // of the versions that answer
	answers  map[string]*view.View // which those are, by asked view
	// Stale is empty, or why the object store could not be asked for the newest
	// version: there may be a newer one. The answer is exact all the same.
	Stale string

	need event.Cut // what the answer has to cover
}

// Fresh says how fresh an answer has to be.
type Fresh struct {
	Latest  bool                 // everything acknowledged before the query
	AtLeast map[string]event.Cut // by pipeline: everything below
}

// Pin pins the newest cut of a pipeline with the asked views. One query asks
// once for each pipeline it reads.
func (s *Serving) Pin(ctx context.Context, src *Source, views []string, fresh Fresh) (*Pin, error) {
	need, err := s.Wait(ctx, src, fresh)
	if err != nil {
		return nil, err
	}
	deadline := s.o.Clock.After(s.o.Patience)
	older := s.known(src, views)
	for {
		m, err := s.newest(ctx, src, len(older) > 0)
		if err != nil {
			return s.stale(ctx, src, views, older, need, err)
		}
		p, err := s.at(ctx, src, m, views, need)
		switch {
		case err == nil:
			if planted.On(planted.SwapTorn) && len(older) > 0 {
				p.Manifest = older[0]
			}
			return p, nil
		case fault.Is(err, fault.Conflict) && fault.CodeOf(err) != notBuilt:
			// A newer manifest was published and speed has dropped this one's
			// generations: the next Newest sees it.
		case !fault.Is(err, fault.Transient) && fault.CodeOf(err) != notBuilt || ctx.Err() != nil:
			return nil, fmt.Errorf("pin %s at cut %d: %w", src.Name, m.K, err)
		default:
			// Speed has yet to pass the barrier of a manifest just published, or
			// to take up a version that it made answer; the one before is as
			// exact, and there at once.
			for _, o := range older {
				if o.Version >= m.Version {
					continue
				}
				if p, err := s.at(ctx, src, o, views, need); err == nil {
					return p, nil
				}
			}
		}
		if fault.CodeOf(err) == notBuilt {
			return nil, err
		}
		select {
		case <-s.o.Clock.After(2 * time.Millisecond):
		case <-ctx.Done():
			return nil, fmt.Errorf("pin %s: %w", src.Name, context.Cause(ctx))
		case <-deadline:
			return nil, fmt.Errorf("pin %s at cut %d: %w", src.Name, m.K, err)
		}
	}
}

// Wait returns once speed has folded what fresh asks for: the cut that the
// answer has to cover.
func (s *Serving) Wait(ctx context.Context, src *Source, fresh Fresh) (need event.Cut, err error) {
	if at, ok := fresh.AtLeast[src.Name]; ok && !planted.On(planted.ReceiptIgnored) {
		if err := src.Speed.Wait(ctx, at); err != nil {
			return nil, fmt.Errorf("wait for the receipt: %w", err)
		}
		need = at.Clone()
	}
	if fresh.Latest {
		if src.Head == nil {
			return nil, fault.New(fault.Bug, "pipeline %s cannot tell the head of its log", src.Name)
		}
		head, err := src.Head(ctx)
		if err != nil {
			return nil, fmt.Errorf("find the head of %s: %w", src.Name, err)
		}
		if err := src.Speed.Wait(ctx, head); err != nil {
			return nil, fmt.Errorf("wait for the head of %s: %w", src.Name, err)
		}
		need = need.Join(head)
	}
	return need, nil
}

// Local fetches the files of a view to local disk. Close releases them all.
type Local struct {
	Paths   []string
	release []func()
}

// Fetch makes local copies of result files. The error is an Unfetched.
func (p *Pin) Fetch(ctx context.Context, files []archive.ResultFile) (*Local, error) {
	l := &Local{}
	for _, f := range files {
		path, release, err := p.Source.Batch.Local(ctx, f.Name, f.Size, f.Sum)
		if err != nil {
			l.Close()
			return nil, &Unfetched{p.Source, p.Manifest.Version, p.need, fmt.Errorf("fetch %s: %w", f.Name, err)}
		}
		l.Paths = append(l.Paths, path)
		l.release = append(l.release, release)
	}
	return l, nil
}

// Close lets the files go.
func (l *Local) Close() {
	for _, r := range l.release {
		r()
	}
	l.release = nil
}

// Add takes over the files of o.
func (l *Local) Add(o *Local) {
	l.Paths = append(l.Paths, o.Paths...)
	l.release = append(l.release, o.release...)
	o.release = nil
}

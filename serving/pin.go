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

	// References names the reference tables in force, or those of the receipt.
	References string

	need event.Cut  // what the answer has to cover
	pick *view.Pick // of the groups, see PinPicked
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
	return s.pin(ctx, src, views, need, asking{})
}

// Picker says which groups are asked for, of the version of a view that
// answers.
type Picker func(v *view.View) (*view.Pick, error)

// Have tells what the caller has seen of the groups of a view above the cut of a
// manifest; nil: nothing.
type Have func(m *archive.Manifest, asked string, v *view.View) view.Seen

// PinSince is Pin for a caller that keeps what it was given: of the views that
// Delta.Partial names it gets the groups that were touched since what have told
// when it was called last, where the speed layer can tell them.
func (s *Serving) PinSince(ctx context.Context, src *Source, views []string, fresh Fresh, have Have) (*Pin, error) {
	need, err := s.Wait(ctx, src, fresh)
	if err != nil {
		return nil, err
	}
	return s.pin(ctx, src, views, need, asking{have: have})
}

// asking says what of the groups above a cut is asked for: those that pick
// takes, those that changed since what have tells, or all.
type asking struct {
	pick Picker
	have Have
}

// PinPicked pins one view, and of its groups above the cut only those that pick
// takes. It does not ask the object store as long as what this process knows to
// be the newest version can be answered from.
func (s *Serving) PinPicked(ctx context.Context, src *Source, name string, fresh Fresh, pick Picker) (*Pin, error) {
	need, err := s.Wait(ctx, src, fresh)
	if err != nil {
		return nil, err
	}
	if m := src.Batch.Known(); m != nil {
		p, err := s.at(ctx, src, m, []string{name}, need, asking{pick: pick})
		if err == nil || fault.Is(err, fault.Invalid) || fault.Is(err, fault.NotFound) {
			return p, err
		}
	}
	return s.pin(ctx, src, []string{name}, need, asking{pick: pick})
}

// Picked returns what the pick of PinPicked was.
func (p *Pin) Picked() *view.Pick { return p.pick }

func (s *Serving) pin(ctx context.Context, src *Source, views []string, need event.Cut, ask asking) (*Pin, error) {
	deadline := s.o.Clock.After(s.o.Patience)
	older := s.known(src, views)
	for {
		m, err := s.newest(ctx, src, len(older) > 0)
		if err != nil {
			return s.stale(ctx, src, views, older, need, err, ask)
		}
		p, err := s.at(ctx, src, m, views, need, ask)
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
				if p, err := s.at(ctx, src, o, views, need, ask); err == nil {
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

// Peek tells where a pipeline stands at its newest version, without the groups
// of speed: it costs nothing that grows with what speed has touched. Its error
// says no more than that Pin is to be asked.
func (s *Serving) Peek(ctx context.Context, src *Source, views []string, fresh Fresh) (*Pin, error) {
	need, err := s.Wait(ctx, src, fresh)
	if err != nil {
		return nil, err
	}
	m, err := s.newest(ctx, src, len(s.known(src, views)) > 0)
	if err != nil {
		return nil, err
	}
	return s.bare(ctx, src, m, views, need)
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

// Again pins what a pin of PinPicked is about anew, under the same manifest, at
// no earlier a position. The error is Conflict when speed has dropped that cut.
func (s *Serving) Again(ctx context.Context, p *Pin, name string) (*Pin, error) {
	need := p.At()
	v := p.answers[name]
	again := &Pin{Source: p.Source, Manifest: p.Manifest, need: need, answers: p.answers, pick: p.pick}
	var err error
	again.Delta, err = p.Source.Speed.SincePicked(ctx, p.Manifest.K, v.Name(), p.pick)
	if err == nil && !again.Delta.At.AtLeast(need) {
		err = fault.New(fault.Transient, "speed is at %s again, it was at %s: ask again soon", again.Delta.At, need)
	}
	return again, err
}

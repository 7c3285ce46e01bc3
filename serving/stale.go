package serving

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"anabranch/archive"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/internal/planted"
)

// Without the object store the last version that answered is still exact: its
// files are on local disk, and speed keeps everything above its cut until it
// has seen a newer one. So a store that fails, refuses or dawdles costs
// freshness of the version and nothing else. Damage is another matter: it is
// told, never passed over.

// versions are the manifests that views have been answered from, by pipeline
// and view.
type versions map[string]map[string]*archive.Manifest

// failure is the last look for the newest manifest, where it failed.
type failure struct {
	err error
	at  time.Time
}

var errDawdles = errors.New("the object store takes its time")

// newest asks for the newest manifest. Where there is another to answer from
// it does not wait for long, and right after a failure not at all.
func (s *Serving) newest(ctx context.Context, src *Source, other bool) (*archive.Manifest, error) {
	if !other {
		return src.Batch.Newest(ctx)
	}
	s.mu.Lock()
	last := s.failed[src.Name]
	s.mu.Unlock()
	if last.err != nil && s.o.Clock.Now().Sub(last.at) < s.o.Look {
		return nil, last.err
	}
	look, cancel := context.WithCancelCause(ctx)
	var waiting sync.WaitGroup
	waiting.Go(func() {
		select {
		case <-s.o.Clock.After(s.o.Look):
			cancel(errDawdles)
		case <-look.Done():
		}
	})
	m, err := src.Batch.Newest(look)
	if err != nil && errors.Is(context.Cause(look), errDawdles) {
		err = fault.New(fault.Transient, "look for the newest manifest of %s: no answer of the object store within %s", src.Name, s.o.Look)
	}
	cancel(nil)
	waiting.Wait()
	if ctx.Err() != nil {
		return m, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed[src.Name] = failure{err, s.o.Clock.Now()}
	return m, err
}

// stale pins the first of the known versions that speed still has, after the
// newest could not be had because of cause.
func (s *Serving) stale(ctx context.Context, src *Source, views []string, known []*archive.Manifest, need event.Cut, cause error, ask asking) (*Pin, error) {
	kind := fault.KindOf(cause)
	if kind == fault.Corrupt || kind == fault.Bug || ctx.Err() != nil {
		return nil, fmt.Errorf("pin %s: %w", src.Name, cause)
	}
	errs := []error{cause}
	for _, m := range known {
		p, err := s.at(ctx, src, m, views, need, ask)
		if err == nil {
			if !planted.On(planted.StaleUnmarked) {
				p.Stale = cause.Error()
			}
			return p, nil
		}
		errs = append(errs, err)
	}
	// Whoever asks is not the one that the store denies something.
	return nil, fault.New(fault.Transient, "pin %s: no version can be answered from: %w", src.Name, errors.Join(errs...))
}

// known returns the versions to answer the views from without the newest: the
// ones that they were answered from before, whose files are here, then the
// newest that this process has seen.
func (s *Serving) known(src *Source, views []string) (out []*archive.Manifest) {
	s.mu.Lock()
	for _, v := range views {
		if m := s.answered[src.Name][v]; m != nil && !slices.Contains(out, m) {
			out = append(out, m)
		}
	}
	s.mu.Unlock()
	slices.SortFunc(out, func(a, b *archive.Manifest) int { return cmp.Compare(b.Version, a.Version) })
	if m := src.Batch.Known(); m != nil && !slices.Contains(out, m) {
		out = append(out, m)
	}
	return out
}

// Answered notes that a pin's views have been answered: that all their files
// are here.
func (s *Serving) Answered(p *Pin, views []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	of := s.answered[p.Source.Name]
	if of == nil {
		of = map[string]*archive.Manifest{}
		s.answered[p.Source.Name] = of
	}
	for _, v := range views {
		if m := of[v]; m == nil || m.Version < p.Manifest.Version {
			of[v] = p.Manifest
		}
	}
}

// Unfetched says that a version's files could not be brought to local disk.
type Unfetched struct {
	Source  *Source
	Version uint64
	need    event.Cut // what the answer has to cover
	Err     error
}

func (u *Unfetched) Error() string { return u.Err.Error() }

// Unwrap returns what went wrong.
func (u *Unfetched) Unwrap() error { return u.Err }

// Before pins an older version than the one that could not be fetched. The
// error is what u says when there is none, or when waiting would not help.
func (s *Serving) Before(ctx context.Context, u *Unfetched, views []string) (*Pin, error) {
	return s.before(ctx, u, views, asking{})
}

// BeforePicked is Before for a pin of PinPicked.
func (s *Serving) BeforePicked(ctx context.Context, u *Unfetched, name string, pick Picker) (*Pin, error) {
	return s.before(ctx, u, []string{name}, asking{pick: pick})
}

func (s *Serving) before(ctx context.Context, u *Unfetched, views []string, ask asking) (*Pin, error) {
	older := slices.DeleteFunc(s.known(u.Source, views), func(m *archive.Manifest) bool { return m.Version >= u.Version })
	return s.stale(ctx, u.Source, views, older, u.need, u, ask)
}

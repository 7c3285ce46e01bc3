package serving

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"anabranch/archive"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/view"
)

// notBuilt is the code of the error about a view that has no answer yet.
const notBuilt = "view_not_built"

// at pins the views at the cut of one manifest. Which version of a view
// answers is the manifest's to say. Need is what the answer has to cover: speed
// may have come back from a snapshot since it was waited for, and be behind
// again, which is Transient.
func (s *Serving) at(ctx context.Context, src *Source, m *archive.Manifest, views []string, need event.Cut, ask asking) (*Pin, error) {
	p, keys, err := s.pinned(src, m, views, need)
	if err != nil {
		return nil, err
	}
	if ask.pick == nil {
		return p, p.since(ctx, keys, ask.have)
	}
	if p.pick, err = ask.pick(p.answers[views[0]]); err == nil {
		p.Delta, err = src.Speed.SincePicked(ctx, m.K, keys[0], p.pick)
	}
	return p, p.covers(err)
}

// pinned finds which versions of the views answer under a manifest, and how
// speed calls them.
func (s *Serving) pinned(src *Source, m *archive.Manifest, views []string, need event.Cut) (*Pin, []string, error) {
	p := &Pin{Source: src, Manifest: m, References: archive.ReferencesID(src.References), need: need, answers: map[string]*view.View{}}
	if views == nil {
		for _, v := range src.Views {
			views = append(views, v.Name())
		}
	}
	keys := []string{}
	for _, name := range views {
		v := s.answering(src, m, name, m.Canary[name])
		if v == nil {
			return nil, nil, fault.WithCode(fault.New(fault.Conflict, "view %s.%s is new or changed since the last batch: it answers after `anabranch batch %s`", src.Name, name, src.Name), notBuilt)
		}
		p.answers[name] = v
		if !slices.Contains(keys, v.Name()) {
			keys = append(keys, v.Name())
		}
	}
	return p, keys, nil
}

// bare is at without the groups of speed.
func (s *Serving) bare(ctx context.Context, src *Source, m *archive.Manifest, views []string, need event.Cut) (*Pin, error) {
	p, _, err := s.pinned(src, m, views, need)
	if err != nil {
		return nil, err
	}
	return p, p.since(ctx, []string{}, nil)
}

// since asks speed for the groups of some views above the pinned cut.
func (p *Pin) since(ctx context.Context, keys []string, have Have) (err error) {
	if c, ok := p.Source.Speed.(Changing); ok && have != nil {
		seen := make(map[string]view.Seen, len(keys))
		for asked, v := range p.answers {
			if was := have(p.Manifest, asked, v); was != nil {
				seen[v.Name()] = was
			}
		}
		if len(keys) < len(p.answers) {
			clear(seen) // two of the asked are one view: they get all of it
		}
		p.Delta, err = c.Changes(ctx, p.Manifest.K, keys, seen)
		return p.covers(err)
	}
	p.Delta, err = p.Source.Speed.Since(ctx, p.Manifest.K, keys)
	return p.covers(err)
}

// covers checks that speed has answered what the answer has to cover.
func (p *Pin) covers(err error) error {
	if err == nil && !p.Delta.At.AtLeast(p.need) {
		err = fault.New(fault.Transient, "speed is at %s again, the answer has to cover %s: ask again soon", p.Delta.At, p.need)
	}
	return err
}

// answering returns the version of a view that answers under a manifest; nil
// when there is none yet, or when this process does not have it. Canary is the
// share of the queries, in percent, that one which is on trial gets.
func (s *Serving) answering(src *Source, m *archive.Manifest, name string, canary float64) *view.View {
	declared := src.View(name)
	if m.K == 0 || declared == nil {
		return declared
	}
	if name != archive.ViewOf(name) { // a version asked for by its key
		if _, files := m.VersionOf(archive.ViewOf(name), declared.Version()); files == nil {
			return nil
		}
		return declared
	}
	_, files := m.Answers(name)
	if canary > 0 && s.o.Dice() < canary {
		if _, held := m.VersionOf(name, declared.Version()); held != nil {
			files = held
		}
	}
	if files == nil {
		return nil
	}
	return src.version(name, files.Version)
}

// version returns a version of a view that this process has compiled, or nil.
func (s *Source) version(name, version string) *view.View {
	return archive.FindVersion(name, version, s.Views, s.Older)
}

// Shown returns the version of a view whose columns a catalog lists: the one
// that answered last, as far as this process knows.
func (s *Source) Shown(name string) *view.View {
	if m := s.Batch.Known(); m != nil {
		if _, files := m.Answers(name); files != nil {
			if v := s.version(name, files.Version); v != nil {
				return v
			}
		}
	}
	return s.View(name)
}

// View returns the version of a view that answers.
func (p *Pin) View(name string) *view.View { return p.answers[name] }

// Results returns the batch files of a view below the pinned cut; none when
// nothing was published yet.
func (p *Pin) Results(name string) ([]archive.ResultFile, error) {
	if p.Manifest.K == 0 {
		return nil, nil
	}
	v := p.answers[name]
	if v == nil {
		return nil, fault.New(fault.Bug, "view %s.%s was not asked for", p.Source.Name, name)
	}
	_, files := p.Manifest.VersionOf(archive.ViewOf(v.Name()), v.Version())
	if files == nil {
		return nil, fault.New(fault.Bug, "view %s.%s answers without files", p.Source.Name, name)
	}
	if why := files.Unfinished(); why != "" {
		return nil, fault.WithHint(fault.WithCode(fault.New(fault.Invalid, "view %s.%s has no answer: %s", p.Source.Name, name, why), "view_unfinished"),
			"change the view so that it has one for every group, then run a batch")
	}
	return files.Results, nil
}

// errNoDelta guards against a Speed that forgets a view.
var errNoDelta = errors.New("speed answered without the view")

// State returns the groups of a view above the cut; they are the caller's.
func (p *Pin) State(name string) (*view.State, error) {
	if v := p.answers[name]; v != nil {
		if st := p.Delta.States[v.Name()]; st != nil {
			return st, nil
		}
	}
	return nil, fault.Wrap(fault.Bug, fmt.Errorf("view %s.%s: %w", p.Source.Name, name, errNoDelta))
}

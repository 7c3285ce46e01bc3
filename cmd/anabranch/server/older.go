package server

import (
	"context"
	"slices"

	"anabranch/archive"
	"anabranch/view"
)

// olderOfView bounds how many older versions of a view a process can compute.
const olderOfView = 4

// findOlder compiles the versions of the declared views that earlier
// definitions had, the newest first: one of them may be the one that answers,
// or that somebody goes back to. A text that the newest schema has no place
// for is left out: no event could be folded into it.
func (c *compiled) findOlder(ctx context.Context, history []entry) error {
	have := map[string]map[string]bool{} // versions by view
	texts := map[string]map[string]bool{}
	for _, v := range c.views {
		have[v.Name()] = map[string]bool{v.Version(): true}
		texts[v.Name()] = map[string]bool{v.SQL(): true}
	}
	var compiler *view.Compiler
	defer func() {
		if compiler != nil {
			_ = compiler.Close()
		}
	}()
	for _, e := range slices.Backward(history) {
		def, err := definition(e.Files)
		if err != nil {
			continue // what is in force was read; what was before is not needed
		}
		for _, text := range def.Views {
			if texts[text.Name] == nil || texts[text.Name][text.SQL] || len(have[text.Name]) > olderOfView {
				continue
			}
			texts[text.Name][text.SQL] = true
			if compiler == nil {
				if compiler, err = view.NewCompiler(ctx); err != nil {
					return err
				}
			}
			v, err := compiler.View(ctx, view.Source{Name: text.Name, SQL: text.SQL, File: text.File}, c.def.Schema.Shape(), c.def.Identity.Time)
			if ctx.Err() != nil {
				return err
			}
			if err != nil || have[text.Name][v.Version()] {
				continue
			}
			have[text.Name][v.Version()] = true
			c.older = append(c.older, v.As(archive.ViewKey(text.Name, v.Version())))
		}
	}
	return nil
}

// keepOlder chooses the older versions that speed folds too: those that the
// newest manifest has files of.
func (p *pipeline) keepOlder(ctx context.Context) error {
	m, err := p.archive.Newest(ctx)
	if err != nil {
		return err
	}
	for _, v := range p.older {
		if _, files := m.VersionOf(archive.ViewOf(v.Name()), v.Version()); files != nil {
			p.kept = append(p.kept, v)
		}
	}
	return nil
}

// lacks reports whether a manifest answers with a version that this process
// could fold and does not.
func (p *pipeline) lacks(m *archive.Manifest) bool {
	for _, v := range p.older {
		view := archive.ViewOf(v.Name())
		if _, files := m.Answers(view); files != nil && files.Version == v.Version() && !slices.Contains(p.kept, v) {
			return true
		}
	}
	return false
}

// Package lookup answers for single groups of a view, by key, without SQL: from
// an index of the batch files and from what speed has above the cut, merged in
// Go. It costs what the asked groups do, and gives what the SQL doors give at
// the same receipt.
package lookup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"anabranch/archive"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/schemas"
	"anabranch/serving"
	"anabranch/view"
)

// Options of a Lookup.
type Options struct {
	Dir    string // for indexes, whose files have no names there; default the system's
	Memory int64  // of indexes, default 64 MiB: 2.8 million groups
	Limit  int    // groups of one answer, default 10,000
}

// Lookup answers. It is safe for concurrent use. Close it.
type Lookup struct {
	serving *serving.Serving
	o       Options
	shelf   *shelf
}

// New returns a Lookup over s.
func New(s *serving.Serving, o Options) *Lookup {
	o.Memory = cmp.Or(o.Memory, 64<<20)
	o.Limit = cmp.Or(o.Limit, 10_000)
	return &Lookup{serving: s, o: o, shelf: &shelf{limit: o.Memory, items: map[string]*item{}}}
}

// Close lets the indexes go.
func (l *Lookup) Close() { l.shelf.close() }

// Request asks for groups of one view.
type Request struct {
	View     string // pipeline.view, or the view alone where only one pipeline has it
	Key      []Equal
	Time     string // the key that From and To are about; "": the only one that is a time
	From, To string // from From up to below To; "" leaves that side open
	Fresh    serving.Fresh
	Limit    int // of the groups, within Options.Limit; 0: that
}

// Equal asks for the groups that have a value in a column of the key.
type Equal struct {
	Column string // "": the only one that is not a time
	Value  string
	Null   bool // the value is null
}

// Answer is the rows of the asked groups, sorted by key, and what they cover.
type Answer struct {
	Pipeline, View string
	Version        *view.View // that answered
	Rows           *event.Batch
	Receipt        serving.Receipt
}

// Ask answers. Errors: NotFound for an unknown view, Invalid for a column that
// is not one of the key or a value that does not fit it, and for more groups
// than may be; what serving.Pin reports.
func (l *Lookup) Ask(ctx context.Context, r Request) (*Answer, error) {
	src, name, err := l.find(r.View)
	if err == nil {
		err = l.serving.Known(r.Fresh)
	}
	if err != nil {
		return nil, err
	}
	p, err := l.serving.PinPicked(ctx, src, name, r.Fresh, r.pick)
	if err != nil {
		return nil, err
	}
	limit := l.o.Limit
	if r.Limit > 0 {
		limit = min(limit, r.Limit)
	}
	rows, err := l.merged(ctx, p, name, limit)
	var u *serving.Unfetched
	if errors.As(err, &u) {
		if p, err = l.serving.BeforePicked(ctx, u, name, r.pick); err == nil {
			rows, err = l.merged(ctx, p, name, limit)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("look up in %s.%s: %w", src.Name, name, err)
	}
	l.serving.Answered(p, []string{name})
	return &Answer{Pipeline: src.Name, View: name, Version: p.View(name), Rows: rows, Receipt: l.serving.Receipt(p)}, nil
}

// merged returns the picked groups of a pin: batch below the cut, speed above.
func (l *Lookup) merged(ctx context.Context, p *serving.Pin, name string, limit int) (*event.Batch, error) {
	files, err := p.Results(name)
	if err != nil {
		return nil, err
	}
	st, err := p.State(name)
	if err != nil {
		return nil, err
	}
	v, pick := p.View(name), p.Picked()
	found := newRows(v.StateShape())
	wanted := make([][]byte, len(pick.Keys))
	for k, c := range pick.Keys {
		if c != nil {
			wanted[k] = appendCell(nil, c, 0)
		}
	}
	for _, f := range files {
		if f.Rows == 0 {
			continue
		}
		ix, release, err := l.index(ctx, p, f, v, pick)
		if err != nil {
			return nil, err
		}
		err = ix.find(pick, wanted, limit, found)
		release()
		switch {
		case fault.Is(err, fault.Invalid): // the reader's, who has no use for the file's name
			return nil, err
		case err != nil:
			return nil, fmt.Errorf("in %s: %w", f.Name, err)
		}
	}
	if found.batch.N > 0 {
		if err := st.MergeGroups(found.whole()); err != nil {
			return nil, err
		}
	}
	if st.Len() > limit {
		return nil, tooMany(limit)
	}
	return st.Sorted()
}

// index returns the index of a result file by the keys that pick gives.
func (l *Lookup) index(ctx context.Context, p *serving.Pin, f archive.ResultFile, v *view.View, pick *view.Pick) (*index, func(), error) {
	name := []byte(f.Sum)
	for _, c := range pick.Keys {
		if c != nil {
			name = append(name, '=')
		} else {
			name = append(name, '.')
		}
	}
	name = append(name, byte(pick.Range+1))
	return l.shelf.take(ctx, string(name), func() (*index, error) {
		local, err := p.Fetch(ctx, []archive.ResultFile{f})
		if err != nil {
			return nil, err
		}
		defer local.Close()
		ix, err := buildIndex(ctx, l.o.Dir, local.Paths[0], v, pick)
		if err != nil {
			return nil, fmt.Errorf("index %s: %w", f.Name, err)
		}
		return ix, nil
	})
}

// find returns the pipeline and the name of the view called name. Before it is
// said not to exist it is looked for once more: another process may have put it
// in force a moment ago.
func (l *Lookup) find(name string) (*serving.Source, string, error) {
	src, of, err := l.named(name)
	if fault.Is(err, fault.NotFound) {
		l.serving.Seek()
		return l.named(name)
	}
	return src, of, err
}

// named is find among what is known here.
func (l *Lookup) named(name string) (*serving.Source, string, error) {
	name = strings.ToLower(name)
	pipeline, of, qualified := strings.Cut(name, ".")
	var found []*serving.Source
	sources := l.serving.Sources()
	for _, src := range sources {
		switch {
		case qualified && src.Name == pipeline && src.View(of) != nil:
			return src, of, nil
		case !qualified && src.View(name) != nil:
			found = append(found, src)
		}
	}
	if len(found) == 1 {
		return found[0], name, nil
	}
	if len(found) > 1 {
		return nil, "", fault.WithCode(fault.New(fault.Invalid, "%d pipelines have a view %q: write %s.%s", len(found), name, found[0].Name, name), "ambiguous_view")
	}
	var all []string
	for _, src := range sources {
		for _, v := range src.Views {
			all = append(all, src.Name+"."+v.Name())
		}
	}
	err := fault.WithCode(fault.New(fault.NotFound, "there is no view %q", name), "unknown_view")
	return nil, "", fault.WithHint(err, "%s", nearAndAll(name, all))
}

// nearAndAll names the nearest of some names, and all of them.
func nearAndAll(word string, names []string) string {
	if len(names) == 0 {
		return "there is none"
	}
	near := ""
	if n := schemas.Nearest(word, names); n != "" {
		near = fmt.Sprintf("did you mean %q? ", n)
	}
	return near + "There is " + strings.Join(slices.Sorted(slices.Values(names)), ", ")
}

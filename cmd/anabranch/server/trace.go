package server

import (
	"context"
	"fmt"
	"net/http"
	"regexp"

	"anabranch/cmd/anabranch/api"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/internal/openapi"
	"anabranch/view"
)

// maxTraced is how many events one trace follows.
const maxTraced = 10

// found is one event, by the copies of its id in log order.
type found struct {
	id     event.ID
	first  *event.Batch // one row: the copy that counts, or is filtered
	copies []copyAt
}

type copyAt struct {
	at   event.Position
	hash uint64
}

var (
	traceEvent = openapi.Text("event", "the text of its id, where that is one field, its position, its identity, or a dead letter")
	traceWhere = openapi.Text("where", "a condition in SQL")
)

// trace answers what became of an event that is named by ?event=: its position,
// its identity, the text of its id field, or a dead letter; or of those that
// fit ?where=, a condition in SQL. It reads the raw events, once to find the
// ids and once to find all their copies.
func (p *pipeline) trace(r *http.Request) (out api.Trace, err error) {
	ctx := r.Context()
	asked, where := traceEvent.Of(r), traceWhere.Of(r)
	if (asked == "") == (where == "") {
		return out, fault.New(fault.Invalid, "trace: name one event, or give a condition: ?event= or ?where=")
	}
	m, err := p.archive.Newest(ctx)
	if err != nil {
		return out, err
	}
	head, err := p.head(ctx)
	if err != nil {
		return out, err
	}
	out = api.Trace{Pipeline: p.def.Name, Asked: asked + where, Manifest: m.Version, Events: []api.TraceEvent{}}
	if letterName.MatchString(asked) {
		l, err := p.letters.Get(ctx, asked)
		if err != nil {
			return out, err
		}
		shown := asLetter(l)
		out.Letter = &shown
		if l.Released != nil {
			out.Released = &api.Released{By: l.Released.By, Into: l.Released.Into, At: l.Released.At}
		}
		if asked = l.Position; asked == "" {
			return out, nil // it was refused at the door
		}
	}
	t := tracer{pipeline: p, head: head, manifest: m}
	if t.wanted, err = p.wanted(ctx, asked, where); err != nil {
		return out, err
	}
	if err := t.find(ctx); err != nil {
		return out, err
	}
	if len(t.found) == 0 {
		return out, fault.WithHint(fault.New(fault.NotFound, "pipeline %s has no event %q below %s", p.def.Name, out.Asked, head), "an event that was refused is a dead letter: `anabranch deadletters ls %s`", p.def.Name)
	}
	out.More = t.more
	letters, err := t.conflicts(ctx)
	if err != nil {
		return out, err
	}
	for _, f := range t.found {
		e, err := t.tell(ctx, f, letters)
		if err != nil {
			return out, err
		}
		out.Events = append(out.Events, e)
	}
	return out, nil
}

var (
	letterName = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}\.[^.]+\.[0-9]+$`)
	idName     = regexp.MustCompile(`^[0-9a-f]{32}$`)
)

// match picks rows of a batch; the position is that of its first row's frame.
type match struct {
	partition int // -1: any
	rows      func(b *event.Batch, offsets []uint64, rows []int32, picked []bool) error
}

// wanted says which events are asked for.
func (p *pipeline) wanted(ctx context.Context, asked, where string) (match, error) {
	if where != "" {
		return p.fitting(ctx, where)
	}
	if at, err := event.ParsePosition(asked); err == nil {
		if int(at.Partition) >= p.def.Partitions {
			return match{}, fault.New(fault.Invalid, "position %s: pipeline %s has partitions 0 to %d", asked, p.def.Name, p.def.Partitions-1)
		}
		return match{int(at.Partition), func(_ *event.Batch, offsets []uint64, rows []int32, picked []bool) error {
			for i := range picked {
				picked[i] = offsets[i] == at.Offset && rows[i] == at.Row
			}
			return nil
		}}, nil
	}
	if idName.MatchString(asked) {
		var id event.ID
		if _, err := fmt.Sscanf(asked, "%16x%16x", &id.Hi, &id.Lo); err != nil {
			return match{}, fault.Wrap(fault.Bug, err)
		}
		return match{-1, func(b *event.Batch, _ []uint64, _ []int32, picked []bool) error {
			for i := range picked {
				picked[i] = b.IDs[i] == id
			}
			return nil
		}}, nil
	}
	if fields := p.def.Identity.Fields; len(fields) == 1 {
		var text []byte
		return match{-1, func(b *event.Batch, _ []uint64, _ []int32, picked []bool) error {
			c := b.Column(fields[0])
			for i := range picked {
				text = c.AppendText(text[:0], i)
				picked[i] = c.Valid.Get(i) && string(text) == asked
			}
			return nil
		}}, nil
	}
	return match{}, fault.New(fault.Invalid, "event %q: the id of pipeline %s is made of several fields: name the event by its position (0/7/1), its identity (32 hexadecimal digits), a dead letter, or use a condition such as %s = '...'",
		asked, p.def.Name, p.def.Identity.Fields[0])
}

// fitting picks what a condition is true for.
func (p *pipeline) fitting(ctx context.Context, where string) (match, error) {
	compiler, err := view.NewCompiler(ctx)
	if err != nil {
		return match{}, err
	}
	defer compiler.Close()
	fits, err := compiler.Predicate(ctx, view.Source{Name: "where", SQL: where, File: "where"}, p.set.Newest().Shape())
	if err != nil {
		return match{}, err
	}
	return match{-1, func(b *event.Batch, _ []uint64, _ []int32, picked []bool) error {
		if err := fits.Eval(b, picked); err != nil && !fault.Is(err, fault.Invalid) {
			return err
		}
		return nil // a row for which it fails does not fit
	}}, nil
}

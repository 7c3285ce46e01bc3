package server

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"anabranch/archive"
	"anabranch/cmd/anabranch/api"
	"anabranch/deadletter"
	"anabranch/event"
	"anabranch/view"
)

// tracer follows a few events through the raw ones.
type tracer struct {
	*pipeline
	head     event.Cut
	manifest *archive.Manifest
	wanted   match
	found    []*found
	more     bool
}

var errEnough = errors.New("enough")

// find finds the ids that are wanted, and then all their copies: these stand
// in the same partition, but may stand before.
func (t *tracer) find(ctx context.Context) error {
	type place struct {
		partition int
		id        event.ID
	}
	known := map[place]*found{}
	for n := range t.head {
		if t.wanted.partition >= 0 && n != t.wanted.partition {
			continue
		}
		var picked []bool
		err := t.raw(ctx, n, t.head[n], func(b *event.Batch, offsets []uint64, rows []int32) error {
			picked = append(picked[:0], make([]bool, b.N)...)
			if err := t.wanted.rows(b, offsets, rows, picked); err != nil {
				return err
			}
			for i, yes := range picked {
				at := place{n, b.IDs[i]}
				if !yes || known[at] != nil {
					continue
				}
				if len(t.found) == maxTraced {
					t.more = true
					return errEnough
				}
				f := &found{id: b.IDs[i]}
				known[at], t.found = f, append(t.found, f)
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			return err
		}
	}
	look := map[int]bool{}
	for at := range known {
		look[at.partition] = true
	}
	for n := range look {
		err := t.raw(ctx, n, t.head[n], func(b *event.Batch, offsets []uint64, rows []int32) error {
			for i := range b.N {
				f := known[place{n, b.IDs[i]}]
				if f == nil || offsets[i] >= t.head[n] {
					continue
				}
				if f.first == nil {
					f.first = b.Gather([]uint32{uint32(i)})
				}
				f.copies = append(f.copies, copyAt{event.Position{Partition: int32(n), Offset: offsets[i], Row: rows[i]}, b.Hashes[i]})
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// conflicts returns the letters of conflicting copies by their position, when
// there may be some.
func (t *tracer) conflicts(ctx context.Context) (map[string]deadletter.Letter, error) {
	var want = map[string]deadletter.Letter{}
	any := false
	for _, f := range t.found {
		for _, c := range f.copies[1:] {
			any = any || c.hash != f.copies[0].hash
		}
	}
	if !any {
		return want, nil
	}
	for l, err := range t.letters.List(ctx, deadletter.Options{Codes: []string{"conflict"}}) {
		if err != nil {
			return nil, err
		}
		want[l.Position] = l
	}
	return want, nil
}

// tell says what became of every copy of an event.
func (t *tracer) tell(ctx context.Context, f *found, letters map[string]deadletter.Letter) (api.TraceEvent, error) {
	e := api.TraceEvent{ID: fmt.Sprintf("%016x%016x", f.id.Hi, f.id.Lo), Fields: map[string]string{}, Cells: []api.TraceCell{}}
	for i, field := range f.first.Shape.Fields {
		e.Fields[field.Name] = textOf(&f.first.Columns[i])
	}
	rule := t.filteredBy(f.first)
	first := f.copies[0]
	for i, c := range f.copies {
		out := api.TraceCopy{Position: c.at.String(), Verdict: "counted", Layer: "speed"}
		n := int(c.at.Partition)
		if n < len(t.manifest.Cut) && c.at.Offset < t.manifest.Cut[n] {
			out.Layer = "batch"
		}
		chain, err := t.segments.refresh(ctx, n)
		if err != nil {
			return e, err
		}
		if at := chain.whole(c.at.Offset); at < len(chain.segments) && chain.segments[at].From <= c.at.Offset {
			out.Segment = chain.segments[at].Name
		}
		switch {
		case i > 0 && c.hash == first.hash:
			out.Verdict, out.Because = "duplicate", "of "+first.at.String()
		case i > 0:
			out.Verdict, out.Because = "conflict", "the same id as "+first.at.String()+" and other content"
			if l, ok := letters[out.Position]; ok {
				out.Letter = l.ID
				if l.Released != nil {
					out.Released = l.Released.At.UTC().Format(time.RFC3339) + " by " + l.Released.By
				}
			}
		case rule != "":
			out.Verdict, out.Because = "filtered", "by the rule "+rule
		case out.Layer == "batch":
			out.DayFile = t.dayFile(n, t.day(f.first), out.Segment)
		}
		e.Copies = append(e.Copies, out)
	}
	if rule != "" {
		return e, nil
	}
	var err error
	e.Cells, err = t.cells(f.first, e.Copies[0].Layer == "batch")
	return e, err
}

// filteredBy returns the code of the rule that takes an event out, or "".
func (t *tracer) filteredBy(one *event.Batch) string {
	for _, f := range t.filters {
		hit := make([]bool, 1)
		if err := f.Predicate.Eval(one, hit); err == nil && hit[0] {
			return f.Code
		}
	}
	return ""
}

// day is the event day, by which day files are kept.
func (t *tracer) day(one *event.Batch) int32 {
	c := one.Column(t.def.Identity.Time)
	if c == nil || !c.Valid.Get(0) {
		return 0
	}
	if c.Type.Kind == event.Date {
		return int32(c.Ints[0])
	}
	const micros = 24 * 60 * 60 * 1_000_000
	day := c.Ints[0] / micros
	if c.Ints[0]%micros < 0 {
		day--
	}
	return int32(day)
}

// dayFile names the file that holds an event of a segment: of the run that
// compacted the segment the one, or those, with its day.
func (t *tracer) dayFile(partition int, day int32, segment string) string {
	var names []string
	for _, f := range t.manifest.Days {
		if f.Partition != partition {
			continue
		}
		of := false
		for _, s := range f.Segments {
			of = of || s == segment
		}
		for _, d := range f.Days {
			if of && d.Day == day {
				names = append(names, f.Name)
			}
		}
	}
	return strings.Join(names, " ")
}

// cells folds the event alone into every version of every view, and takes the
// keys of the group that comes of it.
func (t *tracer) cells(one *event.Batch, counted bool) ([]api.TraceCell, error) {
	out := []api.TraceCell{}
	for _, v := range append(append([]*view.View{}, t.views...), t.kept...) {
		name := archive.ViewOf(v.Name())
		state := v.New()
		if err := state.Fold(one, nil); err != nil {
			return nil, fmt.Errorf("view %s: %w", name, err)
		}
		groups, err := state.Groups()
		if err != nil {
			return nil, fmt.Errorf("view %s: %w", name, err)
		}
		_, answers := t.manifest.Answers(name)
		cell := api.TraceCell{View: name, Version: v.Version(), Out: groups.N == 0, Answers: answers == nil && v.Name() == name || answers != nil && answers.Version == v.Version()}
		if groups.N > 0 {
			cell.Key = map[string]string{}
			for _, k := range v.Keys() {
				key := v.Output().Fields[k].Name
				cell.Key[key] = textOf(groups.Column(key))
			}
			if _, files := t.manifest.VersionOf(name, v.Version()); files != nil && counted {
				cell.States = files.Live[t.day(one)]
			}
		}
		out = append(out, cell)
	}
	return out, nil
}

// textOf is the text of a column's first row.
func textOf(c *event.Column) string {
	if !c.Valid.Get(0) {
		return "NULL"
	}
	return string(c.AppendText(nil, 0))
}

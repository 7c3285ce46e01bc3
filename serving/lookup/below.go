package lookup

import (
	"context"
	"fmt"
	"math"

	"anabranch/archive"
	"anabranch/event"
	"anabranch/serving"
	"anabranch/view"
)

// Below is what batch has of some groups, below the cut of a pin: rows as
// State.Groups gives them, and where each of them lies.
type Below struct {
	Groups *event.Batch
	Files  []int   // by row: the place of its file in Results
	Rows   []int64 // by row: its number in that file
}

// ByKey finds groups in the batch files of a pin by their whole keys, of which
// keys has a row each, as State.Keys gives them. It costs what they do, once
// Prepare was through.
func (l *Lookup) ByKey(ctx context.Context, p *serving.Pin, name string, keys *event.Batch) (*Below, error) {
	files, err := p.Results(name)
	if err != nil {
		return nil, err
	}
	v := p.View(name)
	found, b := newRows(v.StateShape()), &Below{}
	pick := wholeKey(v)
	wanted := make([][]byte, len(pick.Keys))
	for n, f := range files {
		if f.Rows == 0 {
			continue
		}
		ix, release, err := l.index(ctx, p, f, v, pick)
		if err != nil {
			return nil, err
		}
		for i := 0; i < keys.N && err == nil; i++ {
			for k := range wanted {
				wanted[k] = appendCell(wanted[k][:0], &keys.Columns[k], i)
			}
			err = ix.find(pick, wanted, math.MaxInt, found)
		}
		release()
		if err != nil {
			return nil, fmt.Errorf("in %s: %w", f.Name, err)
		}
		for len(b.Files) < found.batch.N {
			b.Files = append(b.Files, n)
		}
	}
	b.Groups, b.Rows = found.whole(), found.numbers
	return b, nil
}

// Prepare makes the indexes that ByKey needs, as far as there is memory for
// all of them; without it reports false.
func (l *Lookup) Prepare(ctx context.Context, p *serving.Pin, name string) (bool, error) {
	files, err := p.Results(name)
	if err != nil || !l.room(files) {
		return false, err
	}
	v := p.View(name)
	for _, f := range files {
		if f.Rows == 0 {
			continue
		}
		_, release, err := l.index(ctx, p, f, v, wholeKey(v))
		if err != nil {
			return false, err
		}
		release()
	}
	return true, nil
}

// room reports whether the indexes of some files fit beside others of their size.
func (l *Lookup) room(files []archive.ResultFile) bool {
	rows := int64(0)
	for _, f := range files {
		rows += f.Rows
	}
	return rows*entrySize <= l.o.Memory/2 && rows < math.MaxUint32
}

// wholeKey picks by a value in each key; which one ByKey tells.
func wholeKey(v *view.View) *view.Pick {
	shape := v.StateShape()
	p := &view.Pick{Keys: make([]*event.Column, len(shape.Fields)-1), Range: -1}
	for k := range p.Keys {
		p.Keys[k] = &event.Column{}
	}
	return p
}

package batch

import (
	"cmp"
	"context"
	"encoding/hex"
	"maps"
	"slices"
	"strings"

	"github.com/zeebo/xxh3"

	"anabranch/archive"
	"anabranch/event"
)

// viewComparer compares two versions of one view.
type viewComparer struct {
	ctx  context.Context
	r    *Runner
	name string
	out  ViewComparison
	// shared compares only columns that both sides have; read, when not nil,
	// gives rows that are not in files, and no object is then made of the cells.
	shared bool
	read   func(f archive.ResultFile, fn func(*event.Batch) error) error

	keys   []string
	totals totals
	worst  worst
	cells  *cellWriter // nil until the first difference
	digest xxh3.Uint128
}

func (v *viewComparer) compare(before, after *archive.ViewFiles) (err error) {
	before, after = v.versions(before, after)
	if v.keys, v.out.Note, err = v.keyColumns(before, after); err != nil || v.out.Note != "" {
		return err
	}
	for _, side := range []*archive.ViewFiles{before, after} {
		if why := side.Unfinished(); why != "" {
			v.out.Note = "it has no answer, so its cells cannot be compared: " + why
			return nil
		}
	}
	defer func() {
		if v.cells != nil {
			v.cells.close()
		}
	}()
	was, is := byPeriod(before.Results), byPeriod(after.Results)
	periods := slices.AppendSeq(slices.Collect(maps.Keys(was)), maps.Keys(is))
	slices.Sort(periods) // so that the object is the same each time
	for _, period := range slices.Compact(periods) {
		if err := v.period(was[period], is[period]); err != nil {
			return err
		}
	}
	v.out.Totals = v.totals.changes()
	v.out.Largest = v.worst.list(&v.totals)
	if v.cells != nil {
		if v.out.Object, err = v.cells.finish(v.ctx); err != nil {
			return err
		}
	}
	b := v.digest.Bytes()
	v.out.Digest = hex.EncodeToString(b[:])
	return nil
}

// versions notes the versions and puts something empty for what is not there.
func (v *viewComparer) versions(before, after *archive.ViewFiles) (*archive.ViewFiles, *archive.ViewFiles) {
	if before == nil {
		before = &archive.ViewFiles{}
	}
	if after == nil {
		after = &archive.ViewFiles{}
	}
	v.out.OldVersion, v.out.NewVersion = before.Version, after.Version
	return before, after
}

// keyColumns returns what groups of both sides are matched by. The note says
// that they cannot be.
func (v *viewComparer) keyColumns(before, after *archive.ViewFiles) (keys []string, note string, err error) {
	was, err := v.r.Archive.KeyColumns(v.ctx, before)
	if err != nil {
		return nil, "", err
	}
	is, err := v.r.Archive.KeyColumns(v.ctx, after)
	if err != nil {
		return nil, "", err
	}
	names := func(fields []event.Field) (out []string) {
		for _, f := range fields {
			out = append(out, f.Name)
		}
		return out
	}
	a, b := names(was), names(is)
	switch {
	case len(a) == 0:
		return b, "", nil
	case len(b) == 0 || slices.Equal(a, b):
		return a, "", nil
	}
	return nil, "it groups by " + strings.Join(b, ", ") + " and grouped by " + strings.Join(a, ", ") + ": cells cannot be compared", nil
}

func byPeriod(files []archive.ResultFile) map[string][]archive.ResultFile {
	out := map[string][]archive.ResultFile{}
	for _, f := range files {
		out[f.Period] = append(out[f.Period], f)
	}
	return out
}

// period compares the rows of one period. When both sides are cut alike, shard
// after shard, so that no more than that has to be in memory.
func (v *viewComparer) period(was, is []archive.ResultFile) error {
	if len(was) != len(is) {
		return v.rows(was, is)
	}
	for i := range was {
		compare := v.rows
		if was[i].Name == is[i].Name { // a name says what is inside
			compare = func(same, _ []archive.ResultFile) error { return v.keep(same[0]) }
		}
		if err := compare(was[i:i+1], is[i:i+1]); err != nil {
			return err
		}
	}
	return nil
}

// keep counts a file that is the same on both sides.
func (v *viewComparer) keep(f archive.ResultFile) error {
	v.out.Same += f.Rows
	return v.r.Archive.ReadResult(v.ctx, f, nil, func(b *event.Batch) error {
		v.totals.add(b, v.keys, onBoth)
		return nil
	})
}

// place is a row of one side.
type place struct{ part, row int }

// rows matches the groups of both sides and compares their cells. The old side
// is held in memory, the new one passes by.
func (v *viewComparer) rows(was, is []archive.ResultFile) error {
	var parts []*event.Batch
	at := map[xxh3.Uint128]place{} // by group: what is left of the old side
	err := v.each(was, onOld, func(b *event.Batch, groups []xxh3.Uint128) error {
		for i, g := range groups {
			at[g] = place{len(parts), i}
		}
		parts = append(parts, b)
		return nil
	})
	if err != nil {
		return err
	}
	err = v.each(is, onNew, func(b *event.Batch, groups []xxh3.Uint128) error {
		for i, g := range groups {
			p, found := at[g]
			if !found {
				v.out.Added++
				if err := v.differs(nil, 0, b, i); err != nil {
					return err
				}
				continue
			}
			delete(at, g)
			if v.equal(parts[p.part], p.row, b, i) {
				v.out.Same++
				continue
			}
			v.out.Changed++
			if err := v.differs(parts[p.part], p.row, b, i); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	inOrder := func(a, b place) int { return cmp.Or(cmp.Compare(a.part, b.part), cmp.Compare(a.row, b.row)) }
	for _, p := range slices.SortedFunc(maps.Values(at), inOrder) {
		v.out.Removed++
		if err := v.differs(parts[p.part], p.row, nil, 0); err != nil {
			return err
		}
	}
	return nil
}

// file reads the rows of one file.
func (v *viewComparer) file(f archive.ResultFile, fn func(*event.Batch) error) error {
	if v.read != nil {
		return v.read(f, fn)
	}
	return v.r.Archive.ReadResult(v.ctx, f, nil, fn)
}

// each reads the rows of one side and tells the group of each.
func (v *viewComparer) each(files []archive.ResultFile, on sides, fn func(b *event.Batch, groups []xxh3.Uint128) error) error {
	var key []byte
	for _, f := range files {
		err := v.file(f, func(b *event.Batch) error {
			cols := make([]int, len(v.keys))
			for i, name := range v.keys {
				if cols[i] = b.Shape.Index(name); cols[i] < 0 {
					return wrong("result file %s has no column %s", f.Name, name)
				}
			}
			groups := make([]xxh3.Uint128, b.N)
			for i := range groups {
				key = appendCells(key[:0], b, cols, i)
				groups[i] = xxh3.Hash128(key)
			}
			v.totals.add(b, v.keys, on)
			return fn(b, groups)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// finishedColumns calls fn with every column of a result that readers see and
// that is no key.
func finishedColumns(shape *event.Shape, keys []string, fn func(c int, name string)) {
	for c, f := range shape.Fields[:len(shape.Fields)-1] { // the last is the state
		if !slices.Contains(keys, f.Name) {
			fn(c, f.Name)
		}
	}
}

// equal compares what readers see of two rows.
func (v *viewComparer) equal(a *event.Batch, i int, b *event.Batch, j int) bool {
	if len(a.Shape.Fields) != len(b.Shape.Fields) && !v.shared {
		return false
	}
	same := true
	finishedColumns(b.Shape, v.keys, func(c int, name string) {
		if same {
			if old := a.Column(name); old == nil && !v.shared || old != nil && !equalCell(old, i, &b.Columns[c], j) {
				same = false
			}
		}
	})
	return same
}

// differs notes the cells in which two rows differ; a row that is nil is not
// there.
func (v *viewComparer) differs(a *event.Batch, i int, b *event.Batch, j int) (err error) {
	if v.cells == nil && v.read == nil {
		if v.cells, err = v.newCellWriter(); err != nil {
			return err
		}
	}
	of, row := b, j
	if b == nil {
		of, row = a, i
	}
	group := make([]string, len(v.keys))
	for k, name := range v.keys {
		group[k] = text(of.Column(name), row)
	}
	cell := func(name string, old, is *event.Column) error {
		if old != nil && is != nil && equalCell(old, i, is, j) || v.shared && a != nil && b != nil && (old == nil || is == nil) {
			return nil
		}
		d := Difference{Group: group, Column: name}
		if a != nil && old != nil {
			d.Old = text(old, i)
		}
		if b != nil && is != nil {
			d.New = text(is, j)
		}
		h := xxh3.HashString128(strings.Join(append(slices.Clone(group), name, d.Old, d.New), "\x00"))
		lo := v.digest.Lo + h.Lo // a sum: files may be cut otherwise and come in another order
		v.digest = xxh3.Uint128{Hi: v.digest.Hi + h.Hi, Lo: lo}
		v.worst.see(d, number(is, j)-number(old, i))
		if v.cells == nil {
			return nil
		}
		return v.cells.add(d)
	}
	if b != nil {
		finishedColumns(b.Shape, v.keys, func(c int, name string) {
			var old *event.Column
			if a != nil {
				old = a.Column(name)
			}
			if err == nil {
				err = cell(name, old, &b.Columns[c])
			}
		})
	}
	if a != nil {
		finishedColumns(a.Shape, v.keys, func(c int, name string) {
			if err == nil && (b == nil || b.Column(name) == nil) {
				err = cell(name, &a.Columns[c], nil)
			}
		})
	}
	return err
}

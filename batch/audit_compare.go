package batch

import (
	"context"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	"github.com/zeebo/xxh3"

	"anabranch/archive"
	"anabranch/event"
	"anabranch/view"
)

func (a *audit) skip(key, why string) {
	if a.out.Skipped == nil {
		a.out.Skipped = map[string]string{}
	}
	a.out.Skipped[key] = why
}

// drift notes a cell.
func (a *audit) drift(v *auditView, d Drift) {
	if v != nil {
		d.View, d.Version = archive.ViewOf(v.key), v.files.Version
		a.out.Views[v.key]++
	}
	if a.out.Drifted++; len(a.out.Drifts) < MaxDrifts {
		a.out.Drifts = append(a.out.Drifts, d)
	}
}

// events compares how many events of each day count.
func (a *audit) events() {
	served := rowsByDay(a.m.Days)
	for i, day := range a.unit.Days {
		if served[day] != a.counted[i] {
			a.drift(nil, Drift{Where: "events of " + dayName(day), Column: "count(*)", Served: fmt.Sprint(served[day]), Recomputed: fmt.Sprint(a.counted[i])})
		}
	}
}

// view compares the states of each day, and the results these days go into.
func (a *audit) view(ctx context.Context, v *auditView) error {
	before := a.out.Drifted
	periods := map[string]bool{}
	for i, day := range a.unit.Days {
		if err := a.states(ctx, v, i); err != nil {
			return fmt.Errorf("states of %s: %w", dayName(day), err)
		}
		periods[periodOf(v.view.WithinDay(), day)] = true
	}
	if !v.view.WithinDay() && !a.unit.Whole && a.out.Drifted == before {
		return nil // another unit does it
	}
	if why := v.files.Unfinished(); why != "" {
		a.skip(v.key, "it has no answer: "+why)
		return nil
	}
	for _, period := range slices.Sorted(maps.Keys(periods)) {
		if err := a.results(ctx, v, period); err != nil {
			return fmt.Errorf("results of %s: %w", period, err)
		}
	}
	return nil
}

// states compares the states of one day with those of the raw events.
func (a *audit) states(ctx context.Context, v *auditView, i int) error {
	day := a.unit.Days[i]
	where := "states of " + dayName(day)
	served := v.view.New()
	f, ok := liveFile(v.files, day)
	if !ok {
		a.drift(v, Drift{Where: where, Recomputed: fmt.Sprintf("%d groups", v.states[i].Len())})
		return nil
	}
	if err := a.merge(ctx, served, f, []int32{day}, 0, 1); err != nil {
		return err
	}
	is, _, err := resultRows(v.view, served)
	if err != nil {
		return err
	}
	want, _, err := resultRows(v.view, v.states[i])
	if err != nil {
		return err
	}
	// HAVING may hide groups of a day: their states have to be right all the
	// same.
	groups, err := v.states[i].Groups()
	if err != nil {
		return err
	}
	there, err := served.Groups()
	if err != nil {
		return err
	}
	before := a.out.Drifted
	if err := a.rows(v, where, []*event.Batch{is}, want, outputs(v.view)); err != nil || a.out.Drifted != before || is.N == there.N && want.N == groups.N {
		return err
	}
	return a.rows(v, where, []*event.Batch{there}, groups, outputs(v.view))
}

func liveFile(files *archive.ViewFiles, day int32) (archive.StateFile, bool) {
	i := slices.IndexFunc(files.States, func(f archive.StateFile) bool { return f.Name == files.Live[day] })
	if i < 0 {
		return archive.StateFile{}, false
	}
	return files.States[i], true
}

// merge adds the groups of some days of a state file that belong to a shard.
func (a *audit) merge(ctx context.Context, into *view.State, f archive.StateFile, days []int32, shard, shards int) error {
	wanted := map[int32]bool{}
	for _, d := range days {
		wanted[d] = true
	}
	err := a.r.Archive.ReadStates(ctx, f, wanted, func(_ int32, b *event.Batch) error { return mergeShard(into, b, shard, shards) })
	if err != nil {
		return fmt.Errorf("states %s: %w", f.Name, err)
	}
	return nil
}

func mergeShard(into *view.State, b *event.Batch, shard, shards int) error {
	if shards > 1 {
		b = b.Gather(shardRows(b, shard, shards))
	}
	return into.MergeGroups(b)
}

// results compares every cell of a period: the audited days from the raw
// events, the other ones as their states have them.
func (a *audit) results(ctx context.Context, v *auditView, period string) error {
	files := byPeriod(v.files.Results)[period]
	shards := max(1, len(files))
	within := v.view.WithinDay()
	others := map[string][]int32{} // by state file
	for day, name := range v.files.Live {
		if _, ours := a.day[day]; !ours && periodOf(within, day) == period {
			others[name] = append(others[name], day)
		}
	}
	for shard := range shards {
		want := v.view.New()
		for i, day := range a.unit.Days {
			if periodOf(within, day) != period {
				continue
			}
			groups, err := v.states[i].Groups()
			if err != nil {
				return err
			}
			if err := mergeShard(want, groups, shard, shards); err != nil {
				return err
			}
		}
		for _, f := range v.files.States {
			if days := others[f.Name]; days != nil {
				if err := a.merge(ctx, want, f, days, shard, shards); err != nil {
					return err
				}
			}
		}
		rows, unfinished, err := resultRows(v.view, want)
		if err != nil {
			return err
		}
		if unfinished != "" {
			a.drift(v, Drift{Where: "results of " + period, Served: "an answer", Recomputed: "no answer: " + unfinished})
			continue
		}
		var served []*event.Batch
		for _, f := range files {
			if f.Shard != shard {
				continue
			}
			if err := a.r.Archive.ReadResult(ctx, f, nil, func(b *event.Batch) error { served = append(served, b); return nil }); err != nil {
				return err
			}
		}
		if err := a.rows(v, "results of "+period, served, rows, outputs(v.view)); err != nil {
			return err
		}
	}
	return nil
}

// outputs are the names of a view's key columns.
func outputs(v *view.View) []string {
	var keys []string
	for _, i := range v.Keys() {
		keys = append(keys, v.Output().Fields[i].Name)
	}
	return keys
}

// rows compares what is served with what was recomputed, group by group and
// cell by cell, the states too: other answers are made of them.
func (a *audit) rows(v *auditView, where string, served []*event.Batch, want *event.Batch, keys []string) error {
	at, err := groupsOf(want, keys)
	if err != nil {
		return err
	}
	found := make([]bool, want.N)
	for _, b := range served {
		groups, err := hashes(b, keys)
		if err != nil {
			return err
		}
		for i, g := range groups {
			a.out.Groups++
			j, known := at[g]
			if !known || found[j] {
				a.cells(v, where, keys, b, i, nil, 0)
				continue
			}
			found[j] = true
			a.cells(v, where, keys, b, i, want, j)
		}
	}
	for j, ok := range found {
		if !ok {
			a.out.Groups++
			a.cells(v, where, keys, nil, 0, want, j)
		}
	}
	return nil
}

func hashes(b *event.Batch, keys []string) ([]xxh3.Uint128, error) {
	columns := make([]int, len(keys))
	for k, name := range keys {
		if columns[k] = b.Shape.Index(name); columns[k] < 0 {
			return nil, wrong("there is no column %s", name)
		}
	}
	out := make([]xxh3.Uint128, b.N)
	var key []byte
	for i := range out {
		key = appendCells(key[:0], b, columns, i)
		out[i] = xxh3.Hash128(key)
	}
	return out, nil
}

func groupsOf(b *event.Batch, keys []string) (map[xxh3.Uint128]int, error) {
	all, err := hashes(b, keys)
	if err != nil {
		return nil, err
	}
	at := make(map[xxh3.Uint128]int, len(all))
	for i, g := range all {
		at[g] = i
	}
	return at, nil
}

// cells notes the cells in which row i of served and row j of want differ; a
// side that is nil is not there.
func (a *audit) cells(v *auditView, where string, keys []string, served *event.Batch, i int, want *event.Batch, j int) {
	of, row := served, i
	if served == nil {
		of, row = want, j
	}
	var group []string
	named := func() []string {
		if group == nil {
			for _, name := range keys {
				group = append(group, text(of.Column(name), row))
			}
		}
		return group
	}
	said := false
	for c, f := range of.Shape.Fields {
		state := c == len(of.Shape.Fields)-1
		if slices.Contains(keys, f.Name) || state && said {
			continue // a state differs when a cell does
		}
		var is, should *event.Column
		if served != nil {
			is = served.Column(f.Name)
		}
		if want != nil {
			should = want.Column(f.Name)
		}
		if is != nil && should != nil && equalCell(is, i, should, j) {
			continue
		}
		said = true
		a.drift(v, Drift{Where: where, Group: named(), Column: f.Name, Served: shown(is, i, state), Recomputed: shown(should, j, state)})
	}
}

// shown is a cell as a person reads it; of a state, which only the program
// reads, a hash.
func shown(c *event.Column, i int, state bool) string {
	switch {
	case c == nil:
		return ""
	case !c.Valid.Get(i):
		return "null"
	case state:
		sum := xxh3.Hash128(c.Bytes(i)).Bytes()
		return "hash " + hex.EncodeToString(sum[:6])
	}
	return text(c, i)
}

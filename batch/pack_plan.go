package batch

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"anabranch/archive"
)

// Every nightly adds files: nothing is rewritten when a late event comes, so a
// day is read from as many files as nights brought some of it. A compaction
// puts small files together, of one partition the day files and of one version
// of a view the states, and publishes a manifest that says the same with fewer.

// pack is a unit of a compaction: files that are put together.
type pack struct {
	Partition int    `json:",omitempty"`
	View      string `json:",omitempty"` // key in the manifest, of files of states; empty: they are day files
	Files     []string
	Size      int64
	Rows      int64
}

func (u pack) label() string {
	if u.View != "" {
		return "states of " + u.View
	}
	return fmt.Sprintf("day files of partition %d", u.Partition)
}

// Packed says what a compaction puts together. Workflows keep it in their
// history.
type Packed struct {
	Kinds []PackedKind `json:"kinds"`
}

// PackedKind is what is put together of one kind of files.
type PackedKind struct {
	Kind  string `json:"kind"`  // "day files", "states of sales"
	Of    int    `json:"of"`    // so many files there are
	Files int    `json:"files"` // these of them are put together
	Into  int    `json:"into"`  // and become so many; of a plan: about
	Bytes int64  `json:"bytes"` // in Files
}

// Files returns how many files become how many.
func (p *Packed) Files() (files, into int) {
	if p == nil {
		return 0, 0
	}
	for _, k := range p.Kinds {
		files += k.Files
		into += k.Into
	}
	return files, into
}

// smallShare is the part of Options.PackBytes under which a file is small: what
// is larger is rewritten no more, so that no event is rewritten often.
const smallShare = 4

// planPacks plans a compaction. All that it does not put together stays as it
// is, the definition too.
func (r *Runner) planPacks(ctx context.Context, p *plan, m *archive.Manifest) error {
	p.Definition, p.Packed = m.Definition, &Packed{}
	days, err := r.packsOfDays(ctx, m)
	if err != nil {
		return err
	}
	p.add("day files", len(m.Days), days)
	for _, key := range slices.Sorted(maps.Keys(m.Views)) {
		p.add("states of "+key, len(m.Views[key].States), packsOfStates(key, m.Views[key], r.PackBytes))
	}
	return nil
}

// Compactable says what a compaction would put together, and does nothing.
func (r *Runner) Compactable(ctx context.Context) (Packed, error) {
	m, err := r.Archive.Newest(ctx)
	if err != nil {
		return Packed{}, err
	}
	p, err := r.plan(ctx, Request{Kind: Compaction}, m)
	if err != nil {
		return Packed{}, fmt.Errorf("plan a compaction of %s: %w", r.Pipeline, err)
	}
	return *p.Packed, nil
}

func (p *plan) add(kind string, of int, packs []pack) {
	k := PackedKind{Kind: kind, Of: of, Into: len(packs)}
	for _, u := range packs {
		k.Files += len(u.Files)
		k.Bytes += u.Size
	}
	p.Packs = append(p.Packs, packs...)
	p.Packed.Kinds = append(p.Packed.Kinds, k)
}

// chunk is the day files that one batch cycle, or one unit of a compaction, has
// made of the same segments. It stays together: whoever makes a lost file again
// makes all of them.
type chunk struct {
	files []archive.DayFile
	size  int64
	rows  int64
	epoch int64
}

// packsOfDays chooses day files to put together. Those whose events have
// expired stay, as do those that are large enough.
func (r *Runner) packsOfDays(ctx context.Context, m *archive.Manifest) ([]pack, error) {
	var small []*chunk
	for _, c := range chunksOf(m.Days) {
		if !c.files[0].Gone && c.size < r.PackBytes/smallShare {
			small = append(small, c)
		}
	}
	if err := r.epochs(ctx, small); err != nil {
		return nil, err
	}
	alike := func(a, b archive.DayFile) int {
		return cmp.Or(cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Schema, b.Schema))
	}
	slices.SortStableFunc(small, func(a, b *chunk) int {
		f, g := a.files[0], b.files[0]
		return cmp.Or(alike(f, g), cmp.Compare(a.epoch, b.epoch), cmp.Compare(f.Segments[0], g.Segments[0])) // the order of the log
	})
	var out []pack
	var last *chunk
	for _, c := range small {
		f := c.files[0]
		n := len(out) - 1
		if n < 0 || alike(f, last.files[0]) != 0 || c.epoch != last.epoch || out[n].Size+c.size > r.PackBytes {
			out, n = append(out, pack{Partition: f.Partition}), n+1
		}
		for _, f := range c.files {
			out[n].Files = append(out[n].Files, f.Name)
		}
		out[n].Size += c.size
		out[n].Rows += c.rows
		last = c
	}
	return worthwhile(out), nil
}

// worthwhile drops the packs of one file.
func worthwhile(packs []pack) []pack {
	return slices.DeleteFunc(packs, func(u pack) bool { return len(u.Files) < 2 })
}

// chunksOf returns the chunks in the order of their first files.
func chunksOf(files []archive.DayFile) (out []*chunk) {
	at := map[string]*chunk{}
	for _, f := range files {
		if len(f.Segments) == 0 {
			continue // nobody knows what it was made from
		}
		name := fmt.Sprint(f.Partition, f.K, f.Schema, f.Gone, " ", strings.Join(f.Segments, " "))
		c := at[name]
		if c == nil {
			c = &chunk{}
			at[name] = c
			out = append(out, c)
		}
		c.files = append(c.files, f)
		c.size += f.Size
		for _, d := range f.Days {
			c.rows += d.Rows
		}
	}
	return out
}

// epochsKept is how many parts the time has for which raw events are kept: what
// is put together expires together, and so at most a part later than alone.
const epochsKept = 4

// epochs tells apart what must not expire together.
func (r *Runner) epochs(ctx context.Context, chunks []*chunk) error {
	span := r.Retention.Raw / epochsKept
	if span <= 0 {
		return nil
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(16)
	for _, c := range chunks {
		group.Go(func() error {
			s := c.files[0].Segments
			written, _, err := r.Archive.Written(ctx, s[len(s)-1])
			c.epoch = written.UnixNano() / int64(span)
			return err
		})
	}
	return group.Wait()
}

// packsOfStates chooses state files of a view to put together, by the size of
// what is live in them.
func packsOfStates(key string, v *archive.ViewFiles, size int64) []pack {
	type small struct {
		archive.StateFile
		first      int32
		size, rows int64
	}
	live := liveDays(v)
	var all []small
	for _, f := range v.States {
		days := live[f.Name]
		if len(days) == 0 {
			continue
		}
		s := small{StateFile: f, first: days[0], size: f.Size * int64(len(days)) / int64(len(f.Days))}
		if s.rows, _ = shareOf(f, days); s.size < size/smallShare {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b small) int { return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(a.Name, b.Name)) })
	var out []pack
	for _, s := range all {
		n := len(out) - 1
		if n < 0 || out[n].Size+s.size > size {
			out, n = append(out, pack{View: key}), n+1
		}
		out[n].Files = append(out[n].Files, s.Name)
		out[n].Size += s.size
		out[n].Rows += s.rows
	}
	return worthwhile(out)
}

// liveDays returns the days that live in each state file, ascending.
func liveDays(v *archive.ViewFiles) map[string][]int32 {
	out := map[string][]int32{}
	for _, day := range slices.Sorted(maps.Keys(v.Live)) {
		out[v.Live[day]] = append(out[v.Live[day]], day)
	}
	return out
}

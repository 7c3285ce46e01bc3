package archive

import (
	"context"
	"fmt"

	"anabranch/event"
	"anabranch/fault"
	"anabranch/schemas"
)

// StateFile holds aggregate states of one view, by event day.
type StateFile struct {
	Name string  `json:"name"`
	Days []int32 `json:"days"` // days since 1970, ascending; also those that have no groups
	Rows int64   `json:"rows"`
	Size int64   `json:"size"`
	Sum  string  `json:"sum"` // SHA-256
	// Memory is about how many bytes its states take when they are merged; 0 in
	// the manifests of old: not known.
	Memory int64 `json:"memory,omitempty"`
	// Parted says that a day came in parts, so that a group of it may be there
	// more than once.
	Parted bool `json:"parted,omitempty"`
	// Groups is how many of the rows each of Days has; only where a compaction
	// has put days together that have nothing to do with each other.
	Groups []int64 `json:"groups,omitempty"`
}

// ResultFile holds finished rows of one view, with their states.
type ResultFile struct {
	Name   string `json:"name"`
	Period string `json:"period"` // the part of time it covers, as batch names it
	Shard  int    `json:"shard"`
	Rows   int64  `json:"rows"`
	Size   int64  `json:"size"`
	Sum    string `json:"sum"` // SHA-256
	// Unfinished says why there are no rows: some group has no result, because
	// an expression failed for one of its events or a sum left its type.
	Unfinished string `json:"unfinished,omitempty"`
}

const (
	stateKey  = "anabranch.states"
	resultKey = "anabranch.result"
	// dayColumn stands in front of the columns of a state file.
	dayColumn = "_day"
)

// viewMeta stands in the footer of state and result files.
type viewMeta struct {
	Format   int       `json:"format"`
	Pipeline string    `json:"pipeline"`
	View     string    `json:"view"`
	Version  string    `json:"version"`
	Days     []DayRows `json:"days,omitempty"`   // states
	Period   string    `json:"period,omitempty"` // result
	Shard    int       `json:"shard,omitempty"`
}

// StateWriter writes one state file. Close or Abandon it.
type StateWriter struct {
	a    *Archive
	view string
	meta viewMeta
	name func(sum string) string

	shape *event.Shape // nil until the first groups come
	file  *parquetObject
	bytes int64 // about what the open row group takes in memory
}

// stateGroupBytes is when a row group of states ends though it has few rows:
// states may be large.
const stateGroupBytes = 16 << 20

// NewStates begins a file of states. Tag becomes part of the object's name.
func (a *Archive) NewStates(view, version, tag string) *StateWriter {
	return &StateWriter{
		a: a, view: view, meta: viewMeta{Format: fileFormat, Pipeline: a.pipeline, View: view, Version: version},
		name: func(sum string) string { return a.stateName(view, version, tag, sum) },
	}
}

// Close stores the file.
func (w *StateWriter) Close(ctx context.Context) (StateFile, error) {
	defer w.Abandon()
	if err := w.begin(nil); err != nil {
		return StateFile{}, err
	}
	if err := w.file.finish(stateKey, w.meta); err != nil {
		return StateFile{}, fmt.Errorf("write states of view %s: %w", w.view, err)
	}
	f := StateFile{Rows: w.file.rows, Days: make([]int32, len(w.meta.Days))}
	for i, d := range w.meta.Days {
		f.Days[i] = d.Day
	}
	var err error
	f.Name, f.Size, f.Sum, err = w.file.spool.put(ctx, w.name)
	return f, err
}

// Rows returns how many rows each day has that was written so far.
func (w *StateWriter) Rows() []int64 {
	out := make([]int64, len(w.meta.Days))
	for i, d := range w.meta.Days {
		out[i] = d.Rows
	}
	return out
}

// Abandon lets go of what was not stored. After Close it does nothing.
func (w *StateWriter) Abandon() {
	if w.file != nil {
		w.file.spool.close()
	}
}

// begin opens the file, whose columns are those of the first groups.
func (w *StateWriter) begin(groups *event.Shape) (err error) {
	if w.file != nil {
		return nil
	}
	fields := []event.Field{{Name: dayColumn, Type: event.Type{Kind: event.Date}}}
	if groups != nil {
		fields = append(fields, groups.Fields...)
	}
	w.shape = event.NewShape(fields...)
	w.file, err = w.a.newParquet(w.shape)
	return err
}

// Write adds groups of a day: key columns and "_state". Days ascend; one may
// come in several calls, and then a group in several parts, which whoever reads
// them merges. A call without rows says that the day is there.
func (w *StateWriter) Write(day int32, groups *event.Batch) error {
	days := w.meta.Days
	if n := len(days); n == 0 || days[n-1].Day != day {
		if n > 0 && days[n-1].Day > day {
			return fault.New(fault.Bug, "write states: day %d comes behind day %d", day, days[n-1].Day)
		}
		w.meta.Days = append(days, DayRows{Day: day})
	}
	if groups == nil || groups.N == 0 {
		return nil
	}
	if err := w.begin(groups.Shape); err != nil {
		return err
	}
	if len(groups.Columns)+1 != len(w.shape.Fields) {
		return fault.New(fault.Bug, "write states: day %d has %d columns, the days before had %d", day, len(groups.Columns), len(w.shape.Fields)-1)
	}
	if w.file.open >= groupRows || w.bytes >= stateGroupBytes {
		if err := w.file.endGroup(); err != nil {
			return err
		}
		w.bytes = 0
	}
	column := make([]int64, groups.N)
	for i := range column {
		column[i] = int64(day)
	}
	b := &event.Batch{Shape: w.shape, N: groups.N, Columns: append([]event.Column{{Type: w.shape.Fields[0].Type, Ints: column}}, groups.Columns...)}
	if err := w.file.write(b); err != nil {
		return err
	}
	w.bytes += b.Memory(map[*event.Dict]bool{})
	d := &w.meta.Days[len(w.meta.Days)-1]
	d.Rows += int64(groups.N)
	if n := len(d.RowGroups); n == 0 || d.RowGroups[n-1] != w.file.groups {
		d.RowGroups = append(d.RowGroups, w.file.groups)
	}
	return nil
}

// ReadStates calls fn with the groups of the given days (nil: all), days
// ascending, one day perhaps in several calls. The batches are fn's to keep.
func (a *Archive) ReadStates(ctx context.Context, f StateFile, days map[int32]bool, fn func(day int32, groups *event.Batch) error) error {
	file, release, err := a.openView(ctx, f.Name, f.Size, f.Sum)
	if err != nil {
		return err
	}
	defer release()
	var meta viewMeta
	if err := readMeta(f.Name, file, stateKey, &meta); err != nil {
		return err
	}
	if err := checkFormat(f.Name, meta.Format); err != nil {
		return err
	}
	groups := []int{} // not nil, which would mean all
	for _, d := range meta.Days {
		if days != nil && !days[d.Day] {
			continue
		}
		for _, g := range d.RowGroups {
			if n := len(groups); n == 0 || groups[n-1] != g {
				groups = append(groups, g)
			}
		}
	}
	shape := event.NewShape(file.Shape().Fields[1:]...)
	return named(f.Name, file.Read(ctx, groups, nil, func(b *event.Batch) error {
		day := b.Columns[0].Ints
		rest := &event.Batch{Shape: shape, N: b.N, Columns: b.Columns[1:]}
		for from := 0; from < b.N; {
			to := from + 1
			for to < b.N && day[to] == day[from] {
				to++
			}
			if d := int32(day[from]); days == nil || days[d] {
				if err := fn(d, slice(rest, from, to)); err != nil {
					return err
				}
			}
			from = to
		}
		return nil
	}))
}

// KeyColumns returns the columns that make a group of a view, as its state
// files have them; none when no group was ever there.
func (a *Archive) KeyColumns(ctx context.Context, v *ViewFiles) ([]event.Field, error) {
	for _, f := range v.States {
		if f.Rows == 0 {
			continue // a file without groups does not know them
		}
		file, release, err := a.openView(ctx, f.Name, f.Size, f.Sum)
		if err != nil {
			return nil, err
		}
		defer release()
		fields := file.Shape().Fields
		return fields[1 : len(fields)-1], nil // between the day and the state
	}
	return nil, nil
}

// WriteResult stores finished rows (output columns and "_state"), sorted by
// key. Plan becomes part of the object's name.
func (a *Archive) WriteResult(ctx context.Context, view, version, period string, shard int, plan string, b *event.Batch) (ResultFile, error) {
	file, err := a.newParquet(b.Shape)
	if err != nil {
		return ResultFile{}, err
	}
	defer file.spool.close()
	for from := 0; from < b.N; from += resultGroupRows {
		if err = file.write(slice(b, from, min(b.N, from+resultGroupRows))); err == nil {
			err = file.endGroup()
		}
		if err != nil {
			return ResultFile{}, fmt.Errorf("write result of view %s: %w", view, err)
		}
	}
	meta := viewMeta{Format: fileFormat, Pipeline: a.pipeline, View: view, Version: version, Period: period, Shard: shard}
	if err := file.finish(resultKey, meta); err != nil {
		return ResultFile{}, fmt.Errorf("write result of view %s: %w", view, err)
	}
	f := ResultFile{Period: period, Shard: shard, Rows: file.rows}
	f.Name, f.Size, f.Sum, err = file.spool.put(ctx, func(sum string) string { return a.resultName(view, version, period, shard, plan, sum) })
	return f, err
}

// ReadResult calls fn with the rows of f, the given columns (nil: all) in the
// given order. The batches are fn's to keep.
func (a *Archive) ReadResult(ctx context.Context, f ResultFile, columns []string, fn func(*event.Batch) error) error {
	file, release, err := a.openView(ctx, f.Name, f.Size, f.Sum)
	if err != nil {
		return err
	}
	defer release()
	return named(f.Name, file.Read(ctx, nil, columns, fn))
}

func (a *Archive) openView(ctx context.Context, name string, size int64, sum string) (*schemas.ParquetFile, func(), error) {
	r, release, err := a.open(ctx, name, size, sum)
	if err != nil {
		return nil, nil, err
	}
	file, err := schemas.OpenParquet(r, size)
	if err != nil {
		release()
		return nil, nil, named(name, err)
	}
	return file, release, nil
}

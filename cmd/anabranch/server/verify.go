package server

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/duckdb/duckdb-go/v2"

	"anabranch/archive"
	"anabranch/cmd/anabranch/api"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/schemas"
	"anabranch/serving"
	"anabranch/serving/httpapi"
	"anabranch/view"
)

// verify compares every view with its own SELECT, run by DuckDB over the raw
// events of archive and log, up to the position of one pinned answer.
// Duplicates are dropped there by a window function, filters applied as SQL:
// nothing of the fold, the seam or the id index takes part.
func (s *Server) verify(ctx context.Context, p *pipeline) (api.Verification, error) {
	began := time.Now()
	out := api.Verification{Pipeline: p.def.Name, Equal: true}
	dir, err := os.MkdirTemp(s.config.Dir, "verify-")
	if err != nil {
		return out, fault.Wrap(fault.Transient, err)
	}
	defer os.RemoveAll(dir)

	names := make([]string, len(p.views))
	for i, v := range p.views {
		names[i] = v.Name()
	}
	snapshot, err := s.engine.Snapshot(ctx, p.asSource, names, serving.Fresh{})
	if err != nil {
		return out, err
	}
	defer snapshot.Close()
	at := snapshot.Receipt.Pipelines[p.def.Name].At
	out.At = at.String()

	o := oracle{pipeline: p, dir: dir, memory: s.memory.query}
	if err := o.open(ctx); err != nil {
		return out, err
	}
	defer o.db.Close()
	if err := o.load(ctx, at); err != nil {
		return out, err
	}
	if err := o.db.QueryRowContext(ctx, "SELECT (SELECT count(*) FROM raw), (SELECT count(*) FROM events)").Scan(&out.Events, &out.Distinct); err != nil {
		return out, fault.Wrap(fault.Bug, err)
	}
	for _, name := range names {
		v := snapshot.View(name)
		rows, err := snapshot.Read(ctx, name)
		if err != nil {
			return out, err
		}
		merged := filepath.Join(dir, "merged-"+name+".parquet")
		if err := writeParquet(merged, rows); err != nil {
			return out, err
		}
		r, err := o.compare(ctx, v, merged)
		if err != nil {
			return out, fmt.Errorf("compare %s: %w", v.Name(), err)
		}
		out.Equal = out.Equal && r.Differ == 0
		out.Views = append(out.Views, r)
	}
	out.Seconds = time.Since(began).Seconds()
	return out, nil
}

// writeParquet writes one batch as a file.
func writeParquet(path string, rows *event.Batch) error {
	f, err := os.Create(path)
	if err != nil {
		return fault.Wrap(fault.Transient, err)
	}
	defer f.Close()
	w := schemas.NewParquetWriter(f, rows.Shape)
	if err := w.Write(rows); err != nil {
		return err
	}
	if err := w.Close(nil); err != nil {
		return err
	}
	return f.Close()
}

// oracle is a DuckDB of its own that has the raw events.
type oracle struct {
	pipeline *pipeline
	dir      string
	memory   int64 // that it may use
	db       *sql.DB
}

func (o *oracle) open(ctx context.Context) error {
	connector, err := duckdb.NewConnector("", nil)
	if err != nil {
		return fault.Wrap(fault.Bug, err)
	}
	o.db = sql.OpenDB(connector)
	o.db.SetMaxOpenConns(1)
	for _, set := range []string{"SET memory_limit=" + quote(fmt.Sprintf("%dB", o.memory)), "SET threads=2", "SET TimeZone='UTC'", "SET temp_directory=" + quote(o.dir)} {
		if _, err := o.db.ExecContext(ctx, set); err != nil {
			return fault.Wrap(fault.Bug, fmt.Errorf("%s: %w", set, err))
		}
	}
	return nil
}

// load writes the raw events below at to Parquet and makes the tables raw
// (every row) and events (those that count, in log order the first of each id,
// without what filter rules take out).
func (o *oracle) load(ctx context.Context, at event.Cut) error {
	path := filepath.Join(o.dir, "raw.parquet")
	if err := o.write(ctx, path, at); err != nil {
		return fmt.Errorf("read the raw events: %w", err)
	}
	for _, query := range []string{
		"CREATE VIEW raw AS FROM read_parquet(" + quote(path) + ")",
		"CREATE TABLE events AS " + countedEvents(o.pipeline.def.Rules),
	} {
		if _, err := o.db.ExecContext(ctx, query); err != nil {
			return fault.Wrap(fault.Bug, fmt.Errorf("%s: %w", query, err))
		}
	}
	return nil
}

// countedEvents selects from raw the events that count. The first of each id
// decides before any filter is asked: when a filter takes it out, its copies
// are copies all the same. A filter that fails for an event does not match it.
func countedEvents(rules []schemas.Rule) string {
	keep := "true"
	for _, r := range rules {
		if r.Action == schemas.ActionFilter {
			keep += " AND NOT COALESCE(TRY((" + r.SQL + "\n)), false)"
		}
	}
	return "SELECT * FROM (SELECT * FROM raw QUALIFY row_number() OVER (PARTITION BY _partition, _id ORDER BY _offset, _row) = 1) WHERE " + keep
}

// write copies segments and the log's tail into one file.
func (o *oracle) write(ctx context.Context, path string, at event.Cut) error {
	p := o.pipeline
	f, err := os.Create(path)
	if err != nil {
		return fault.Wrap(fault.Transient, err)
	}
	defer f.Close()
	shape := p.set.Newest().Shape()
	fields := append([]event.Field{}, shape.Fields...)
	for _, extra := range []string{"_partition", "_offset", "_row"} {
		fields = append(fields, event.Field{Name: extra, Type: event.Type{Kind: event.Int64}})
	}
	fields = append(fields, event.Field{Name: "_id", Type: event.Type{Kind: event.Bytes}})
	rawShape := event.NewShape(fields...)
	w := schemas.NewParquetWriter(f, rawShape)
	for n := range p.def.Partitions {
		write := func(b *event.Batch, offsets []uint64, rows []int32) error {
			return w.Write(withPosition(b, rawShape, n, offsets, rows, at[n]))
		}
		if err := p.raw(ctx, n, at[n], write); err != nil {
			return err
		}
	}
	if err := w.Close(nil); err != nil {
		return err
	}
	return f.Close()
}

// withPosition adds the position and the id to the rows below an offset.
func withPosition(b *event.Batch, shape *event.Shape, partition int, offsets []uint64, rows []int32, below uint64) *event.Batch {
	var keep []uint32
	for i, o := range offsets {
		if o < below {
			keep = append(keep, uint32(i))
		}
	}
	in := b.Gather(keep)
	ints := func(value func(i uint32) int64) event.Column {
		c := event.Column{Type: event.Type{Kind: event.Int64}, Ints: make([]int64, len(keep))}
		for i, r := range keep {
			c.Ints[i] = value(r)
		}
		return c
	}
	ids := event.Column{Type: event.Type{Kind: event.Bytes}, Dict: &event.Dict{}}
	for _, id := range in.IDs {
		ids.Codes = append(ids.Codes, ids.Dict.Append(fmt.Appendf(nil, "%016x%016x", id.Hi, id.Lo)))
	}
	columns := append(append([]event.Column{}, in.Columns...),
		ints(func(uint32) int64 { return int64(partition) }),
		ints(func(i uint32) int64 { return int64(offsets[i]) }),
		ints(func(i uint32) int64 { return int64(rows[i]) }), ids)
	return &event.Batch{Shape: shape, N: len(keep), Columns: columns}
}

// compare runs the view's SELECT over events and compares it with the merged
// rows. Exact columns must be equal; the others within their stated error.
func (o *oracle) compare(ctx context.Context, v *view.View, merged string) (api.ViewResult, error) {
	r := api.ViewResult{View: archive.ViewOf(v.Name()), Columns: v.Output().Names()}
	query, tolerances := v.Oracle()
	var casts, keys []string
	for _, f := range v.Output().Fields {
		casts = append(casts, fmt.Sprintf("CAST(%s AS %s) AS %s", ident(f.Name), f.Type.SQL(), ident(f.Name)))
	}
	for _, i := range v.Keys() {
		keys = append(keys, v.Output().Fields[i].Name)
	}
	for _, query := range []string{
		"CREATE OR REPLACE TABLE expected AS SELECT " + strings.Join(casts, ", ") + " FROM (" + query + ")",
		"CREATE OR REPLACE TABLE merged AS SELECT " + strings.Join(casts, ", ") + " FROM read_parquet(" + quote(merged) + ")",
	} {
		if _, err := o.db.ExecContext(ctx, query); err != nil {
			return r, fault.Wrap(fault.Bug, fmt.Errorf("%s: %w", query, err))
		}
	}
	if err := o.db.QueryRowContext(ctx, "SELECT count(*) FROM expected").Scan(&r.Rows); err != nil {
		return r, fault.Wrap(fault.Bug, err)
	}
	differ := differences(v, keys, tolerances)
	var onlyMerged, onlyRaw int64
	var err error
	if r.Merged, onlyMerged, err = o.examples(ctx, r.Columns, fmt.Sprintf(differ, "merged", "expected")); err != nil {
		return r, err
	}
	if r.Raw, onlyRaw, err = o.examples(ctx, r.Columns, fmt.Sprintf(differ, "expected", "merged")); err != nil {
		return r, err
	}
	r.Differ = max(onlyMerged, onlyRaw)
	for column, t := range tolerances {
		r.Note += fmt.Sprintf("%s within %g%% ", column, t*100)
	}
	return r, nil
}

// differences is a query for the rows of the table named first that have no
// match in the one named second; %s stands for both names.
func differences(v *view.View, keys []string, tolerances map[string]float64) string {
	if len(tolerances) == 0 {
		return "SELECT * FROM %s EXCEPT ALL SELECT * FROM %s"
	}
	var same []string
	for _, f := range v.Output().Fields {
		c := ident(f.Name)
		if t, ok := tolerances[f.Name]; ok {
			// Small values are compared absolutely: one off in a count of ten
			// is no error of a sketch's kind.
			same = append(same, fmt.Sprintf("(a.%s IS NOT DISTINCT FROM b.%s OR abs(CAST(a.%s AS DOUBLE) - CAST(b.%s AS DOUBLE)) <= greatest(1e-9, %g * greatest(abs(CAST(a.%s AS DOUBLE)), abs(CAST(b.%s AS DOUBLE)))))", c, c, c, c, t, c, c))
			continue
		}
		same = append(same, fmt.Sprintf("a.%s IS NOT DISTINCT FROM b.%s", c, c))
	}
	return "SELECT a.* FROM %s AS a WHERE NOT EXISTS (SELECT 1 FROM %s AS b WHERE " + strings.ReplaceAll(strings.Join(same, " AND "), "%", "%%") + ")"
}

// examples returns at most ten rows of a query, as text, and how many it has.
func (o *oracle) examples(ctx context.Context, columns []string, query string) ([][]string, int64, error) {
	rows, err := o.db.QueryContext(ctx, query)
	if err != nil {
		return nil, 0, fault.Wrap(fault.Bug, fmt.Errorf("%s: %w", query, err))
	}
	defer rows.Close()
	types, err := rows.ColumnTypes()
	if err != nil {
		return nil, 0, fault.Wrap(fault.Bug, err)
	}
	values, into := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	var shown [][]string
	var n int64
	for rows.Next() {
		if n++; n > 10 {
			continue
		}
		if err := rows.Scan(into...); err != nil {
			return nil, 0, fault.Wrap(fault.Bug, err)
		}
		row := make([]string, len(values))
		for i, v := range values {
			row[i] = httpapi.Text(types[i].DatabaseTypeName(), v)
		}
		shown = append(shown, row)
	}
	return shown, n, fault.Wrap(fault.Bug, rows.Err())
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
func ident(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

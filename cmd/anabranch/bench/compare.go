package bench

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"path/filepath"
	"regexp"
	"strings"

	"anabranch/fault"
	"anabranch/view"
)

// checker compares the answers of both sides, and those of sketches with the
// exact ones.
type checker struct {
	ctx     context.Context
	task    Task
	data    *Data
	views   []*view.View
	db      *sql.DB
	answers [][]string // by side: one file for each view
	verdict string
	errors  map[string]float64
}

func newChecker(ctx context.Context, t Task) (*checker, error) {
	c := &checker{ctx: ctx, task: t, data: &t.Data, errors: map[string]float64{}}
	s, err := sourceOf(&t.Data, t.Example)
	if err != nil {
		return nil, err
	}
	if c.views, err = s.compile(ctx, t.Views...); err != nil {
		return nil, err
	}
	c.db, err = openDuck(ctx)
	return c, err
}

func (c *checker) close() { c.db.Close() }

// collect has a side write its answer.
func (c *checker) collect(p *process) error {
	var paths []string
	for i := range c.views {
		paths = append(paths, filepath.Join(p.own, fmt.Sprintf("answer%d.parquet", i)))
	}
	c.answers = append(c.answers, paths)
	_, err := p.ask("answer " + strings.Join(paths, " "))
	return err
}

func (c *checker) figures(into map[string]float64) map[string]float64 {
	for name, v := range c.errors {
		into[name] = rounded(v)
	}
	return into
}

// compareViews compares both sides with each other, sketches with the truth.
func compareViews(c *checker) error {
	d, err := Prepare(c.ctx, c.task.Dir, c.task.Data, c.task.Example, func(string, ...any) {})
	if err != nil {
		return err
	}
	if err := do(c.ctx, c.db, d.events()); err != nil {
		return err
	}
	return c.compare()
}

// compareBody compares with what DuckDB makes of the NDJSON itself.
func compareBody(c *checker) error {
	q := fmt.Sprintf(`CREATE VIEW events AS SELECT DISTINCT event_id, ts::TIMESTAMP AS ts, card, merchant, amount::DECIMAL(12,2) AS amount
FROM read_json('%s', format = 'newline_delimited', columns = {event_id: 'VARCHAR', ts: 'VARCHAR', card: 'VARCHAR', merchant: 'VARCHAR', amount: 'VARCHAR'})`, filepath.Join(c.task.Dir, "body.ndjson"))
	if err := do(c.ctx, c.db, q); err != nil {
		return err
	}
	return c.compare()
}

func (c *checker) compare() error {
	for i, v := range c.views {
		exact := quantile.ReplaceAllString(v.SQL(), "quantile_disc($1) AS $2, quantile_cont($1) AS ${2}_between")
		exact = strings.ReplaceAll(exact, "approx_count_distinct(", "count(DISTINCT ")
		exact = latest.ReplaceAllString(exact, "arg_max($1, row($2, $1)) AS latest")
		if err := do(c.ctx, c.db, "CREATE OR REPLACE TEMP TABLE truth AS "+exact); err != nil {
			return err
		}
		var rows int64
		for side, paths := range c.answers {
			var err error
			if rows, err = c.against(v, paths[i], side); err != nil {
				return err
			}
		}
		c.verdict += fmt.Sprintf("%s: %d groups equal, ", v.Name(), rows)
	}
	c.verdict = strings.TrimSuffix(c.verdict, ", ")
	return nil
}

// against compares one answer with the truth: exact columns cell by cell, of
// the others the mean relative error.
func (c *checker) against(v *view.View, path string, side int) (rows int64, err error) {
	keys := map[int]bool{}
	wrong := []string{"t.present IS NULL", "a.present IS NULL"}
	var on, off, names []string
	for _, k := range v.Keys() {
		keys[k] = true
		name := v.Output().Fields[k].Name
		on = append(on, fmt.Sprintf(`t."%s" IS NOT DISTINCT FROM a."%s"`, name, name))
	}
	approximate := approximateColumns(v)
	for i, f := range v.Output().Fields {
		switch {
		case keys[i], f.Name == "latest" && side == 1: // of equals the peer takes any
		case approximate[i]:
			errors := fmt.Sprintf(relative, f.Name, f.Name)
			if f.Name != "cards" {
				errors = "least(" + errors + ", " + fmt.Sprintf(relative, f.Name, f.Name+"_between") + ")"
			}
			off = append(off, "avg("+errors+")")
			names = append(names, f.Name)
		default:
			wrong = append(wrong, fmt.Sprintf(`t."%s" IS DISTINCT FROM a."%s"`, f.Name, f.Name))
		}
	}
	q := fmt.Sprintf(`SELECT count(*), count(*) FILTER (WHERE %s)%s
FROM (SELECT *, 1 AS present FROM truth) t FULL JOIN (SELECT *, 1 AS present FROM %s) a ON %s`,
		strings.Join(wrong, " OR "), strings.Join(append([]string{""}, off...), ", "), readParquet(path), strings.Join(on, " AND "))
	var bad int64
	errs := make([]sql.NullFloat64, len(off))
	into := []any{&rows, &bad}
	for i := range errs {
		into = append(into, &errs[i])
	}
	if err := c.db.QueryRowContext(c.ctx, q).Scan(into...); err != nil {
		return 0, fault.New(fault.Invalid, "compare the answers: %w", err)
	}
	who := []string{"ours", "peer"}[side]
	if bad > 0 {
		return 0, fault.New(fault.Bug, "view %s: %d of %d groups differ from the truth (%s)", v.Name(), bad, rows, who)
	}
	for i, name := range names {
		c.errors[fmt.Sprintf("%% error of %s, %s", name, who)] = math.Round(errs[i].Float64*1e4) / 100
	}
	return rows, nil
}

// A quantile may be one of the values, or lie between two of them: a sketch may
// mean either.
var quantile = regexp.MustCompile(`approx_quantile\(([^()]*)\) AS (\w+)`)

// Of rows with equal values to go by ours takes the largest argument.
var latest = regexp.MustCompile(`arg_max\((\w+), (\w+)\) AS latest`)

const relative = `abs(a."%s"::DOUBLE - t."%[2]s"::DOUBLE) / greatest(abs(t."%[2]s"::DOUBLE), 1e-9)`

// approximateColumns says which columns of a view are sketches.
func approximateColumns(v *view.View) map[int]bool {
	out := map[int]bool{}
	for i, f := range v.Output().Fields {
		out[i] = sketches[f.Name]
	}
	return out
}

// sketches are the columns of our views that are approximate.
var sketches = map[string]bool{"cards": true, "p50": true, "p99": true}

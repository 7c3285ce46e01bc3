package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"anabranch/fault"
)

// Options say what is measured and how.
type Options struct {
	Dir     string   // for data; they are kept and used again
	Events  int      // payments
	Seed    uint64   // of payments
	Rounds  int      // of each row, behind one that does not count
	Only    []string // names of rows; empty: all of the suite
	Example string   // folder of the retail pipeline
	Self    []string // the command that runs Side, to which a task is added
	Sonic   string   // program of tools/peers; empty: rows that need it are missing
	Commit  string
	Profile string // folder for profiles of our side of each row; empty: none
	Say     func(format string, args ...any)
}

// Suites returns the names of all suites.
func Suites() []string { return []string{"batch", "shapes", "growth", "decode", "fold", "system"} }

// Run measures a suite.
func Run(ctx context.Context, suite string, o Options) (*Result, error) {
	r := &Result{Suite: suite, Commit: o.Commit, Date: time.Now().UTC().Format(time.DateOnly), Machine: machine()}
	if !slices.Contains(Suites(), suite) {
		return nil, fault.New(fault.Invalid, "there is no suite %q: they are %v", suite, Suites())
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, fault.Wrap(fault.Invalid, err)
	}
	if suite == "system" {
		var err error
		if r.Rows, err = runSystem(ctx, &o); err != nil {
			return nil, fmt.Errorf("measure the whole system: %w", err)
		}
		for i := range r.Rows {
			o.Say("%s", (&row{Row: r.Rows[i]}).line())
		}
		return r, nil
	}
	rows := map[string]func() []row{"batch": batchRows, "shapes": shapeRows, "growth": growthRows, "decode": decodeRows, "fold": foldRows}[suite]
	for _, w := range rows() {
		if !o.wants(w.Name) {
			continue
		}
		if err := w.measure(ctx, &o); err != nil {
			return nil, fmt.Errorf("measure %s: %w", w.Name, err)
		}
		o.Say("%s", w.line())
		r.Rows = append(r.Rows, w.Row)
	}
	return r, nil
}

func (o *Options) wants(name string) bool {
	return len(o.Only) == 0 || slices.Contains(o.Only, name)
}

// row is a Row and how it is measured.
type row struct {
	Row
	task  Task
	peer  string                      // job of the other side; "sonic": a program
	value func(t took) float64        // of Unit
	check func(*checker) error        // compares the answers; nil: figures "sum" are equal
	ready func(*Options, *Task) error // what must be there before both begin
	grows bool                        // the other side does the same on all events, ours on a tenth of them
	turns int                         // of each side in a round; 0: one
	again int                         // how often both sides are started anew, for as many rounds each
	found measured
}

func cpu(t took) float64  { return t.CPU }
func wall(t took) float64 { return t.Wall }

// perEvent is nanoseconds of processor time for an event.
func perEvent(t took) float64 { return t.CPU * 1e9 / float64(max(t.Events, 1)) }

// rate is events for a second of processor time.
func rate(t took) float64 { return float64(t.Events) / t.CPU }

const duckName = "DuckDB"

func batchRows() []row {
	files := func(name, what string, views []string, cores int, value func(took) float64, unit string) row {
		r := row{Row: Row{Name: name, What: what, Unit: unit, Peers: duckName}, peer: "duckdb", value: value, check: compareViews}
		r.task = Task{Job: "fold", Data: Data{Kind: "payments"}, Views: views, Cores: cores}
		return r
	}
	count := files("batch-count-sum", "count and sum by merchant and hour, one core", []string{"volume"}, 1, cpu, "CPU s")
	count.Floor, count.Goal = 1.25, 1.5
	sketch := files("batch-sketches", "with min, max, avg, approximate distinct, p50 and p99, one core", []string{"profile"}, 1, cpu, "CPU s")
	sketch.Floor, sketch.Goal = 1.4, 2
	both := files("batch-both-cores", "count and sum by merchant and hour, both cores", []string{"volume"}, 2, wall, "s")
	both.Floor, both.Goal = 1.2, 1.5
	shop := files("batch-retail", "the real shop: its five views in one go, one core", []string{"country_day", "customer", "day", "hour", "product_month"}, 1, cpu, "CPU s")
	shop.task.Data.Kind = "retail"
	once := files("batch-distinct", "exact dedupe by id over the raw log, then count and sum, one core", []string{"volume"}, 1, cpu, "CPU s")
	once.task.Job, once.peer = "distinct", "duckdb-distinct"
	once.Floor, once.Goal = 2.2, 3
	night := row{Row: Row{Name: "compaction", What: "segments to deduplicated day files and id runs, published", Unit: "rows/CPU s", Floor: 1e6, Goal: 1.5e6}, value: rate}
	night.task = Task{Job: "compact", Data: Data{Kind: "payments"}, Cores: 1}
	return []row{count, sketch, once, both, shop, night}
}

// growthRows have our side do with a short history what the other does with
// one ten times as long.
func growthRows() []row {
	grows := func(name, what, job, unit string, value func(took) float64) row {
		r := row{Row: Row{Name: name, What: what, Unit: unit, Peers: "ten times the history", Floor: 1.1, Goal: 1, Less: true}, peer: job, value: value, grows: true}
		r.task = Task{Job: job, Data: Data{Kind: "payments"}, Views: []string{volume.Name}, Cores: 1}
		return r
	}
	each := func(t took) float64 { return t.Wall * 1e3 / float64(t.Events) }
	query := grows("growth-query", "a query of four groups that speed has touched, by their keys", "query", "ms", each)
	publish := grows("growth-publish", "publishing a version", "publish", "ms", each)
	// These two compare what hardly differs, the second with a sync of the disk
	// in each: only many pairs, close to each other, tell them apart.
	// Two processes with the same history lie up to a fifth apart for as long as
	// they live, so each pair of them has its rounds, and then comes another.
	query.turns, publish.turns = 4, 10
	query.again, publish.again = 2, 5
	return []row{
		grows("growth-batch", "a backfill of count and sum by merchant and hour, an event", "fold", "ns", perEvent),
		query, publish,
	}
}

func decodeRows() []row {
	r := row{Row: Row{Name: "decode-json", What: "a JSON event of 200 bytes into columns, with its identity", Unit: "ns", Peers: "sonic", Floor: 1, Goal: 2}, peer: "sonic", value: perEvent}
	r.task = Task{Job: "decode", Data: Data{Kind: "payments"}, Cores: 1}
	r.ready = makeBody
	return []row{r}
}

func foldRows() []row {
	r := row{Row: Row{Name: "fold-event", What: "frame to state: exact dedupe, count, sum, approximate distinct and quantile", Unit: "ns", Floor: 350, Goal: 200, Less: true}, value: perEvent}
	r.task = Task{Job: "frames", Data: Data{Kind: "payments"}, Cores: 1, Views: []string{live.Name}}
	r.ready, r.check = makeBody, compareBody
	memory := func(name, what, figure, view string, floor, goal float64) row {
		m := r
		m.Row = Row{Name: name, What: what, Unit: "bytes", Floor: floor, Goal: goal, Less: true}
		m.task.Views = []string{view}
		m.value = func(t took) float64 { return t.Figures[figure] }
		return m
	}
	return []row{
		r,
		memory("memory-group", "memory of speed for a group of count and sum by merchant and hour, what is spare included", "bytes per group", volume.Name, 100, 64),
		memory("memory-id", "memory of speed for a remembered id, what is spare included", "bytes per id", volume.Name, 32, 20),
	}
}

func makeBody(_ *Options, t *Task) error {
	_, err := bodyFile(t)
	return err
}

// measure runs both sides in turns and compares what they found.
func (w *row) measure(ctx context.Context, o *Options) error {
	t := w.task
	t.Dir, t.Example, t.Data.Seed, t.Data.Events = o.Dir, o.Example, o.Seed, o.Events
	w.Rounds = o.Rounds * max(w.turns, 1) * (1 + w.again)
	w.Data = fmt.Sprintf("%d payments", o.Events)
	if w.ready != nil {
		w.Data = fmt.Sprintf("%d payments", decodeEvents)
		if err := w.ready(o, &t); err != nil {
			return err
		}
	} else {
		d, err := Prepare(ctx, o.Dir, t.Data, o.Example, o.Say)
		if err != nil {
			return err
		}
		if w.grows {
			t.Data.Events /= 10
			if _, err := Prepare(ctx, o.Dir, t.Data, o.Example, o.Say); err != nil {
				return err
			}
			w.Data = fmt.Sprintf("%d payments, and %d", t.Data.Events, o.Events)
		}
		if d.Kind == "retail" {
			w.Data = fmt.Sprintf("%d real events", d.Rows)
		}
	}
	if w.peer == "sonic" && o.Sonic == "" {
		w.Missed = "the program of tools/peers was not given"
		return nil
	}
	if o.Profile != "" {
		t.Profile = filepath.Join(o.Profile, w.Name+".prof")
	}
	for range w.again {
		sides, err := w.start(ctx, o, t)
		if err == nil {
			err = w.rounds(sides)
		}
		stop(sides)
		if err != nil {
			return err
		}
	}
	sides, err := w.start(ctx, o, t)
	defer stop(sides)
	if err != nil {
		return err
	}
	if err := w.rounds(sides); err != nil {
		return err
	}
	w.settle()
	if w.grows { // two answers
		w.Answers = ""
	}
	if w.check == nil || len(t.Views) == 0 {
		return nil
	}
	c, err := newChecker(ctx, t)
	if err != nil {
		return err
	}
	defer c.close()
	for _, s := range sides {
		if err := c.collect(s); err != nil {
			return err
		}
	}
	err = w.check(c)
	w.Answers, w.Figures = c.verdict, c.figures(w.Figures)
	return err
}

// start starts both sides. Those that were started are returned with an error,
// too.
func (w *row) start(ctx context.Context, o *Options, t Task) ([]*process, error) {
	ours, err := startTask(ctx, o.Self, t)
	if err != nil {
		return nil, err
	}
	sides := []*process{ours}
	if w.peer != "" {
		peer, err := w.startPeer(ctx, o, t)
		if err != nil {
			return sides, err
		}
		sides = append(sides, peer)
	}
	return sides, nil
}

func stop(sides []*process) {
	for _, s := range slices.Backward(sides) {
		s.stop()
	}
}

func (w *row) startPeer(ctx context.Context, o *Options, t Task) (*process, error) {
	if w.peer == "sonic" {
		return start(ctx, "", o.Sonic, "sonic", filepath.Join(o.Dir, "body.ndjson"))
	}
	t.Job, t.Profile = w.peer, ""
	if w.grows {
		t.Data.Events = o.Events
	}
	return startTask(ctx, o.Self, t)
}

// measured is what the rounds of a row took.
type measured struct {
	values [2][]float64 // of each side
	ratios []float64
}

// rounds measures both sides, which take turns; who begins changes, so that what
// else the machine does falls on both.
func (w *row) rounds(sides []*process) error {
	for n := range w.Rounds/(1+w.again) + 1 {
		last := make([]took, len(sides))
		for k := range sides {
			i := (k + n) % len(sides)
			t, err := sides[i].ask("run")
			if err != nil {
				return err
			}
			last[i] = t
			if n > 0 {
				w.found.values[i] = append(w.found.values[i], w.value(t))
			}
		}
		if len(sides) == 2 {
			if a, b := last[0].Figures["sum"], last[1].Figures["sum"]; a != b {
				return fault.New(fault.Bug, "the answers differ: %v and %v", a, b)
			}
			if n > 0 {
				w.found.ratios = append(w.found.ratios, w.value(last[1])/w.value(last[0]))
			}
		}
		w.Figures = map[string]float64{}
		for name, v := range last[0].Figures {
			w.Figures[name] = rounded(v)
		}
	}
	return nil
}

// settle fills in the figures of w.
func (w *row) settle() {
	w.Ours = spreadOf(w.found.values[0])
	w.Value = w.Ours
	if len(w.found.ratios) > 0 {
		p := spreadOf(w.found.values[1])
		w.Peer, w.Value = &p, spreadOf(w.found.ratios)
		w.Answers = "equal"
	}
}

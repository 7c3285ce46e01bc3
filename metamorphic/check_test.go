package metamorphic

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"anabranch/archive"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/serving"
	"anabranch/serving/sql"
	"anabranch/view"
)

// check asks for every view and compares each answer with the oracles at the
// answer's own position.
func (w *world) check() error {
	s, err := w.take()
	if err != nil || s == nil {
		return err
	}
	defer s.Close()
	if err := w.compareAll(s); err != nil {
		return err
	}
	// One of them as a reader asks for it.
	v := s.names[w.asked%len(s.names)]
	w.asked++
	answer, receipt, err := w.ask(v, w.fresh())
	if err != nil {
		return fmt.Errorf("query %s: %w", v, err)
	}
	version, err := w.answered(v, receipt)
	if err != nil {
		return err
	}
	if err := w.compareVersion(version, answer, receipt.At); err != nil {
		return err
	}
	if err := w.checkSome(v, answer, receipt); err != nil {
		return err
	}
	for _, at := range []event.Cut{receipt.At, s.at(w)} {
		if head := event.Cut(w.read); !w.held && !at.AtLeast(head) {
			return fmt.Errorf("query %s: the answer at %v does not cover %v", v, at, head)
		}
	}
	if err := w.checkVast(); err != nil {
		return err
	}
	return w.conserve(w.fresh(), s.names)
}

func (w *world) fresh() serving.Fresh { return serving.Fresh{Latest: !w.held} }

// taken is one cut of the views that answer.
type taken struct {
	*sql.Snapshot
	names []string
}

func (s *taken) at(w *world) event.Cut { return s.Receipt.Pipelines[w.name].At }

// take pins all views that answer at one cut, but for those whose sums may
// leave their type; nil when there is no answer now.
func (w *world) take() (*taken, error) {
	if w.held && w.blocked() {
		return nil, nil
	}
	var names []string
	if m, err := w.archive.Newest(w.ctx); err == nil {
		names = w.built(m)
	} else { // the store is away; answers come all the same
		for _, v := range w.views {
			names = append(names, v.Name())
		}
	}
	if len(names) < len(w.views) {
		w.saw("a changed view waits for its batch")
	}
	if names = slices.DeleteFunc(names, w.isVast); len(names) == 0 {
		return nil, nil
	}
	s, err := w.engine.Snapshot(w.ctx, w.source, names, w.fresh())
	if f := (*fault.Error)(nil); w.held && errors.As(err, &f) && f.Code == "view_not_built" {
		return nil, nil // it had to be the manifest before
	}
	if err != nil {
		return nil, fmt.Errorf("query: %w", err)
	}
	return &taken{s, names}, nil
}

// compareAll holds every view of a snapshot against the oracles.
func (w *world) compareAll(s *taken) error {
	for _, name := range s.names {
		rows, err := s.Read(w.ctx, name)
		if err != nil {
			return fmt.Errorf("query %s: %w", name, err)
		}
		v, err := w.answered(name, s.Receipt.Pipelines[w.name])
		if err != nil {
			return err
		}
		if err := w.compareVersion(v, rowsOf(rows), s.at(w)); err != nil {
			return err
		}
	}
	return nil
}

// answered returns the version of a view that a receipt is about.
func (w *world) answered(name string, r serving.PipelineReceipt) (*view.View, error) {
	v := w.source.View(name)
	if len(w.kept) == 0 || r.Manifest == 0 {
		return v, nil
	}
	m, err := w.archive.Manifest(w.ctx, r.Manifest)
	if err != nil {
		return nil, err
	}
	if was := w.answering(m, name); was != v {
		w.saw("a changed view answers as before")
		return was, nil
	}
	return v, nil
}

// rowsOf is a batch as a table.
func rowsOf(b *event.Batch) table {
	var t table
	for _, f := range b.Shape.Fields {
		t.columns = append(t.columns, f.Name+" "+f.Type.SQL())
	}
	for i := range b.N {
		row := make([]any, len(b.Columns))
		for c := range b.Columns {
			row[c] = value(&b.Columns[c], i)
		}
		t.add(row)
	}
	return t
}

// blocked reports that speed is held below the newest cut, so that a query
// would wait for it.
func (w *world) blocked() bool {
	m, err := w.archive.Newest(w.ctx)
	if err != nil {
		return false
	}
	_, err = w.speed.Since(w.ctx, m.K, nil)
	return fault.Is(err, fault.Transient)
}

// checkSome asks for the rows of a view that have in one column what two of the
// rows have there, and holds them against the answer of all rows: filters reach
// files and overlays.
func (w *world) checkSome(name string, all table, at serving.PipelineReceipt) error {
	if len(all.rows) == 0 {
		return nil
	}
	c := w.asked % len(all.columns)
	space := strings.LastIndex(all.columns[c], " ")
	column, typ := all.columns[c][:space], all.columns[c][space+1:]
	var values, literals []string
	for _, i := range []int{w.asked % len(all.rows), w.checks % len(all.rows)} {
		if l, ok := literal(typ, all.rows[i][c]); ok {
			values, literals = append(values, all.rows[i][c]), append(literals, l)
		}
	}
	if len(values) == 0 {
		return nil
	}
	where := ` WHERE "` + column + `" IN (` + strings.Join(literals, ", ") + ")"
	got, receipt, err := w.ask(name+where, w.fresh())
	if err != nil {
		return fmt.Errorf("query %s%s: %w", name, where, err)
	}
	if receipt.Manifest != at.Manifest || !slices.Equal(receipt.At, at.At) {
		return nil // of another moment
	}
	want := table{columns: all.columns}
	for _, row := range all.rows {
		if slices.Contains(values, row[c]) {
			want.rows = append(want.rows, row)
		}
	}
	if d := differ(got, want, nil); d != "" {
		return fmt.Errorf("%s%s: %s", name, where, d)
	}
	return nil
}

// literal writes a value of a table in SQL, if its type is one that filters are
// understood of.
func literal(typ, value string) (string, bool) {
	switch typ {
	case "INTEGER", "BIGINT":
		return value, value != "NULL"
	case "VARCHAR":
		s, err := strconv.Unquote(value)
		return "'" + strings.ReplaceAll(s, "'", "''") + "'", err == nil && !strings.Contains(s, "\x00")
	case "TIMESTAMP":
		return "TIMESTAMP '" + value + "'", len(value) >= len(time.DateTime) && value[0] != '-'
	}
	return "", false
}

func (w *world) ask(name string, fresh serving.Fresh) (table, serving.PipelineReceipt, error) {
	var t table
	answer, err := w.engine.Query(w.ctx, sql.Request{SQL: "SELECT * FROM " + w.name + "." + name, Fresh: fresh})
	if err != nil {
		return t, serving.PipelineReceipt{}, err
	}
	defer answer.Close()
	for _, c := range answer.Columns {
		t.columns = append(t.columns, c.Name+" "+c.Type)
	}
	for {
		row, err := answer.Next()
		if err != nil {
			return t, serving.PipelineReceipt{}, err
		}
		if row == nil {
			return t, answer.Receipt.Pipelines[w.name], nil
		}
		t.add(row)
	}
}

// compare holds an answer of a view, as it is declared, against the oracles.
func (w *world) compare(name string, got table, at event.Cut) error {
	return w.compareVersion(w.source.View(name), got, at)
}

func (w *world) compareVersion(v *view.View, got table, at event.Cut) error {
	f := w.oracle.fate(w.rows, at)
	w.checks++
	if field := w.sums(v.Name()); field != "" {
		want, _ := w.exactly(field, f.events, got.columns)
		if d := differ(got, want, nil); d != "" {
			return fmt.Errorf("%s at %v, by exact numbers: %s", v.SQL(), at, d)
		}
		return nil
	}
	want, tolerances, err := w.oracle.expected(w.ctx, w.definition.later, v, f.events)
	if err != nil {
		return err
	}
	if d := differ(got, want, tolerances); d != "" {
		return fmt.Errorf("%s at %v: %s", v.SQL(), at, d)
	}
	if v.Name() == "plain" {
		if d := differ(got, w.plain(f.events, got.columns), nil); d != "" {
			return fmt.Errorf("%s at %v, by the plain map: %s", v.SQL(), at, d)
		}
	}
	return nil
}

// plain is the view "plain" by a map over the text of the events.
func (w *world) plain(events []int, columns []string) table {
	type group struct{ n, total, low, high, values int64 }
	groups := map[string]*group{}
	for _, v := range events {
		e := w.Events[v/2]
		name := w.text(e, "name")
		g := groups[name]
		if g == nil {
			g = &group{}
			groups[name] = g
		}
		g.n++
		value, err := strconv.ParseInt(w.text(e, "small"), 10, 64)
		if err != nil {
			continue
		}
		if g.values++; g.values == 1 {
			g.low, g.high = value, value
		}
		g.total, g.low, g.high = g.total+value, min(g.low, value), max(g.high, value)
	}
	t := table{columns: columns}
	for name, g := range groups {
		row := []any{name, g.n, nil, nil, nil}
		if g.values > 0 {
			row = []any{name, g.n, g.total, g.low, g.high}
		}
		t.add(row)
	}
	return t
}

// conserve checks that every row of the log is accounted for, and rightly.
func (w *world) conserve(fresh serving.Fresh, views []string) error {
	pin, err := w.serving.Pin(w.ctx, w.source, views, fresh)
	if err != nil {
		return fmt.Errorf("pin: %w", err)
	}
	m, d := pin.Manifest, pin.Delta
	w.acrossCut(m.Cut, d.At)
	got := fate{counted: m.Counted + d.Counted, duplicates: m.Duplicates + d.Duplicates, filtered: m.Filtered + d.Filtered, conflicts: m.Conflicts + d.Conflicts}
	return w.sameFate("the answer", got, d.At)
}

// acrossCut looks for copies above a cut of what counted below it.
func (w *world) acrossCut(cut, at event.Cut) {
	below := map[string]bool{}
	for p := range w.rows {
		for _, r := range w.rows[p] {
			switch id := w.oracle.id[r.variant]; {
			case r.offset < cut[p]:
				below[id] = true
			case r.offset < at[p] && below[id]:
				w.saw("a duplicate across the cut")
				return
			}
		}
	}
}

func (w *world) checkManifest(m *archive.Manifest) error {
	got := fate{counted: m.Counted, duplicates: m.Duplicates, filtered: m.Filtered, conflicts: m.Conflicts}
	if err := w.sameFate(fmt.Sprintf("manifest %d", m.Version), got, m.Cut); err != nil {
		return err
	}
	// What conflicts, and what the door refused, lies among the dead letters.
	counts, err := w.letters.Counts(w.ctx)
	if err != nil {
		return err
	}
	var refused, want, unsure int64
	for code, n := range counts {
		if code != "conflict" {
			refused += n
		}
	}
	for _, n := range w.letterOf {
		want += n
	}
	for _, n := range w.unsure {
		unsure += n
	}
	conflicts := counts["conflict"]
	if most := w.oracle.fate(w.rows, w.read).conflicts; conflicts < m.Conflicts || conflicts > most || conflicts > m.Conflicts && !w.loose || refused < want || refused > want+unsure {
		return fmt.Errorf("dead letters %v, want %d conflicts (%d so far) and %d refused (%d more perhaps)", counts, m.Conflicts, most, want, unsure)
	}
	return nil
}

func (w *world) sameFate(what string, got fate, at event.Cut) error {
	want := w.oracle.fate(w.rows, at)
	if want.conflicts > 0 {
		w.saw("a conflicting copy")
	}
	if got.counted != want.counted || got.duplicates != want.duplicates || got.filtered != want.filtered || got.conflicts != want.conflicts {
		return fmt.Errorf("%s at %v: %d counted, %d duplicates, %d filtered, %d conflicts; of %d rows, want %d, %d, %d, %d",
			what, at, got.counted, got.duplicates, got.filtered, got.conflicts, want.rows, want.counted, want.duplicates, want.filtered, want.conflicts)
	}
	return nil
}

// older answers from the manifest before the newest, as a reader does that
// pinned it before the other was published.
func (w *world) older() error {
	m, err := w.archive.Newest(w.ctx)
	if err != nil || m.Version < 2 {
		return err
	}
	if m, err = w.archive.Manifest(w.ctx, m.Version-1); err != nil {
		return err
	}
	d, err := w.speed.Since(w.ctx, m.K, nil)
	if fault.Is(err, fault.Conflict) || fault.Is(err, fault.Transient) && (w.held || !w.set.Grace) {
		return nil // dropped: a reader pins again
	}
	if err != nil && !fault.Is(err, fault.Transient) {
		return err
	}
	if err != nil {
		return nil
	}
	for _, name := range w.built(m) {
		if w.isVast(name) {
			continue
		}
		v := w.answering(m, name)
		s := v.New()
		if _, files := m.Answers(name); files != nil {
			for _, f := range files.Results {
				names := v.StateShape().Names()
				if err := w.archive.ReadResult(w.ctx, f, names, s.MergeGroups); err != nil {
					return err
				}
			}
		}
		if err := s.Merge(d.States[v.Name()]); err != nil {
			return err
		}
		result, err := s.Result()
		if err != nil {
			return err
		}
		if err := w.compareVersion(v, rowsOf(result), d.At); err != nil {
			return fmt.Errorf("from manifest %d: %w", m.Version, err)
		}
	}
	return nil
}

// final is everything that two runs of one case must agree on: the rows of
// every view, and the bytes of the merged states.
func (w *world) final() (string, error) {
	var b strings.Builder
	pin, err := w.serving.Pin(w.ctx, w.source, nil, serving.Fresh{Latest: true})
	if err != nil {
		return "", err
	}
	snapshot, err := w.take()
	if err != nil {
		return "", err
	}
	defer snapshot.Close()
	for _, v := range w.views {
		if w.isVast(v.Name()) {
			continue // a batch between may have met a sum that did not fit
		}
		s, err := pin.State(v.Name())
		if err != nil {
			return "", err
		}
		files, err := pin.Results(v.Name())
		if err != nil {
			return "", err
		}
		for _, f := range files {
			if err := w.archive.ReadResult(w.ctx, f, v.StateShape().Names(), s.MergeGroups); err != nil {
				return "", err
			}
		}
		groups, result, err := s.Finish()
		if err != nil {
			return "", err
		}
		fmt.Fprintln(&b, v.Name())
		for _, batch := range []*event.Batch{result, groups} {
			for i := range batch.N {
				for c := range batch.Columns {
					fmt.Fprintf(&b, "%s|", text(value(&batch.Columns[c], i)))
				}
				b.WriteByte('\n')
			}
		}
		// The rows must also be those that the engine gives.
		rows, err := snapshot.Read(w.ctx, v.Name())
		if err != nil {
			return "", err
		}
		if d := differ(rowsOf(rows), rowsOf(result), nil); d != "" {
			return "", fmt.Errorf("%s: the engine and the states differ: %s", v.SQL(), d)
		}
	}
	return b.String(), nil
}

package power

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"anabranch/archive"
	"anabranch/event"
	"anabranch/ingest"
	"anabranch/serving"
)

// sale is one event as it lies in the log.
type sale struct {
	shop, id string
	amount   int64
	at       int64 // microseconds
}

func (s sale) key() string    { return s.shop + "/" + s.id }
func (s sale) filtered() bool { return s.amount%10 == 3 }

// line is the event as its producer writes it.
func (s sale) line() string {
	return fmt.Sprintf(`{"id":%q,"shop":%q,"amount":%d,"ts":%q}`, s.id, s.shop, s.amount, time.UnixMicro(s.at).UTC().Format("2006-01-02T15:04:05"))
}

type placed struct {
	offset uint64
	sale
}

// truth is what the test knows, whatever happens to the disk.
type truth struct {
	rows      [][]placed // by partition, in log order: also what the log has forgotten
	read      []uint64
	acked     map[string]bool  // keys of the events that were acknowledged
	refused   map[string]int64 // by request: the dead letters that were acknowledged
	maybe     int64            // dead letters of a request that failed: there or not
	published uint64           // the newest manifest that a batch was told of
	hash      string
}

// send posts a request until it is answered, which it may be only once the
// power is back.
func (w *world) send(request string, sales []sale, bad int) error {
	var body strings.Builder
	for _, s := range sales {
		body.WriteString(s.line() + "\n")
	}
	for range bad {
		body.WriteString("{\n")
	}
	refused := int64(bad)
	for _, s := range sales {
		if s.amount < 0 {
			refused++
		}
	}
	w.maybe = refused
	answer, err := w.gateway.Accept(w.alive, strings.NewReader(body.String()), ingest.Meta{Request: request})
	if err != nil {
		return fmt.Errorf("send: %w", err)
	}
	w.maybe = 0
	for _, s := range sales {
		if s.amount >= 0 {
			w.acked[s.key()] = true
		}
	}
	if int64(answer.DeadLettered) != refused || answer.Accepted != len(sales)+bad-int(refused) {
		return fmt.Errorf("send: %d accepted, %d refused of %d and %d", answer.Accepted, answer.DeadLettered, len(sales), bad)
	}
	w.refused[request] = refused
	return nil
}

// follow reads what came into the log.
func (w *world) follow() error {
	head, err := w.head(w.ctx)
	if err != nil {
		return err
	}
	for p := range head {
		if head[p] == w.read[p] {
			continue
		}
		r, err := w.log.Read(w.ctx, p, w.read[p])
		if err != nil {
			return err
		}
		for w.read[p] < head[p] {
			records, err := r.Next(w.ctx)
			if err != nil {
				return errors.Join(err, r.Close())
			}
			for _, rec := range records {
				w.read[p] = rec.Offset + 1
				h, body, err := event.ParseFrame(rec.Frame)
				if err != nil {
					return errors.Join(err, r.Close())
				}
				if h.Kind != event.Rows {
					continue
				}
				b, err := w.set.Newest().DecodeFrame(body)
				if err != nil {
					return errors.Join(err, r.Close())
				}
				for i := range b.N {
					w.rows[p] = append(w.rows[p], placed{rec.Offset, sale{
						id: string(b.Columns[0].Bytes(i)), shop: string(b.Columns[1].Bytes(i)), amount: b.Columns[2].Ints[i], at: b.Columns[3].Ints[i],
					}})
				}
			}
		}
		if err := r.Close(); err != nil {
			return err
		}
	}
	return nil
}

// fate is what must have become of the rows below a cut.
type fate struct {
	counted, duplicates, filtered, conflicts int64
	views                                    map[string][]string // the rows of each view, as text
}

func (w *world) fate(at event.Cut) fate {
	f := fate{views: map[string][]string{}}
	type group struct{ n, total int64 }
	ids, shops := map[string]group{}, map[string]group{}
	first := map[string]sale{}
	for p := range w.rows {
		for _, r := range w.rows[p] {
			if r.offset >= at[p] {
				break
			}
			was, seen := first[r.key()]
			switch {
			case seen && was == r.sale:
				f.duplicates++
				continue
			case seen:
				f.conflicts++
				continue
			}
			first[r.key()] = r.sale
			if r.filtered() {
				f.filtered++
				continue
			}
			f.counted++
			for _, in := range []struct {
				m   map[string]group
				key string
			}{{ids, r.shop + "|" + r.id}, {shops, r.shop + "|" + fmt.Sprint(r.at-r.at%dayMicros)}} {
				g := in.m[in.key]
				in.m[in.key] = group{g.n + 1, g.total + r.amount}
			}
		}
	}
	for name, m := range map[string]map[string]group{"ids": ids, "shops": shops} {
		for _, key := range slices.Sorted(maps.Keys(m)) {
			f.views[name] = append(f.views[name], fmt.Sprintf("%s|%d|%d", key, m[key].n, m[key].total))
		}
	}
	return f
}

const dayMicros = 24 * 60 * 60 * 1_000_000

// wrong is an answer that is not the truth.
type wrong struct {
	what         string
	lost, double int64 // acknowledged events that are missing, and those counted more than once
}

func (e *wrong) Error() string { return e.what }

// check asks for everything that was acknowledged and compares the answer.
func (w *world) check(ctx context.Context) (events int64, err error) {
	if err := w.follow(); err != nil {
		return 0, err
	}
	pin, err := w.serving.Pin(ctx, w.source, nil, serving.Fresh{Latest: true})
	if err != nil {
		return 0, err
	}
	if pin.Manifest.Version < w.published {
		return 0, &wrong{what: fmt.Sprintf("manifest %d was published, the newest is %d", w.published, pin.Manifest.Version)}
	}
	if pin.Manifest.Version == w.published && w.published > 0 && pin.Manifest.Hash() != w.hash {
		return 0, &wrong{what: fmt.Sprintf("manifest %d is another one than was published", w.published)}
	}
	if !pin.Delta.At.AtLeast(w.read) {
		return 0, &wrong{what: fmt.Sprintf("the answer at %v does not cover %v", pin.Delta.At, w.read)}
	}
	want := w.fate(pin.Delta.At)
	for _, v := range w.views {
		s, err := pin.State(v.Name())
		if err != nil {
			return 0, err
		}
		files, err := pin.Results(v.Name())
		if err != nil {
			return 0, err
		}
		for _, f := range files {
			if err := w.archive.ReadResult(ctx, f, v.StateShape().Names(), s.MergeGroups); err != nil {
				return 0, err
			}
		}
		result, err := s.Result()
		if err != nil {
			return 0, err
		}
		var got []string
		for i := range result.N {
			var cells []string
			for c := range result.Columns {
				cells = append(cells, text(&result.Columns[c], i))
			}
			got = append(got, strings.Join(cells, "|"))
		}
		slices.Sort(got)
		if err := w.compare(v.Name(), got, want.views[v.Name()]); err != nil {
			return 0, err
		}
	}
	m, d := pin.Manifest, pin.Delta
	got := [4]int64{m.Counted + d.Counted, m.Duplicates + d.Duplicates, m.Filtered + d.Filtered, m.Conflicts + d.Conflicts}
	if got != [4]int64{want.counted, want.duplicates, want.filtered, want.conflicts} {
		return 0, &wrong{what: fmt.Sprintf("counted, duplicates, filtered, conflicts: %v, want %+v", got, want)}
	}
	return want.counted, w.checkLetters(ctx, m)
}

func (w *world) compare(name string, got, want []string) error {
	slices.Sort(want)
	if slices.Equal(got, want) {
		return nil
	}
	e := &wrong{}
	there := map[string]int{}
	for _, row := range got {
		there[row]++
	}
	for _, row := range want {
		if there[row]--; there[row] < 0 {
			e.what += "\nmissing " + row
			e.lost++
		}
	}
	for row, n := range there {
		if n > 0 {
			e.what += "\ntoo much " + row
			e.double++
		}
	}
	e.what = name + ": " + e.what
	return e
}

// checkLetters wants every refused line, and the conflicts that batch found,
// among the dead letters, once.
func (w *world) checkLetters(ctx context.Context, m *archive.Manifest) error {
	counts, err := w.letters.Counts(ctx)
	if err != nil {
		return err
	}
	var refused, want int64
	for code, n := range counts {
		if code != "conflict" {
			refused += n
		}
	}
	for _, n := range w.refused {
		want += n
	}
	if refused < want || refused > want+w.maybe || counts["conflict"] < m.Conflicts {
		return &wrong{what: fmt.Sprintf("dead letters %v, want %d refused, perhaps %d more, and %d conflicts", counts, want, w.maybe, m.Conflicts)}
	}
	return nil
}

func text(c *event.Column, i int) string {
	switch {
	case !c.Valid.Get(i):
		return "NULL"
	case c.Type.Storage() == event.InCodes:
		return string(c.Bytes(i))
	case c.Type.Storage() == event.InWide:
		return c.Wide[i].Big().String()
	}
	return fmt.Sprint(c.Ints[i])
}

// whole wants nothing damaged in the archive.
func (w *world) whole(ctx context.Context) error {
	var all []error
	err := w.archive.Check(ctx, func(d archive.Damage) {
		if d.Kind != "orphan" {
			all = append(all, fmt.Errorf("%s %s: %w", d.Kind, d.File, d.Err))
		}
	})
	return errors.Join(append(all, err)...)
}

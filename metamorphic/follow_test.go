package metamorphic

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"anabranch/event"
	"anabranch/fault"
	"anabranch/ingest"
	"anabranch/schemas"
)

// placed is one event in the log.
type placed struct {
	offset  uint64
	variant int // of the oracle's table
}

// expected is a row that was sent, on its way into a partition.
type expected struct {
	variant int
	id      event.ID
	hash    uint64
	sure    bool // acknowledged: it must be there
}

// producer is one gateway in one partition; lastFrame is what it appended last.
type producer struct {
	partition int
	name      string
}

type lastFrame struct {
	sequence uint64
	variants []int
}

// outgoing is one body and what must become of it.
type outgoing struct {
	number         int
	body           string
	meta           ingest.Meta
	rows           [][]expected // by partition
	accepted, dead int
	times          int
}

// sendNext posts the next n sends, at once where there are several.
func (w *world) sendNext(n int) error {
	var numbers []int
	for len(numbers) < n && w.sent < len(w.Sends) {
		if w.Sends[w.sent].Later && !w.definition.later {
			if len(numbers) > 0 {
				break // those before it are sent under the definition before
			}
			if err := w.change(); err != nil {
				return err
			}
		}
		numbers = append(numbers, w.sent)
		w.sent++
	}
	return w.post(numbers)
}

// change brings the later definition into force.
func (w *world) change() error {
	if err := w.room(); err != nil {
		return err
	}
	if len(w.defs) < 2 {
		return fmt.Errorf("there is no later definition")
	}
	if err := w.apply(w.defs[1]); err != nil {
		return err
	}
	return w.check() // a view that was changed answers as before, if it does
}

// room makes the log take frames again, and the producers send again what was
// refused.
func (w *world) room() error {
	if w.lossy.full.Swap(int64(w.set.Partitions)) == int64(w.set.Partitions) {
		return nil
	}
	for _, g := range w.gateways { // they would wait before they ask again
		g.Stop()
	}
	if err := w.startGateways(); err != nil {
		return err
	}
	return w.repeat()
}

// repeat posts again what was refused, as its producers do.
func (w *world) repeat() error {
	for range 100 {
		again := w.refused
		w.refused = nil
		for _, n := range again {
			if err := w.post([]int{n}); err != nil {
				return err
			}
		}
		if len(w.refused) == 0 {
			return nil
		}
	}
	return fmt.Errorf("sends %v are refused for ever", w.refused)
}

// post sends bodies, several at once, compares the answers with what must
// become of them and reads the log behind them.
func (w *world) post(numbers []int) error {
	all := make([]*outgoing, len(numbers))
	for i, n := range numbers {
		var err error
		if all[i], err = w.prepare(n); err != nil {
			return err
		}
	}
	if len(all) == 1 {
		for range all[0].times { // the log is read in between: the order is known
			err := w.accept(all[0], 1)
			if err := w.settled(all[0], err, 1); err != nil {
				return err
			}
			if err := w.follow(true); err != nil {
				return fmt.Errorf("send %d: %w", numbers[0], err)
			}
		}
		return nil
	}
	w.saw("producers at once")
	errs := make([]error, len(all))
	var wait sync.WaitGroup
	for i, out := range all {
		wait.Go(func() { errs[i] = w.accept(out, out.times) })
	}
	wait.Wait()
	for i, out := range all {
		if err := w.settled(out, errs[i], out.times); err != nil {
			return err
		}
	}
	if err := w.follow(false); err != nil || w.isFull() {
		return err
	}
	return w.repeat()
}

// accept posts a body so many times.
func (w *world) accept(out *outgoing, times int) error {
	for range times {
		answer, err := w.gateways[out.number%len(w.gateways)].Accept(w.ctx, strings.NewReader(out.body), out.meta)
		if err != nil {
			return err
		}
		if answer.Accepted != out.accepted || answer.DeadLettered != out.dead {
			return fmt.Errorf("%d accepted and %d dead-lettered, want %d and %d: %+v\n%s", answer.Accepted, answer.DeadLettered, out.accepted, out.dead, answer.Errors, out.body)
		}
		last, err := w.head(w.ctx)
		if err != nil {
			return err
		}
		for _, text := range answer.Receipt.Positions {
			if p, err := event.ParsePosition(text); err != nil || !last.Covers(p) {
				return fmt.Errorf("receipt %q, the log ends at %v: %v", text, last, err)
			}
		}
	}
	return nil
}

// settled notes what an answer means: rows that must be in the log, or may be.
func (w *world) settled(out *outgoing, err error, times int) error {
	request := out.meta.Request
	switch {
	case err == nil:
		w.letterOf[request] = int64(out.dead)
		delete(w.unsure, request)
	case w.isFull() && fault.Is(err, fault.Full), w.set.LoseAcks > 0 && fault.Is(err, fault.Transient):
		if w.isFull() {
			w.saw("the log full")
		}
		if !slices.Contains(w.refused, out.number) {
			w.refused = append(w.refused, out.number)
		}
		if _, known := w.letterOf[request]; !known {
			w.unsure[request] = int64(out.dead)
		}
	default:
		return fmt.Errorf("send %d: %w", out.number, err)
	}
	for p, rows := range out.rows {
		for range times {
			for _, r := range rows {
				r.sure = err == nil
				w.awaited[p] = append(w.awaited[p], r)
			}
		}
	}
	return nil
}

// prepare tells what must become of a send.
func (w *world) prepare(n int) (*outgoing, error) {
	s := w.Sends[n]
	s.Later = w.definition.later // a send that was refused may come again later
	body, events := w.body(s)
	out := &outgoing{number: n, body: body, meta: ingest.Meta{Request: fmt.Sprintf("send-%d", n)}, rows: make([][]expected, w.set.Partitions), times: 1}
	if s.CSV {
		out.meta.Format = schemas.CSV
	}
	if s.Retry {
		out.times = 2
	}
	decoded, err := w.decode(body, out.meta.Format)
	if err != nil {
		return nil, err
	}
	good := 0
	for _, e := range events {
		v := 2 * e
		if s.CSV {
			v++
		}
		if w.Events[e].Line != "" || w.Events[e].Bad {
			out.dead++
			continue
		}
		if good == len(decoded) {
			return nil, fmt.Errorf("send %d: the decoder reads %d events of\n%s", n, good, body)
		}
		row := decoded[good]
		good++
		if w.oracle.rejected[v] {
			out.dead++
			continue
		}
		out.accepted++
		out.rows[row.partition] = append(out.rows[row.partition], expected{variant: v, id: row.id, hash: row.hash})
	}
	if good != len(decoded) {
		return nil, fmt.Errorf("send %d: the decoder reads %d events, want %d of\n%s", n, len(decoded), good, body)
	}
	return out, nil
}

// decodedRow is where a readable event of a body goes, and what it is.
type decodedRow struct {
	partition int
	id        event.ID
	hash      uint64
}

func (w *world) decode(body string, f schemas.Format) ([]decodedRow, error) {
	d, err := w.schema.NewDecoder(f, w.identity())
	if err != nil {
		return nil, err
	}
	d.Reset(strings.NewReader(body))
	var out []decodedRow
	for {
		rows, err := d.Next()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		for i, k := range rows.Keys {
			out = append(out, decodedRow{int(k % uint64(w.set.Partitions)), rows.Batch.IDs[i], rows.Batch.Hashes[i]})
		}
	}
}

// follow reads what was appended and finds each row among those awaited; with
// ordered, those that are sure come in the order in which they were sent.
func (w *world) follow(ordered bool) error {
	head, err := w.head(w.ctx)
	if err != nil {
		return err
	}
	for p := range w.rows {
		if err := w.records(p, w.read[p], head[p], func(offset uint64, h event.Header, body []byte) error {
			if h.Kind == event.Barrier {
				if h.Barrier < w.barriers[p] {
					w.saw("a barrier behind a later one")
				}
				w.barriers[p] = max(w.barriers[p], h.Barrier)
				return nil
			}
			return w.frame(p, offset, h, body, ordered)
		}); err != nil {
			return err
		}
		for _, r := range w.awaited[p] {
			if r.sure {
				return fmt.Errorf("partition %d lacks event %d, which was acknowledged", p, r.variant/2)
			}
		}
		w.read[p] = head[p]
	}
	return nil
}

// frame places the rows of one frame.
func (w *world) frame(p int, offset uint64, h event.Header, body []byte, ordered bool) error {
	from := producer{p, h.Producer}
	last := w.frames[from]
	if last == nil || last.sequence != h.Sequence { // else the same frame once more
		written, ok := w.definition.set.Get(h.Schema)
		if !ok {
			return fmt.Errorf("partition %d: frame %d is of schema version %d", p, offset, h.Schema)
		}
		b, err := written.DecodeFrame(body)
		if err != nil {
			return err
		}
		last = &lastFrame{sequence: h.Sequence}
		w.frames[from] = last
		for i := range b.N {
			at, err := w.find(p, b, i, ordered)
			if err != nil {
				return fmt.Errorf("partition %d, frame %d, row %d: %w", p, offset, i, err)
			}
			last.variants = append(last.variants, w.awaited[p][at].variant)
			w.awaited[p] = slices.Delete(w.awaited[p], at, at+1)
		}
	} else {
		w.saw("a frame appended twice")
	}
	for _, v := range last.variants {
		w.rows[p] = append(w.rows[p], placed{offset, v})
		w.notice(v)
	}
	return nil
}

// find returns which of the awaited rows row i of a frame is.
func (w *world) find(p int, b *event.Batch, i int, ordered bool) (int, error) {
	unsure, skipped := -1, false
	for at, r := range w.awaited[p] {
		same := r.id == b.IDs[i] && r.hash == b.Hashes[i] && w.sameTexts(r.variant, b, i)
		switch {
		case same && r.sure && !(ordered && skipped):
			return at, nil
		case same && !r.sure && unsure < 0:
			unsure = at
		}
		skipped = skipped || r.sure
	}
	if unsure >= 0 {
		return unsure, nil
	}
	return 0, fmt.Errorf("nobody sent it, or not in this order; awaited are %v", w.awaited[p])
}

// sameTexts tells apart what has the same content hash: a text that is empty,
// as it is in JSON, and one that is not there, as in CSV.
func (w *world) sameTexts(variant int, b *event.Batch, i int) bool {
	e, csv := w.Events[variant/2], variant%2 == 1
	for n, f := range w.newest() {
		c := b.Column(f.Name)
		if c == nil || f.Kind != "string" && f.Kind != "bytes" {
			continue
		}
		if e.Values[n] == nil {
			if text := c.Bytes(i); text != nil && (f.Default == nil && len(text) == 0 || f.Default != nil && string(text) != *f.Default) {
				return false
			}
			continue
		}
		if *e.Values[n] != "" {
			continue
		}
		want := []byte{}
		switch {
		case csv && f.Default != nil:
			want = []byte(*f.Default)
		case csv && f.Nullable:
			want = nil
		}
		if got := c.Bytes(i); (got == nil) != (want == nil) || string(got) != string(want) {
			return false
		}
	}
	return true
}

// notice notes what is rare among events.
func (w *world) notice(variant int) {
	e := w.Events[variant/2]
	if at := w.text(e, w.Time); w.Time != "" && at < "2019-02" {
		w.saw("an event years late")
	}
	if e.Retracts {
		w.saw("a retraction")
	}
}

// records reads the log of a partition.
func (w *world) records(p int, from, head uint64, fn func(offset uint64, h event.Header, body []byte) error) error {
	first, next, err := w.log.Log.Bounds(w.ctx, p)
	if err != nil || first == next || from >= head {
		return err
	}
	r, err := w.log.Log.Read(w.ctx, p, from)
	if err != nil {
		return err
	}
	defer r.Close()
	for at := from; at < head; {
		records, err := r.Next(w.ctx)
		if err != nil {
			return err
		}
		for _, record := range records {
			if at = record.Offset + 1; at > head {
				break // it came since, and is for the next time
			}
			h, body, err := event.ParseFrame(record.Frame)
			if err != nil {
				return err
			}
			if err := fn(record.Offset, h, body); err != nil {
				return err
			}
		}
	}
	return nil
}

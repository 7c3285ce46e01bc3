package ingest

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"anabranch/deadletter"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/internal/planted"
	"anabranch/schemas"
)

// request is one body on its way.
type request struct {
	g        *Gateway
	meta     Meta
	received time.Time
	answer   Answer

	single    bool // the body is one JSON object, made an array of one here
	lineShift int

	last    []place // by partition: where the newest row of this request stands
	pending []*frame

	header       []byte // of a CSV body; the decoder's
	letters      []deadletter.Letter
	letterBytes  int
	parts        int        // of letters stored
	byPartition  [][]uint32 // scratch: rows of a batch by partition
	verdicts     []verdict
	match        []bool
	lettersOfNow []deadletter.Letter // scratch: of one batch, not in order yet
}

type place struct {
	frame *frame
	row   int
}

// Accept takes the events of one body and returns when all of them are
// durable: in the log, or as dead letters. Events that cannot be decoded or
// that a rule rejects are no error, they are counted and listed in the answer.
// An error means that the request may be repeated as it was, and RetryAfter
// when; its code is one of the Code constants, its kind says the rest.
func (g *Gateway) Accept(ctx context.Context, body io.Reader, m Meta) (Answer, error) {
	began := g.opts.Clock.Now()
	answer, lane, err := g.accept(ctx, body, m, began)
	result := "ok"
	if err != nil {
		result = fault.CodeOf(err)
		if result == "" {
			result = fault.KindOf(err).String()
		}
		level := slog.LevelWarn
		if answer.Request == "" {
			level = slog.LevelDebug // refused at the door; there may be very many
		}
		g.opts.Logger.Log(ctx, level, "request failed", "pipeline", g.opts.Pipeline, "request", answer.Request, "source", m.Source, "error", err)
	} else {
		g.metrics.request.Observe(g.opts.Clock.Now().Sub(began).Seconds())
	}
	g.metrics.requests.WithLabelValues(lane, result).Inc()
	return answer, err
}

func (g *Gateway) accept(ctx context.Context, body io.Reader, m Meta, began time.Time) (Answer, string, error) {
	lane, release, err := g.admit(m)
	if err != nil {
		return Answer{}, lane, err
	}
	defer release()
	if m.Request == "" {
		if m.Request, err = randomName(g.opts.Random); err != nil {
			return Answer{}, lane, err
		}
	}
	d, err := g.decoder(m.Format)
	if err != nil {
		return Answer{}, lane, err
	}
	r := &request{
		g: g, meta: m, received: began, lineShift: max(m.FirstLine-1, 0), last: make([]place, len(g.parts)), byPartition: make([][]uint32, len(g.parts)),
		answer: Answer{Request: m.Request, Receipt: Receipt{Pipeline: g.opts.Pipeline, Positions: []string{}}},
	}
	if !m.Received.IsZero() {
		r.received = m.Received
	}
	body = &counter{body, g}
	if m.Format == schemas.JSONArray {
		if body, r.single = single(body); r.single {
			body = io.MultiReader(strings.NewReader("["), body, strings.NewReader("]"))
		}
	}
	d.Reset(body)
	err = r.read(ctx, d)
	g.putBack(m.Format, d)
	if err == nil {
		err = r.settle(ctx)
	}
	return r.answer, lane, err
}

// read decodes the body and hands on what is in it.
func (r *request) read(ctx context.Context, d *schemas.Decoder) error {
	for read := 0; ; {
		if err := ctx.Err(); err != nil {
			return r.outOfTime(err)
		}
		rows, err := d.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return bodyError(err, read)
		}
		read += rows.Batch.N + len(rows.Bad)
		r.header = d.Header()
		if err := r.take(ctx, rows); err != nil {
			return err
		}
		d.GiveBack() // frames and letters have copies
	}
}

// take judges the rows, puts those that pass into frames and makes letters of
// the rest.
func (r *request) take(ctx context.Context, rows *schemas.Rows) error {
	if err := r.sort(rows); err != nil {
		return err
	}
	for p, of := range r.byPartition {
		if err := r.send(ctx, rows, p, of); err != nil {
			return err
		}
	}
	for _, l := range r.lettersOfNow {
		if err := r.reject(ctx, l); err != nil {
			return err
		}
	}
	return nil
}

// sort sets byPartition to the rows that pass and lettersOfNow to the rest, in
// the order of the body.
func (r *request) sort(rows *schemas.Rows) error {
	var err error
	if r.verdicts, r.match, err = judge(r.g.opts.Rules, rows.Batch, r.verdicts, r.match); err != nil {
		return fmt.Errorf("evaluate the quality rules: %w", err)
	}
	r.lettersOfNow = r.lettersOfNow[:0]
	for p := range r.byPartition {
		r.byPartition[p] = r.byPartition[p][:0]
	}
	parts := uint64(len(r.g.parts))
	for i, v := range r.verdicts {
		if v.rule < 0 {
			p := rows.Keys[i] % parts
			r.byPartition[p] = append(r.byPartition[p], uint32(i))
			continue
		}
		rule := r.g.opts.Rules[v.rule]
		code, message := rule.Code, rule.Message
		if v.err != nil {
			code, message = CodeRuleFailed, fmt.Sprintf("rule %s could not be evaluated: %v", rule.Code, v.err)
		}
		// A rule judges the whole event: the place is where that begins.
		r.lettersOfNow = append(r.lettersOfNow, deadletter.Letter{
			Code: code, Message: message, Field: rule.Field, Line: rows.Lines[i] + r.lineShift, Column: 1, Raw: slices.Clone(rows.Raw(i)),
		})
	}
	for _, bad := range rows.Bad {
		column := bad.Column
		if r.single && bad.Line == 1 {
			column = max(column-1, 0) // behind the bracket that was put in front
		}
		r.lettersOfNow = append(r.lettersOfNow, deadletter.Letter{
			Code: bad.Code, Message: bad.Message, Field: bad.Field, Line: bad.Line + r.lineShift, Column: column, Raw: bad.Raw,
		})
	}
	slices.SortStableFunc(r.lettersOfNow, func(a, b deadletter.Letter) int { return a.Line - b.Line })
	return nil
}

// send puts rows of one partition into frames, in pieces that a frame can
// hold.
func (r *request) send(ctx context.Context, rows *schemas.Rows, p int, of []uint32) error {
	limit := r.g.opts.FrameBytes
	for len(of) > 0 {
		n, size := 0, 0
		for n < len(of) {
			one := r.g.rowBytes + len(rows.Raw(int(of[n])))
			if n > 0 && size+one > limit {
				break
			}
			size += one
			n++
		}
		if err := r.g.waiting.take(ctx, int64(size)); err != nil {
			return r.outOfTime(err)
		}
		f, first, err := r.g.parts[p].add(ctx, rows.Batch, of[:n], size, int64(size), r.meta.Trace)
		if err != nil {
			r.g.waiting.give(int64(size))
			if ctx.Err() != nil {
				return r.outOfTime(err)
			}
			return ambiguousLater(err, CodeDraining)
		}
		if r.last[p].frame != f {
			r.pending = append(r.pending, f)
		}
		r.last[p] = place{f, first + n - 1}
		r.answer.Accepted += n
		of = of[n:]
	}
	return r.collect()
}

// collect forgets the frames at the front that the log has acknowledged, so
// that a long body does not gather them, and stops a body whose rows fail.
func (r *request) collect() error {
	for len(r.pending) > 0 {
		select {
		case <-r.pending[0].done:
		default:
			return nil
		}
		if err := r.pending[0].err; err != nil {
			return appendError(err)
		}
		r.pending = r.pending[1:]
	}
	return nil
}

// settle waits until every row is durable, stores the last letters and
// completes the answer.
func (r *request) settle(ctx context.Context) error {
	for _, f := range r.pending {
		if planted.On(planted.AckBeforeSync) {
			break
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return r.outOfTime(ctx.Err())
		}
		if f.err != nil {
			return appendError(f.err)
		}
	}
	// Last, so that a request whose rows failed leaves few letters behind for
	// its repetition to double.
	if planted.On(planted.LettersUnstored) {
		r.answer.DeadLettered += len(r.letters)
	} else if err := r.post(ctx); err != nil {
		return err
	}
	for p, at := range r.last {
		if at.frame != nil {
			r.answer.Receipt.Positions = append(r.answer.Receipt.Positions,
				event.Position{Partition: int32(p), Offset: at.frame.offset, Row: int32(at.row)}.String())
		}
	}
	return nil
}

// counter counts the bytes of a body.
type counter struct {
	io.Reader
	g *Gateway
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.g.metrics.bytes.Add(float64(n))
	return n, err
}

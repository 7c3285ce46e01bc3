package ingest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"anabranch/deadletter"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/schemas"
	"anabranch/view"
)

// Pick says which dead letters go back, and what is changed on the way.
type Pick struct {
	IDs   []string  // these; else all that the rest names
	Codes []string  // of these; none: of all but conflict
	Since time.Time // received on that day (UTC) or later
	Sets  []string  // "field=expression", see view.Patch
}

// Releaser sends dead letters back through a gateway, so that the rules that
// hold for every event hold for them.
type Releaser struct {
	Gateway *Gateway
	Letters *deadletter.Store
}

// Trial is what a release would make of one letter.
type Trial struct {
	Letter  deadletter.Letter
	Format  schemas.Format
	Header  []byte // of a CSV record
	Event   []byte // what would be sent
	Refused *EventError
}

// pageLetters is how many letters go back at once: some seconds at most.
const pageLetters = 500

// Try returns what would become of the next letters, at most limit of them,
// behind the letter after: the ones released before are passed over and
// counted. next is empty when there are no more. It stores nothing.
func (r *Releaser) Try(ctx context.Context, p Pick, after string, limit int) (trials []Trial, skipped int, next string, err error) {
	letters, next, err := r.pick(ctx, p, after, limit)
	if err != nil {
		return nil, 0, "", err
	}
	n := len(letters)
	letters = slices.DeleteFunc(letters, func(l deadletter.Letter) bool { return l.Released != nil })
	skipped = n - len(letters)
	patch, done, err := r.patch(ctx, p.Sets)
	if err != nil {
		return nil, 0, "", err
	}
	defer done()
	if trials, err = patch.apply(ctx, letters); err != nil {
		return nil, 0, "", err
	}
	for i := range trials {
		if t := &trials[i]; t.Refused == nil {
			if err := r.check(ctx, t); err != nil {
				return nil, 0, "", err
			}
		}
	}
	return trials, skipped, next, nil
}

// pick lists letters; those that were released are among them.
func (r *Releaser) pick(ctx context.Context, p Pick, after string, limit int) (letters []deadletter.Letter, next string, err error) {
	if len(p.IDs) > 0 {
		from := slices.Index(p.IDs, after) + 1
		to := min(from+limit, len(p.IDs))
		for _, id := range p.IDs[from:to] {
			l, err := r.Letters.Get(ctx, id)
			if err != nil {
				return nil, "", err
			}
			letters = append(letters, l)
		}
		if to < len(p.IDs) {
			next = p.IDs[to-1]
		}
		return letters, next, nil
	}
	last := ""
	for l, err := range r.Letters.List(ctx, deadletter.Options{Codes: p.Codes, After: after, Since: p.Since, Limit: limit}) {
		if err != nil {
			return nil, "", err
		}
		last = l.ID
		// The log holds a conflicting copy already: sent again it would be a
		// conflict again, unless somebody asks for it and changes its id.
		if len(p.Codes) > 0 || l.Code != fault.Conflict.String() {
			letters = append(letters, l)
		}
		limit--
	}
	if limit == 0 {
		next = last
	}
	return letters, next, nil
}

// check asks the gateway about one event.
func (r *Releaser) check(ctx context.Context, t *Trial) error {
	refused, err := r.Gateway.Check(ctx, bytes.NewReader(bodyOf(t.Header, [][]byte{t.Event})), Meta{Format: t.Format})
	if err != nil {
		return fmt.Errorf("check dead letter %s: %w", t.Letter.ID, err)
	}
	if len(refused) > 0 {
		t.Refused = &refused[0]
	}
	return nil
}

// bodyOf joins events, each on lines of its own.
func bodyOf(header []byte, events [][]byte) []byte {
	var b bytes.Buffer
	if len(header) > 0 {
		b.Write(header)
		b.WriteByte('\n')
	}
	for _, e := range events {
		b.Write(e)
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// Released is what one page of a release came to.
type Released struct {
	Released     int                  // sent, and durable
	Skipped      int                  // released before, or by another release
	Refused      int                  // they stay letters
	Next         string               // where the next page begins; empty: there is none
	Positions    []string             // of the last event in each partition touched
	FirstRefused []deadletter.Refused // some of those refused
}

// maxRefused is how many refused letters Release names.
const maxRefused = 20

// Release sends the letters of one page. release names the whole, number the
// page: called again with both it goes on where it stopped, with the bytes of
// the first time, and what was sent twice is a copy that counts once.
func (r *Releaser) Release(ctx context.Context, release string, number int, p Pick, after, by string) (out Released, err error) {
	page, err := r.Letters.Page(ctx, release, number)
	if err != nil {
		return out, err
	}
	if page == nil {
		if page, err = r.page(ctx, p, after); err != nil {
			return out, err
		}
		if page, err = r.Letters.PutPage(ctx, release, number, page); err != nil {
			return out, err
		}
	}
	out = Released{Skipped: page.Skipped, Next: page.Next, Refused: len(page.Refused), FirstRefused: page.Refused[:min(len(page.Refused), maxRefused)]}
	for i, body := range page.Bodies {
		into := fmt.Sprintf("release-%s-%d-%d", release, number, i)
		var events [][]byte
		for j, id := range body.IDs {
			ours, err := r.Letters.Claim(ctx, id, deadletter.Release{By: by, Into: into, At: r.Gateway.opts.Clock.Now().UTC()})
			if err != nil {
				return out, fmt.Errorf("claim dead letter %s: %w", id, err)
			}
			if ours {
				events = append(events, body.Events[j])
			}
		}
		out.Skipped += len(body.IDs) - len(events)
		if len(events) == 0 {
			continue
		}
		m := Meta{Format: schemas.NDJSON, Request: into, Source: into, Lane: r.Gateway.opts.Lanes[len(r.Gateway.opts.Lanes)-1].Name}
		if body.Format == schemas.CSV.String() {
			m.Format = schemas.CSV
		}
		answer, err := r.Gateway.Accept(ctx, bytes.NewReader(bodyOf(body.Header, events)), m)
		if err != nil {
			return out, fmt.Errorf("send %d dead letters back: %w", len(events), err)
		}
		out.Released += answer.Accepted
		out.Refused += answer.DeadLettered // the rules have changed meanwhile: they are letters again
		out.Positions = Latest(out.Positions, answer.Receipt.Positions)
	}
	return out, nil
}

// page tries the next letters and sets out how they are sent.
func (r *Releaser) page(ctx context.Context, p Pick, after string) (*deadletter.Page, error) {
	trials, skipped, next, err := r.Try(ctx, p, after, pageLetters)
	if err != nil {
		return nil, err
	}
	page := &deadletter.Page{Skipped: skipped, Next: next}
	at := map[string]int{}
	for _, t := range trials {
		if e := t.Refused; e != nil {
			page.Refused = append(page.Refused, deadletter.Refused{ID: t.Letter.ID, Code: e.Code, Field: e.Field, Message: e.Message})
			continue
		}
		key := t.Format.String() + "\n" + string(t.Header)
		i, ok := at[key]
		if !ok {
			i, at[key] = len(page.Bodies), len(page.Bodies)
			page.Bodies = append(page.Bodies, deadletter.Body{Format: t.Format.String(), Header: t.Header})
		}
		b := &page.Bodies[i]
		b.IDs, b.Events = append(b.IDs, t.Letter.ID), append(b.Events, t.Event)
	}
	return page, nil
}

// Latest keeps the greater position of each partition.
func Latest(all, more []string) []string {
	best := map[int32]event.Position{}
	for _, text := range slices.Concat(all, more) {
		if at, err := event.ParsePosition(text); err == nil && at.Compare(best[at.Partition]) >= 0 {
			best[at.Partition] = at
		}
	}
	out := make([]string, 0, len(best))
	//workflowcheck:ignore they are sorted
	for _, at := range best {
		out = append(out, at.String())
	}
	slices.Sort(out)
	return out
}

// patch compiles the changes; done lets them go.
func (r *Releaser) patch(ctx context.Context, texts []string) (p *patch, done func(), err error) {
	if len(texts) == 0 {
		return &patch{}, func() {}, nil
	}
	p = &patch{}
	for _, text := range texts {
		s, err := view.ParseSet(text)
		if err != nil {
			return nil, nil, err
		}
		if r.Gateway.opts.Schema.Shape().Index(s.Field) < 0 {
			return nil, nil, fault.New(fault.Invalid, "change %q: the schema has no field %s: %s", text, s.Field, schemas.DidYouMean(s.Field, r.Gateway.opts.Schema.Shape().Names()))
		}
		p.sets = append(p.sets, s)
	}
	c, err := view.NewCompiler(ctx)
	if err != nil {
		return nil, nil, err
	}
	if p.Patch, err = c.Patch(ctx, p.sets, r.Gateway.opts.Schema.Shape()); err != nil {
		c.Close()
		return nil, nil, err
	}
	return p, func() { c.Close() }, nil
}

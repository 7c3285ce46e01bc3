package ingest

import (
	"context"
	"fmt"
	"slices"

	"anabranch/deadletter"
	"anabranch/fault"
	"anabranch/schemas"
)

// Letters are stored together up to these bounds, which depend on the body
// alone: a repeated request makes the same parts.
const (
	partLetters = 5000
	partBytes   = 1 << 20
)

// reject makes one event a letter; letters are stored a part at a time.
func (r *request) reject(ctx context.Context, l deadletter.Letter) error {
	l.Source, l.Kind, l.Received = r.meta.Source, fault.Poison.String(), r.received
	if l.Source == "" {
		l.Source = r.meta.Request
	}
	l.SchemaVersion = r.g.opts.Schema.Version()
	l.Format = schemas.NDJSON.String() // an element of an array is an object too
	if r.meta.Format == schemas.CSV {
		l.Format, l.Header = schemas.CSV.String(), slices.Clone(r.header)
	}
	r.letters = append(r.letters, l)
	r.letterBytes += len(l.Raw)
	r.answer.ErrorsTotal++
	if len(r.answer.Errors) < MaxErrors {
		r.answer.Errors = append(r.answer.Errors, asError(l))
	}
	if len(r.letters) >= partLetters || r.letterBytes >= partBytes {
		return r.post(ctx)
	}
	return nil
}

// asError is what an answer says of a letter.
func asError(l deadletter.Letter) EventError {
	return EventError{Line: l.Line, Column: l.Column, Field: l.Field, Code: l.Code, Message: l.Message}
}

// post stores the letters gathered.
func (r *request) post(ctx context.Context) error {
	if len(r.letters) == 0 {
		return nil
	}
	r.parts++
	name := r.meta.Request
	if r.parts > 1 {
		name = fmt.Sprintf("%s-part%d", name, r.parts)
	}
	if err := r.g.opts.Letters.Put(ctx, name, r.letters); err != nil {
		if ctx.Err() != nil {
			return r.outOfTime(err)
		}
		return ambiguousLater(fmt.Errorf("store %d dead letters: %w", len(r.letters), err), CodeLettersFailed)
	}
	for _, l := range r.letters {
		r.g.metrics.deadLettered.WithLabelValues(l.Code).Inc()
	}
	r.answer.DeadLettered += len(r.letters)
	clear(r.letters)
	r.letters, r.letterBytes = r.letters[:0], 0
	return nil
}

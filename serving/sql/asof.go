package sql

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"anabranch/fault"
	"anabranch/internal/sqltext"
	"anabranch/serving"
)

// cutAsOf takes AS OF RECEIPT '...' off the end of a query, and returns the
// receipt.
func cutAsOf(text string) (rest string, r *serving.Receipt, err error) {
	if !asOfClause.MatchString(text) {
		return text, nil, nil
	}
	all := sqltext.Lex(text)
	for len(all) > 0 && all[len(all)-1].Is(";") {
		all = all[:len(all)-1]
	}
	if len(all) < 4 {
		return text, nil, nil
	}
	end := all[len(all)-4:]
	if !end[0].Is("as") || !end[1].Is("of") || !end[2].Is("receipt") || end[3].Kind != sqltext.String {
		return text, nil, nil
	}
	r, err = serving.ParseReceipt(end[3].Value())
	if err != nil {
		return text, nil, fmt.Errorf("%w%s", err, placeAt(text, end[3].Start+1))
	}
	return text[:end[0].Start], r, nil
}

// asOfClause is in every query that has the clause.
var asOfClause = regexp.MustCompile(`(?i)RECEIPT`)

// epochAsOf returns an epoch of exactly what a receipt covers, which the
// caller releases. It is the one that answered then, while that is kept; else
// it is made anew from the version's files and the events above its cut.
func (e *Engine) epochAsOf(ctx context.Context, asked map[*serving.Source][]string, x extras, r *serving.Receipt) (*epoch, error) {
	var pins []*serving.Pin
	for src, views := range asked {
		slices.Sort(views)
		given, ok := r.Pipelines[src.Name]
		if !ok {
			return nil, fault.WithCode(fault.New(fault.Invalid, "the receipt does not cover pipeline %s", src.Name), "receipt_invalid")
		}
		p, err := e.serving.Past(ctx, src, views, given)
		if err != nil {
			return nil, err
		}
		pins = append(pins, p)
	}
	slices.SortFunc(pins, func(a, b *serving.Pin) int { return strings.Compare(a.Source.Name, b.Source.Name) })
	made, err := e.cut(ctx)
	if err != nil {
		return nil, err
	}
	defer made()
	ep, err := e.epochOf(ctx, pins, nil, asked, x, true, made)
	var u *serving.Unfetched
	switch {
	case errors.As(err, &u) && fault.Is(err, fault.NotFound):
		return nil, e.serving.Gone(ctx, u.Source, err)
	case fault.Is(err, fault.NotFound) && fault.CodeOf(err) == "":
		return nil, e.serving.Gone(ctx, pins[0].Source, err)
	}
	return ep, err
}

// replay brings what the pins of a past lack.
func replay(ctx context.Context, pins []*serving.Pin) error {
	for _, p := range pins {
		if p.Delta != nil {
			continue
		}
		if err := p.Replay(ctx); err != nil {
			return err
		}
	}
	return nil
}

// asGiven returns the receipt of an answer as of another receipt, which is that
// one. What was counted must be the same.
func asGiven(made serving.Receipt, given *serving.Receipt) (serving.Receipt, error) {
	r := serving.Receipt{AsOf: given.AsOf, Pipelines: map[string]serving.PipelineReceipt{}}
	for name, now := range made.Pipelines {
		then := given.Pipelines[name]
		if then.RowsBatch+then.RowsSpeed > 0 && (then.RowsBatch != now.RowsBatch || then.RowsSpeed != now.RowsSpeed) {
			return r, fault.New(fault.Corrupt, "as of the receipt %d events counted below the cut of %s and %d above; the receipt says %d and %d",
				now.RowsBatch, name, now.RowsSpeed, then.RowsBatch, then.RowsSpeed)
		}
		// What is told of the moment is the receipt's.
		now.CompleteTo, now.Duplicates, now.DeadLetters, now.Stale, now.StaleBecause = then.CompleteTo, then.Duplicates, then.DeadLetters, then.Stale, then.StaleBecause
		r.Pipelines[name] = now
	}
	return r, nil
}

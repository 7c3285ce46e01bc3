package sql

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"anabranch/internal/sqltext"
)

// edit replaces a part of the text once it is known which versions answer.
type edit struct {
	from, to int
	with     func(ctx context.Context, conn *sql.Conn, ep *epoch) (string, error)
}

// wording is a query as it runs, and as its reader wrote it.
type wording struct {
	asked, runs string
	moves       []move // in order
}

// move is an edit that was made: bytes from to to of what was asked are with
// bytes of what runs.
type move struct{ from, to, with int }

func unchanged(text string) wording { return wording{asked: text, runs: text} }

// written returns the text that runs at the cut of ep. An explanation is of the
// query with the arguments, and takes none itself.
func (c *checked) written(ctx context.Context, conn *sql.Conn, ep *epoch, args []any) (wording, error) {
	w := unchanged(c.text)
	slices.SortFunc(c.edits, func(a, b edit) int { return b.from - a.from })
	for _, d := range c.edits {
		with, err := d.with(ctx, conn, ep)
		if err != nil {
			return w, err
		}
		w.runs = w.runs[:d.from] + with + w.runs[d.to:]
		w.moves = append(w.moves, move{d.from, d.to, len(with)})
	}
	slices.Reverse(w.moves)
	if c.explain {
		told, err := ep.explanation(ctx, conn, w.runs, args, ep.filters(c.needs))
		if err != nil {
			return w.behind(planOf), err
		}
		return unchanged(told), nil
	}
	return w, nil
}

// plannedOnce has DuckDB plan a query once. It plans what reads files as it
// prepares it, and again as it executes that; only where there are parameters
// does it leave the first plan at the names and types. So a query without any
// gets one, in a WITH that nothing reads and no plan shows.
func plannedOnce(w wording, args []any) (wording, []any) {
	const with = `WITH "the engine's parameter" AS (SELECT $1::BIGINT) `
	begins := len(w.runs) >= len("SELECT") && strings.EqualFold(w.runs[:len("SELECT")], "SELECT")
	if len(args) > 0 || !begins || strings.ContainsAny(w.runs, "$?") && takes(w.runs) {
		return w, args
	}
	return w.behind(with), []any{int64(0)}
}

// behind has words of ours before it.
func (w wording) behind(words string) wording {
	return wording{w.asked, words + w.runs, slices.Concat([]move{{0, 0, len(words)}}, w.moves)}
}

// takes tells whether there are parameters in a text.
func takes(text string) bool {
	return slices.ContainsFunc(sqltext.Lex(text), func(t sqltext.Token) bool { return t.Kind == sqltext.Parameter || t.Is("$") })
}

// back returns where in what was asked a place of what runs is: of what stands
// in place of something, where that began.
func (w wording) back(at int) int {
	grown := 0
	for _, m := range w.moves {
		from := m.from + grown
		switch {
		case at < from:
			return at - grown
		case at < from+m.with:
			return m.from
		}
		grown += m.with - (m.to - m.from)
	}
	return at - grown
}

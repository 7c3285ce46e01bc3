package view

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"

	"anabranch/event"
	"anabranch/fault"
)

// Set is one change to an event that is still text: a field, and the SQL
// expression that gives its new value.
type Set struct {
	Field string
	Expr  string
}

// ParseSet reads "field=expression".
func ParseSet(text string) (Set, error) {
	field, expr, ok := strings.Cut(text, "=")
	if field, expr = strings.TrimSpace(field), strings.TrimSpace(expr); !ok || field == "" || expr == "" {
		return Set{}, fault.New(fault.Invalid, "change %q: want field=expression, as in \"price=abs(price::double)\"", text)
	}
	return Set{field, expr}, nil
}

// Patch changes events that are still text. Its expressions see every field of
// the schema as VARCHAR, NULL where an event has none, and the event as a JSON
// object under the name raw, unless a field has that name. It uses the
// Compiler that made it, and is good for as long as that.
type Patch struct {
	db    *sql.DB
	sets  []Set
	query string
}

// Value is the outcome of one Set for one event, in two spellings.
type Value struct {
	Null bool
	Text string // as a field of CSV
	JSON string
}

// Patch compiles changes to events of shape. The error is Invalid and says
// which expression is wrong.
func (c *Compiler) Patch(ctx context.Context, sets []Set, shape *event.Shape) (*Patch, error) {
	var from strings.Builder
	from.WriteString(" FROM (SELECT number")
	if shape.Index("raw") < 0 {
		from.WriteString(", raw")
	}
	for _, f := range shape.Fields {
		from.WriteString(", raw->>'" + strings.ReplaceAll(`$."`+f.Name+`"`, "'", "''") + "' AS " + quote(f.Name))
	}
	from.WriteString(" FROM (SELECT unnest(range(len($1))) AS number, CAST(unnest($1) AS JSON) AS raw))")
	p := &Patch{db: c.db, sets: sets}
	seen := map[string]bool{}
	var list strings.Builder
	for _, s := range sets {
		if seen[s.Field] {
			return nil, fault.New(fault.Invalid, "field %s is changed twice", s.Field)
		}
		seen[s.Field] = true
		expr := "(" + s.Expr + "\n)" // a comment in it ends there
		if _, err := c.db.ExecContext(ctx, "EXPLAIN SELECT "+expr+from.String(), []string{}); err != nil {
			if ctx.Err() != nil {
				return nil, fmt.Errorf("compile the change of %s: %w", s.Field, context.Cause(ctx))
			}
			message, _ := (&duck{}).excerpt(err.Error())
			return nil, fault.New(fault.Invalid, "change of %s: %s: %s", s.Field, s.Expr, strings.Join(strings.Fields(message), " "))
		}
		list.WriteString(", to_json" + expr + "::VARCHAR, " + expr + "::VARCHAR")
	}
	p.query = "SELECT number" + list.String() + from.String() + " ORDER BY number"
	return p, nil
}

// Apply evaluates the changes for events, each a JSON object. values[i][j] is
// of event i and change j; errs[i] says why event i has none.
func (p *Patch) Apply(ctx context.Context, events []json.RawMessage) (values [][]Value, errs []error, err error) {
	values, errs = make([][]Value, len(events)), make([]error, len(events))
	if err := p.apply(ctx, events, values); err == nil {
		return values, errs, nil
	} else if ctx.Err() != nil {
		return nil, nil, fmt.Errorf("change %d events: %w", len(events), context.Cause(ctx))
	}
	for i := range events { // one of them fails
		if errs[i] = p.apply(ctx, events[i:i+1], values[i:i+1]); errs[i] != nil && ctx.Err() != nil {
			return nil, nil, fmt.Errorf("change %d events: %w", len(events), context.Cause(ctx))
		}
	}
	return values, errs, nil
}

func (p *Patch) apply(ctx context.Context, events []json.RawMessage, out [][]Value) error {
	texts := make([]string, len(events))
	for i, e := range events {
		texts[i] = string(e)
	}
	rows, err := p.db.QueryContext(ctx, p.query, texts)
	if err != nil {
		return p.foreign(ctx, err)
	}
	defer rows.Close()
	var number int
	cells := make([]sql.NullString, 2*len(p.sets))
	into := []any{&number}
	for i := range cells {
		into = append(into, &cells[i])
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return p.foreign(ctx, err)
		}
		of := make([]Value, len(p.sets))
		for j := range of {
			asJSON, text := cells[2*j], cells[2*j+1]
			of[j] = Value{Null: !text.Valid, Text: text.String, JSON: asJSON.String}
			if of[j].Null {
				of[j].JSON = "null"
			}
		}
		out[number] = of
	}
	if err := rows.Err(); err != nil {
		return p.foreign(ctx, err)
	}
	return nil
}

func (p *Patch) foreign(ctx context.Context, err error) error {
	d := duck{db: p.db, src: Source{Name: "the change"}}
	return d.foreign(ctx, "change an event", err)
}

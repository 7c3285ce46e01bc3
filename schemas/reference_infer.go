package schemas

import (
	"context"
	"regexp"
	"slices"

	"anabranch/event"
)

// A column of a CSV file whose type nobody has declared is of the first of
// these types that has a place for all of its values. What looks like a number
// and is none, like a postal code with a zero in front, stays text.
var guesses = []struct {
	kind  event.Kind
	looks *regexp.Regexp
}{
	{event.Int64, regexp.MustCompile(`^(-?[1-9][0-9]{0,17}|0)$`)},
	{event.Float64, regexp.MustCompile(`^-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,15})?([eE][-+]?[0-9]{1,2})?$`)},
	{event.Bool, regexp.MustCompile(`^(true|false)$`)},
	{event.Date, regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}$`)},
	{event.Timestamp, regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}`)},
}

// infer gives the open fields their types.
func (r *ReferenceReader) infer(ctx context.Context, fields []event.Field, open []int) error {
	s, err := nullableSchema(fields) // where they are texts
	if err != nil {
		return err
	}
	fits, some := make([][]bool, len(fields)), make([]bool, len(fields))
	for _, i := range open {
		fits[i] = make([]bool, len(guesses))
		for g := range guesses {
			fits[i][g] = true
		}
	}
	try := make([]builder, len(guesses))
	for g := range guesses {
		try[g] = builder{field: &field{Field: event.Field{Type: event.Type{Kind: guesses[g].kind}}, zoned: true}}
	}
	err = r.decode(ctx, s, func(b *event.Batch) error {
		for _, i := range open {
			c := &b.Columns[i]
			seen := make([]bool, c.Dict.Len())
			for row, code := range c.Codes {
				if !c.Valid.Get(row) || seen[code] {
					continue
				}
				seen[code], some[i] = true, true
				value := cellText{raw: c.Dict.Value(code), token: plainText} // of none of these types is the hash asked
				for g := range guesses {
					if !fits[i][g] {
						continue
					}
					fits[i][g] = guesses[g].looks.Match(value.raw)
					if fits[i][g] {
						try[g].reset(1, false)
						wrong, _ := try[g].addValue(&value)
						fits[i][g] = wrong == ""
					}
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, i := range open {
		if g := slices.Index(fits[i], true); some[i] && g >= 0 {
			fields[i].Type.Kind = guesses[g].kind
		}
	}
	return nil
}

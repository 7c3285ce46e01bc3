package view_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"anabranch/event"
	"anabranch/fault"
	"anabranch/view"
)

func patched(t *testing.T, sets []string, shape *event.Shape, events ...string) (out []string) {
	t.Helper()
	c, err := view.NewCompiler(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var list []view.Set
	for _, text := range sets {
		s, err := view.ParseSet(text)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, s)
	}
	p, err := c.Patch(t.Context(), list, shape)
	if err != nil {
		return []string{"refused: " + err.Error()}
	}
	raw := make([]json.RawMessage, len(events))
	for i, e := range events {
		raw[i] = json.RawMessage(e)
	}
	values, errs, err := p.Apply(t.Context(), raw)
	if err != nil {
		t.Fatal(err)
	}
	for i := range events {
		if errs[i] != nil {
			out = append(out, fmt.Sprint(fault.KindOf(errs[i]), ": ", errs[i]))
			continue
		}
		var one []string
		for _, v := range values[i] {
			one = append(one, fmt.Sprintf("%v %s %s", v.Null, v.Text, v.JSON))
		}
		out = append(out, strings.Join(one, ", "))
	}
	return out
}

func TestPatch(t *testing.T) {
	t.Parallel()
	shape := &event.Shape{Fields: []event.Field{
		{Name: "price", Type: event.Type{Kind: event.Decimal, Precision: 10, Scale: 2}}, {Name: "country", Type: event.Type{Kind: event.String}}, {Name: "größe", Type: event.Type{Kind: event.String}},
	}}
	for _, c := range []struct {
		sets   []string
		events []string
		want   []string
	}{
		{[]string{"price=abs(price::decimal(10,2))"}, []string{`{"price":-1.50}`, `{"price":"2"}`, `{}`}, []string{"false 1.50 1.5", "false 2.00 2.0", "true  null"}},
		{[]string{"country = upper(trim(country)) -- so", "price=raw->>'$.cost'"}, []string{`{"country":" fr ","cost":"7"}`}, []string{`false FR "FR", false 7 "7"`}},
		{[]string{`country=größe`}, []string{`{"größe":"x, \"y\""}`}, []string{`false x, "y" "x, \"y\""`}},
	} {
		if got := patched(t, c.sets, shape, c.events...); fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%q: %q, want %q", c.sets, got, c.want)
		}
	}

	// One event that fails leaves the others alone.
	got := patched(t, []string{"price=price::double * 2"}, shape, `{"price":1}`, `{"price":"dear"}`, `{"price":3}`)
	if got[0] != "false 2.0 2.0" || got[2] != "false 6.0 6.0" || !strings.HasPrefix(got[1], "invalid: ") || !strings.Contains(got[1], "dear") {
		t.Errorf("%q", got)
	}
	for _, sets := range [][]string{{"price=prise+1"}, {"price=1", "price=2"}, {"price=1;drop table events"}, {"price=)"}, {"price=(select content from read_text('/etc/hostname'))"}} {
		if got := patched(t, sets, shape, `{}`); !strings.HasPrefix(got[0], "refused: ") && !strings.HasPrefix(got[0], "invalid") {
			t.Errorf("%q: %q", sets, got)
		} else {
			t.Log(got)
		}
	}
	for _, text := range []string{"", "=1", "price=", "price"} {
		if _, err := view.ParseSet(text); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

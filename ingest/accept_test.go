package ingest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"anabranch/deadletter"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/internal/clock"
	"anabranch/schemas"
	"anabranch/stream"
)

func TestAnswerIsExact(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	tb := setup(t, func(o *Options) {
		o.Clock = clock.NewManual(now)
		o.Rules = []Rule{
			{Code: "test_shop", Action: schemas.ActionFilter, Matches: when(func(b *event.Batch, i int) (bool, error) {
				return string(b.Column("customer").Bytes(i)) == "test", nil
			})},
			{Code: "zero", Message: "nothing sold", Action: schemas.ActionDeadLetter, Matches: quantityIs(0)},
		}
	})
	lines := []string{
		sale("a", "ann", 1),
		`{"id":"b","customer":"bob","quantity":"many"}` + "\n", // 2: wrong type
		sale("c", "cyd", 0),   // 3: rejected
		sale("d", "test", 0),  // 4: the filter comes first, so it is accepted
		"not json at all\n",   // 5
		sale("e", "ann", 2),   // 6
		sale("a", "ann", 1),   // 7: a duplicate, for others to find
		`{"customer":"fred"}`, // 8: no id, no line end
	}
	a := tb.accept(t, strings.Join(lines, ""), Meta{Request: "r1", Source: "sales.ndjson", Trace: [16]byte{9}})
	if a.Accepted != 4 || a.DeadLettered != 4 || a.ErrorsTotal != 4 || a.Request != "r1" || a.Receipt.Pipeline != "shop" {
		t.Fatalf("%+v", a)
	}
	log := readLog(t, tb.log, tb.schema)
	log.checkSequences(t)
	if want := []string{"a", "d", "e"}; !slices.Equal(sorted(log.ids), want) || len(log.ids["a"]) != 2 {
		t.Fatalf("in the log: %v", log.ids)
	}
	var last []string
	for _, p := range []event.Position{log.ids["a"][1], log.ids["d"][0]} {
		last = append(last, p.String())
	}
	slices.Sort(last)
	if !slices.Equal(a.Receipt.Positions, last) {
		t.Fatalf("positions %v, want %v", a.Receipt.Positions, last)
	}
	letters := listLetters(t, tb.letters)
	if len(letters) != 4 || len(a.Errors) != 4 {
		t.Fatalf("letters %+v\nerrors %+v", letters, a.Errors)
	}
	for i, line := range []int{2, 3, 5, 8} {
		l, e := letters[i], a.Errors[i]
		if l.Line != line || e.Line != line || e.Code != l.Code || e.Message != l.Message || e.Message == "" || e.Column != l.Column || e.Field != l.Field {
			t.Errorf("letter %+v, error %+v: want line %d", l, e, line)
		}
		if string(l.Raw) != strings.TrimSuffix(lines[line-1], "\n") {
			t.Errorf("line %d: letter holds %q", line, l.Raw)
		}
		if l.Source != "sales.ndjson" || l.Kind != "poison" || !l.Received.Equal(now) || l.SchemaVersion != 7 || l.Pipeline != "shop" {
			t.Errorf("letter %+v", l)
		}
	}
	if letters[1].Code != "zero" || letters[1].Message != "nothing sold" || letters[0].Code != schemas.CodeWrongType || letters[0].Field != "quantity" {
		t.Errorf("letters %+v", letters)
	}
	for _, headers := range log.headers {
		for _, h := range headers {
			if h.Ingested != now.UnixMicro() || h.Trace != [16]byte{9} || h.Producer != "g" {
				t.Errorf("header %+v", h)
			}
		}
	}
}

func TestNothingToTakeIsAnAnswerToo(t *testing.T) {
	t.Parallel()
	tb := setup(t, nil)
	for body, dead := range map[string]int{"": 0, "\n\n": 0, "garbage": 1, "{}\n{}": 2} {
		a := tb.accept(t, body, Meta{})
		if a.Accepted != 0 || a.DeadLettered != dead || a.Receipt.Positions == nil || len(a.Receipt.Positions) != 0 || a.Request == "" {
			t.Errorf("%q: %+v", body, a)
		}
	}
}

func TestErrorsAreListedUpToALimit(t *testing.T) {
	t.Parallel()
	tb := setup(t, nil)
	const n = 2*partLetters + 17
	body := strings.Repeat("bad\n", n)
	for range 2 { // a repetition replaces the parts of the attempt before
		a := tb.accept(t, body, Meta{Request: "many"})
		if a.DeadLettered != n || a.ErrorsTotal != n || len(a.Errors) != MaxErrors {
			t.Fatalf("%d dead letters, %d errors, %d listed", a.DeadLettered, a.ErrorsTotal, len(a.Errors))
		}
	}
	counts, err := tb.letters.Counts(t.Context())
	if err != nil || counts[schemas.CodeMalformed] != n {
		t.Fatalf("%v %v", counts, err)
	}
}

func TestARuleThatFailsLetsNothingThrough(t *testing.T) {
	t.Parallel()
	overflow := when(func(b *event.Batch, i int) (bool, error) {
		if q := b.Column("quantity").Ints[i]; q > 100 {
			return true, fault.New(fault.Invalid, "overflow")
		} else {
			return q == 7, nil
		}
	})
	tb := setup(t, func(o *Options) {
		o.Rules = []Rule{
			{Code: "three", Action: schemas.ActionFilter, Matches: quantityIs(300)},
			{Code: "seven", Action: schemas.ActionDeadLetter, Matches: overflow},
			{Code: "later", Action: schemas.ActionDeadLetter, Matches: quantityIs(200)},
		}
	})
	a := tb.accept(t, sale("a", "x", 1)+sale("b", "x", 200)+sale("c", "x", 7)+sale("d", "x", 300), Meta{})
	if a.Accepted != 2 || len(a.Errors) != 2 || a.Errors[0].Code != CodeRuleFailed || !strings.Contains(a.Errors[0].Message, "seven") || a.Errors[1].Code != "seven" {
		t.Fatalf("%+v", a)
	}
	if log := readLog(t, tb.log, tb.schema); !slices.Equal(sorted(log.ids), []string{"a", "d"}) {
		t.Fatalf("%v", log.ids)
	}
}

var (
	_ stream.Log = (*hooked)(nil)
	_ Letters    = (*deadletter.Store)(nil)
)

// A letter keeps its bytes however far the body is read behind it.
func TestLettersKeepTheirBytes(t *testing.T) {
	t.Parallel()
	tb := setup(t, func(o *Options) {
		o.Rules = []Rule{{Code: "zero", Action: schemas.ActionDeadLetter, Matches: quantityIs(0)}}
	})
	var lines []string
	for i := range 6000 {
		quantity := 1
		if i%300 == 7 {
			quantity = 0
		}
		lines = append(lines, sale(fmt.Sprint(i), strings.Repeat(fmt.Sprint("ann ", i, " "), 30), quantity))
	}
	a := tb.accept(t, strings.Join(lines, ""), Meta{Request: "r"})
	letters := listLetters(t, tb.letters)
	if a.DeadLettered != 20 || len(letters) != 20 {
		t.Fatalf("%d dead letters, %d are there", a.DeadLettered, len(letters))
	}
	for i, l := range letters {
		if want := strings.TrimSpace(lines[300*i+7]); string(l.Raw) != want {
			t.Errorf("line %d: %.60q, want %.60q", l.Line, l.Raw, want)
		}
	}
}

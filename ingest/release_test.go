package ingest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"anabranch/deadletter"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/schemas"
	"anabranch/stream"
)

// letterBundle is a gateway that has refused events in JSON and in CSV.
func letterBundle(t *testing.T, change func(*Options)) (*testBundle, *Releaser) {
	tb := setup(t, func(o *Options) {
		o.Rules = []Rule{{Code: "zero", Message: "nothing sold", Action: schemas.ActionDeadLetter, Matches: quantityIs(0)}}
		if change != nil {
			change(o)
		}
	})
	tb.accept(t, sale("good", "ann", 1)+
		`{"id":"j1","customer":"bob","quantity":"many"}`+"\n"+
		sale("j2", "<c & d>", 0)+
		"not json\n"+
		`{"id":"j3","customer":"ann"}`+"\n", Meta{Request: "json"})
	tb.accept(t, "quantity,id,more,customer\nmany,c1,x,\"a, \"\"b\"\"\"\n0,c2,,bob\n3,c3\n", Meta{Request: "csv", Format: schemas.CSV})
	tb.accept(t, "[\n{\"id\":\"a1\",\n\"customer\":\"ann\",\"quantity\":0}]", Meta{Request: "array", Format: schemas.JSONArray})
	return tb, &Releaser{Gateway: tb.Gateway, Letters: tb.letters}
}

func TestReleasedLettersCountOnce(t *testing.T) {
	t.Parallel()
	tb, r := letterBundle(t, nil)
	pick := Pick{Sets: []string{"quantity = case when quantity = '0' then 7 else 5 end"}}
	trials, skipped, next, err := r.Try(t.Context(), pick, "", 100)
	if err != nil || skipped != 0 || next != "" || len(trials) != 8 {
		t.Fatalf("%d trials, %d skipped, next %q, %v", len(trials), skipped, next, err)
	}
	if log := readLog(t, tb.log, tb.schema); !slices.Equal(sorted(log.ids), []string{"good"}) {
		t.Fatalf("a trial has sent %v", log.ids)
	}
	for _, tr := range trials {
		bad := strings.Contains(string(tr.Letter.Raw), "not json") || strings.HasPrefix(string(tr.Letter.Raw), "3,c3")
		if (tr.Refused != nil) != bad {
			t.Errorf("%s: %+v", tr.Letter.Raw, tr.Refused)
		}
	}

	for again := range 2 { // a step that is done again sends copies
		out, err := r.Release(t.Context(), "r", 0, pick, "", "eva")
		if err != nil || out.Released != 6 || out.Refused != 2 || out.Skipped != 0 || out.Next != "" || len(out.FirstRefused) != 2 || len(out.Positions) == 0 {
			t.Fatalf("%+v %v", out, err)
		}
		log := readLog(t, tb.log, tb.schema)
		if !slices.Equal(sorted(log.ids), []string{"a1", "c1", "c2", "good", "j1", "j2", "j3"}) || len(log.ids["c1"]) != 1+again {
			t.Fatalf("in the log: %v", log.ids)
		}
		if got := fmt.Sprint(rowOf(t, tb, log.ids["c1"][again]), rowOf(t, tb, log.ids["j2"][again]), rowOf(t, tb, log.ids["c2"][again])); got != `[a, "b" 5] [<c & d> 7] [bob 7]` {
			t.Errorf("sent: %s", got)
		}
	}
	released := 0
	for _, l := range listLetters(t, tb.letters) {
		if l.Released != nil {
			released++
			if l.Released.By != "eva" || !strings.HasPrefix(l.Released.Into, "release-r-0-") {
				t.Errorf("%+v", l.Released)
			}
		}
	}
	if released != 6 {
		t.Errorf("%d letters are released", released)
	}
	out, err := r.Release(t.Context(), "other", 0, pick, "", "tom")
	if err != nil || out.Released != 0 || out.Skipped != 6 || out.Refused != 2 {
		t.Errorf("another release: %+v %v", out, err)
	}
}

// rowOf returns customer and quantity of the event at a position.
func rowOf(t *testing.T, tb *testBundle, at event.Position) []string {
	t.Helper()
	reader, err := tb.log.Read(t.Context(), int(at.Partition), at.Offset)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	records, err := reader.Next(t.Context())
	if err != nil || records[0].Offset != at.Offset {
		t.Fatal(records, err)
	}
	_, body, err := event.ParseFrame(records[0].Frame)
	if err != nil {
		t.Fatal(err)
	}
	b, err := tb.schema.DecodeFrame(body)
	if err != nil {
		t.Fatal(err)
	}
	return []string{string(b.Column("customer").Bytes(int(at.Row))), fmt.Sprint(b.Column("quantity").Ints[at.Row])}
}

// TestReleaseByPagesAndPicks walks small pages, and picks by code and by id.
func TestReleaseByPagesAndPicks(t *testing.T) {
	t.Parallel()
	tb, r := letterBundle(t, nil)
	var seen []string
	for after, n := "", 0; ; n++ {
		trials, _, next, err := r.Try(t.Context(), Pick{}, after, 3)
		if err != nil || n > 3 {
			t.Fatal(n, err)
		}
		for _, tr := range trials {
			seen = append(seen, tr.Letter.ID)
			if tr.Refused == nil {
				t.Errorf("%s would pass without a change", tr.Letter.Raw)
			}
		}
		if after = next; after == "" {
			break
		}
	}
	if len(seen) != 8 {
		t.Errorf("pages gave %v", seen)
	}
	two := Pick{IDs: []string{seen[7], seen[0]}, Sets: []string{"quantity=1"}}
	trials, _, next, err := r.Try(t.Context(), two, "", 1)
	if err != nil || len(trials) != 1 || trials[0].Letter.ID != seen[7] || next != seen[7] {
		t.Fatalf("%+v %q %v", trials, next, err)
	}
	if trials, _, next, err = r.Try(t.Context(), two, next, 1); err != nil || len(trials) != 1 || trials[0].Letter.ID != seen[0] || next != "" {
		t.Fatalf("%+v %q %v", trials, next, err)
	}
	if trials, _, _, err = r.Try(t.Context(), Pick{Codes: []string{"zero"}}, "", 10); err != nil || len(trials) != 3 {
		t.Fatalf("%+v %v", trials, err)
	}
	for _, bad := range []string{"quantity", "amount=1", "quantity=nothing+1"} {
		if _, _, _, err := r.Try(t.Context(), Pick{Sets: []string{bad}}, "", 1); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	// A change that fails for one event leaves it where it is.
	out, err := r.Release(t.Context(), "casts", 0, Pick{Sets: []string{"quantity=quantity::integer+1"}}, "", "")
	if err != nil || out.Released != 3 || out.Refused != 5 {
		t.Errorf("%+v %v", out, err)
	}
	if !slices.ContainsFunc(out.FirstRefused, func(f deadletter.Refused) bool { return f.Code == CodePatchFailed }) {
		t.Errorf("%+v", out.FirstRefused)
	}
	_ = tb
}

func idOf(object string) string {
	_, rest, _ := strings.Cut(object, `"id":"`)
	id, _, _ := strings.Cut(rest, `"`)
	return id
}

// failing is a log that refuses appends for a while.
type failing struct {
	stream.Log
	refuse atomic.Bool
}

func (f *failing) Append(ctx context.Context, partition int, frame []byte) (uint64, error) {
	if f.refuse.Load() {
		return 0, fault.New(fault.Invalid, "not now")
	}
	return f.Log.Append(ctx, partition, frame)
}

// TestReleaseGoesOnWithTheSameBytes dies between claim and send; who goes on
// sends what was stored, though the change would give something else now.
func TestReleaseGoesOnWithTheSameBytes(t *testing.T) {
	t.Parallel()
	var log *failing
	tb, r := letterBundle(t, func(o *Options) { log = &failing{Log: o.Log}; o.Log = log })
	log.refuse.Store(true)
	pick := Pick{Codes: []string{"zero"}, Sets: []string{"quantity=(random()*1000000)::integer+1"}}
	if _, err := r.Release(t.Context(), "r", 0, pick, "", ""); err == nil {
		t.Fatal("sent into a log that refuses")
	}
	page, err := tb.letters.Page(t.Context(), "r", 0)
	if err != nil || page == nil || len(page.Bodies) != 2 {
		t.Fatalf("%+v %v", page, err)
	}
	log.refuse.Store(false)
	if out, err := r.Release(t.Context(), "other", 0, pick, "", ""); err != nil || out.Released+out.Skipped != 3 {
		t.Fatalf("%+v %v", out, err)
	}
	out, err := r.Release(t.Context(), "r", 0, pick, "", "")
	if err != nil {
		t.Fatal(err)
	}
	got := readLog(t, tb.log, tb.schema)
	for _, id := range []string{"a1", "c2", "j2"} {
		if len(got.ids[id]) == 0 {
			t.Errorf("%s was not sent", id)
		}
	}
	if out.Released == 0 {
		t.Errorf("%+v", out)
	}
	for _, body := range page.Bodies {
		for i, id := range body.IDs {
			l, err := tb.letters.Get(t.Context(), id)
			if err != nil || l.Released == nil {
				t.Fatal(l, err)
			}
			if !strings.HasPrefix(l.Released.Into, "release-r-") || body.Format != "ndjson" {
				continue
			}
			for _, at := range got.ids[idOf(string(body.Events[i]))] {
				sent := rowOf(t, tb, at)
				if want := fmt.Sprintf(`"quantity":%s`, sent[1]); !strings.Contains(string(body.Events[i]), want) {
					t.Errorf("stored %s, sent %v", body.Events[i], sent)
				}
			}
		}
	}
}

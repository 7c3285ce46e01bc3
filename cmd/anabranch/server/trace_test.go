package server

import (
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"anabranch/cmd/anabranch/api"
	"anabranch/fault"
	"anabranch/serving"
)

func (s *small) follow(name, value string) (api.Trace, error) {
	return s.trace(httptest.NewRequest("GET", "/?"+url.Values{name: {value}}.Encode(), nil))
}

// TestTraceAgreesWithTheLedgerAndTheViews follows every event, some below the
// cut and some only in the log, and adds up what the traces say: each copy has
// one fate, and each group has as many events as traces lead to it.
func TestTraceAgreesWithTheLedgerAndTheViews(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd, s := rand.New(rand.NewPCG(seed, 1)), mustSmall(t)
	const ids = 40
	s.send(rnd, 15, ids)
	s.nightly("first")
	s.send(rnd, 15, ids)
	s.settle()

	fates, groups, layers := map[string]int64{}, map[string]int{}, map[string]int{}
	for n := range ids {
		got, err := s.follow("event", fmt.Sprintf("e%d", n))
		if fault.Is(err, fault.NotFound) {
			continue // never sent, or always refused
		}
		if err != nil || len(got.Events) != 1 || got.Manifest != 1 {
			t.Fatalf("e%d: %+v %v", n, got, err)
		}
		e := got.Events[0]
		if e.Fields["id"] != fmt.Sprintf("e%d", n) {
			t.Fatalf("asked for e%d, got %v", n, e.Fields)
		}
		for i, c := range e.Copies {
			fates[c.Verdict]++
			layers[c.Layer]++
			if (c.Layer == "batch") != (c.Segment != "") || (c.DayFile != "") != (c.Layer == "batch" && c.Verdict == "counted") {
				t.Errorf("e%d: %+v", n, c)
			}
			if c.Verdict == "conflict" && (c.Letter != "") != (c.Layer == "batch") {
				t.Errorf("e%d: a conflict has its letter once batch has met it: %+v", n, c)
			}
			// The same event by its position, its identity and its letter.
			for _, name := range []string{c.Position, e.ID, c.Letter} {
				if name == "" || i > 1 {
					continue
				}
				again, err := s.follow("event", name)
				if err != nil || len(again.Events) != 1 || fmt.Sprint(again.Events[0]) != fmt.Sprint(e) {
					t.Errorf("e%d as %s: %+v %v", n, name, again, err)
				}
			}
		}
		if filtered := e.Copies[0].Verdict == "filtered"; filtered != (e.Fields["item"] == "odd") || filtered != (len(e.Cells) == 0) {
			t.Errorf("e%d: %+v", n, e)
		}
		for _, c := range e.Cells {
			groups[c.View+" "+c.Key["day"]+" "+c.Key["item"]]++
			if !c.Answers || (c.States != "") != (e.Copies[0].Layer == "batch") {
				t.Errorf("e%d: %+v", n, c)
			}
		}
	}
	l, err := s.ledger(t.Context())
	if err != nil || layers["batch"] == 0 || layers["speed"] == 0 {
		t.Fatal(err, layers)
	}
	// Above the cut a conflicting copy is among the duplicates.
	if fates["counted"] != l.Counted || fates["filtered"] != l.Filtered["odd"] || fates["duplicate"]+fates["conflict"] != l.Duplicate+l.DeadLettered["conflict"] {
		t.Errorf("traces say %v, the ledger %+v", fates, l)
	}
	serve := serving.New(serving.Options{Sources: func() []*serving.Source { return []*serving.Source{s.asSource} }})
	for view, keys := range map[string]int{"daily": 2, "items": 1} {
		rows, err := s.rows(t.Context(), serve, view)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			cells := strings.Split(row, "|")
			key := view + "  " + cells[0]
			if keys == 2 {
				day, _ := strconv.ParseInt(cells[0], 10, 64)
				key = view + " " + time.UnixMicro(day).UTC().Format(time.DateTime) + " " + cells[1]
			}
			if got := fmt.Sprint(groups[key]); got != cells[keys] {
				t.Errorf("%s: traces lead there %s times, the row is %v", key, got, cells)
			}
			delete(groups, key)
		}
	}
	if len(groups) > 0 {
		t.Errorf("traces lead to groups that are in no view: %v", groups)
	}

	some, err := s.follow("where", "amount < 50 AND item = 'a'")
	if err != nil || len(some.Events) == 0 {
		t.Fatal(some, err)
	}
	for _, e := range some.Events {
		if e.Fields["item"] != "a" && len(e.Copies) == 1 {
			t.Errorf("%+v does not fit", e)
		}
	}
	for value, kind := range map[string]fault.Kind{"e99": fault.NotFound, "7/0/0": fault.Invalid, "0/999999/0": fault.NotFound, "2026-01-01.none.0": fault.NotFound} {
		if _, err := s.follow("event", value); !fault.Is(err, kind) {
			t.Errorf("%s: %v, want %s", value, err, kind)
		}
	}
	if _, err := s.follow("where", "amout < 50"); !fault.Is(err, fault.Invalid) {
		t.Errorf("a condition that is none: %v", err)
	}
}

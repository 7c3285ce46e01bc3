package lookup_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"anabranch/serving/httpapi"
	"anabranch/serving/lookup"
)

// Whoever applies the changes of a watch to its snapshot has what an answer has,
// at every step, whatever batches come in between.
func TestChangesMakeTheAnswer(t *testing.T) {
	t.Parallel()
	t.Logf("seed %d", *seed)
	g := open(t, lookup.Options{})
	ctx := t.Context()
	r := lookup.Request{View: "shops.by_hour", From: "2026-03-01 03:00:00", To: "2026-03-02"}
	render := func(a *lookup.Answer, into map[string]string) {
		if a.Rows == nil {
			return
		}
		for i := range a.Rows.N {
			c := a.Rows.Columns
			into[fmt.Sprint(c[0].Ints[i], string(c[1].Bytes(i)), c[1].Valid.Get(i))] = fmt.Sprint(c[2].Floats[i], c[3].Wide[i], c[4].Ints[i])
		}
	}
	w, a, err := g.lookup.Watch(ctx, r, true)
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]string{}
	render(a, have)
	version, past, changes, resets := uint64(0), 0, 0, 0
	for step := range 60 {
		for range g.rand.IntN(3) {
			g.fold(g.events(1 + g.rand.IntN(20)))
		}
		if g.rand.IntN(4) == 0 && len(g.log) > 0 {
			version++
			past = max(past, len(g.log)-g.rand.IntN(3))
			g.publish(version, past)
			if _, err := g.archive.Newest(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if step%20 == 19 { // two versions in one step: it cannot tell
			for range 2 {
				version++
				past = len(g.log)
				g.publish(version, past)
				if _, err := g.archive.Newest(ctx); err != nil {
					t.Fatal(err)
				}
			}
		}
		c, err := w.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{}
		now, err := g.lookup.Ask(ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		render(now, want)
		switch {
		case c == nil:
		case c.Reset:
			resets++
			have = want
		default:
			changes += c.Rows.N
			render(c.Answer, have)
		}
		if fmt.Sprint(have) != fmt.Sprint(want) {
			t.Fatalf("step %d, version %d: the changes make\n%v, it is\n%v", step, version, have, want)
		}
	}
	if c, err := w.Next(ctx); c != nil || err != nil {
		t.Errorf("nothing has changed: %+v, %v", c, err)
	}
	if changes < 200 || resets == 0 || resets > 6 {
		t.Errorf("%d changes, %d resets", changes, resets)
	}
}

// A watch over HTTP: snapshot, changes, coming again, too many, the end.
func TestWatchOverHTTP(t *testing.T) {
	t.Parallel()
	g := open(t, lookup.Options{})
	g.fold(g.events(50))
	door := httpapi.NewWatches(g.lookup, httpapi.WatchOptions{Most: 1, Heartbeat: 10 * time.Millisecond})
	mux := http.NewServeMux()
	mux.Handle("GET /v1/views/{view}/watch", door)
	server := httptest.NewServer(mux)
	defer server.Close()

	begin := func(id string) (*http.Response, *bufio.Scanner, context.CancelFunc) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		r, _ := http.NewRequestWithContext(ctx, "GET", server.URL+"/v1/views/by_shop/watch?rate=20", nil)
		r.Header.Set("Last-Event-ID", id)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		return resp, bufio.NewScanner(resp.Body), cancel
	}
	// next returns the next event, or the next comment.
	next := func(s *bufio.Scanner) map[string]string {
		e := map[string]string{}
		for s.Scan() {
			if s.Text() == "" {
				return e
			}
			k, v, _ := strings.Cut(s.Text(), ": ")
			e[k] = v
		}
		return nil
	}
	event := func(s *bufio.Scanner) map[string]string {
		for {
			if e := next(s); e == nil || e["event"] != "" {
				return e
			}
		}
	}
	resp, s, cancel := begin("")
	first := event(s)
	var body answered
	if err := json.Unmarshal([]byte(first["data"]), &body); err != nil || first["event"] != "snapshot" || len(body.Rows) < 5 {
		t.Fatalf("%v: %v", first, err)
	}
	g.fold(g.events(1))
	second := event(s)
	if err := json.Unmarshal([]byte(second["data"]), &body); err != nil || second["event"] != "change" || len(body.Rows) != 1 || second["id"] == first["id"] {
		t.Fatalf("%v: %v", second, err)
	}
	if full, _, stop := begin(""); full.StatusCode != http.StatusTooManyRequests {
		t.Errorf("the second of one: %d", full.StatusCode)
	} else {
		stop()
	}
	cancel()
	resp.Body.Close()
	for again := true; again; { // the place is free once the door has heard of it
		resp, s, cancel = begin(second["id"])
		if again = resp.StatusCode == http.StatusTooManyRequests; again {
			resp.Body.Close()
			cancel()
		}
	}
	if e := next(s); e["event"] != "" {
		t.Errorf("nothing has changed since: %v", e)
	}
	g.fold(g.events(1))
	if e := event(s); e["event"] != "change" {
		t.Errorf("then it goes on: %v", e)
	}
	door.Close()
	if e := event(s); e != nil {
		t.Errorf("after the end: %v", e)
	}
	cancel()
	resp.Body.Close()
}

package lookup_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"anabranch/internal/clock"
	"anabranch/serving/httpapi"
	"anabranch/serving/lookup"
)

// follower is a client of a watch: what it has, as of which id.
type follower struct {
	testing.TB
	url    string
	id     string
	have   map[string]string // rows by their key
	before []follower        // what it was, event by event

	events *bufio.Scanner
	drop   func()

	snapshots, changes, resets int
}

// come opens the watch where the client was.
func (f *follower) come() {
	f.Helper()
	ctx, cancel := context.WithTimeout(f.Context(), 5*time.Minute)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url, nil)
	if err != nil {
		f.Fatal(err)
	}
	if f.id != "" {
		r.Header.Set("Last-Event-ID", f.id)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil || resp.StatusCode != http.StatusOK {
		f.Fatal(resp, err)
	}
	f.events = bufio.NewScanner(resp.Body)
	f.events.Buffer(nil, 1<<24)
	f.drop = func() { cancel(); resp.Body.Close() }
}

// hear takes the next event, or the next comment, and tells what it was.
func (f *follower) hear() string {
	f.Helper()
	e := map[string]string{}
	for f.events.Scan() && f.events.Text() != "" {
		k, v, _ := strings.Cut(f.events.Text(), ": ")
		e[k] = v
	}
	if err := f.events.Err(); err != nil {
		f.Fatal(err)
	}
	if e["event"] == "" {
		return ""
	}
	f.before = append(f.before, follower{id: f.id, have: maps.Clone(f.have)})
	var body struct{ Rows [][]json.RawMessage }
	if err := json.Unmarshal([]byte(e["data"]), &body); err != nil {
		f.Fatalf("%v: %v", e, err)
	}
	switch e["event"] {
	case "snapshot":
		f.snapshots++
		f.have = map[string]string{}
	case "change":
		f.changes++
	case "reset":
		f.resets++
		if e["id"] != "" {
			f.Errorf("a reset before a snapshot has the id %s", e["id"])
		}
	default:
		f.Fatal(e)
	}
	for _, row := range body.Rows {
		f.have[string(row[0])] = fmt.Sprintf("%s", row)
	}
	if e["id"] != "" {
		f.id = e["id"]
	}
	return e["event"]
}

// lose forgets the newest events, as if they had never come.
func (f *follower) lose(n int) {
	if n = min(n, len(f.before)); n > 0 {
		was := f.before[len(f.before)-n]
		f.id, f.have, f.before = was.id, was.have, f.before[:len(f.before)-n]
	}
}

// A client that loses its connection, and some of what was sent, has every
// change when it has come again: it gets what it has missed, or is told that
// this is not known any more and gets all.
func TestComingAgainMissesNothing(t *testing.T) {
	t.Parallel()
	t.Logf("seed %d", *seed)
	g := open(t, lookup.Options{})
	g.fold(g.events(50))
	door := httpapi.NewWatches(g.lookup, httpapi.WatchOptions{Heartbeat: time.Millisecond})
	mux := http.NewServeMux()
	mux.Handle("GET /v1/views/{view}/watch", door)
	server := httptest.NewServer(mux)
	defer server.Close()
	defer door.Close()

	f := &follower{TB: t, url: server.URL + "/v1/views/by_shop/watch?rate=20", have: map[string]string{}}
	version, resumed, told := uint64(0), 0, 0
	for range 20 {
		for range g.rand.IntN(3) { // while nobody listens
			g.fold(g.events(1 + g.rand.IntN(3)))
		}
		publish := g.rand.IntN(6) // one batch, or two at once, which a watch cannot follow
		for range publish - 3 {
			version++
			g.publish(version, len(g.log))
			if _, err := g.archive.Newest(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		snapshots, resets := f.snapshots, f.resets
		f.come()
		for range 1 + g.rand.IntN(6) { // events, and comments where there are none
			if g.rand.IntN(2) == 0 {
				g.fold(g.events(1))
			}
			f.hear()
		}
		f.drop()
		if f.snapshots == snapshots && f.resets == resets {
			resumed++
		}
		if f.resets > resets {
			told++
		}
		f.lose(g.rand.IntN(3))
	}
	f.come()
	defer f.drop()
	for heard := 0; ; heard++ {
		want := map[string]string{}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/views/by_shop", nil)
		for _, row := range g.ask(r).Rows {
			var cells []json.RawMessage
			if err := json.Unmarshal(row, &cells); err != nil {
				t.Fatal(err)
			}
			want[string(cells[0])] = fmt.Sprintf("%s", cells)
		}
		if maps.Equal(f.have, want) {
			break
		}
		if heard > 600 {
			t.Fatalf("the client has\n%v, it is\n%v", f.have, want)
		}
		f.hear()
	}
	t.Logf("%d times where it was, %d times told that it cannot be: %d changes, %d snapshots", resumed, told, f.changes, f.snapshots)
	if resumed < 5 || told == 0 {
		t.Errorf("%d times where it was, %d resets", resumed, told)
	}
}

// What is sent again is what was sent, and what came since: no snapshot, and
// nothing but what changed. Of what is not kept any more the client is told so.
func TestComingAgainGetsWhatItMissed(t *testing.T) {
	t.Parallel()
	g := open(t, lookup.Options{})
	g.fold(g.events(200))
	door := httpapi.NewWatches(g.lookup, httpapi.WatchOptions{Heartbeat: time.Millisecond, Most: 3})
	mux := http.NewServeMux()
	mux.Handle("GET /v1/views/{view}/watch", door)
	server := httptest.NewServer(mux)
	defer server.Close()
	defer door.Close()
	next := func(f *follower) string {
		for range 600 {
			if e := f.hear(); e != "" {
				return e
			}
		}
		return "nothing"
	}
	f := &follower{TB: t, url: server.URL + "/v1/views/by_shop/watch?rate=20", have: map[string]string{}}
	f.come()
	next(f)
	for range 3 {
		g.fold(g.events(1))
		next(f)
	}
	f.lose(2)
	g.fold(g.events(1))
	old := f.drop
	f.come() // while the server does not know yet that the connection before is gone
	for range 3 {
		if e := next(f); e != "change" {
			t.Errorf("%s, want the change that was lost", e)
		}
	}
	old()
	if f.snapshots != 1 || f.resets != 0 {
		t.Errorf("%d snapshots, %d resets", f.snapshots, f.resets)
	}
	f.drop()
	// Another question has other ids.
	other := &follower{TB: t, url: server.URL + "/v1/views/by_hour/watch?rate=20", id: f.id, have: map[string]string{}}
	for _, f := range []*follower{other, {TB: t, url: f.url, id: "long-gone", have: map[string]string{}}} {
		f.come()
		if first, second := next(f), next(f); first != "reset" || second != "snapshot" {
			t.Errorf("%s and %s, want to be told that it cannot be, and all", first, second)
		}
		f.drop()
	}
}

// A client may come back for as long as is said, and no longer.
func TestComingAgainInTime(t *testing.T) {
	t.Parallel()
	g := open(t, lookup.Options{})
	g.fold(g.events(20))
	manual := clock.NewManual(time.Date(2011, 3, 13, 0, 0, 0, 0, time.UTC))
	door := httpapi.NewWatches(g.lookup, httpapi.WatchOptions{Keep: 7 * time.Minute, Clock: manual})
	ended := make(chan struct{}, 9)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/views/{view}/watch", func(w http.ResponseWriter, r *http.Request) {
		door.ServeHTTP(w, r)
		ended <- struct{}{}
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	defer door.Close()
	f := &follower{TB: t, url: server.URL + "/v1/views/by_shop/watch?rate=20", have: map[string]string{}}
	come := func(want ...string) {
		t.Helper()
		f.come()
		for _, w := range want {
			if e := f.hear(); e != w {
				t.Errorf("%q, want %q", e, w)
			}
		}
		g.fold(g.events(1))
		if e := f.hear(); e != "change" {
			t.Errorf("%q, want what has changed", e)
		}
		f.drop()
		<-ended
	}
	come("snapshot")
	manual.Advance(7 * time.Minute)
	g.fold(g.events(1)) // while nobody listens
	come("", "change")  // where it was: a comment says so
	manual.Advance(7*time.Minute + 1)
	g.fold(g.events(1))
	come("reset", "snapshot")
}

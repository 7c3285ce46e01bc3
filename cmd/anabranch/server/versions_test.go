package server

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"anabranch/batch"
	"anabranch/cmd/anabranch/api"
	"anabranch/cmd/anabranch/client"
	"anabranch/fault"
	"anabranch/internal/openapi/openapitest"
	"anabranch/serving"
	"anabranch/serving/sql"
)

// whole is a server in this process, without Temporal: a test takes the steps
// of a batch itself.
type whole struct {
	*testing.T
	*Server
	client *client.Client
	runs   int
}

func startWhole(t *testing.T, change ...func(*Config)) *whole {
	t.Helper()
	c := Config{Dir: t.TempDir(), Listen: "127.0.0.1:0", NATSListen: "127.0.0.1:0", Temporal: "none", Logger: slog.New(slog.DiscardHandler)}
	for _, f := range change {
		f(&c)
	}
	s, err := Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return &whole{T: t, Server: s, client: client.New(openapitest.New(t, s.Addresses().HTTP).URL)}
}

func (w *whole) put(files map[string]string) api.Applied {
	w.Helper()
	out, err := w.applyFiles(w.Context(), files)
	if err != nil {
		w.Fatal(err)
	}
	return out
}

func (w *whole) small() *pipeline {
	w.Helper()
	p, err := w.pipeline("small")
	if err != nil {
		w.Fatal(err)
	}
	return p
}

func (w *whole) night() batch.Published {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), 5*time.Minute)
	defer cancel()
	w.runs++
	p, err := batch.Run(ctx, w.small().runner, batch.Request{Kind: batch.Nightly, RunID: fmt.Sprintf("night-%d", w.runs)})
	if err != nil {
		w.Fatal(err)
	}
	return p
}

// items is what view items says now, and the version that says it.
func (w *whole) items() (rows string, version string) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), 5*time.Minute)
	defer cancel()
	a, err := w.engine.Query(ctx, sql.Request{SQL: "SELECT * FROM small.items ORDER BY item", Fresh: serving.Fresh{Latest: true}})
	if err != nil {
		w.Fatal(err)
	}
	defer a.Close()
	var out strings.Builder
	for {
		row, err := a.Next()
		if err != nil {
			w.Fatal(err)
		}
		if row == nil {
			return out.String(), a.Receipt.Pipelines["small"].Views["items"]
		}
		fmt.Fprintln(&out, row...)
	}
}

// A changed definition never leaves a view without an answer, and is taken
// back by one command, with every event that came meanwhile.
func TestAChangedViewAnswersAsBeforeUntilItIsComputedAndIsTakenBack(t *testing.T) {
	t.Parallel()
	w := startWhole(t)
	rnd := rand.New(rand.NewPCG(1, 2))
	send := func(n int) { (&small{T: t, pipeline: w.small()}).send(rnd, n, 200) }
	w.put(smallFiles)
	send(10)
	w.night()
	right, v0 := w.items()

	wrong := maps.Clone(smallFiles)
	wrong["views/items.sql"] = "SELECT item, count(*) AS n, sum(-amount) AS total FROM events GROUP BY ALL"
	if a := w.put(wrong); !slices.Equal(a.Rebuild, []string{"items"}) {
		t.Errorf("%+v", a)
	}
	if rows, v := w.items(); rows != right || v != v0 {
		t.Errorf("before the batch: version %s says\n%swant %s\n%s", v, rows, v0, right)
	}
	two := w.night()
	rows, v1 := w.items()
	if rows == right || v1 == v0 {
		t.Errorf("after the batch: version %s says\n%s", v1, rows)
	}
	var d api.Difference
	if err := w.client.JSON(t.Context(), http.MethodGet, "/v1/pipelines/small/versions/2/diff", nil, &d); err != nil {
		t.Fatal(err)
	}
	if d.Equal() || !strings.Contains(d.Markdown, "| total |") || strings.Contains(d.Markdown, "#### daily") {
		t.Error(d.Markdown)
	}
	send(3)

	var p batch.Published
	if err := w.client.JSON(t.Context(), http.MethodPost, "/v1/pipelines/small/versions/rollback", api.Rollback{To: two.Version - 1, Reason: "wrong sign"}, &p); err != nil {
		t.Fatal(err)
	}
	if rows, v := w.items(); v != v0 {
		t.Errorf("after the rollback: version %s says\n%s", v, rows)
	}
	if v, err := w.verify(t.Context(), w.small()); err != nil || !v.Equal {
		t.Errorf("%+v %v", v, err)
	}
	w.night() // and stays so
	if rows, v := w.items(); v != v0 {
		t.Errorf("a night later: version %s says\n%s", v, rows)
	}
	var list api.Versions
	if err := w.client.JSON(t.Context(), http.MethodGet, "/v1/pipelines/small/versions", nil, &list); err != nil {
		t.Fatal(err)
	}
	if kinds := fmt.Sprintf("%d %s %d %s", list.Newest, list.Versions[1].Kind, list.Versions[1].Base, list.Versions[1].Reason); kinds != "4 rollback 1 wrong sign" {
		t.Error(kinds)
	}
	// A canary takes its share of the queries, and the receipt says which
	// version answered.
	all := 100.0
	if err := w.client.JSON(t.Context(), http.MethodPost, "/v1/pipelines/small/versions/promote", api.PromoteVersion{View: "items", Canary: &all}, &p); err != nil {
		t.Fatal(err)
	}
	if _, v := w.items(); v != v1 {
		t.Errorf("the canary has all queries, but %s answers, not %s", v, v1)
	}
	none := 0.0
	if err := w.client.JSON(t.Context(), http.MethodPost, "/v1/pipelines/small/versions/promote", api.PromoteVersion{View: "items", Canary: &none}, &p); err != nil {
		t.Fatal(err)
	}
	if _, v := w.items(); v != v0 {
		t.Errorf("the canary has no queries, but %s answers, not %s", v, v0)
	}
	if err := w.client.JSON(t.Context(), http.MethodPost, "/v1/pipelines/small/versions/promote", api.PromoteVersion{View: "items"}, &p); err != nil {
		t.Fatal(err)
	}
	if _, v := w.items(); v != v1 {
		t.Errorf("promoted again: %s, want %s", v, v1)
	}
	for _, bad := range []struct {
		path string
		in   any
		kind fault.Kind
	}{
		{"rollback", api.Rollback{To: 99, Reason: "x"}, fault.Invalid},
		{"promote", api.PromoteVersion{View: "itmes"}, fault.Invalid},
		{"promote", api.PromoteVersion{View: "items", Version: "00"}, fault.NotFound},
	} {
		if err := w.client.JSON(t.Context(), http.MethodPost, "/v1/pipelines/small/versions/"+bad.path, bad.in, nil); !fault.Is(err, bad.kind) {
			t.Errorf("%s %+v: %v", bad.path, bad.in, err)
		}
	}
}

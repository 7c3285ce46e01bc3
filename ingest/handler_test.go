package ingest

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/client_golang/prometheus"

	"anabranch/fault"
	"anabranch/internal/clock"
	"anabranch/internal/problem"
	"anabranch/schemas"
)

func (tb *testBundle) handler() http.Handler {
	return Handler(func(name string) (*Gateway, bool) {
		if name != "shop" {
			return nil, false
		}
		return tb.Gateway, true
	}, func() []string { return []string{"shop", "radio"} })
}

// post sends a body; headers come in pairs.
func post(h http.Handler, body io.Reader, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/v1/pipelines/shop/events", body)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func gzipped(t *testing.T, text []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(text)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zstded(t *testing.T, text []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	return w.EncodeAll(text, nil)
}

func TestHandlerTakesEveryFormat(t *testing.T) {
	t.Parallel()
	two := sale("a", "ann", 1) + sale("b", "bob", 2)
	for _, c := range []struct {
		name, body string
		headers    []string
		accepted   int
		dead       int
	}{
		{"no content type", two, nil, 2, 0},
		{"ndjson", two, []string{"Content-Type", "application/x-ndjson; charset=utf-8"}, 2, 0},
		{"array", "[" + strings.TrimSpace(sale("a", "ann", 1)) + ",\n" + sale("b", "bob", 2) + "]", []string{"Content-Type", "application/json"}, 2, 0},
		{"one object", "\n {\"id\": \"a\",\n  \"customer\": \"ann\",\n  \"quantity\": 1}\n", []string{"Content-Type", "application/json"}, 1, 0},
		{"two objects", two, []string{"Content-Type", "application/json"}, 1, 1},
		{"an empty array", "[]", []string{"Content-Type", "application/json"}, 0, 0},
		{"csv", "customer,quantity,id\nann,1,a\nbob,2,b\nbob,x,c\n", []string{"Content-Type", "text/csv"}, 2, 1},
		{"gzip", string(gzipped(t, []byte(two))), []string{"Content-Encoding", "gzip"}, 2, 0},
		{"zstd", string(zstded(t, []byte(two))), []string{"Content-Encoding", "ZSTD"}, 2, 0},
		{"one zipped object", string(gzipped(t, []byte(sale("a", "ann", 1)))), []string{"Content-Encoding", "gzip", "Content-Type", "application/json"}, 1, 0},
		{"all bad", "x\ny\n", nil, 0, 2},
		{"empty", "", nil, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			tb := setup(t, nil)
			w := post(tb.handler(), strings.NewReader(c.body), append(c.headers, HeaderKey, "k1", HeaderSource, "s1")...)
			var a Answer
			if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || w.Code != 200 || w.Header().Get("Content-Type") != "application/json" {
				t.Fatalf("%d %s %v", w.Code, w.Body, err)
			}
			if a.Accepted != c.accepted || a.DeadLettered != c.dead || a.Request != "k1" || w.Header().Get(HeaderRequest) != "k1" {
				t.Fatalf("%s", w.Body)
			}
			if log := readLog(t, tb.log, tb.schema); len(log.at) != c.accepted {
				t.Fatalf("in the log: %v", log.ids)
			}
			letters := listLetters(t, tb.letters)
			if len(letters) != c.dead || c.dead > 0 && letters[0].Source != "s1" {
				t.Fatalf("letters %+v", letters)
			}
		})
	}
}

func TestColumnsOfASingleObject(t *testing.T) {
	t.Parallel()
	tb := setup(t, nil)
	for body, want := range map[string]string{
		`{"id":"a","customer":"ann","quantity":"x"}`:                   "1/39",
		"\n{\"id\":\"a\",\n\"quantity\":\"x\",\n\"customer\":\"ann\"}": "3/12",
	} {
		w := post(tb.handler(), strings.NewReader(body), "Content-Type", "application/json")
		var a Answer
		if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || len(a.Errors) != 1 {
			t.Fatalf("%s", w.Body)
		}
		if got := fmt.Sprintf("%d/%d", a.Errors[0].Line, a.Errors[0].Column); got != want {
			t.Errorf("%q: at %s, want %s", body, got, want)
		}
	}
}

func TestLinesOfAPiece(t *testing.T) {
	t.Parallel()
	tb := setup(t, func(o *Options) {
		o.Rules = []Rule{{Code: "zero", Action: schemas.ActionDeadLetter, Matches: quantityIs(0)}}
	})
	// A file cut in two: the head of the CSV stands before its line 1001.
	w := post(tb.handler(), strings.NewReader("customer,quantity,id\nann,1,a\nbob,x,b\nann,0,c\n"),
		"Content-Type", "text/csv", HeaderFirstLine, "1000", HeaderSource, "big.csv")
	var a Answer
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || len(a.Errors) != 2 || a.Errors[0].Line != 1002 || a.Errors[1].Line != 1003 {
		t.Fatalf("%s", w.Body)
	}
	if letters := listLetters(t, tb.letters); letters[0].Line != 1002 || letters[1].Line != 1003 {
		t.Fatalf("%+v", letters)
	}
}

func TestHandlerRefusals(t *testing.T) {
	t.Parallel()
	bomb := bytes.Repeat([]byte(sale("a", "ann", 1)), 100_000)
	small := func(o *Options) { o.Limits = Limits{Wire: 100_000, Decoded: 1_000_000} }
	cut := gzipped(t, []byte(sales("x", 40_000)))
	for _, c := range []struct {
		name    string
		change  func(*Options)
		body    []byte
		headers []string
		status  int
		code    string
	}{
		{"content type", nil, nil, []string{"Content-Type", "application/xml"}, 415, "unsupported_media_type"},
		{"broken content type", nil, nil, []string{"Content-Type", ";;"}, 415, "unsupported_media_type"},
		{"encoding", nil, nil, []string{"Content-Encoding", "br"}, 415, "unsupported_encoding"},
		{"two encodings", nil, nil, []string{"Content-Encoding", "gzip, gzip"}, 415, "unsupported_encoding"},
		{"not gzip", nil, []byte("plain"), []string{"Content-Encoding", "gzip"}, 400, CodeBodyUnread},
		{"not zstd", nil, []byte("plain"), []string{"Content-Encoding", "zstd"}, 400, CodeBodyUnread},
		{"gzip cut off", nil, cut[:len(cut)-200], []string{"Content-Encoding", "gzip"}, 400, CodeBodyUnread},
		{"long body", small, bomb, nil, 413, CodeBodyTooLarge},
		{"gzip bomb", small, gzipped(t, bomb), []string{"Content-Encoding", "gzip"}, 413, CodeBodyTooLarge},
		{"zstd bomb", small, zstded(t, bomb), []string{"Content-Encoding", "zstd"}, 413, CodeBodyTooLarge},
		{"lane", nil, nil, []string{HeaderLane, "night"}, 400, CodeUnknownLane},
		{"first line", nil, nil, []string{HeaderFirstLine, "0"}, 400, "bad_header"},
		{"long key", nil, nil, []string{HeaderKey, strings.Repeat("k", 256)}, 400, "bad_header"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			tb := setup(t, c.change)
			for _, body := range []io.Reader{bytes.NewReader(c.body), io.MultiReader(bytes.NewReader(c.body))} { // with its length known, and not
				w := post(tb.handler(), body, c.headers...)
				var p problem.Problem
				if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Header().Get("Content-Type") != "application/problem+json" {
					t.Fatalf("%s %v", w.Body, err)
				}
				if w.Code != c.status || p.Status != c.status || p.Code != c.code || p.Type != "/problems/"+c.code || p.Title == "" || p.Detail == "" {
					t.Fatalf("%d %s", w.Code, w.Body)
				}
			}
			until(t, "what was taken is settled", func() bool { return tb.waiting.inUse()+tb.working.inUse() == 0 })
		})
	}
}

func TestHandlerRoutes(t *testing.T) {
	t.Parallel()
	tb := setup(t, nil)
	for _, c := range []struct {
		method, path string
		status       int
		says         string
	}{
		{"POST", "/v1/pipelines/shob/events", 404, `"pipelines":["radio","shop"]`},
		{"POST", "/v1/pipelines/" + strings.Repeat("x", 300) + "/events", 404, "unknown_pipeline"},
		{"GET", "/v1/pipelines/shop/events", 405, "method_not_allowed"},
		{"POST", "/v1/pipelines/shop", 404, "not_found"},
	} {
		w := httptest.NewRecorder()
		tb.handler().ServeHTTP(w, httptest.NewRequest(c.method, c.path, nil))
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.says) || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s: %d %s", c.method, c.path, w.Code, w.Body)
		}
	}
}

func TestHandlerSaysWhenToComeAgain(t *testing.T) {
	t.Parallel()
	manual := clock.NewManual(time.Unix(1000, 0))
	h := &hooked{}
	tb := setup(t, func(o *Options) {
		o.Clock, o.MaxInFlight = manual, 128<<20
		o.Lanes = []schemas.Lane{{Name: "live", Priority: 2}, {Name: "history", Priority: 1}}
		o.Retries = -1
		h.Log, h.Letters = o.Log, o.Letters
		o.Log, o.Letters = h, h
	})
	ask := func(status int, code string, after int, headers ...string) {
		t.Helper()
		w := post(tb.handler(), strings.NewReader(sale("a", "ann", 1)+"bad\n"), headers...)
		var p problem.Problem
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != status || p.Code != code || w.Header().Get("Retry-After") != strconv.Itoa(after) || p.RetryAfter != after {
			t.Fatalf("%d %s %v, want %d %s after %d", w.Code, w.Body, w.Header(), status, code, after)
		}
	}
	if !tb.working.try(60<<20, 1) {
		t.Fatal("no room")
	}
	ask(429, CodeBusy, 2, HeaderLane, "history")
	if w := post(tb.handler(), strings.NewReader(sale("a", "ann", 1)), HeaderLane, "live"); w.Code != 200 {
		t.Fatalf("the first lane still finds room: %s", w.Body)
	}
	tb.working.try(4<<20, 1)
	ask(429, CodeBusy, 1)
	tb.working.give(64 << 20)

	for _, c := range []struct {
		kind   fault.Kind
		status int
		after  int
	}{{fault.Transient, 503, 1}, {fault.Throttled, 429, 1}, {fault.Full, 507, 2}} {
		h.onAppend = func(context.Context) (error, error) { return fault.New(c.kind, "no"), nil }
		code := CodeAppendFailed
		if c.kind == fault.Full {
			code = CodeLogFull
		}
		ask(c.status, code, c.after)
		manual.Advance(fullPause)
		h.onAppend = nil
		h.onPut = func(context.Context) (error, error) { return fault.New(c.kind, "no"), nil }
		after := 1
		ask(c.status, CodeLettersFailed, after)
		h.onPut = nil
	}
	tb.Drain()
	ask(503, CodeDraining, 2)
}

func TestTraceparent(t *testing.T) {
	t.Parallel()
	if id := traceOf("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"); id[0] != 0x0a || id[15] != 0x9c {
		t.Fatalf("%x", id)
	}
	for _, bad := range []string{"", "00", "00-xx-yy-01", "00-0af7651916cd43dd8448eb211c80319z-b7ad6b7169203331-01"} {
		if traceOf(bad) != [16]byte{} {
			t.Errorf("%q has a trace id", bad)
		}
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	r := prometheus.NewRegistry()
	for range 2 { // a stopped gateway leaves its place to the next
		tb := setup(t, func(o *Options) { o.Metrics = r })
		tb.accept(t, sale("a", "ann", 1)+"bad\n", Meta{})
		tb.Drain()
		if _, err := tb.Accept(t.Context(), noReader{t}, Meta{}); err == nil {
			t.Fatal("not draining")
		}
		families, err := r.Gather()
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range families {
			for _, m := range f.GetMetric() {
				var labels []string
				for _, l := range m.GetLabel() {
					labels = append(labels, l.GetName()+"="+l.GetValue())
				}
				if c := m.GetCounter(); c != nil && c.GetValue() > 0 && !strings.Contains(f.GetName(), "bytes") {
					got = append(got, fmt.Sprint(strings.TrimPrefix(f.GetName(), "anabranch_ingest_"), labels, " ", c.GetValue()))
				}
			}
		}
		want := []string{
			"events_accepted_total[pipeline=shop] 1",
			"events_dead_lettered_total[code=malformed pipeline=shop] 1",
			"frames_total[pipeline=shop] 1",
			"requests_total[lane=default pipeline=shop result=draining] 1",
			"requests_total[lane=default pipeline=shop result=ok] 1",
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%q\nwant %q", got, want)
		}
		tb.Stop()
	}
}

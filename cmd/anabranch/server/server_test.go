package server_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"anabranch/cmd/anabranch/api"
	"anabranch/cmd/anabranch/client"
	"anabranch/cmd/anabranch/server"
	"anabranch/fault"
	"anabranch/internal/openapi/openapitest"
)

const retail = "../../../examples/retail"

// running is a server in this process, without Temporal. What it answers is
// held against its OpenAPI document.
type running struct {
	*testing.T
	dir    string
	server *server.Server
	client *client.Client
}

func start(t *testing.T, dir string) *running {
	t.Helper()
	s, err := server.Start(t.Context(), server.Config{
		Dir: dir, Listen: "127.0.0.1:0", NATSListen: "127.0.0.1:0", Temporal: "none",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return &running{T: t, dir: dir, server: s, client: client.New(openapitest.New(t, s.Addresses().HTTP).URL)}
}

// definition reads the retail pipeline's files, with some replaced.
func definition(t *testing.T, replace map[string]string) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, pattern := range []string{"*.yaml", "*.avsc", "views/*.sql", "references/*.csv"} {
		names, err := filepath.Glob(filepath.Join(retail, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range names {
			text, err := os.ReadFile(n)
			if err != nil {
				t.Fatal(err)
			}
			rel, _ := filepath.Rel(retail, n)
			files[filepath.ToSlash(rel)] = string(text)
		}
	}
	for name, text := range replace {
		files[name] = text
	}
	return files
}

func (r *running) apply(files map[string]string) api.Applied {
	r.Helper()
	var a api.Applied
	if err := r.client.JSON(r.Context(), http.MethodPost, "/v1/pipelines", api.Apply{Files: files}, &a); err != nil {
		r.Fatal(err)
	}
	return a
}

func (r *running) post(body, contentType string) api.Answer {
	r.Helper()
	resp, err := r.client.Do(r.Context(), http.MethodPost, "/v1/pipelines/retail/events", http.Header{"Content-Type": {contentType}}, []byte(body))
	if err != nil {
		r.Fatal(err)
	}
	defer resp.Body.Close()
	var a api.Answer
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
		r.Fatal(err)
	}
	return a
}

func (r *running) query(sql string) [][]string {
	r.Helper()
	body, _ := json.Marshal(map[string]string{"sql": sql, "consistency": "latest"})
	resp, err := r.client.Do(r.Context(), http.MethodPost, "/v1/query", http.Header{"Accept": {"text/csv"}}, body)
	if err != nil {
		r.Fatalf("%s: %v", sql, err)
	}
	defer resp.Body.Close()
	rows, err := csv.NewReader(resp.Body).ReadAll()
	if err != nil {
		r.Fatal(err)
	}
	return rows[1:]
}

func (r *running) ledger() api.Ledger {
	r.Helper()
	var l api.Ledger
	for range 100 {
		if err := r.client.JSON(r.Context(), http.MethodGet, "/v1/pipelines/retail/ledger", nil, &l); err != nil {
			r.Fatal(err)
		}
		if l.InFlight == 0 {
			break
		}
		r.query("SELECT 1 FROM retail.day LIMIT 0") // waits until speed has reached the head
	}
	return l
}

func day(t *testing.T, name string) string {
	t.Helper()
	f, err := os.Open(filepath.Join(retail, "data", name+".csv.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// truth is the line of the truth for one day.
func truth(t *testing.T, name string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(retail, "truth", "day_dedup.csv"))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if r[0] == name {
			return r
		}
	}
	t.Fatalf("no truth for %s", name)
	return nil
}

func TestFromTheDoorToTheAnswerAndOverARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := start(t, dir)
	if a := r.apply(definition(t, nil)); !a.Changed || a.Pipeline != "retail" || len(a.Views) != 5 || a.Schema != 1 {
		t.Fatalf("%+v", a)
	}
	if a := r.apply(definition(t, nil)); a.Changed {
		t.Fatal("the same definition again is no change")
	}
	first, second := day(t, "2010-12-01"), day(t, "2010-12-02")
	a := r.post(first, "text/csv")
	if lines := int64(strings.Count(first, "\n") - 1); a.Accepted+a.DeadLettered != lines || a.DeadLettered == 0 || len(a.Receipt.Positions) != 4 {
		t.Fatalf("%d lines: %+v", lines, a)
	}
	check := func(days ...string) {
		t.Helper()
		got := r.query("SELECT * FROM retail.day ORDER BY day")
		if len(got) != len(days) {
			t.Fatalf("%d days, want %d", len(got), len(days))
		}
		for i, d := range days {
			if !slices.Equal(got[i], truth(t, d)) {
				t.Fatalf("got %v, want %v", got[i], truth(t, d))
			}
		}
		if l := r.ledger(); !l.Balanced || l.InFlight != 0 {
			t.Fatalf("%+v", l)
		}
	}
	check("2010-12-01")
	r.post(first, "text/csv") // all duplicates
	r.post(second, "text/csv")
	check("2010-12-01", "2010-12-02")
	before := r.ledger()
	r.server.Stop()

	r = start(t, dir)
	check("2010-12-01", "2010-12-02")
	if after := r.ledger(); after.Received != before.Received || after.Duplicate != before.Duplicate {
		t.Fatalf("before the restart %+v, after it %+v", before, after)
	}
	var v api.Verification
	if err := r.client.JSON(t.Context(), http.MethodPost, "/v1/pipelines/retail/verify", struct{}{}, &v); err != nil {
		t.Fatal(err)
	}
	if !v.Equal || len(v.Views) != 5 || v.Events == 0 || v.Distinct >= v.Events {
		t.Fatalf("%+v", v)
	}
}

func TestBadLinesBecomeLettersAndTheRestCounts(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir())
	r.apply(definition(t, nil))
	const header = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
	body := header +
		"1,A,thing,2,2011-01-04 10:00:00,1.50,1.0,France\n" +
		"2,A,thing,two,2011-01-04 10:00:00,1.50,1.0,France\n" +
		"3,A,thing,2,4 January,1.50,1.0,France\n" +
		"4,A,thing,2,2011-01-04 10:00:00,0.00,1.0,France\n" +
		"A5,A,thing,2,2011-01-04 10:00:00,1,1.0,France\n"
	a := r.post(body, "text/csv")
	if a.Accepted != 1 || a.DeadLettered != 4 || a.ErrorsTotal != 4 {
		t.Fatalf("%+v", a)
	}
	var codes []string
	for _, e := range a.Errors {
		codes = append(codes, fmt.Sprintf("%d %s %s", e.Line, e.Code, e.Field))
	}
	if want := []string{"3 wrong_type Quantity", "4 bad_date InvoiceDate", "5 zero_price UnitPrice", "6 adjustment InvoiceNo"}; !slices.Equal(codes, want) {
		t.Fatalf("%q, want %q", codes, want)
	}
	var page api.Letters
	if err := r.client.JSON(t.Context(), http.MethodGet, "/v1/pipelines/retail/deadletters?code=wrong_type", nil, &page); err != nil {
		t.Fatal(err)
	}
	if len(page.Letters) != 1 || !strings.HasPrefix(page.Letters[0].Raw, "2,A,thing,two,") {
		t.Fatalf("%+v", page)
	}
	var one api.Letter
	if err := r.client.JSON(t.Context(), http.MethodGet, "/v1/pipelines/retail/deadletters/"+page.Letters[0].ID, nil, &one); err != nil || one.Raw != page.Letters[0].Raw {
		t.Fatalf("%+v %v", one, err)
	}
	if l := r.ledger(); !l.Balanced || l.Received != 5 || l.Counted != 1 || l.DeadLettered["zero_price"] != 1 {
		t.Fatalf("%+v", l)
	}
}

func TestMistakesInADefinitionAreToldWithTheirPlaceAndNothingIsApplied(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir())
	files := definition(t, map[string]string{
		"views/day.sql":  "SELECT CAST(InvoiceDate AS DATE) AS day,\n  count(*) AS lines, sum(Quantty) AS n\nFROM events GROUP BY ALL\n",
		"views/hour.sql": "SELECT median(Quantity) AS m FROM events\n",
	})
	err := r.client.JSON(t.Context(), http.MethodPost, "/v1/pipelines", api.Apply{Files: files}, nil)
	var refused *client.Error
	if !errors.As(err, &refused) || len(refused.Problem.Problems) != 2 {
		t.Fatalf("%v", err)
	}
	for _, p := range refused.Problem.Problems {
		switch p.File {
		case "views/day.sql":
			if p.Line != 2 || p.Column == 0 || !strings.Contains(p.Message+p.Hint, "Quantity") {
				t.Errorf("%+v", p)
			}
		case "views/hour.sql":
			if p.Line != 1 || !strings.Contains(p.Message, "median") {
				t.Errorf("%+v", p)
			}
		default:
			t.Errorf("%+v", p)
		}
	}
	if err := r.client.JSON(t.Context(), http.MethodGet, "/v1/pipelines/retail", nil, nil); !fault.Is(err, fault.NotFound) {
		t.Fatalf("%v", err)
	}
}

func TestAChangedSchemaReadsOldEventsAndAnIncompatibleOneIsRefused(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir())
	files := definition(t, nil)
	r.apply(files)
	r.post(day(t, "2010-12-05"), "text/csv")
	want := r.query("SELECT * FROM retail.day")

	wider := definition(t, nil)
	wider["schema.avsc"] = strings.Replace(wider["schema.avsc"], `{"name": "Country"`, `{"name": "Channel", "type": "string", "default": "web"}, {"name": "Country"`, 1)
	wider["views/channel.sql"] = "SELECT Channel AS channel, count(*) AS lines FROM events GROUP BY ALL\n"
	if a := r.apply(wider); a.Schema != 2 || !a.Changed {
		t.Fatalf("%+v", a)
	}
	if got := r.query("SELECT * FROM retail.day"); !slices.EqualFunc(got, want, slices.Equal) {
		t.Fatalf("got %v, want %v", got, want)
	}
	if got := r.query("SELECT channel, lines FROM retail.channel"); len(got) != 1 || got[0][0] != "web" || got[0][1] != want[0][1] {
		t.Fatalf("%v", got)
	}
	narrower := definition(t, nil)
	narrower["schema.avsc"] = strings.Replace(narrower["schema.avsc"], `{"name": "Quantity", "type": "int"`, `{"name": "Quantity", "type": "boolean"`, 1)
	err := r.client.JSON(t.Context(), http.MethodPost, "/v1/pipelines", api.Apply{Files: narrower}, nil)
	if !fault.Is(err, fault.Invalid) || !strings.Contains(fmt.Sprint(err, placesOf(err)), "Quantity") {
		t.Fatalf("%v %+v", err, placesOf(err))
	}
}

func placesOf(err error) []api.Place {
	var refused *client.Error
	if errors.As(err, &refused) {
		return refused.Problem.Problems
	}
	return nil
}

func TestASecondStartOnOneFolderIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := start(t, dir)
	_, err := server.Start(context.Background(), server.Config{Dir: dir, Listen: "127.0.0.1:0", NATSListen: "127.0.0.1:0", Temporal: "none"})
	if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "in use") {
		t.Fatal(err)
	}
	// Commands find the first by its addresses, and nobody once it has ended:
	// another program may have its port then.
	if _, err := client.Find("", dir); err != nil {
		t.Error(err)
	}
	first.server.Stop()
	if _, err := client.Find("", dir); !errors.Is(err, client.ErrUnreachable) {
		t.Errorf("a server that has ended is found: %v", err)
	}
	_, err = server.Start(context.Background(), server.Config{Dir: t.TempDir(), Listen: "0.0.0.0:0", Temporal: "none"})
	if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "loopback") {
		t.Fatal(err)
	}
}

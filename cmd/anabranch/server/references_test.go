package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow/flight"
	"github.com/apache/arrow/go/v17/arrow/flight/flightsql"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"anabranch/activities"
	"anabranch/archive"
	"anabranch/bucket"
	"anabranch/bucket/faultbucket"
	"anabranch/cmd/anabranch/api"
	"anabranch/cmd/anabranch/client"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/internal/clock"
	"anabranch/schemas"
	"anabranch/serving"
	"anabranch/serving/sql"
)

const prices = "item,price,since\na,1.50,2026-01-01\nb,2.00,2026-01-02\n"

// withPrices is the small pipeline with a reference table.
func withPrices(version, file string) map[string]string {
	return changedFiles(map[string]string{
		"pipeline.yaml":         smallFiles["pipeline.yaml"] + fmt.Sprintf("references:\n  - name: prices\n    file: references/prices.csv\n    version: %q\n    description: what items cost\n    key: item\n    columns: {price: 'DECIMAL(8,2)'}\n", version),
		"references/prices.csv": file,
	})
}

// rows are those of a query at the newest cut, or as of a receipt.
func (w *whole) rows(query string, asOf *serving.Receipt) (string, serving.Receipt, error) {
	w.Helper()
	a, err := w.engine.Query(w.Context(), sql.Request{SQL: query, AsOf: asOf, Fresh: serving.Fresh{Latest: asOf == nil}})
	if err != nil {
		return "", serving.Receipt{}, err
	}
	defer a.Close()
	var out strings.Builder
	for {
		row, err := a.Next()
		if err != nil {
			w.Fatal(err)
		}
		if row == nil {
			return out.String(), a.Receipt, nil
		}
		fmt.Fprintln(&out, row...)
	}
}

// referenceObjects are those in the object store.
func (w *whole) referenceObjects(prefix string) (names []string) {
	w.Helper()
	for info, err := range w.opened.bucket.List(w.Context(), prefix, "") {
		if err != nil {
			w.Fatal(err)
		}
		names = append(names, info.Name)
	}
	return names
}

// A reference table is planned, applied, joined, changed to a new version,
// answered as of then, and taken away again.
func TestReferenceTablesOfAPipeline(t *testing.T) {
	t.Parallel()
	w := startWhole(t)
	w.put(smallFiles)
	(&small{T: t, pipeline: w.small()}).send(rand.New(rand.NewPCG(1, 2)), 10, 100)
	w.night()
	const query = "SELECT item, price, n FROM small.items JOIN small.prices USING (item) ORDER BY item"

	if p := w.plan(withPrices("1", prices), api.Ways{}); !slices.Equal(p.References, []api.ReferencePlan{{Name: "prices", Change: "added", To: "1", Rows: 2}}) || p.Refused != "" || p.Work != nil ||
		!slices.Contains(p.Steps, "reference table prices answers with version 1, 2 rows") {
		t.Errorf("%+v", p)
	}
	if names := w.referenceObjects("small/references/"); len(names) != 0 {
		t.Errorf("a plan has stored %v", names)
	}
	if out := w.put(withPrices("1", prices)); !out.Changed || !slices.Equal(out.References, []string{"prices 1 (2 rows)"}) {
		t.Errorf("%+v", out)
	}
	if out := w.put(withPrices("1", prices)); out.Changed {
		t.Errorf("the same again: %+v", out)
	}
	first, receipt, err := w.rows(query, nil)
	if err != nil || !strings.HasPrefix(first, "a 1.5 ") || strings.Count(first, "\n") != 2 {
		t.Fatal(first, err)
	}

	// The next version, under a new number only.
	next := strings.Replace(prices, "1.50", "9.99", 1) + "c,3.00,\n"
	if _, err := w.applyFiles(t.Context(), withPrices("1", next)); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "pipeline.yaml:11:11: reference table prices has other rows than version \"1\"") {
		t.Error(err)
	}
	if p := w.plan(withPrices("2", next), api.Ways{}); !slices.Equal(p.References, []api.ReferencePlan{{Name: "prices", Change: "changed", From: "1", To: "2", Rows: 3, Before: 2}}) || len(p.Views) != 2 || p.Work != nil {
		t.Errorf("%+v", p)
	}
	w.put(withPrices("2", next))
	second, _, err := w.rows(query, nil)
	if err != nil || !strings.HasPrefix(second, "a 9.99 ") || strings.Count(second, "\n") != 3 {
		t.Fatal(second, err)
	}
	if again, then, err := w.rows(query, &receipt); err != nil || again != first || then.Pipelines["small"].References != receipt.Pipelines["small"].References {
		t.Error(again, then, err)
	}
	var list api.References
	if err := w.client.JSON(t.Context(), http.MethodGet, "/v1/pipelines/small/references", nil, &list); err != nil || len(list.References) != 2 ||
		!list.References[0].InForce || list.References[0].Version != "2" || list.References[0].Rows != 3 || list.References[1].InForce || list.References[1].Version != "1" || list.References[1].Columns[1].Type != "DECIMAL(8,2)" {
		t.Errorf("%+v, %v", list, err)
	}

	if rows, _, err := w.rows("SELECT column_name, is_nullable FROM information_schema.columns WHERE table_name = 'prices' AND ordinal_position < 3", nil); err != nil || rows != "item NO\nprice YES\n" {
		t.Error(rows, err)
	}
	if _, err := w.applyFiles(t.Context(), withPrices("3", next+"a,4,\n")); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "references/prices.csv:5:1: the key (item) is that of line 2") {
		t.Error(err)
	}
	// A pipeline that is restored beside this one has tables of its own.
	for range 2 {
		if _, err := w.restore(t.Context(), activities.Restore{Pipeline: "small", Into: "beside", AsOf: "v1"}); err != nil {
			t.Fatal(err)
		}
	}
	if rows, _, err := w.rows("SELECT count(*) FROM beside.prices", nil); err != nil || rows != "3\n" || len(w.referenceObjects("beside/references/")) != 1 {
		t.Error(rows, err)
	}

	// Collecting leaves what is in force and what answers may still be asked for.
	collect := func(after time.Duration) {
		t.Helper()
		c := &catalog{w.opened.bucket, later{after}}
		p := w.small()
		a := archive.Open(w.opened.bucket, "small", p.set, archive.Options{Partitions: 2, Clock: later{after}})
		if err := (&pipeline{compiled: p.compiled, archive: a}).collectReferences(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	stray := "small/references/prices/stray.parquet"
	for _, name := range []string{stray, uploads + "stray"} {
		if _, err := w.opened.bucket.Put(t.Context(), name, strings.NewReader("x"), bucket.Condition{}); err != nil {
			t.Fatal(err)
		}
	}
	collect(0)
	if n := len(w.referenceObjects("small/references/")); n != 3 {
		t.Errorf("%d objects", n)
	}
	collect(2 * keepFor)
	if names := w.referenceObjects("small/references/"); len(names) != 2 || slices.Contains(names, stray) {
		t.Errorf("%v", names)
	}
	if names := w.referenceObjects(uploads); len(names) != 0 {
		t.Errorf("%v", names)
	}

	// What takes something from readers has to be named.
	for want, c := range map[string]struct {
		files map[string]string
		drop  string
	}{
		"the reference table is gone":                       {smallFiles, "prices"},
		"column since of reference table prices is gone":    {withPrices("3", "item,price\na,1\n"), "prices.since"},
		"column since of reference table prices becomes VA": {withPrices("3", "item,price,since\na,1,long ago\n"), "prices.since"},
	} {
		p := w.plan(c.files, api.Ways{})
		if p.Compatible || !strings.Contains(p.Refused, want) || !strings.Contains(p.Command, "--drop "+c.drop) {
			t.Errorf("%s: %+v", want, p)
		}
		if _, err := w.applyFiles(t.Context(), c.files); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
		if p := w.plan(c.files, api.Ways{Drop: []string{c.drop}}); p.Refused != "" {
			t.Errorf("%s, as asked: %+v", want, p)
		}
	}
	// Bad rows are told with their places, and nothing is applied.
	err = w.client.JSON(t.Context(), http.MethodPost, "/v1/pipelines", api.Apply{Files: withPrices("3", "item,price,since\na,1,\nb,cheap,\nc,2.005,\n")}, nil)
	var refused *client.Error
	if !fault.Is(err, fault.Invalid) || !asClient(err, &refused) || len(refused.Problem.Problems) != 2 || refused.Problem.Problems[1].File != "references/prices.csv" || refused.Problem.Problems[1].Line != 4 || refused.Problem.Problems[1].Column != 3 {
		t.Errorf("%v %+v", err, refused)
	}
	if _, err := w.applyAs(t.Context(), api.Apply{Files: smallFiles, Ways: api.Ways{Drop: []string{"prices"}}}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.rows(query, nil); fault.CodeOf(err) != "unknown_view" {
		t.Error(err)
	}
}

func asClient(err error, to **client.Error) bool {
	e, ok := err.(*client.Error) //nolint:errorlint // the client returns it unwrapped
	*to = e
	return ok
}

// later is a clock that is ahead.
type later struct{ by time.Duration }

func (l later) Now() time.Time                         { return clock.Wall.Now().Add(l.by) }
func (l later) After(d time.Duration) <-chan time.Time { return clock.Wall.After(d) }

// Reference tables are here before anybody asks, and answer while the object
// store is away.
func TestReferenceTablesAreFetchedBefore(t *testing.T) {
	t.Parallel()
	b := faultbucket.Wrap(bucket.NewMemory(), nil)
	p := &pipeline{archive: archive.Open(b, "small", nil, archive.Options{Partitions: 1, CacheDir: t.TempDir()})}
	var o opened
	files := withPrices("1", prices)
	def, err := definition(files)
	if err != nil {
		t.Fatal(err)
	}
	refs, err := o.bring(t.Context(), archive.Open(b, "small", nil, archive.Options{Partitions: 1}), brought{def, files, nil})
	if err != nil {
		t.Fatal(err)
	}
	p.compiled = &compiled{references: refs}
	b.Set(faultbucket.From(0, faultbucket.Harm{Kind: fault.Transient}))
	if err := p.fetchReferences(t.Context()); !fault.Is(err, fault.Transient) {
		t.Error(err)
	}
	b.Set(nil)
	if err := p.fetchReferences(t.Context()); err != nil {
		t.Error(err)
	}
	b.Set(faultbucket.From(0, faultbucket.Harm{Kind: fault.Transient}))
	if _, release, err := p.archive.Local(t.Context(), refs[0].Object, refs[0].Size, refs[0].Sum); err != nil {
		t.Error(err)
	} else {
		release()
	}
}

// A file that is no text is uploaded first, and is there after a restart.
func TestAReferenceTableOfParquet(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := startWhole(t, func(c *Config) { c.Dir = dir })
	shape := event.NewShape(event.Field{Name: "item", Type: event.Type{Kind: event.String}}, event.Field{Name: "price", Type: event.Type{Kind: event.Float64}})
	dict := &event.Dict{Offsets: []uint32{0}}
	var file bytes.Buffer
	out := schemas.NewParquetWriter(&file, shape)
	if err := out.Write(&event.Batch{Shape: shape, N: 1, Columns: []event.Column{{Type: shape.Fields[0].Type, Codes: []uint32{dict.Append([]byte("a"))}, Dict: dict}, {Type: shape.Fields[1].Type, Floats: []float64{2.5}}}}); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(nil); err != nil {
		t.Fatal(err)
	}
	files := changedFiles(map[string]string{"pipeline.yaml": smallFiles["pipeline.yaml"] + "references: [{name: prices, file: references/prices.parquet}]\n"})
	sum, err := schemas.Point(bytes.NewReader(file.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	files["references/prices.parquet"] = sum
	if _, err := w.applyFiles(t.Context(), files); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "was not uploaded") {
		t.Error(err)
	}
	resp, err := w.client.Do(t.Context(), http.MethodPost, "/v1/references", nil, file.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	w.put(files)
	const query = "SELECT * FROM small.prices"
	rows, receipt, err := w.rows(query, nil)
	if err != nil || rows != "a 2.5\n" {
		t.Fatal(rows, err)
	}
	w.Stop()
	w = startWhole(t, func(c *Config) { c.Dir = dir })
	if rows, _, err := w.rows(query, &receipt); err != nil || rows != "a 2.5\n" {
		t.Error(rows, err)
	}
	if _, err := w.client.Do(t.Context(), http.MethodPost, "/v1/references", nil, make([]byte, schemas.MaxReference+2)); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
}

// fsck finds what is damaged, missing or of nobody, and applying the folder
// again mends what is in force.
func TestFsckKnowsReferenceTables(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := startWhole(t, func(c *Config) { c.Dir = dir })
	w.put(withPrices("1", prices))
	w.put(withPrices("2", prices+"c,1,\n"))
	names := w.referenceObjects("small/references/")
	if len(names) != 2 {
		t.Fatal(names)
	}
	w.Stop()
	check := func() api.Check {
		t.Helper()
		c, err := Fsck(t.Context(), FsckOptions{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if c := check(); len(c.Findings) != 0 {
		t.Errorf("before any damage: %+v", c)
	}
	object := func(name string) string { return filepath.Join(dir, "bucket", filepath.FromSlash(name)) }
	spoilFile(t, rand.New(rand.NewPCG(3, 4)), object(names[0]))
	if err := os.Remove(object(names[1])); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(object("small/references/prices/stray.parquet"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, f := range check().Findings {
		kinds = append(kinds, f.Kind)
	}
	if slices.Sort(kinds); !slices.Equal(kinds, []string{"orphan", "reference", "reference"}) {
		t.Errorf("%v", kinds)
	}
	os.Remove(object(names[0]))
	w = startWhole(t, func(c *Config) { c.Dir = dir })
	if out := w.put(withPrices("2", prices+"c,1,\n")); out.Changed {
		t.Errorf("%+v", out)
	}
	if rows, _, err := w.rows("SELECT count(*) FROM small.prices", nil); err != nil || rows != "3\n" {
		t.Error(rows, err)
	}
}

// The same rows through every door, and the table in every door's catalog.
func TestReferenceTablesAtTheDoors(t *testing.T) {
	t.Parallel()
	w := startWhole(t, func(c *Config) { c.PG, c.Flight = "127.0.0.1:0", "127.0.0.1:0" })
	w.put(withPrices("1", prices))
	const query = "SELECT item, since, price FROM small.prices ORDER BY item"
	const want = "a 2026-01-01 1.50|b 2026-01-02 2.00"

	conn, err := pgx.Connect(t.Context(), w.Addresses().PG)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	ask := func(query string) string {
		t.Helper()
		rows, err := conn.Query(t.Context(), query, pgx.QueryExecModeSimpleProtocol)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		var out []string
		for rows.Next() {
			var cells []string
			for _, raw := range rows.RawValues() {
				cells = append(cells, string(raw))
			}
			out = append(out, strings.Join(cells, " "))
		}
		if rows.Err() != nil {
			t.Fatal(query, rows.Err())
		}
		return strings.Join(out, "|")
	}
	for query, want := range map[string]string{
		query: want,
		"SELECT pg_catalog.obj_description(c.oid, 'pg_class') FROM pg_catalog.pg_class c WHERE c.relname = 'prices'":                                                                                   "what items cost",
		"SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod) FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid WHERE c.relname = 'prices' ORDER BY attnum": "item text|price numeric(8,2)|since date",
		"SELECT table_schema, table_type FROM information_schema.tables WHERE table_name = 'prices'":                                                                                                   "small BASE TABLE",
	} {
		if got := ask(query); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}

	door, err := flightsql.NewClient(strings.TrimPrefix(w.Addresses().Flight, "grpc://"), nil, nil, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer door.Close()
	read := func(info *flight.FlightInfo, err error) (out []string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		rows, err := door.DoGet(t.Context(), info.Endpoint[0].Ticket)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Release()
		for rows.Next() {
			for r := range int(rows.Record().NumRows()) {
				var cells []string
				for _, c := range rows.Record().Columns() {
					cells = append(cells, c.ValueStr(r))
				}
				out = append(out, strings.Join(cells, " "))
			}
		}
		if rows.Err() != nil && !errors.Is(rows.Err(), io.EOF) {
			t.Fatal(rows.Err())
		}
		return out
	}
	info, err := door.Execute(t.Context(), query)
	if got := strings.Join(read(info, err), "|"); got != "a 2026-01-01 1.5|b 2026-01-02 2" { // as Arrow prints decimals
		t.Errorf("Flight SQL: %s", got)
	}
	info, err = door.GetTables(t.Context(), &flightsql.GetTablesOpts{TableTypes: []string{"TABLE"}})
	if got := read(info, err); len(got) != 1 || !strings.Contains(got[0], "small prices TABLE") {
		t.Errorf("Flight SQL's tables: %q", got)
	}

	body := strings.NewReader(`{"sql": "` + query + `"}`)
	resp, err := http.Post(w.client.Base()+"/v1/query", "application/json", body)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || !strings.Contains(string(text), `"small.prices"`) || !strings.Contains(resp.Header.Get("Anabranch-Receipt"), `"references":`) {
		t.Errorf("%s %v %v", text, resp.Header, err)
	}
}

package sql_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"anabranch/archive"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/schemas"
	"anabranch/serving"
	"anabranch/serving/sql"
	"anabranch/view"
)

// brought makes a reference table of CSV, as a definition declares it.
func (b *bench) brought(name, version, columns, file string) archive.Reference {
	b.Helper()
	d, err := schemas.ReadDefinition(fstest.MapFS{
		"pipeline.yaml": {Data: fmt.Appendf(nil, "pipeline: shops\nevent: {id: {field: shop}, time: ts}\nreferences:\n  - {name: %s, file: references/%[1]s.csv, version: '%s', description: 'Who they are', columns: %s}\n", name, version, columns)},
		"schema.avsc":   {Data: []byte(shop)}, "references/" + name + ".csv": {Data: []byte(file)},
	})
	if err != nil {
		b.Fatal(err)
	}
	r, err := b.archive.StoreReference(b.Context(), d.Reference(name), strings.NewReader(file))
	if err != nil {
		b.Fatal(err)
	}
	return r
}

const owners = "shop,owner,since,share\nshop '1',Ann,2020-01-01,0.5\nshop '2',\"Bob, jr\",,1\n"

// A reference table is joined like a view, and shown where views are.
func TestReferenceTables(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := rand.New(rand.NewPCG(31, 1))
	b.publish(1, b.only(b.events(r, 20), "shop '1'"))
	b.fold(2, b.only(b.events(r, 5), "shop '2'"))
	b.sources[0].References = []archive.Reference{b.brought("owners", "1", "{share: {type: 'DECIMAL(4,2)', comment: 'of one'}}", owners)}
	for query, want := range map[string]string{
		"SELECT o.owner, s.n FROM shops.by_shop s JOIN shops.owners o USING (shop)": "[Ann|20 Bob, jr|5]",
		"SELECT * FROM shops.owners":                                                                          "[shop '1'|Ann|2020-01-01|0.5 shop '2'|Bob, jr|NULL|1]",
		"SELECT owner FROM SHOPS.Owners WHERE since < DATE '2021-01-01'":                                      "[Ann]",
		"SELECT n, _state FROM shops.by_shop JOIN shops.owners USING (shop) ":                                 "[20|final 5|provisional]",
		"WITH owners AS (SELECT 1 AS x) SELECT x FROM owners":                                                 "[1]",
		"SHOW TABLES FROM shops":                                                                              "[shops|all_time|view|NULL shops|by_hour|view|NULL shops|by_shop|view|NULL shops|owners|reference|Who they are]",
		"DESCRIBE shops.owners":                                                                               "[owner|VARCHAR|YES|NULL|NULL share|DECIMAL(4,2)|YES|NULL|of one shop|VARCHAR|YES|NULL|NULL since|DATE|YES|NULL|NULL]",
		"SELECT table_type FROM information_schema.tables WHERE table_name = 'owners'":                        "[BASE TABLE]",
		"SELECT count(*) FROM information_schema.views WHERE table_name = 'owners'":                           "[0]",
		"SELECT COLUMN_COMMENT FROM information_schema.columns WHERE table_name||column_name = 'ownersshare'": "[of one]",
		"SELECT a.owner FROM shops.owners a, shops.owners b WHERE a.share < b.share":                          "[Ann]",
	} {
		if got := fmt.Sprint(b.ask(query)); got != want {
			t.Errorf("%s\n%s\nwant %s", query, got, want)
		}
	}
	ref := b.sources[0].References[0]
	if got := b.ask("EXPLAIN SELECT * FROM shops.owners"); len(got) != 1 || got[0] != fmt.Sprintf("shops.owners|1|reference table|1|2|%d|1|1|1|2|NULL", ref.Size) {
		t.Errorf("%q", got)
	}
	d, err := b.engine.Describe(t.Context(), sql.Request{SQL: "SELECT o.*, n + $1::BIGINT FROM shops.by_shop s JOIN shops.owners o USING (shop) WHERE share = $2"})
	if err != nil || fmt.Sprint(d.Columns[3].Type, d.Columns[2].Type, d.Params[0]) != "DECIMAL(4,2)DATEBIGINT" {
		t.Errorf("%+v, %v", d, err)
	}
	for query, code := range map[string]string{
		"SELECT ownr FROM shops.owners":                    "unknown_column",
		"SELECT * FROM shops.owner":                        "unknown_view",
		"SELECT * FROM owners":                             "unknown_view",
		"SELECT merge(share) FROM shops.owners":            "unknown_column",
		"SELECT * FROM read_parquet('" + ref.Object + "')": "function_refused",
		"INSERT INTO shops.owners VALUES (1)":              "read_only",
	} {
		_, err := drain(t.Context(), b.engine, sql.Request{SQL: query})
		if fault.CodeOf(err) != code {
			t.Errorf("%s: %v (%s), want %s", query, err, fault.CodeOf(err), code)
		}
		if strings.Contains(query, "ownr") && !strings.Contains(err.Error(), "owner") {
			t.Errorf("the nearest name is not told: %v", err)
		}
	}
}

// An answer as of a receipt has the rows of the reference tables that were in
// force then, as long as they are there.
func TestReferenceTablesAsOfAReceipt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	src := b.sources[0]
	src.Past = func(_ context.Context, m *archive.Manifest, at event.Cut, views []*view.View) (*view.Delta, error) {
		d := &view.Delta{States: map[string]*view.State{}, At: at.Clone(), Since: m.K}
		for _, v := range views {
			d.States[v.Name()] = v.New()
		}
		return d, nil
	}
	b.publish(1, b.only(b.events(rand.New(rand.NewPCG(32, 1)), 20), "shop '1'"))
	b.speed.at = event.Cut{1}
	const query = "SELECT owner, n FROM shops.by_shop JOIN shops.owners USING (shop)"
	without, _, err := b.exactly(sql.Request{SQL: "SELECT n FROM shops.by_shop"})
	if err != nil {
		t.Fatal(err)
	}
	_, bare, _ := b.exactly(sql.Request{SQL: "SELECT n FROM shops.by_shop"})
	put := func(refs ...archive.Reference) { // as an apply does
		next := *src
		next.References, next.OlderReferences = refs, map[string][]archive.Reference{archive.ReferencesID(src.References): src.References}
		for id, older := range src.OlderReferences {
			next.OlderReferences[id] = older
		}
		src = &next
		b.sources = []*serving.Source{src}
	}
	first := b.brought("owners", "1", "{}", owners)
	put(first)
	rows, receipt, err := b.exactly(sql.Request{SQL: query})
	if err != nil || rows != "Ann 20\n" || receipt.Pipelines["shops"].References == "" {
		t.Fatal(rows, receipt, err)
	}
	put(b.brought("owners", "2", "{}", strings.Replace(owners, "Ann", "Cleo", 1)), b.brought("more", "1", "{}", "a\n1\n"))
	if rows, now, err := b.exactly(sql.Request{SQL: query}); err != nil || rows != "Cleo 20\n" || now.Pipelines["shops"].References == receipt.Pipelines["shops"].References {
		t.Error(rows, now, err)
	}
	again, then, err := b.exactly(sql.Request{SQL: query, AsOf: &receipt})
	if err != nil || again != rows || then.Pipelines["shops"].References != receipt.Pipelines["shops"].References {
		t.Error(again, then, err)
	}
	// A receipt tells of the tables that there were then, also of an answer
	// that has not read them.
	if only, _, err := b.exactly(sql.Request{SQL: "SELECT n FROM shops.by_shop", AsOf: &bare}); err != nil || only != without {
		t.Error(only, err)
	}
	// A table that the definition has no more is there as of then, with the
	// columns of then.
	keep := b.sources
	put()
	again, _, err = b.exactly(sql.Request{SQL: query, AsOf: &receipt})
	if err != nil || again != rows {
		t.Error(again, err)
	}
	if d, err := b.engine.Describe(t.Context(), sql.Request{SQL: "SELECT since FROM shops.owners", AsOf: &receipt}); err != nil || d.Columns[0].Type != "DATE" {
		t.Errorf("%+v, %v", d, err)
	}
	if _, _, err := b.exactly(sql.Request{SQL: query}); fault.CodeOf(err) != "unknown_view" {
		t.Error(err)
	}
	b.sources, src = keep, keep[0]
	for _, as := range []*serving.Receipt{&bare, &receipt} {
		if _, _, err := b.exactly(sql.Request{SQL: "SELECT * FROM shops.more", AsOf: as}); fault.CodeOf(err) != "receipt_gone" {
			t.Error(err)
		}
	}
	// Once the object is collected, the error says so; the present goes on.
	keeps := map[string]bool{}
	for _, r := range src.References {
		keeps[r.Object] = true
	}
	if n, err := b.archive.CollectReferences(t.Context(), keeps, -1); n != 1 || err != nil {
		t.Error(n, err)
	}
	put(src.References...)
	b.emptyCache()
	if _, _, err := b.exactly(sql.Request{SQL: query, AsOf: &receipt}); fault.CodeOf(err) != "receipt_gone" {
		t.Error(err)
	}
	if rows, _, err := b.exactly(sql.Request{SQL: query}); err != nil || rows != "Cleo 20\n" {
		t.Error(rows, err)
	}
}

// emptyCache has the pipeline read from the object store again.
func (b *bench) emptyCache() {
	b.Helper()
	b.archive = archive.Open(b.bucket, "shops", b.set, archive.Options{Partitions: 1, CacheDir: filepath.Join(b.cache, "again")})
	b.sources[0].Batch = b.archive
}

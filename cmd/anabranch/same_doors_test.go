package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"anabranch/cmd/anabranch/api"
	"anabranch/cmd/anabranch/client"
	"anabranch/cmd/anabranch/server"
)

// sales is a pipeline with a view of every kind of aggregate.
var sales = map[string]string{
	"pipeline.yaml": `pipeline: sales
event:
  id: {field: id}
  time: ts
partitions: 2
ingest: {linger: 1ms}
`,
	"schema.avsc": `{"type": "record", "name": "sale", "fields": [
  {"name": "id", "type": "string"},
  {"name": "item", "type": ["null", "string"], "default": null},
  {"name": "ts", "type": {"type": "long", "logicalType": "local-timestamp-micros"}},
  {"name": "amount", "type": "long"},
  {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 4}},
  {"name": "ratio", "type": "double"},
  {"name": "paid", "type": ["null", "boolean"], "default": null},
  {"name": "who", "type": "string"}]}`,
	"views/items.sql": `SELECT item, CAST(ts AS DATE) AS day, count(*) AS n, sum(amount) AS amount, sum(price) AS price, min(price) AS least, max(ts) AS last,
  avg(ratio) AS ratio, bool_or(paid) AS paid, count(DISTINCT who) AS people, approx_count_distinct(who) AS about, approx_quantile(ratio, 0.5) AS middle,
  arg_max(who, ts) AS newest FROM events GROUP BY ALL`,
	"views/hours.sql": "SELECT time_bucket(INTERVAL '1 hour', ts) AS hour, count(*) AS n, sum(amount) AS amount FROM events GROUP BY ALL",
}

// saleLines are n events with ids of their own from from on.
func saleLines(rnd *rand.Rand, from, n int) string {
	var out strings.Builder
	for i := from; i < from+n; i++ {
		item, paid := `"a \"quoted\" thing, or ümlaut"`, "null"
		switch rnd.IntN(4) {
		case 0:
			item = "null"
		case 1:
			item, paid = `"plain"`, "true"
		case 2:
			item, paid = `""`, "false"
		}
		fmt.Fprintf(&out, `{"id": "e%d", "item": %s, "ts": "2011-03-%02d %02d:%02d:00.%06d", "amount": %d, "price": %d.%04d, "ratio": %g, "paid": %s, "who": "w%d"}`+"\n",
			i, item, 1+rnd.IntN(3), rnd.IntN(24), rnd.IntN(60), rnd.IntN(1_000_000), rnd.Int64N(1<<40)-1<<39, rnd.IntN(1000), rnd.IntN(10000), rnd.Float64(), paid, rnd.IntN(40))
	}
	return out.String()
}

// askedEverywhere are queries over the views, in an order of their own.
var askedEverywhere = []string{
	"SELECT item AS c0, day AS c1, n AS c2, amount AS c3, price AS c4, least AS c5, last AS c6, ratio AS c7, paid AS c8, people AS c9, about AS c10, middle AS c11, newest AS c12 FROM sales.items ORDER BY ALL",
	"SELECT day AS c0, sum(n) AS c1, sum(price) AS c2, merge(about) AS c3, max(last) AS c4, list(item ORDER BY item) AS c5, bool_and(paid) AS c6 FROM sales.items GROUP BY day ORDER BY day",
	"SELECT hour AS c0, n AS c1, sum(amount) OVER (ORDER BY hour) AS c2, lag(n) OVER (ORDER BY hour) AS c3, hour::TIMESTAMPTZ AS c4 FROM sales.hours ORDER BY hour",
	"SELECT h.hour AS c0, i.item AS c1, i.n AS c2 FROM sales.hours h JOIN sales.items i ON h.hour::DATE = i.day ORDER BY ALL LIMIT 50",
	"SELECT item AS c0 FROM sales.items WHERE day > DATE '2100-01-01'",
}

// everyType has values of every type, and their nulls and ends.
var everyType = []string{
	"true; 1::TINYINT; 2::UTINYINT; 3::SMALLINT; 65535::USMALLINT; -4::INTEGER; 4294967295::UINTEGER; 9223372036854775807::BIGINT",
	"18446744073709551615::UBIGINT; 99999999999999999999999999999999999999::HUGEINT; NULL; ''; NULL::DECIMAL(9,3); NULL::DATE; NULL::INTEGER[]",
	"1.50::DECIMAL(4,2); -0.000001::DECIMAL(18,6); 12345678901234567890.123456789::DECIMAL(38,9); 0::DECIMAL(9,3)",
	"0.1::DOUBLE; 1e300; -0.0::DOUBLE; 1e-7::DOUBLE; 0.1::FLOAT; 3::DOUBLE",
	"'text, \"quoted\"\n and ümlaut 日本'; '\\xAA\\x00'::BLOB; ''::BLOB",
	"DATE '2011-03-04'; DATE '0001-01-01'; TIME '12:34:56.789'; TIME '00:00:00'",
	"TIMESTAMP '2011-03-04 05:06:07.000008'; TIMESTAMP '1960-01-01'; TIMESTAMPTZ '2011-03-04 05:06:07+02'",
	"'2011-01-01 00:00:00.000000001'::TIMESTAMP_NS; '2011-01-01 00:00:00.123'::TIMESTAMP_MS; '2011-01-01 00:00:01'::TIMESTAMP_S",
	"INTERVAL '14 months 3 days 1.5 seconds'; INTERVAL '-1 day'; 'f81d4fae-7dec-11d0-a765-00a0c91e6bf6'::UUID; 'b'::ENUM('a','b'); '101'::BIT",
	"[1, 2, NULL]; [1.50, 2.25]::DECIMAL(5,2)[]; ['a', NULL]; [0.1, 2]::DOUBLE[]; []::INTEGER[]; [TIME '01:02:03']; [INTERVAL '1 day']",
	"[DATE '2011-01-02']; [TIMESTAMP '2011-01-02 03:04:05.000006']; ['\\xAA'::BLOB]; ['f81d4fae-7dec-11d0-a765-00a0c91e6bf6'::UUID]; [TIMESTAMPTZ '2011-03-04 05:06:07+02']",
	"{'a': 1, 'b': 'x', 'c': NULL}; {'d': 1.50::DECIMAL(5,2), 'h': 170141183460469231731::HUGEINT}; [{'k': 1}]; {'t': TIMESTAMP '2011-01-02 03:04:05', 'l': [1.5]}; {'the, \"name\" (x)': TIMESTAMP '2011-01-02 00:00:01'}",
	"MAP {'a': 1, 'b': NULL}; [[1], NULL, []]; [1, 2]::INTEGER[2]; MAP {1: 1.50::DECIMAL(4,2)}; MAP {TIMESTAMP '2011-01-02 00:00:01': [1]}",
	"'nan'::DOUBLE; 'inf'::DOUBLE; '-inf'::FLOAT; ['nan'::DOUBLE]; '{\"a\": [1, 2.50]}'::JSON",
}

// One query gives the same rows through every door: of every type, at the
// newest cut while nothing comes, and at one receipt while events come and a
// batch takes the speed layer's groups over.
func TestEveryDoorAnswersTheSame(t *testing.T) {
	t.Parallel()
	const seed = 11
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	s, err := server.Start(t.Context(), server.Config{
		Dir: t.TempDir(), Listen: "127.0.0.1:0", PG: "127.0.0.1:0", Flight: "127.0.0.1:0", NATSListen: "127.0.0.1:0", TemporalListen: "127.0.0.1:0", TemporalUI: "127.0.0.1:0",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	at := s.Addresses()
	a := newAsker(t, at.HTTP, at.PG, at.Flight)
	for _, list := range everyType {
		columns := strings.Split(list, "; ")
		for i := range columns {
			columns[i] = fmt.Sprintf("%s AS c%d", columns[i], i)
		}
		if got := a.same("SELECT " + strings.Join(columns, ", ")); len(got) != 1 {
			t.Errorf("%d rows of %s", len(got), list)
		}
	}

	c := client.New(at.HTTP)
	call := func(path string, in, out any) {
		t.Helper()
		if err := c.JSON(t.Context(), http.MethodPost, path, in, out); err != nil {
			t.Fatal(err)
		}
	}
	sent := 0
	send := func(n int) {
		t.Helper()
		resp, err := c.Do(t.Context(), http.MethodPost, "/v1/pipelines/sales/events", http.Header{"Content-Type": {"application/x-ndjson"}}, []byte(saleLines(rnd, sent, n)))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var in api.Answer
		if err := json.NewDecoder(resp.Body).Decode(&in); err != nil || in.DeadLettered > 0 {
			t.Fatalf("%+v %v", in, err)
		}
		sent += n
	}
	night := func(key string) {
		t.Helper()
		var run api.Run
		for until := time.Now().Add(patience); run.State == "" || run.State == "running" && time.Now().Before(until); {
			call("/v1/pipelines/sales/batches?wait=1m", api.StartBatch{Key: key}, &run) // the same key: the same run
		}
		if run.State != "completed" {
			t.Fatalf("%+v", run)
		}
	}
	call("/v1/pipelines", api.Apply{Files: sales}, nil)
	send(300)
	night("first")
	send(200)

	// The receipt of now, and what the doors say when nothing more comes.
	newest, err := c.Do(t.Context(), http.MethodPost, "/v1/query", nil, []byte(`{"sql": "SELECT 1 FROM sales.items, sales.hours LIMIT 0", "consistency": "latest"}`))
	if err != nil {
		t.Fatal(err)
	}
	newest.Body.Close()
	asOf := " AS OF RECEIPT '" + newest.Header.Get("Anabranch-Receipt") + "'"
	then := make([]string, len(askedEverywhere))
	for i, query := range askedEverywhere {
		got := a.same(query)
		then[i] = fmt.Sprint(got)
		if i < 4 && len(got) < 3 {
			t.Errorf("%s: %d rows", query, len(got))
		}
	}
	for _, when := range []string{"while events come", "after a batch"} {
		send(100)
		if when == "after a batch" {
			night("second")
		}
		for i, query := range askedEverywhere {
			if got := fmt.Sprint(a.same(query + asOf)); got != then[i] {
				t.Errorf("%s: %s says something else than at its receipt:\n%.500s\nthen\n%.500s", when, query, got, then[i])
			}
		}
	}

	// A lookup says what SQL does at the lookup's receipt.
	resp, err := http.Get(at.HTTP + "/v1/views/sales.items?" + url.Values{"key.item": {"plain"}, "consistency": {"latest"}}.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s %v %s", resp.Status, err, body)
	}
	query := strings.Replace(askedEverywhere[0], "ORDER BY ALL", "WHERE item = 'plain' ORDER BY ALL AS OF RECEIPT '"+resp.Header.Get("Anabranch-Receipt")+"'", 1)
	k, _ := a.columns(query)
	found, err := read(k, formats["json"], body)
	if want := a.same(query); err != nil || fmt.Sprint(found) != fmt.Sprint(want) || len(found) != 3 {
		t.Errorf("a lookup says\n%v\nSQL at its receipt\n%v\n%v", found, want, err)
	}
}

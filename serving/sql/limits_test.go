package sql_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"anabranch/fault"
	"anabranch/serving"
	"anabranch/serving/sql"
)

// limited is an engine with narrow limits over the bench's pipeline.
func (b *bench) limited(o sql.Options) *sql.Engine {
	b.Helper()
	o.CacheDirs = []string{b.cache}
	e, err := sql.New(b.Context(), serving.New(serving.Options{Sources: func() []*serving.Source { return b.sources }}), o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { e.Close() })
	return e
}

// drain reads a whole answer.
func drain(ctx context.Context, e *sql.Engine, r sql.Request) (rows int, err error) {
	a, err := e.Query(ctx, r)
	if err != nil {
		return 0, err
	}
	defer a.Close()
	for {
		row, err := a.Next()
		if row == nil {
			return rows, err
		}
		rows++
	}
}

// long is a query that runs for minutes.
const long = "SELECT sum(a.range * b.range % 7) FROM range(10000000) a, range(10000000) b"

// endless is a query that nobody has read to its end.
const endless = "SELECT range FROM range(100000000000)"

// Every limit is told by its name.
func TestLimits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	e := b.limited(sql.Options{MemoryLimit: "100MB", MaxSQL: 10_000, Limits: sql.Limits{Rows: 1000, Bytes: 50_000}})
	roomy := b.limited(sql.Options{})
	if rows, err := drain(t.Context(), roomy, sql.Request{SQL: "SELECT repeat('x', 1000000 * (1 + 79 * (range // 39)::INT)) FROM range(40)"}); fault.CodeOf(err) != "bytes_limit" || rows != 39 {
		t.Errorf("a row of 80 MB after 39 small ones: %d rows, %v", rows, err)
	}
	brief := b.limited(sql.Options{Limits: sql.Limits{Time: 300 * time.Millisecond}})
	for _, c := range []struct {
		r    sql.Request
		code string
		says string
	}{
		{sql.Request{SQL: long}, "timeout", "300ms"},
		{sql.Request{SQL: long, Limits: sql.Limits{Time: 50 * time.Millisecond}}, "timeout", "50ms"},
		{sql.Request{SQL: long, Limits: sql.Limits{Time: time.Hour}}, "timeout", "300ms"}, // never wider
		{sql.Request{SQL: "FROM range(1001)"}, "rows_limit", "1000 rows"},
		{sql.Request{SQL: "FROM range(11)", Limits: sql.Limits{Rows: 10}}, "rows_limit", "10 rows"},
		{sql.Request{SQL: "SELECT repeat('x', 1000) FROM range(60)"}, "bytes_limit", "50000 bytes"},
		{sql.Request{SQL: "SELECT list(range) FROM range(100)", Limits: sql.Limits{Bytes: 100}}, "bytes_limit", "100 bytes"},
		{sql.Request{SQL: "SELECT count(*) FROM (SELECT DISTINCT range, repeat('x', 100) || range FROM range(3000000))", Limits: sql.Limits{}}, "memory_limit", "memory"},
		{sql.Request{SQL: "SELECT '" + strings.Repeat("x", 300_000) + "'"}, "sql_too_long", "10000"},
	} {
		limit := c.r.Limits
		of := e
		switch c.code {
		case "timeout":
			of = brief
		case "memory_limit":
			of = b.limited(sql.Options{MemoryLimit: "50MB"})
		}
		_, err := drain(t.Context(), of, c.r)
		if fault.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%.60s with %+v: %v (%s), want %s", c.r.SQL, limit, err, fault.CodeOf(err), c.code)
		}
		if err != nil && strings.Contains(err.Error(), "SET ") {
			t.Errorf("tells how to change the engine: %v", err)
		}
	}
	e = b.limited(sql.Options{Limits: sql.Limits{Rows: 1000}})
	if n, err := drain(t.Context(), e, sql.Request{SQL: "FROM range(1000)"}); n != 1000 || err != nil {
		t.Errorf("as many rows as may be: %d, %v", n, err)
	}
	records, err := e.Records(t.Context(), sql.Request{SQL: "FROM range(100000)"})
	if err != nil {
		t.Fatal(err)
	}
	defer records.Close()
	if rec, err := records.Next(); fault.CodeOf(err) != "rows_limit" {
		t.Errorf("records: %v, %v", rec, err)
	}
}

// A query whose reader has gone ends within a second, and what it had of the
// memory is there again.
func TestCancelGivesAllBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.publish(1, b.events(rand.New(rand.NewPCG(3, 3)), 100))
	e := b.limited(sql.Options{MemoryLimit: "1GB", MaxQueries: 2})
	memory := func() int64 {
		n, _ := sql.Cell(t, e, "SELECT sum(memory_usage_bytes)::BIGINT FROM duckdb_memory()").(int64)
		return n
	}
	if _, err := drain(t.Context(), e, sql.Request{SQL: "SELECT * FROM shops.by_shop"}); err != nil {
		t.Fatal(err)
	}
	before := memory()
	hungry := "SELECT count(*) FROM (SELECT DISTINCT a.range * 7919 + b.range AS x FROM range(100000) a, range(100000) b), shops.by_shop"
	for _, query := range []string{long, hungry} {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			_, err := drain(ctx, e, sql.Request{SQL: query})
			ended <- err
		}()
		if query == hungry { // it has begun to take memory
			for deadline := time.Now().Add(5 * time.Minute); memory() < before+(8<<20) && time.Now().Before(deadline); {
				time.Sleep(time.Millisecond)
			}
		} else {
			time.Sleep(50 * time.Millisecond)
		}
		gone := time.Now()
		cancel()
		select {
		case err := <-ended:
			if !fault.Is(err, fault.Transient) || fault.CodeOf(err) != "cancelled" || !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v (%s)", query, err, fault.CodeOf(err))
			}
		case <-time.After(5 * time.Minute):
			t.Fatalf("%s: still runs", query)
		}
		t.Logf("ended %s after its reader was gone", time.Since(gone))
		if took := time.Since(gone); took > 5*time.Minute {
			t.Errorf("%s: ended after %s", query, took)
		}
	}
	if after := memory(); after > before+(4<<20) {
		t.Errorf("%d bytes are held, before %d", after, before)
	}
	for range 3 { // both turns are there again
		if _, err := drain(t.Context(), e, sql.Request{SQL: "SELECT * FROM shops.by_shop"}); err != nil {
			t.Error(err)
		}
	}
}

// One user cannot take all turns, and no more wait than may.
func TestTurnsOfUsers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	e := b.limited(sql.Options{MaxQueries: 3, MaxPerUser: 2, MaxWaiting: 1, Patience: 50 * time.Millisecond})
	ask := func(user string) (*sql.Answer, error) {
		return e.Query(t.Context(), sql.Request{SQL: endless, User: user})
	}
	var held []*sql.Answer
	hold := func(user string) {
		t.Helper()
		a, err := ask(user)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, a)
	}
	hold("ann")
	hold("ann")
	if _, err := ask("ann"); fault.CodeOf(err) != "user_busy" || !strings.Contains(err.Error(), "ann") {
		t.Errorf("a third of one user: %v", err)
	}
	hold("bob")
	if _, err := ask("cid"); fault.CodeOf(err) != "busy" {
		t.Errorf("a fourth: %v", err)
	}
	var wg sync.WaitGroup
	codes := make([]string, 8)
	for i := range codes {
		wg.Go(func() {
			_, err := ask(fmt.Sprint("user", i))
			codes[i] = fault.CodeOf(err)
		})
	}
	wg.Wait()
	full := 0
	for _, c := range codes {
		if c == "queue_full" {
			full++
		} else if c != "busy" {
			t.Errorf("code %q", c)
		}
	}
	if full == 0 {
		t.Error("all waited")
	}
	for _, a := range held {
		a.Close()
	}
	for range 5 { // all turns are there again
		if _, err := drain(t.Context(), e, sql.Request{SQL: "SELECT 1", User: "ann"}); err != nil {
			t.Error(err)
		}
	}
}

// Text that is deep or long breaks nothing.
func TestDeepText(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, q := range map[string]string{
		"parentheses": "SELECT " + strings.Repeat("(", 50_000) + "1" + strings.Repeat(")", 50_000),
		"sum":         "SELECT 1" + strings.Repeat("+1", 100_000),
		"and":         "SELECT true" + strings.Repeat(" AND true", 6_000),
		"not":         "SELECT " + strings.Repeat("NOT ", 50_000) + "true",
		"case":        "SELECT " + strings.Repeat("CASE WHEN true THEN ", 8_000) + "1" + strings.Repeat(" END", 8_000),
		"subqueries":  strings.Repeat("SELECT * FROM (", 10_000) + "SELECT 1" + strings.Repeat(")", 10_000),
		"unions":      "SELECT 1" + strings.Repeat(" UNION ALL SELECT 1", 10_000),
		"some unions": "SELECT 1" + strings.Repeat(" UNION ALL SELECT 1", 240), "some ands": "SELECT true" + strings.Repeat(" AND true", 4_900),
		"values": "VALUES (1)" + strings.Repeat(", (1)", 20_000), "in": "SELECT 1 IN (1" + strings.Repeat(", 1", 20_000) + ")",
		"joins":    "SELECT count(*) FROM range(1)" + strings.Repeat(", range(1)", 5_000),
		"list":     "SELECT " + strings.Repeat("[", 50_000) + strings.Repeat("]", 50_000),
		"casts":    "SELECT 1" + strings.Repeat("::INT", 40_000),
		"comments": strings.Repeat("/*", 50_000) + "SELECT 1",
		"zero":     "SELECT 1\x00; DROP TABLE x", "utf8": "SELECT '\xff\xfe'",
	} {
		begun := time.Now()
		n, err := drain(t.Context(), b.engine, sql.Request{SQL: q, Limits: sql.Limits{Time: 10 * time.Second}})
		if err != nil && fault.Is(err, fault.Bug) {
			t.Errorf("%s: %v", name, err)
		}
		if took := time.Since(begun); took > 5*time.Minute { // the limit is 10 s, the machine may be busy
			t.Errorf("%s took %s", name, took)
		}
		t.Logf("%s: %d rows, %.200v, %s", name, n, err, time.Since(begun))
	}
}

// DuckDB plans for many seconds over lists in lists, a thousand deep.
func TestValuesInValues(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for n, code := range map[int]string{90: "", 150: "sql_too_complex"} {
		for _, query := range []string{
			"SELECT " + strings.Repeat("[", n) + "1" + strings.Repeat("]", n) + "::VARCHAR",
			"SELECT (" + strings.Repeat("list_value(", n) + "1" + strings.Repeat(")", n) + ")::VARCHAR",
			"SELECT (" + strings.Repeat("{'a': ", n) + "1" + strings.Repeat("}", n) + ")::VARCHAR",
		} {
			if _, err := drain(t.Context(), b.engine, sql.Request{SQL: query}); fault.CodeOf(err) != code || code == "" && err != nil {
				t.Errorf("%d deep, %.60s: %v, code %q", n, query, err, fault.CodeOf(err))
			}
		}
	}
}

// DuckDB plans for minutes, and takes 13 GB, over a WITH whose names stand for
// ever more: each of these has twice the columns of the one before.
func TestNamesOfWithAreCountedWrittenOut(t *testing.T) {
	t.Parallel()
	b := setup(t)
	chain := func(n int) string {
		q := "WITH c0 AS (SELECT 1 AS x)"
		for i := 1; i < n; i++ {
			q += fmt.Sprintf(", c%d AS (SELECT * FROM c%d a, C%d b)", i, i-1, i-1)
		}
		return q + fmt.Sprintf(" SELECT count(*) FROM c%d", n-1)
	}
	for _, query := range []string{chain(60), strings.Replace(chain(60), "WITH", "WITH RECURSIVE", 1), "SELECT * FROM (" + chain(30) + ")"} {
		if _, err := b.engine.Query(t.Context(), sql.Request{SQL: query}); fault.CodeOf(err) != "sql_too_complex" {
			t.Errorf("%.60s: %v", query, err)
		}
	}
	for _, query := range []string{chain(10), "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 5), s AS (SELECT * FROM r a, r b) SELECT count(*) FROM s, s t, s u"} {
		if n, err := drain(t.Context(), b.engine, sql.Request{SQL: query}); n != 1 || err != nil {
			t.Errorf("%.60s: %d rows, %v", query, n, err)
		}
	}
}

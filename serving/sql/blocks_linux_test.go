package sql_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"anabranch/fault"
	"anabranch/serving"
	"anabranch/serving/sql"
)

// DuckDB's own limit does not see these; all of them together may not take more
// than the blocks that there may be. It is not parallel: they are those of the
// process.
func TestLargeBlocksAreBounded(t *testing.T) {
	engine, err := sql.New(t.Context(), serving.New(serving.Options{Sources: func() []*serving.Source { return nil }}), sql.Options{MemoryLimit: "64MB"})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	const most = 128 << 20
	before := sql.BlocksHeld()
	sql.LimitBlocks(before+most, math.MaxInt64)
	defer sql.LimitBlocks(math.MaxInt64, math.MaxInt64)
	base := resident(t)
	for _, query := range []string{
		"SELECT length(repeat('x', 1600000000))",
		"SELECT length(lpad('x', 1600000000, 'y'))",
		"SELECT sum(length(rpad('x', 1600000000 + i::INT, 'y'))) FROM range(4) r(i)",
		"SELECT length(format('{:1600000000}', 1))",
		"SELECT length(printf('%1600000000d', 1))",
		"SELECT length(format('{:' || (1600000000 + i) || '}', 1)) FROM range(4) r(i)",
		"SELECT len(list_resize([1], 100000000))",
		"SELECT len(list_resize([i], 100000000)) FROM range(4) r(i)",
		"SELECT list_sum(range(100000000))",
		"SELECT length(replace(repeat('a', 20000), 'a', repeat('b', 20000)))",
		"SELECT length(regexp_replace(repeat('a', 20000), 'a', repeat('b', 20000), 'g'))",
		"SELECT length(array_to_string(range(20000), repeat('b', 20000)))",
		"SELECT length(s || s) FROM (SELECT s || s || s || s AS s FROM (SELECT s || s || s || s AS s FROM (SELECT repeat('x', 16000000) AS s)))",
		"SELECT length(upper(repeat('ß', 200000000)))",
		"SELECT length(hex(repeat('x', 200000000)))",
		"SELECT length(to_json(range(50000000)))",
	} {
		largest, err := whileAsked(t, engine, query)
		grown := largest - base
		if code := fault.CodeOf(err); code != "memory_limit" {
			t.Errorf("%s: %v, code %q", query, err, code)
		} else if strings.Contains(err.Error(), "bad_alloc") {
			t.Errorf("%s: %v", query, err)
		}
		// What is not in large blocks, and what the allocators have not yet given back.
		if grown > most+512<<20 {
			t.Errorf("%s took %d MB", query, grown>>20)
		}
		if held := sql.BlocksHeld(); held > before+most {
			t.Errorf("%s: %d bytes are held", query, held)
		}
	}
	if _, err := drain(t.Context(), engine, sql.Request{SQL: "SELECT length(repeat('x', 30000000))"}); err != nil {
		t.Error("a text that fits:", err)
	}
	if held := sql.BlocksHeld(); held > before+8<<20 {
		t.Errorf("%d bytes of blocks are still held when no query runs, %d before", held, before)
	}
}

// whileAsked returns how many bytes were resident at most while a query ran, and how it
// ended.
func whileAsked(t *testing.T, e *sql.Engine, query string) (most int64, err error) {
	ended := make(chan error, 1)
	go func() {
		_, err := drain(t.Context(), e, sql.Request{SQL: query})
		ended <- err
	}()
	for {
		select {
		case err = <-ended:
			return max(most, resident(t)), err
		case <-time.After(time.Millisecond):
		}
		most = max(most, resident(t))
	}
}

package sql_test

import (
	"math"
	"testing"
	"time"

	"anabranch/fault"
	"anabranch/serving"
	"anabranch/serving/sql"
)

// What aggregates keep in maps is seen by no limit of DuckDB's: each of these took
// several GB beside one of 64 MB. It is not parallel: the bound is that of the process.
func TestSmallPiecesAreBounded(t *testing.T) {
	engine, err := sql.New(t.Context(), serving.New(serving.Options{Sources: func() []*serving.Source { return nil }}), sql.Options{MemoryLimit: "512MB"})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	const most = 160 << 20
	sql.LimitBlocks(sql.BlocksHeld()+most, most/8)
	defer sql.LimitBlocks(math.MaxInt64, math.MaxInt64)
	base := resident(t)
	for _, query := range []string{
		"SELECT len(map_keys(histogram(r))) FROM range(300000000) t(r)",
		"SELECT entropy(r) FROM range(300000000) t(r)",
		"SELECT mode('a text of more than twelve bytes ' || r) FROM range(300000000) t(r)",
		"SELECT count(x) FROM (SELECT r % 20000000, histogram(r) AS x FROM range(300000000) t(r) GROUP BY 1)",
		"SELECT count(x) FROM (SELECT r % 20000000, reservoir_quantile(r, 0.5) AS x FROM range(300000000) t(r) GROUP BY 1)",
		"SELECT count(x) FROM (SELECT histogram(r) OVER (ORDER BY r) AS x FROM range(5000000) t(r))",
		"SELECT count(x) FROM (SELECT histogram(DISTINCT r) OVER (ORDER BY r) AS x FROM range(300000) t(r))",
		"SELECT count(x) FROM (SELECT entropy(r) OVER (ORDER BY r ROWS BETWEEN 2000000 PRECEDING AND 2000000 FOLLOWING) AS x FROM range(5000000) t(r))",
	} {
		largest, err := whileAsked(t, engine, query)
		grown := largest - base
		if code := fault.CodeOf(err); code != "memory_limit" {
			t.Errorf("%s: %v, code %q", query, err, code)
		}
		// Blocks of DuckDB's own limit, and what the allocators have not yet given back.
		if grown > most+512<<20+256<<20 {
			t.Errorf("%s took %d MB", query, grown>>20)
		}
	}
	if _, err := drain(t.Context(), engine, sql.Request{SQL: "SELECT histogram(r), entropy(r) FROM range(100000) t(r)"}); err != nil {
		t.Error("what fits:", err)
	}
	if held := sql.PiecesHeld(); held != 0 {
		t.Errorf("%d bytes of pieces are counted when no query runs", held)
	}
}

// Who is small does not pay for who is large: a query with few pieces goes on beside
// one that has taken all that there is.
func TestSmallPiecesOfTheLargest(t *testing.T) {
	engine, err := sql.New(t.Context(), serving.New(serving.Options{Sources: func() []*serving.Source { return nil }}), sql.Options{MemoryLimit: "512MB"})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	sql.LimitBlocks(sql.BlocksHeld()+16<<20, 256<<20) // blocks for one query, and 64 MB of pieces for each in any case
	defer sql.LimitBlocks(math.MaxInt64, math.MaxInt64)
	if _, err := drain(t.Context(), engine, sql.Request{SQL: "SELECT len(map_keys(histogram(r % 1000))) FROM range(1000000) t(r)"}); err != nil {
		t.Error(err)
	}
	if _, err := drain(t.Context(), engine, sql.Request{SQL: "SELECT len(map_keys(histogram(r))) FROM range(100000000) t(r)"}); fault.CodeOf(err) != "memory_limit" {
		t.Errorf("%v, code %q", err, fault.CodeOf(err))
	}
}

// The trees of windows are left where their query ends, and so is their place: these
// would hold it for minutes.
func TestTreesOfWindowsAreInterrupted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	e := b.limited(sql.Options{MaxQueries: 1, Patience: 2 * time.Minute, Limits: sql.Limits{Time: 300 * time.Millisecond}})
	for _, query := range []string{
		"SELECT count(x) FROM (SELECT histogram(r) OVER (ORDER BY r) AS x FROM range(10000000) t(r))",
		"SELECT count(x) FROM (SELECT histogram(DISTINCT r % 10000) OVER (ORDER BY r) AS x FROM range(1000000) t(r))",
		"SELECT count(x) FROM (SELECT histogram(DISTINCT r % 10000) OVER (PARTITION BY r % 3 ORDER BY r) AS x FROM range(1000000) t(r))",
		"SELECT count(x) FROM (SELECT list(r) OVER (ORDER BY r) AS x FROM range(1000000) t(r))",
	} {
		if _, err := drain(t.Context(), e, sql.Request{SQL: query}); fault.CodeOf(err) != "timeout" && fault.CodeOf(err) != "memory_limit" {
			t.Errorf("%s: %v, code %q", query, err, fault.CodeOf(err))
		}
	}
	for { // it waits for the place no longer than it may take
		_, err := drain(t.Context(), e, sql.Request{SQL: "SELECT 1"})
		if err == nil {
			return
		}
		if fault.CodeOf(err) != "timeout" {
			t.Fatal("afterwards:", err)
		}
	}
}

// Memory may run out anywhere: the query ends, and nothing else. A window whose states
// had no vector of their addresses ended the program, and one of whose threads had
// failed waited for ever. It is not parallel: the blocks are those of the process.
func TestMemoryRunsOutAnywhere(t *testing.T) {
	engine, err := sql.New(t.Context(), serving.New(serving.Options{Sources: func() []*serving.Source { return nil }}), sql.Options{MaxQueries: 1, Patience: 5 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	defer sql.LeaveBlocks(-1)
	for _, query := range []string{
		"SELECT count(x) FROM (SELECT histogram(DISTINCT r % 100) OVER (ORDER BY r) AS x FROM range(30000) t(r))",
		"SELECT count(x) FROM (SELECT count(DISTINCT r) OVER (PARTITION BY r % 3 ORDER BY r) AS x FROM range(600000) t(r))",
		"SELECT count(x) FROM (SELECT sum(r) OVER (ORDER BY r ROWS BETWEEN 3 PRECEDING AND 3 FOLLOWING) AS x FROM range(600000) t(r))",
		"SELECT count(x) FROM (SELECT median(r) OVER (ORDER BY r ROWS BETWEEN 9 PRECEDING AND 3 FOLLOWING) AS x FROM range(300000) t(r))",
		"SELECT mode(r ORDER BY r), median(r), len(list(r)), len(string_agg(r::VARCHAR)) FROM range(300000) t(r)",
		"SELECT count(*) FROM range(300000) t(r) JOIN range(300000) s(x) ON r::VARCHAR = x::VARCHAR",
		"SELECT count(*) FROM (SELECT r, median(r), string_agg(r::VARCHAR || ' and some more') FROM range(300000) t(r) GROUP BY r ORDER BY hash(r))",
	} {
		for n := int64(0); ; n += 1 + n/3 {
			sql.LeaveBlocks(n)
			_, err := drain(t.Context(), engine, sql.Request{SQL: query})
			if err == nil {
				break
			}
			if fault.CodeOf(err) != "memory_limit" {
				t.Fatalf("%s, with %d blocks: %v, code %q", query, n, err, fault.CodeOf(err))
			}
		}
	}
}

package pgwire_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"anabranch/serving/pgwire"
	"anabranch/serving/sql"
)

// idle connects as cheaply as a client can, so that what it takes is the
// door's.
func idle(b *bench) (net.Conn, error) {
	c, err := net.Dial("tcp", b.address)
	if err != nil {
		return nil, err
	}
	hello, err := (&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersion30, Parameters: map[string]string{"user": "ada", "database": "anabranch"}}).Encode(nil)
	if err == nil {
		_, err = c.Write(hello)
	}
	var head [5]byte
	for err == nil {
		if _, err = io.ReadFull(c, head[:]); err != nil {
			break
		}
		body := make([]byte, int(head[1])<<24|int(head[2])<<16|int(head[3])<<8|int(head[4])-4)
		if _, err = io.ReadFull(c, body); err == nil && head[0] == 'Z' {
			return c, nil
		}
		if head[0] == 'E' {
			err = fmt.Errorf("%q", body)
		}
	}
	c.Close()
	return nil, err
}

func resident(t *testing.T) int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Log("not run: no /proc tells what is resident:", err)
		return 0
	}
	n, _ := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	return n * int64(os.Getpagesize())
}

// A thousand clients that wait cost little, and the queries of 64 others leave
// nothing behind.
func TestManyClients(t *testing.T) {
	b := open(t, func(o *pgwire.Options) { o.MaxConns = 1100 })
	b.fold("shops", 1, 500)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	const many = 1000
	conns := make([]net.Conn, 0, many)
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	for range many {
		c, err := idle(b)
		if err != nil {
			t.Fatalf("client %d: %v", len(conns), err)
		}
		conns = append(conns, c)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := (int64(after.HeapAlloc+after.StackInuse) - int64(before.HeapAlloc+before.StackInuse)) / many
	t.Logf("%d idle clients: %d bytes each", many, each)
	if each > 48<<10 {
		t.Errorf("an idle client takes %d bytes", each)
	}

	active := make([]*pgx.Conn, 64)
	for i := range active {
		active[i] = b.connect()
	}
	// The first rounds fill what is kept: stacks, buffers, the caches of DuckDB
	// and of Go. A round may find the collector at work.
	const warm, rounds = 8, 12
	var sizes []int64
	for round := range rounds {
		began, n := time.Now(), 0
		var wg sync.WaitGroup
		for _, c := range active {
			n += 3
			wg.Go(func() {
				for range 3 {
					rows, err := c.Query(context.Background(), "SELECT shop, n, price, i FROM shops.by_shop, range(20) r(i) WHERE n > $1", round%4)
					if err != nil {
						t.Error(err)
						return
					}
					got := 0
					for rows.Next() {
						got++
					}
					if rows.Err() != nil || got != 160 {
						t.Errorf("%d rows, want 160: %v", got, rows.Err())
					}
				}
			})
		}
		wg.Wait()
		sizes = append(sizes, resident(t))
		t.Logf("round %d: %d queries of 64 clients in %s, %d MB resident", round, n, time.Since(began).Round(time.Millisecond), sizes[round]>>20)
	}
	if grown := slices.Min(sizes[warm:]) - sizes[warm-1]; grown > 32<<20 {
		t.Errorf("64 clients made the process grow by %d MB after %d rounds", grown>>20, warm)
	}
	// One more than there may be is told so, and those that are there go on.
	for len(conns)+len(active) < 1100 {
		c, err := idle(b)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	if c, err := idle(b); err == nil || !strings.Contains(err.Error(), "53300") {
		t.Errorf("the 1101st client: %v, %v", c, err)
	}
}

// A large answer that nobody reads, of a query or of a portal in the midst of
// its rows, keeps no other from being read.
func TestNobodyWaitsForAClientThatDoesNotRead(t *testing.T) {
	t.Parallel()
	b := openOver(t, sql.Options{MaxQueries: 100, MaxPerUser: 100, Limits: sql.Limits{Rows: 1 << 40, Bytes: 1 << 50}})
	const query = "SELECT * FROM range(100000000000)"
	for range runtime.GOMAXPROCS(0) {
		c, err := idle(b)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		text, err := (&pgproto3.Query{String: query}).Encode(nil)
		if err == nil {
			_, err = c.Write(text)
		}
		if err == nil {
			_, err = io.CopyN(io.Discard, c, 4<<20) // more than the rows of a small answer
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	conn := b.connect("")
	fetch := func(conn *pgx.Conn) {
		for _, text := range []string{"BEGIN", "DECLARE c CURSOR FOR " + query, "FETCH 100000 FROM c", "MOVE 100000 FROM c"} {
			if _, err := conn.Exec(t.Context(), text); err != nil {
				t.Fatal(text, err)
			}
		}
	}
	for range runtime.GOMAXPROCS(0) {
		fetch(b.connect(""))
	}
	fetch(conn)
	if tag, err := conn.Exec(t.Context(), "SELECT * FROM range(200000)"); err != nil || tag.RowsAffected() != 200000 {
		t.Error(tag, err)
	}
}

// The query of a client that is gone ends, and its turn is free again.
func TestAGoneClientFreesItsQuery(t *testing.T) {
	t.Parallel()
	b := openOver(t, sql.Options{MaxQueries: 1, MaxPerUser: 1})
	other := b.connect("options=-c%20statement_timeout%3D100ms")
	for _, query := range []string{
		"SELECT count(*) FROM range(100000000000) a, range(1000) b WHERE a.range % 7 = b.range % 3", // it computes
		"SELECT * FROM range(100000000)", // it sends to somebody who does not read
	} {
		c, err := idle(b)
		if err != nil {
			t.Fatal(err)
		}
		text, err := (&pgproto3.Query{String: query}).Encode(nil)
		if err == nil {
			_, err = c.Write(text)
		}
		if err != nil {
			t.Fatal(err)
		}
		for err == nil { // until it has the only turn
			_, err = other.Exec(t.Context(), "SELECT 1")
		}
		if state(err) != "57014" && state(err) != "53300" {
			t.Fatal(err)
		}
		began := time.Now()
		c.Close()
		for err != nil {
			if time.Since(began) > 5*time.Minute {
				t.Fatal("the query of a client that is gone goes on")
			}
			_, err = other.Exec(t.Context(), "SELECT 1")
		}
		t.Logf("free after %s", time.Since(began).Round(time.Millisecond))
	}
}

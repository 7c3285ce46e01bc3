package sql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	bindings "github.com/duckdb/duckdb-go-bindings"
	"github.com/duckdb/duckdb-go/v2"
)

// again is how often a query is interrupted until it ends: DuckDB forgets an
// interrupt that comes between two of its steps.
const again = 50 * time.Millisecond

// interrupting ends what DuckDB does for a connection once ctx has ended, until
// what it returns is called. Nothing touches the connection afterwards.
func interrupting(ctx context.Context, conn bindings.Connection) (end func()) {
	over, ended := make(chan struct{}), make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		for {
			bindings.Interrupt(conn)
			select {
			case <-over:
				return
			case <-time.After(again):
			}
		}
	})
	return func() {
		close(over)
		if !stop() {
			<-ended
		}
	}
}

// preparing has fn look at a prepared query. Planning computes what is constant,
// and may take long.
func preparing(ctx context.Context, dc any, query string, fn func(*duckdb.Stmt) error) error {
	conn, err := handle[bindings.Connection](dc, "conn")
	if err != nil {
		return err
	}
	defer interrupting(ctx, conn)()
	var prepared driver.Stmt
	planning(func() {
		meanwhile(query)
		prepared, err = dc.(driver.ConnPrepareContext).PrepareContext(ctx, query)
	})
	if err != nil {
		return err
	}
	defer prepared.Close()
	return fn(prepared.(*duckdb.Stmt))
}

// inPlanning is called while a query is planned: tests keep one planning for as long
// as they like. nil: there is none.
var inPlanning atomic.Pointer[func(query string)]

func meanwhile(query string) {
	if f := inPlanning.Load(); f != nil {
		(*f)(query)
	}
}

// planned has f done, in which DuckDB plans a query for a connection.
func planned(ctx context.Context, conn *sql.Conn, query string, f func() error) (err error) {
	var of bindings.Connection
	if err := conn.Raw(func(dc any) (err error) { of, err = handle[bindings.Connection](dc, "conn"); return err }); err != nil {
		return err
	}
	defer interrupting(ctx, of)()
	planning(func() {
		meanwhile(query)
		err = f()
	})
	return err
}

// planning has f done, in which DuckDB plans a query, on a thread whose priority
// falls when that takes long, as a lane's does. That thread then ends: a priority
// cannot be raised again, and Go is not to run on it.
func planning(f func()) {
	beside(context.Background(), func() {
		runtime.LockOSThread()
		var mu sync.Mutex // guards done and fallen
		thread, done, fallen := threadID(), false, false
		falling := time.AfterFunc(fallsAfter, func() {
			mu.Lock()
			defer mu.Unlock()
			if !done {
				setNice(thread, lowNice)
				fallen = true
			}
		})
		f()
		falling.Stop()
		mu.Lock()
		defer mu.Unlock()
		if done = true; !fallen {
			runtime.UnlockOSThread()
		}
	}, nil)
}

// grace is how long a reader waits for a query that is to end. Most functions are
// interrupted at once.
var grace = time.Second

// beside has f done, and waits for that until grace behind the end of ctx. When it
// waits no longer it returns false, and has later done behind f.
func beside(ctx context.Context, f, later func()) bool {
	done := make(chan struct{})
	var panicked any
	go func() {
		defer close(done)
		defer func() {
			if p := recover(); p != nil {
				panicked = fmt.Sprintf("%v\n%s", p, debug.Stack())
			}
		}()
		f()
	}()
	if !inTime(ctx, done) {
		go func() {
			<-done
			later()
		}()
		return false
	}
	if panicked != nil {
		panic(panicked) // where whoever answers the reader takes care of it
	}
	return true
}

// inTime waits until something is done, or for grace behind the end of ctx.
func inTime(ctx context.Context, done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	case <-ctx.Done():
	}
	last := time.NewTimer(grace)
	defer last.Stop()
	select {
	case <-done:
		return true
	case <-last.C:
		return false
	}
}

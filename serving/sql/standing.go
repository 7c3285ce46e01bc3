package sql

import (
	"context"
	"database/sql"
	"slices"
	"sync"
)

// A connection is taken into the catalog of a cut before it asks, and out of it
// before the catalog may go: two statements to DuckDB, which take a tenth of the
// time of a small query. So connections whose query is done stand there for a
// while, for the next query in the same catalog.

// mostStanding is how many connections stand in catalogs at most.
const mostStanding = 8

// standing are the connections that do. A catalog does not go before they are
// out of it.
type standing struct {
	mu   sync.Mutex // guards the fields below
	all  []stands   // the longest first
	over bool
}

type stands struct {
	catalog string
	conn    *sql.Conn
}

// in takes away a connection that stands in a catalog; nil: there is none.
func (s *standing) in(catalog string) *sql.Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.all) - 1; i >= 0; i-- {
		if s.all[i].catalog == catalog {
			conn := s.all[i].conn
			s.all = slices.Delete(s.all, i, i+1)
			return conn
		}
	}
	return nil
}

// keep has a connection stand in a catalog, which somebody uses still. It
// returns one that has to leave instead, if there is one.
func (s *standing) keep(conn *sql.Conn, catalog string) (instead *sql.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return conn
	}
	if len(s.all) == mostStanding {
		instead = s.all[0].conn
		s.all = slices.Delete(s.all, 0, 1)
	}
	s.all = append(s.all, stands{catalog, conn})
	return instead
}

// out takes away all that stand in a catalog, which nobody uses any more.
func (s *standing) out(catalog string) (conns []*sql.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = slices.DeleteFunc(s.all, func(one stands) bool {
		if one.catalog != catalog {
			return false
		}
		conns = append(conns, one.conn)
		return true
	})
	return conns
}

// end takes away all there are, for good.
func (s *standing) end() (conns []*sql.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.all {
		conns = append(conns, one.conn)
	}
	s.all, s.over = nil, true
	return conns
}

// stand takes a connection to a catalog, or another in its place: the caller
// goes on with what it returns. Without an error the one that was given may be
// given back already.
func (e *Engine) stand(ctx context.Context, conn *sql.Conn, catalog string) (*sql.Conn, error) {
	if there := e.standing.in(catalog); there != nil {
		if there.Raw(func(any) error { return nil }) == nil { // it is not closed
			_ = conn.Close()
			return there, nil
		}
		_ = there.Close()
	}
	var err error
	e.crowd.patiently(func() { _, err = conn.ExecContext(ctx, "USE "+name(catalog)) })
	return conn, err
}

// moveOut takes connections out of their catalogs and gives them back.
func (e *Engine) moveOut(conns ...*sql.Conn) {
	for _, conn := range conns {
		e.crowd.patiently(func() {
			if _, err := conn.ExecContext(context.Background(), "USE memory"); err != nil {
				e.o.Logger.Warn("leave a catalog", "error", err)
			}
		})
		_ = conn.Close()
	}
}

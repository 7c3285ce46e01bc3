package pgwire

import (
	"context"
	"fmt"
	"maps"

	"anabranch/fault"
	"anabranch/serving"
)

// Several sessions see one cut when one of them exports it and the others begin
// with it: SELECT pg_export_snapshot() and SET TRANSACTION SNAPSHOT '...', as
// pg_dump -j does. A snapshot is what a transaction has pinned, of all pipelines;
// it is there until the transaction that exported it ends.

var (
	errNoSnapshot = fault.WithCode(fault.New(fault.Invalid, "there is no such snapshot: it is over when the transaction that exported it ends"), "snapshot")
	errUnpinned   = fault.WithCode(fault.New(fault.Invalid, "only a transaction of level REPEATABLE READ or SERIALIZABLE begins with a snapshot"), "no_transaction")
	errSnapshotAt = fault.WithCode(fault.New(fault.Conflict, "SET TRANSACTION SNAPSHOT comes before any query"), "in_transaction")
)

// exportsSnapshot reports whether a statement is SELECT pg_export_snapshot().
func exportsSnapshot(st statement) bool {
	toks := st.tokens
	if !st.begins("select") || len(toks) < 4 {
		return false
	}
	if toks[1].Name() == "pg_catalog" && toks[2].Is(".") {
		toks = toks[2:]
	}
	return len(toks) == 4 && toks[1].Name() == "pg_export_snapshot" && toks[2].Is("(") && toks[3].Is(")")
}

// exportSnapshot is the action of SELECT pg_export_snapshot().
func (ses *session) exportSnapshot() action {
	columns := []column{textColumn("pg_export_snapshot")}
	return action{
		rows: true,
		run: func(ctx context.Context, _ []any) (result, error) {
			id, err := ses.export(ctx)
			return result{rows: &fewRows{columns, [][]any{{id}}}, tag: "SELECT"}, err
		},
		describe: func(context.Context, []uint32) ([]*pgType, []column, error) { return nil, columns, nil },
	}
}

// export pins what the transaction has not read yet, and lends it to others.
func (ses *session) export(ctx context.Context) (string, error) {
	tx := &ses.tx
	switch {
	case !tx.pins(ses):
		return "", fault.WithCode(fault.New(fault.Invalid, "pg_export_snapshot wants a transaction that has a snapshot: BEGIN ISOLATION LEVEL REPEATABLE READ"), "no_transaction")
	case len(tx.exported) >= maxStatements:
		return "", fault.WithCode(fault.New(fault.Throttled, "a transaction may export %d snapshots", maxStatements), "busy")
	}
	if tx.pinned == nil {
		tx.pinned = &serving.Receipt{Pipelines: map[string]serving.PipelineReceipt{}}
	}
	if err := ses.pinOthers(ctx); err != nil {
		return "", err
	}
	id := ses.srv.lend(ses.pid, *tx.pinned)
	tx.exported = append(tx.exported, id)
	return id, nil
}

// importSnapshot has the transaction begin with what another one has exported.
func (ses *session) importSnapshot(id string) error {
	tx := &ses.tx
	switch {
	case !tx.pins(ses):
		return errUnpinned
	case tx.pinned != nil:
		return errSnapshotAt
	}
	r, ok := ses.srv.lent(id)
	if !ok {
		return errNoSnapshot
	}
	tx.pinned = &r
	return nil
}

// lend keeps a snapshot until it is taken back.
func (s *Server) lend(pid uint32, r serving.Receipt) (id string) {
	r.Pipelines = maps.Clone(r.Pipelines)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastSnapshot++
	id = fmt.Sprintf("%08X-%08X-1", pid, s.lastSnapshot)
	s.snapshots[id] = r
	return id
}

// lent returns a snapshot, of which the caller may change everything.
func (s *Server) lent(id string) (serving.Receipt, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.snapshots[id]
	r.Pipelines = maps.Clone(r.Pipelines)
	return r, ok
}

// takeBack forgets snapshots.
func (s *Server) takeBack(ids []string) {
	if len(ids) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		delete(s.snapshots, id)
	}
}

package pgwire

import (
	"context"
	"maps"
	"strings"

	"anabranch/fault"
	"anabranch/serving"
)

// transaction is where a session is in BEGIN and COMMIT. Nothing is written
// here, so it holds the settings to come back to and, from REPEATABLE READ on,
// the cut that all its queries see: that of its first.
type transaction struct {
	status     byte // as the protocol shows it: I none, T one, E a failed one
	level      string
	settings   map[string]string // of its begin
	pinned     *serving.Receipt
	savepoints []string
	exported   []string // snapshots that others may begin with
}

func (tx *transaction) isolation(ses *session) string {
	if tx.level != "" {
		return tx.level
	}
	if v := ses.values["default_transaction_isolation"]; v != "" {
		return v
	}
	return defaults["default_transaction_isolation"]
}

// pins reports whether the queries of the transaction see one cut.
func (tx *transaction) pins(ses *session) bool {
	if tx.status == 'I' {
		return false
	}
	level := strings.ToLower(tx.isolation(ses))
	return level == "repeatable read" || level == "serializable"
}

// read takes the isolation level that the words name.
func (tx *transaction) read(words []token) {
	if level := isolationOf(words); level != "" && tx.status != 'I' {
		tx.level = level
	}
}

func isolationOf(words []token) string {
	for i, t := range words {
		if t.Is("level") && i+1 < len(words) {
			level := words[i+1].Name()
			if i+2 < len(words) && (level == "repeatable" || level == "read") {
				level += " " + words[i+2].Name()
			}
			return level
		}
	}
	return ""
}

// transact answers BEGIN, COMMIT, ROLLBACK and savepoints.
func (ses *session) transact(verb string, st statement) action {
	tx := &ses.tx
	a := action{}
	is := func(i int, w string) bool { return len(st.tokens) > i && st.tokens[i].Is(w) }
	end := func(tag string, back bool) (result, error) {
		if tx.status == 'I' {
			return result{tag: tag}, ses.notice("25P01", "there is no transaction in progress")
		}
		if tx.status == 'E' {
			tag, back = "ROLLBACK", true
		}
		var values map[string]string
		if back {
			values = tx.settings
		}
		ses.srv.takeBack(tx.exported)
		*tx = transaction{status: 'I'}
		ses.endPortals(back)
		return result{tag: tag}, ses.restore(values)
	}
	switch verb {
	case "BEGIN", "START":
		a.run = func(context.Context, []any) (result, error) {
			tag := map[string]string{"BEGIN": "BEGIN", "START": "START TRANSACTION"}[verb]
			if tx.status != 'I' {
				return result{tag: tag}, ses.notice("25001", "there is already a transaction in progress")
			}
			*tx = transaction{status: 'T', settings: maps.Clone(ses.values)}
			tx.read(st.tokens)
			return result{tag: tag}, nil
		}
	case "COMMIT", "END":
		a.ends = true
		a.run = func(context.Context, []any) (result, error) { return end("COMMIT", false) }
	case "ROLLBACK", "ABORT":
		a.ends = true
		to := 0
		for i := range st.tokens {
			if is(i, "to") {
				to = i
			}
		}
		if to == 0 {
			a.run = func(context.Context, []any) (result, error) { return end("ROLLBACK", true) }
			break
		}
		name := st.tokens[len(st.tokens)-1].Name()
		a.run = func(context.Context, []any) (result, error) {
			i, err := tx.savepoint(name)
			if err != nil {
				return result{}, err
			}
			tx.savepoints, tx.status = tx.savepoints[:i+1], 'T'
			ses.backTo(i)
			return result{tag: "ROLLBACK"}, nil
		}
	case "SAVEPOINT", "RELEASE":
		name := st.tokens[len(st.tokens)-1].Name()
		a.run = func(context.Context, []any) (result, error) {
			if tx.status == 'I' {
				return result{}, fault.WithCode(fault.New(fault.Invalid, "%s can only be used in transaction blocks", verb), "no_transaction")
			}
			if verb == "SAVEPOINT" {
				if len(tx.savepoints) >= maxStatements {
					return result{}, fault.WithCode(fault.New(fault.Throttled, "a transaction may have %d savepoints", maxStatements), "busy")
				}
				name := strings.Clone(name) // and not all that it was sent in
				if err := ses.hold(len(name)); err != nil {
					return result{}, err
				}
				tx.savepoints = append(tx.savepoints, name)
				return result{tag: verb}, nil
			}
			i, err := tx.savepoint(name)
			if err == nil {
				tx.savepoints = tx.savepoints[:i]
				ses.released(i)
			}
			return result{tag: verb}, err
		}
	}
	return a
}

func (tx *transaction) savepoint(name string) (int, error) {
	for i := len(tx.savepoints) - 1; i >= 0; i-- {
		if tx.savepoints[i] == name {
			return i, nil
		}
	}
	return 0, fault.WithCode(fault.New(fault.NotFound, "savepoint %q does not exist", name), "no_savepoint")
}

package pgwire

import (
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"

	"anabranch/fault"
	"anabranch/internal/sqltext"
)

// setCommand answers SET in all its forms.
func (ses *session) setCommand(st statement) error {
	toks, local := st.tokens[1:], false
	if len(toks) > 0 && toks[0].Is("local") {
		toks, local = toks[1:], true
	} else if len(toks) > 0 && toks[0].Is("session") && len(toks) > 1 && !toks[1].Is("characteristics") && !toks[1].Is("authorization") {
		toks = toks[1:]
	}
	is := func(words ...string) bool { return (statement{tokens: toks}).begins(words...) }
	var name, value string
	switch {
	case is("transaction", "snapshot") && len(toks) == 3 && toks[2].Kind == sqltext.String:
		return ses.importSnapshot(toks[2].Value())
	case is("transaction"):
		ses.tx.read(toks[1:])
		return nil
	case is("session", "characteristics"):
		if level := isolationOf(toks); level != "" {
			return ses.change("default_transaction_isolation", level, local)
		}
		return nil
	case is("session", "authorization"):
		name, toks = "session_authorization", toks[2:]
	case is("time", "zone"):
		name, toks = "timezone", toks[2:]
	case is("schema") && len(toks) > 1 && !toks[1].Is("=") && !toks[1].Is("to"):
		name, toks = "search_path", toks[1:]
	case is("names"):
		name, toks = "client_encoding", toks[1:]
	case len(toks) > 0:
		if name = toks[0].Name(); name == "" {
			break
		}
		toks = toks[1:]
		for len(toks) > 1 && toks[0].Is(".") {
			name, toks = name+"."+toks[1].Name(), toks[2:]
		}
		if len(toks) > 0 && (toks[0].Is("=") || toks[0].Is("to")) {
			toks = toks[1:]
		} else if name != "role" {
			name = ""
		}
	}
	if name == "" || len(toks) == 0 {
		return fault.WithCode(fault.New(fault.Invalid, "want SET name = value"), "syntax")
	}
	var b strings.Builder
	for i, t := range toks {
		piece := t.Value()
		if t.Kind == sqltext.Quoted && name != "search_path" {
			piece = t.Name()
		}
		if i > 0 && t.Text != "," && toks[i-1].Text != "-" && t.Text != "-" {
			b.WriteByte(' ')
		}
		b.WriteString(piece)
	}
	value = b.String()
	if len(toks) == 1 && toks[0].Is("default") {
		return ses.reset(strings.ToLower(name))
	}
	return ses.change(strings.ToLower(name), value, local)
}

// change sets a parameter and tells the client of it.
func (ses *session) change(name, value string, local bool) error {
	if local && ses.tx.status == 'I' {
		return ses.notice("25P01", "SET LOCAL can only be used in transaction blocks")
	}
	if err := ses.put(name, value, local); err != nil {
		return err
	}
	return ses.report(name)
}

// report tells the client a parameter's value, when it is one to be told.
func (ses *session) report(name string) error {
	for _, r := range reported {
		if strings.EqualFold(r, name) {
			return ses.send(&pgproto3.ParameterStatus{Name: r, Value: ses.get(name)})
		}
	}
	return nil
}

func (ses *session) reset(name string) error {
	if name == "all" {
		for n := range maps.Clone(ses.values) {
			if err := ses.reset(n); err != nil {
				return err
			}
		}
		return nil
	}
	if !ses.known(name) {
		return fault.WithCode(fault.New(fault.Invalid, "unrecognized configuration parameter %q", name), "setting")
	}
	if v, ok := ses.start[name]; ok {
		ses.values[name] = v
	} else {
		delete(ses.values, name)
	}
	delete(ses.local, name)
	if err := ses.apply(name); err != nil {
		return err
	}
	return ses.report(name)
}

// restore puts the values of before a transaction back, or only those that
// were set for it.
func (ses *session) restore(values map[string]string) error {
	changed := slices.Collect(maps.Keys(ses.local))
	ses.local = map[string]string{}
	if values != nil {
		for n := range ses.values {
			if ses.values[n] != values[n] {
				changed = append(changed, n)
			}
		}
		ses.values = values
	}
	for _, n := range changed {
		if err := ses.apply(n); err != nil {
			return err
		}
		if err := ses.report(n); err != nil {
			return err
		}
	}
	return nil
}

// allSettings lists every parameter for SHOW ALL and pg_settings.
func (ses *session) allSettings() [][2]string {
	var out [][2]string
	for name := range defaults {
		out = append(out, [2]string{shownName(name), ses.get(name)})
	}
	sort.Slice(out, func(i, j int) bool { return out[i][0] < out[j][0] })
	return out
}

// shownName is how PostgreSQL spells a parameter.
func shownName(name string) string {
	switch strings.ToLower(name) {
	case "datestyle":
		return "DateStyle"
	case "timezone":
		return "TimeZone"
	case "intervalstyle":
		return "IntervalStyle"
	}
	return strings.ToLower(name)
}

package pgwire

import (
	"unsafe"

	"anabranch/fault"
)

// What sessions hold from one query to the next: prepared statements, portals and
// cursors with their arguments, settings, savepoints. A connection costs nothing,
// and without a bound on these a few would take all the memory there is.
const (
	freeHeld = 64 << 10 // bytes of each session that count for nobody
	mostHeld = 32 << 20 // bytes of a session
	allHeld  = 256 << 20
)

// hold makes room for so many bytes more, or says that there is none. It looks at
// what is held at this moment: what is closed needs not be taken off.
func (ses *session) hold(more int) error {
	before := ses.held
	ses.count(more)
	var err error
	switch {
	case ses.held <= before:
	case ses.held > mostHeld:
		err = fault.New(fault.Throttled, "a session may hold %d MiB of prepared statements, cursors with their arguments, and settings: close some", mostHeld>>20)
	case ses.srv.held.Load() > allHeld:
		err = fault.New(fault.Throttled, "the sessions together hold more than %d MiB of prepared statements, cursors with their arguments, and settings: close some, or try again later", allHeld>>20)
	}
	if err != nil {
		ses.count(0)
		return fault.WithCode(err, "busy")
	}
	return nil
}

// count takes what the session holds, and so much more, into the account of all.
func (ses *session) count(more int) {
	n := more
	for name, s := range ses.statements {
		n += len(name) + s.size()
	}
	for name, p := range ses.portals {
		n += len(name) + p.size()
	}
	for _, set := range []map[string]string{ses.values, ses.start, ses.local, ses.tx.settings} {
		for name, value := range set {
			n += len(name) + len(value)
		}
	}
	for _, name := range ses.tx.savepoints {
		n += len(name) + int(unsafe.Sizeof(name))
	}
	n = max(0, n-freeHeld)
	ses.srv.held.Add(int64(n - ses.held))
	ses.held = n
}

// size is about how many bytes a statement takes: its text, what it was made into,
// and what it was sent in.
func (p *prepared) size() int {
	st := p.statement
	return 2*max(len(st.text), len(st.origin.sent)) + len(st.tokens)*int(unsafe.Sizeof(token{})) + 8*len(p.declared) + len(p.columns)*int(unsafe.Sizeof(column{}))
}

// size is about how many bytes a portal takes; the statement may be gone already.
func (p *portal) size() int { return p.prepared.size() + valueSize(p.args) }

func valueSize(v any) int {
	n := int(unsafe.Sizeof(v))
	switch x := v.(type) {
	case string:
		n += len(x)
	case []byte:
		n += len(x)
	case []any:
		for _, e := range x {
			n += valueSize(e)
		}
	}
	return n
}

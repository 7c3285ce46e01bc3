package pgwire

import (
	"bytes"
	"context"
	"encoding/binary"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"

	"anabranch/fault"
	"anabranch/internal/sqltext"
	"anabranch/serving/sql"
)

// copyOut is how the rows of COPY ... TO STDOUT are written.
type copyOut struct {
	binary bool
	csv    bool
	header bool
	delim  byte
	null   string
}

// copyTo answers COPY (query) TO STDOUT and COPY view TO STDOUT.
func (ses *session) copyTo(st statement) (action, error) {
	denied := fault.WithCode(fault.New(fault.Denied, "only COPY ... TO STDOUT is answered here: nothing is written, and no files are"), "read_only")
	to, depth := -1, 0
	for i, t := range st.tokens {
		switch {
		case t.Is("("):
			depth++
		case t.Is(")"):
			depth--
		case depth == 0 && (t.Is("to") || t.Is("from")) && to < 0:
			to = i
		}
	}
	if to < 2 || to+1 >= len(st.tokens) || !st.tokens[to].Is("to") || !st.tokens[to+1].Is("stdout") {
		return action{}, denied
	}
	inner := st.text[st.tokens[1].Start:st.tokens[to-1].End()]
	if st.tokens[1].Is("(") {
		inner = inner[1 : len(inner)-1]
	} else {
		inner = "SELECT * FROM " + inner
		if k := st.tokens[to-1]; k.Is(")") { // COPY view (columns)
			at := to - 1
			for at > 1 && !st.tokens[at].Is("(") {
				at--
			}
			inner = "SELECT " + st.text[st.tokens[at].End():k.Start] + " FROM " + st.text[st.tokens[1].Start:st.tokens[at].Start]
		}
	}
	c, err := copyOptions(st.tokens[to+2:])
	if err != nil {
		return action{}, err
	}
	all := split(inner)
	if len(all) != 1 {
		return action{}, denied
	}
	if st.tokens[1].Is("(") {
		all[0].origin = st.origin.cut(st.tokens[1].End() + all[0].origin.base)
	} else {
		all[0].origin = origin{} // made here
	}
	a, err := ses.query(all[0])
	if err != nil {
		return a, err
	}
	return action{run: func(ctx context.Context, args []any) (result, error) {
		r, err := a.run(ctx, args)
		r.tag, r.copy = "COPY", c
		return r, err
	}}, nil
}

func copyOptions(toks []token) (*copyOut, error) {
	c := &copyOut{}
	given := map[string]bool{}
	for i := 0; i < len(toks); i++ {
		t := toks[i]
		value := func() string {
			for i+1 < len(toks) && (toks[i+1].Is("as") || toks[i+1].Is("=")) {
				i++
			}
			if i+1 < len(toks) && (toks[i+1].Kind == sqltext.String || toks[i+1].Kind == sqltext.Word || toks[i+1].Kind == sqltext.Quoted) {
				i++
				if toks[i].Kind == sqltext.String {
					return toks[i].Value()
				}
				return toks[i].Name()
			}
			return ""
		}
		switch {
		case t.Is("with"), t.Is("("), t.Is(")"), t.Is(","):
		case t.Is("csv"):
			c.csv = true
		case t.Is("binary"):
			c.binary = true
		case t.Is("format"):
			switch f := value(); f {
			case "csv":
				c.csv = true
			case "binary":
				c.binary = true
			case "text":
			default:
				return nil, fault.WithCode(fault.New(fault.Invalid, "COPY format %q: want csv, text or binary", f), "unsupported")
			}
		case t.Is("header"):
			c.header = true
			if i+1 < len(toks) && (toks[i+1].Is("true") || toks[i+1].Is("false") || toks[i+1].Is("on") || toks[i+1].Is("off")) {
				i++
				c.header = toks[i].Is("true") || toks[i].Is("on")
			}
		case t.Is("delimiter"):
			d := value()
			if len(d) != 1 {
				return nil, fault.WithCode(fault.New(fault.Invalid, "COPY delimiter %q: want one byte", d), "setting_value")
			}
			c.delim = d[0]
		case t.Is("null"):
			c.null, given["null"] = value(), true
		case t.Is("encoding"), t.Is("quote"), t.Is("escape"):
			if v := value(); !(strings.EqualFold(v, "utf8") || strings.EqualFold(v, "utf-8") || v == `"`) {
				return nil, fault.WithCode(fault.New(fault.Invalid, "COPY %s %q cannot be chosen", t.Text, v), "unsupported")
			}
		default:
			return nil, fault.WithCode(fault.New(fault.Invalid, "COPY option %s is not known here: FORMAT, HEADER, DELIMITER and NULL are", t.Text), "unsupported")
		}
	}
	if c.binary && (c.csv || c.header || c.delim != 0 || given["null"]) {
		return nil, fault.WithCode(fault.New(fault.Invalid, "COPY in binary format has no other options"), "unsupported")
	}
	if c.delim == 0 {
		c.delim = map[bool]byte{true: ',', false: '\t'}[c.csv]
	}
	if !given["null"] && !c.csv {
		c.null = `\N`
	}
	return c, nil
}

// runCopy sends all rows as COPY data.
func (p *portal) runCopy() error {
	ses, c := p.ses, p.result.copy
	defer p.watched()()
	begin := &pgproto3.CopyOutResponse{ColumnFormatCodes: make([]uint16, len(p.cols))}
	if c.binary {
		begin.OverallFormat = 1
		for i := range begin.ColumnFormatCodes {
			begin.ColumnFormatCodes[i] = 1
		}
	}
	if err := ses.send(begin); err != nil {
		return err
	}
	head := "" // waits for the first row
	if c.binary {
		head = binaryCopy
	}
	if c.header {
		names := func(dst []byte, i int) ([]byte, bool) { return append(dst, p.cols[i].name...), false }
		if err := p.copyData(func(dst []byte) []byte { return c.line(dst, len(p.cols), names) }); err != nil {
			return err
		}
	}
	in := ses.style()
	for {
		row, err := p.result.rows.next()
		if err != nil {
			return p.cause(p.ctx, err)
		}
		if row == nil {
			break
		}
		if err := p.copyData(func(dst []byte) []byte { return c.row(append(dst, head...), p.cols, row, in) }); err != nil {
			return err
		}
		head = ""
		p.sent++
	}
	if c.binary {
		if err := p.copyData(func(dst []byte) []byte { return append(append(dst, head...), 0xff, 0xff) }); err != nil {
			return err
		}
	}
	p.finish()
	if err := ses.send(&pgproto3.CopyDone{}); err != nil {
		return err
	}
	return ses.send(&pgproto3.CommandComplete{CommandTag: []byte("COPY " + strconv.Itoa(p.sent))})
}

// copyData sends what fill appends, as one message.
func (p *portal) copyData(fill func([]byte) []byte) error {
	out := p.ses.conn
	out.buffer()
	from := len(out.out)
	out.out = fill(append(out.out, 'd', 0, 0, 0, 0))
	binary.BigEndian.PutUint32(out.out[from+1:], uint32(len(out.out)-from-1))
	if err := out.spill(); err != nil {
		return broken{err}
	}
	return nil
}

// binaryCopy begins a COPY in binary format: a signature, no flags, nothing
// more. It comes in one message with the first row, as clients expect.
const binaryCopy = "PGCOPY\n\xff\r\n\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00"

func (c *copyOut) row(dst []byte, columns []column, row []sql.Datum, in style) []byte {
	if c.binary {
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(row)))
		for i := range row {
			dst = appendDatum(dst, columns[i].typ, &row[i], 1, in)
		}
		return dst
	}
	return c.line(dst, len(row), func(dst []byte, i int) ([]byte, bool) {
		if row[i].Is == sql.IsNull {
			return dst, true
		}
		return appendDatumText(dst, columns[i].typ, &row[i], in), false
	})
}

// line appends n fields, each of which cell appends, or tells that it is null.
func (c *copyOut) line(dst []byte, n int, cell func(dst []byte, i int) (text []byte, null bool)) []byte {
	for i := range n {
		if i > 0 {
			dst = append(dst, c.delim)
		}
		from, null := len(dst), false
		switch dst, null = cell(dst, i); {
		case null:
			dst = append(dst, c.null...)
		case c.csv:
			dst = c.inCSV(dst, from)
		default:
			dst = c.inText(dst, from)
		}
	}
	return append(dst, '\n')
}

// inCSV makes a field of what dst has behind from, inText does where the format
// is PostgreSQL's own.
func (c *copyOut) inCSV(dst []byte, from int) []byte {
	s := dst[from:]
	if string(s) != c.null && string(s) != `\.` && !bytes.ContainsAny(s, "\"\r\n") && bytes.IndexByte(s, c.delim) < 0 {
		return dst
	}
	quoted := strings.ReplaceAll(string(s), `"`, `""`)
	return append(append(append(dst[:from], '"'), quoted...), '"')
}

func (c *copyOut) inText(dst []byte, from int) []byte {
	special := func(b byte) bool { return b == '\\' || b == '\n' || b == '\r' || b == '\t' || b == c.delim }
	at := from
	for at < len(dst) && !special(dst[at]) {
		at++
	}
	if at == len(dst) {
		return dst
	}
	rest := string(dst[at:])
	dst = dst[:at]
	for i := range len(rest) {
		switch b := rest[i]; {
		case b == '\n':
			dst = append(dst, `\n`...)
		case b == '\r':
			dst = append(dst, `\r`...)
		case b == '\t':
			dst = append(dst, `\t`...)
		case special(b):
			dst = append(dst, '\\', b)
		default:
			dst = append(dst, b)
		}
	}
	return dst
}

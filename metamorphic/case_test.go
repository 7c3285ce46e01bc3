// Package metamorphic runs random histories of random pipelines through the
// real rooms, all of them in one process, and holds every merged answer against
// a plain map and against DuckDB over the raw events. One history is then run
// again with other settings and other batches, crashes and restarts in between:
// its last answers, and the bytes of its states, must be the same.
package metamorphic

import (
	"encoding/json"
	"fmt"
	"strings"

	"anabranch/schemas"
)

// Case is one pipeline with its events and the ways they are run. It is stored
// as readable JSON when it fails.
type Case struct {
	Seed    uint64
	Why     string `json:",omitempty"` // what failed, for the reader
	Fields  []Field
	ID      []string
	Content bool `json:",omitempty"`
	Key     []string
	Time    string
	Rules   []Rule `json:",omitempty"`
	Views   []View
	Later   *Later `json:",omitempty"`
	Events  []Event
	Sends   []Send
	Runs    []Run
}

// Later is the definition that comes into force while the history goes on:
// before the first send that says so.
type Later struct {
	Fields []Field // all of Case.Fields, perhaps promoted, and new ones
	Views  []View
}

// Field is one field of the schema.
type Field struct {
	Name, Kind string
	Nullable   bool    `json:",omitempty"`
	Default    *string `json:",omitempty"`
}

// Rule is one quality rule, View one view.
type Rule struct{ Code, SQL, Action string }
type View struct {
	Name, SQL string
	Sums      string `json:",omitempty"` // the field whose sums a map judges
}

// Event is one event as its producer writes it: the text of each of the newest
// fields, nil where it leaves it out, or a line that is none.
type Event struct {
	Values   []*string `json:",omitempty"`
	Line     string    `json:",omitempty"`
	Bad      bool      `json:",omitempty"` // some value cannot be read
	Retracts bool      `json:",omitempty"` // it takes back what an earlier one said
}

// Send is one body. Retry says that it is sent once more, at once; Later that
// the later definition is in force.
type Send struct {
	CSV    bool `json:",omitempty"`
	Retry  bool `json:",omitempty"`
	Later  bool `json:",omitempty"`
	Events []int
}

// Run is one way to run the sends.
type Run struct {
	Settings Settings
	Actions  []Action
}

// Settings must not change any answer.
type Settings struct {
	Partitions                     int
	Gateways                       int    `json:",omitempty"` // 0: one
	Log, Bucket                    string `json:",omitempty"` // "nats", "file"; empty: in memory
	LingerMicros                   int    // negative: not at all
	FrameBytes                     int
	SegmentRows                    int64
	ChunkRows, FoldRows, MaxGroups int64
	SnapshotRecords                int
	Grace                          bool // speed keeps what older manifests need
	LoseAcks                       int  `json:",omitempty"` // of so many appends one is not heard of
}

// Action is one step of a run. "send" takes the next send; the sends that no
// action takes come at the end.
type Action struct {
	Do       string
	N        int    `json:",omitempty"` // together: so many sends; full: the first partition that is
	From, To *int32 `json:",omitempty"` // backfill
	Quiet    bool   `json:",omitempty"` // nightly, backfill: speed is not told
	Die      int    `json:",omitempty"` // nightly, backfill, race: the run dies at this call to the log or the store
	Freeze   int    `json:",omitempty"` // nightly, backfill: the run stops at this call, until "wake"
}

// fields are those of a definition, newest those that events have values for.
func (c *Case) fields(later bool) []Field {
	if later && c.Later != nil {
		return c.Later.Fields
	}
	return c.Fields
}

func (c *Case) newest() []Field { return c.fields(true) }

// enum is what kinds of enums begin with; the symbols stand behind it.
const enum = "enum "

func (f Field) avro() any {
	t := func(pairs ...any) any {
		m := map[string]any{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i].(string)] = pairs[i+1]
		}
		return m
	}
	var of any = f.Kind
	var p, s int
	switch f.Kind {
	case "timestamp":
		of = t("type", "long", "logicalType", "local-timestamp-micros")
	case "zoned":
		of = t("type", "long", "logicalType", "timestamp-micros")
	case "millis":
		of = t("type", "long", "logicalType", "local-timestamp-millis")
	case "date":
		of = t("type", "int", "logicalType", "date")
	case "string", "bytes", "int", "long", "float", "double", "boolean":
	case "wild": // doubles of every size
		of = "double"
	case "vast": // decimals of every size
		of = t("type", "bytes", "logicalType", "decimal", "precision", 38, "scale", 0)
	default:
		if symbols, ok := strings.CutPrefix(f.Kind, enum); ok {
			of = t("type", "enum", "name", f.Name+"_symbols", "symbols", strings.Fields(symbols))
			break
		}
		if _, err := fmt.Sscanf(f.Kind, "decimal(%d,%d)", &p, &s); err != nil {
			panic(f.Kind)
		}
		of = t("type", "bytes", "logicalType", "decimal", "precision", p, "scale", s)
	}
	m := map[string]any{"name": f.Name, "type": of}
	if f.Nullable {
		m["type"], m["default"] = []any{"null", of}, nil
	}
	if f.Default != nil {
		m["default"] = json.RawMessage(*f.Default)
		if f.Kind == "string" || strings.HasPrefix(f.Kind, enum) {
			m["default"] = *f.Default
		}
	}
	return m
}

// sql is DuckDB's type of the field.
func (f Field) sql() string {
	switch f.Kind {
	case "string":
		return "VARCHAR"
	case "bytes":
		return "BLOB"
	case "int":
		return "INTEGER"
	case "long":
		return "BIGINT"
	case "float", "wild":
		return "DOUBLE"
	case "zoned", "millis":
		return "TIMESTAMP"
	case "vast":
		return "DECIMAL(38,0)"
	}
	if strings.HasPrefix(f.Kind, enum) {
		return "VARCHAR"
	}
	return strings.ToUpper(f.Kind)
}

func schema(version uint32, of []Field) (*schemas.Schema, error) {
	var fields []any
	for _, f := range of {
		fields = append(fields, f.avro())
	}
	text, err := json.Marshal(map[string]any{"type": "record", "name": "event", "fields": fields})
	if err != nil {
		return nil, err
	}
	return schemas.Parse(version, text)
}

func (c *Case) identity() schemas.Identity {
	return schemas.Identity{Fields: c.ID, Content: c.Content, Key: c.Key, Time: c.Time}
}

// text is what identities are made of: nothing for what is left out.
func (c *Case) text(e Event, field string) string {
	for i, f := range c.newest() {
		if f.Name == field && e.Values[i] != nil {
			return *e.Values[i]
		}
	}
	return ""
}

// identityOf is the event's id and its whole content, as text.
func (c *Case) identityOf(e Event) (id, content string) {
	for _, names := range [][]string{c.Key, c.ID} {
		for _, n := range names {
			id += fmt.Sprintf("%q,", c.text(e, n))
		}
	}
	for _, f := range c.newest() {
		content += fmt.Sprintf("%q,", c.text(e, f.Name))
	}
	return id, content
}

// values are what an event says to a definition: its fields, in their order.
func (c *Case) values(e Event, later bool) []*string {
	if later || c.Later == nil {
		return e.Values
	}
	out := make([]*string, len(c.Fields))
	for i, f := range c.Fields {
		for n, g := range c.newest() {
			if g.Name == f.Name {
				out[i] = e.Values[n]
			}
		}
	}
	return out
}

// body writes the events of a send; lines that are no events are left out of
// CSV, where they could swallow their neighbours.
func (c *Case) body(s Send) (body string, events []int) {
	var b strings.Builder
	fields := c.fields(s.Later)
	if s.CSV {
		for i, f := range fields {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(f.Name)
		}
		b.WriteByte('\n')
	}
	for _, n := range s.Events {
		e := c.Events[n]
		if e.Line != "" && s.CSV {
			continue
		}
		events = append(events, n)
		if e.Line != "" {
			b.WriteString(e.Line + "\n")
			continue
		}
		line := jsonLine
		if s.CSV {
			line = csvLine
		}
		line(&b, fields, c.values(e, s.Later))
		b.WriteByte('\n')
	}
	return b.String(), events
}

func csvLine(b *strings.Builder, fields []Field, values []*string) {
	for i := range fields {
		if i > 0 {
			b.WriteByte(',')
		}
		if v := values[i]; v != nil {
			b.WriteString(`"` + strings.ReplaceAll(*v, `"`, `""`) + `"`)
		}
	}
}

func jsonLine(b *strings.Builder, fields []Field, values []*string) {
	b.WriteByte('{')
	first := true
	for i, f := range fields {
		v := values[i]
		if v == nil {
			continue
		}
		if !first {
			b.WriteByte(',')
		}
		first = false
		fmt.Fprintf(b, "%q:", f.Name)
		if f.quoted() {
			text, _ := json.Marshal(*v)
			b.Write(text)
		} else {
			b.WriteString(*v)
		}
	}
	b.WriteByte('}')
}

// quoted reports whether JSON writes the field's values as strings.
func (f Field) quoted() bool {
	switch f.Kind {
	case "string", "bytes", "timestamp", "zoned", "millis", "date":
		return true
	}
	return strings.HasPrefix(f.Kind, enum)
}

// value is the SQL of a field's value as it must be read from a body.
func (f Field) value(text *string, csv bool) string {
	quoted := func(s string) string {
		if f.Kind == "bytes" { // a character U+0000 to U+00FF for each byte
			raw := make([]byte, 0, len(s))
			for _, r := range s {
				raw = append(raw, byte(r))
			}
			return fmt.Sprintf("unhex('%x')", raw)
		}
		typ := f.sql()
		if f.Kind == "zoned" { // in UTC, as the oracle's clock is
			typ = "TIMESTAMPTZ::TIMESTAMP"
		}
		return "'" + strings.ReplaceAll(s, "'", "''") + "'::" + typ
	}
	switch {
	case text != nil && (*text != "" || !csv):
		return quoted(*text)
	case f.Default != nil:
		return quoted(*f.Default)
	case f.Nullable || f.Kind != "string" && f.Kind != "bytes":
		return "NULL"
	}
	return quoted("")
}

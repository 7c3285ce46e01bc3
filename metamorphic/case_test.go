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
	Events  []Event
	Sends   []Send
	Runs    []Run
}

// Field is one field of the schema.
type Field struct {
	Name, Kind string
	Nullable   bool    `json:",omitempty"`
	Default    *string `json:",omitempty"`
}

// Rule is one quality rule, View one view.
type Rule struct{ Code, SQL, Action string }
type View struct{ Name, SQL string }

// Event is one event as its producer writes it: the text of each field, nil
// where it leaves it out, or a line that is none.
type Event struct {
	Values []*string `json:",omitempty"`
	Line   string    `json:",omitempty"`
	Bad    bool      `json:",omitempty"` // some value cannot be read
}

// Send is one body. Retry says that it is sent once more, at once.
type Send struct {
	CSV    bool `json:",omitempty"`
	Retry  bool `json:",omitempty"`
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
	LingerMicros                   int // negative: not at all
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
	From, To *int32 `json:",omitempty"` // backfill
	Quiet    bool   `json:",omitempty"` // nightly, backfill: speed is not told
}

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
	case "date":
		of = t("type", "int", "logicalType", "date")
	case "string", "int", "long", "double", "boolean":
	default:
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
		if f.Kind == "string" {
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
	case "int":
		return "INTEGER"
	case "long":
		return "BIGINT"
	}
	return strings.ToUpper(f.Kind)
}

func (c *Case) schema() (*schemas.Schema, error) {
	var fields []any
	for _, f := range c.Fields {
		fields = append(fields, f.avro())
	}
	text, err := json.Marshal(map[string]any{"type": "record", "name": "event", "fields": fields})
	if err != nil {
		return nil, err
	}
	return schemas.Parse(1, text)
}

func (c *Case) identity() schemas.Identity {
	return schemas.Identity{Fields: c.ID, Content: c.Content, Key: c.Key, Time: c.Time}
}

// text is what identities are made of: nothing for what is left out.
func (c *Case) text(e Event, field string) string {
	for i, f := range c.Fields {
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
	for _, f := range c.Fields {
		content += fmt.Sprintf("%q,", c.text(e, f.Name))
	}
	return id, content
}

// body writes the events of a send; lines that are no events are left out of
// CSV, where they could swallow their neighbours.
func (c *Case) body(s Send) (body string, events []int) {
	var b strings.Builder
	if s.CSV {
		for i, f := range c.Fields {
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
		first := true
		if !s.CSV {
			b.WriteByte('{')
		}
		for i, f := range c.Fields {
			v := e.Values[i]
			if s.CSV {
				if i > 0 {
					b.WriteByte(',')
				}
				if v != nil {
					b.WriteString(`"` + strings.ReplaceAll(*v, `"`, `""`) + `"`)
				}
				continue
			}
			if v == nil {
				continue
			}
			if !first {
				b.WriteByte(',')
			}
			first = false
			fmt.Fprintf(&b, "%q:", f.Name)
			switch f.Kind {
			case "string", "timestamp", "date":
				text, _ := json.Marshal(*v)
				b.Write(text)
			default:
				b.WriteString(*v)
			}
		}
		if !s.CSV {
			b.WriteByte('}')
		}
		b.WriteByte('\n')
	}
	return b.String(), events
}

// value is the SQL of a field's value as it must be read from a body.
func (f Field) value(text *string, csv bool) string {
	quoted := func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'::" + f.sql() }
	switch {
	case text != nil && (*text != "" || !csv):
		return quoted(*text)
	case f.Default != nil:
		return quoted(*f.Default)
	case f.Nullable || f.Kind != "string":
		return "NULL"
	}
	return quoted("")
}

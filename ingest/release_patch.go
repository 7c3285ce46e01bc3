package ingest

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"anabranch/deadletter"
	"anabranch/schemas"
	"anabranch/view"
)

// CodePatchFailed is the code of letters whose change could not be made.
const CodePatchFailed = "patch_failed"

// patch changes letters; without a Patch it leaves them as they were.
type patch struct {
	*view.Patch
	sets []view.Set
}

// apply makes of each letter what would be sent.
func (p *patch) apply(ctx context.Context, letters []deadletter.Letter) ([]Trial, error) {
	trials := make([]Trial, len(letters))
	texts := make([]text, len(letters))
	var objects []json.RawMessage
	var of []int
	for i, l := range letters {
		t := &trials[i]
		*t = Trial{Letter: l, Format: schemas.NDJSON}
		if l.Format == schemas.CSV.String() {
			t.Format = schemas.CSV
		}
		var err error
		if texts[i], err = read(l, t.Format); err != nil {
			t.Refused = &EventError{Code: l.Code, Field: l.Field, Message: fmt.Sprintf("its bytes are no event (%v): mend them where they come from and send them anew", err)}
			continue
		}
		if p.Patch == nil {
			t.Event, t.Header = texts[i].plain, l.Header
			continue
		}
		objects, of = append(objects, texts[i].object()), append(of, i)
	}
	if p.Patch == nil || len(objects) == 0 {
		return trials, nil
	}
	values, errs, err := p.Apply(ctx, objects)
	if err != nil {
		return nil, err
	}
	for k, i := range of {
		if errs[k] != nil {
			trials[i].Refused = &EventError{Code: CodePatchFailed, Message: errs[k].Error()}
			continue
		}
		for j, s := range p.sets {
			texts[i].set(s.Field, values[k][j])
		}
		if trials[i].Header, trials[i].Event, err = texts[i].render(); err != nil {
			return nil, err
		}
	}
	return trials, nil
}

// text is a letter's event taken apart: a JSON object or a CSV record.
type text struct {
	plain  []byte // as it was, on one line if it is JSON
	fields map[string]json.RawMessage
	names  []string // of a CSV record
	cells  []string
}

func read(l deadletter.Letter, f schemas.Format) (t text, err error) {
	if f == schemas.CSV {
		t.plain = l.Raw
		if t.names, err = record(l.Header); err != nil {
			return t, err
		}
		if t.cells, err = record(l.Raw); err == nil && len(t.cells) != len(t.names) {
			err = fmt.Errorf("%d cells, the header has %d", len(t.cells), len(t.names))
		}
		return t, err
	}
	if err = json.Unmarshal(l.Raw, &t.fields); err == nil && t.fields == nil {
		err = fmt.Errorf("null")
	}
	if err != nil {
		return t, err
	}
	var line bytes.Buffer
	err = json.Compact(&line, l.Raw)
	t.plain = line.Bytes()
	return t, err
}

// record reads the one record that b is.
func record(b []byte) ([]string, error) {
	r := csv.NewReader(bytes.NewReader(b))
	cells, err := r.Read()
	if err != nil {
		return nil, err
	}
	if _, err := r.Read(); err != io.EOF {
		return nil, fmt.Errorf("more than one record")
	}
	return cells, nil
}

// object is the event as a JSON object; the cells of a record are strings, an
// empty one is null.
func (t *text) object() json.RawMessage {
	if t.fields != nil {
		return t.plain
	}
	o := map[string]any{}
	for i, name := range t.names {
		if o[strings.TrimSpace(name)] = t.cells[i]; t.cells[i] == "" {
			o[strings.TrimSpace(name)] = nil
		}
	}
	b, _ := json.Marshal(o) // of strings
	return b
}

func (t *text) set(field string, v view.Value) {
	if t.fields != nil {
		t.fields[field] = json.RawMessage(v.JSON)
		return
	}
	for i, name := range t.names {
		if strings.TrimSpace(name) == field {
			t.cells[i] = v.Text
			return
		}
	}
	t.names, t.cells = append(t.names, field), append(t.cells, v.Text)
}

func (t *text) render() (header, event []byte, err error) {
	if t.fields != nil {
		event, err = json.Marshal(t.fields)
		return nil, event, err
	}
	line := func(cells []string) []byte {
		var b bytes.Buffer
		w := csv.NewWriter(&b)
		_ = w.Write(cells) // into memory, with a good comma
		w.Flush()
		return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	}
	return line(t.names), line(t.cells), nil
}

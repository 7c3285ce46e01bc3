package schemas

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// fuzzDecoder feeds a body to a decoder, whole and in small pieces, and checks
// what holds for every body: no panic, an end, rows of raw text that decode
// again to the same events, and one answer whatever the pieces.
func fuzzDecoder(f *testing.F, format Format) {
	s := everything(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		d := decoder(t, s, format, byID)
		whole := decodeAll(t, d, bytes.NewReader(body))
		pieces := decodeCopied(t, d, &slow{r: bytes.NewReader(body)})
		if diff := sameBatch(whole.Batch, pieces.Batch); diff != "" || len(whole.bad) != len(pieces.bad) {
			t.Fatalf("%q: %s; %d and %d bad", body, diff, len(whole.bad), len(pieces.bad))
		}
		for i, b := range whole.bad {
			if b.Line < 1 || b.Column < 1 || b.Code == "" || b.Message == "" || b.Line != pieces.bad[i].Line || b.Column != pieces.bad[i].Column {
				t.Fatalf("%q: %+v, %+v", body, b, pieces.bad[i])
			}
		}
		if format != NDJSON || whole.N == 0 {
			return
		}
		compareLayouts(t, s, byID, bytes.Join([][]byte{body, body, body, body}, newline))
		again := decodeAll(t, d, strings.NewReader(strings.Join(whole.raw, "\n")))
		if diff := sameBatch(whole.Batch, again.Batch); diff != "" {
			t.Fatalf("%q: raw text decodes to another event: %s", body, diff)
		}
	})
}

// slow delivers a few bytes at a time.
type slow struct {
	r io.Reader
	n int
}

func (s *slow) Read(p []byte) (int, error) {
	s.n = s.n%7 + 1
	return s.r.Read(p[:min(len(p), s.n)])
}

func FuzzNDJSON(f *testing.F) {
	for _, seed := range []string{
		`{"id":"1","int":-5,"dec":2.55,"us":"2011-12-09T12:50:00.5+01:00","x":{"y":[1,2,{"z":null}]}}`,
		"{\"id\":\"1\"}\r\n\n{\"id\":\"\\u00e9\\ud83d\\ude00\",\"bytes\":\"\\u00ff\"}\n{",
		"\xef\xbb\xbf{\"id\":\"\xff\"}", `{"id":"1","id":"1"}`, `{"wide":1e37,"double":1e-400}`,
	} {
		f.Add([]byte(seed))
	}
	fuzzDecoder(f, NDJSON)
}

func FuzzJSONArray(f *testing.F) {
	for _, seed := range []string{`[]`, ` [ {"id":"1"} , 7, {"id":"]}"} ] `, `[{"id":"1"}`, `[{"id":"1"},]`, `[[]] x`, `{`} {
		f.Add([]byte(seed))
	}
	fuzzDecoder(f, JSONArray)
}

func FuzzCSV(f *testing.F) {
	for _, seed := range []string{
		"id,s,n\n1,\"a,\"\"b\n\",3\r\n2,,\n", "id\n1\r\n\r\n2", "\xef\xbb\xbfid,zz,us\n1,2,1970-01-01 00:00:00\n", "\"id\"\n\"1", "id,id\n", "id\n1\"2\n3", "id,n\r1,2\r",
	} {
		f.Add([]byte(seed))
	}
	fuzzDecoder(f, CSV)
}

func FuzzDecodeFrame(f *testing.F) {
	s := everything(f)
	d := decoder(f, s, NDJSON, byID)
	b := decodeAll(f, d, strings.NewReader(`{"id":"1","dec":1,"bytes":"\u00ff","wide":2,"bool":true}`+"\n"+`{"id":"2","date":5}`))
	frame := s.NewFrameBuilder()
	frame.Append(b.Batch, nil)
	body, err := frame.Finish()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Fuzz(func(t *testing.T, body []byte) {
		b, err := s.DecodeFrame(body)
		if err != nil {
			return
		}
		for i := range b.Columns {
			for row := range b.N {
				cell(&b.Columns[i], row)
			}
		}
	})
}

package schemas

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files again: only together with a new format version")

// TestOldFilesStillRead: what an earlier version of this program has written
// reads as it did.
func TestOldFilesStillRead(t *testing.T) {
	t.Parallel()
	s := everything(t)
	want := decodeAll(t, decoder(t, s, NDJSON, byID), strings.NewReader(`{"id":"1","bool":true,"int":-5,"long":6,"double":0.5,"string":"é","bytes":"\u00ff","enum":"RED","dec":-2.55,"wide":12345678901234567890.5,"date":"1969-12-31","ms":-1,"us":"2011-12-09T12:50:00Z","local":"2011-12-09 12:50:00"}
{"id":"2","string":"","s":"é","n":1}
{"id":"3","string":"é"}`))
	if want.N != 3 {
		t.Fatalf("%+v", want.bad)
	}
	frame := filepath.Join("testdata", "frame-1.body")
	file := filepath.Join("testdata", "file-1.parquet")
	if *update {
		f := s.NewFrameBuilder()
		f.Append(want.Batch, nil)
		body, err := f.Finish()
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		w := NewParquetWriter(&out, s.Shape())
		if err := w.Write(want.Batch); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(map[string]string{"pipeline": "golden"}); err != nil {
			t.Fatal(err)
		}
		for name, data := range map[string][]byte{frame: body, file: out.Bytes()} {
			if err := os.WriteFile(name, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	body, err := os.ReadFile(frame)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.DecodeFrame(body)
	if err != nil {
		t.Fatal(err)
	}
	if diff := sameBatch(got, want.Batch); diff != "" {
		t.Error(diff)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	p, err := OpenParquet(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	if got, err = readAll(p, nil, nil); err != nil {
		t.Fatal(err)
	}
	if diff := sameBatch(got, want.Batch); diff != "" || p.Meta()["pipeline"] != "golden" {
		t.Error(diff, p.Meta())
	}
}

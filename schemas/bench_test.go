package schemas

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"anabranch/event"
)

const cardAvro = `{"type": "record", "name": "payment", "fields": [
	{"name": "event_id", "type": "string"},
	{"name": "event_time", "type": {"type": "long", "logicalType": "timestamp-micros"}},
	{"name": "card", "type": "string"},
	{"name": "merchant", "type": "string"},
	{"name": "category", "type": "string"},
	{"name": "amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}},
	{"name": "country", "type": ["null", "string"]},
	{"name": "online", "type": "boolean"}]}`

func payments(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, `{"event_id":"01JGT%021d","event_time":"2026-01-05T%02d:%02d:%02d.%06dZ","card":"card_%08d","merchant":"merchant_%05d","category":"cat_%02d","amount":%d.%02d,"country":"C%02d","online":%t}`+"\n",
			r.Uint64(), i/3600%24, i/60%60, i%60, r.IntN(1000000), r.IntN(100000), r.IntN(5000), r.IntN(20), r.IntN(1000), r.IntN(100), r.IntN(50), r.IntN(2) == 0)
	}
	return b.Bytes()
}

func benchDecode(b *testing.B, s *Schema, f Format, id Identity, body []byte) {
	d := decoder(b, s, f, id)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		d.Reset(bytes.NewReader(body))
		for {
			rows, err := d.Next()
			if err == io.EOF {
				break
			}
			if err != nil || len(rows.Bad) > 0 {
				b.Fatal(err, rows.Bad)
			}
			n += rows.Batch.N
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/event")
}

func BenchmarkDecodeNDJSON(b *testing.B) {
	benchDecode(b, mustParse(b, 1, cardAvro), NDJSON, Identity{Fields: []string{"event_id"}, Time: "event_time", Key: []string{"card"}}, payments(20000))
}

func BenchmarkDecodeCSV(b *testing.B) {
	body := gunzip(b, filepath.Join("testdata", "retail", "2011-04-15.csv.gz"))
	benchDecode(b, mustParse(b, 1, retailAvro), CSV, retailIdentity, body)
}

// paymentsBatch is one decoded batch, as ingest hands it on.
func paymentsBatch(b *testing.B) (*Schema, *event.Batch) {
	s := mustParse(b, 1, cardAvro)
	d := decoder(b, s, NDJSON, Identity{Fields: []string{"event_id"}})
	d.Reset(bytes.NewReader(payments(2000)))
	rows, err := d.Next()
	if err != nil {
		b.Fatal(err)
	}
	return s, rows.Batch
}

func BenchmarkFrameEncode(b *testing.B) {
	s, batch := paymentsBatch(b)
	f := s.NewFrameBuilder()
	b.ReportAllocs()
	for b.Loop() {
		f.Append(batch, nil)
		if _, err := f.Finish(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch.N), "ns/event")
}

func BenchmarkFrameDecode(b *testing.B) {
	s, batch := paymentsBatch(b)
	f := s.NewFrameBuilder()
	f.Append(batch, nil)
	body, err := f.Finish()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.DecodeFrame(body); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch.N), "ns/event")
	b.ReportMetric(float64(len(body))/float64(batch.N), "bytes/event")
}

func BenchmarkParquetWrite(b *testing.B) {
	s, batch := paymentsBatch(b)
	b.ReportAllocs()
	for b.Loop() {
		w := NewParquetWriter(io.Discard, s.Shape())
		for range 10 {
			if err := w.Write(batch); err != nil {
				b.Fatal(err)
			}
		}
		if err := w.Close(nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(10*b.N*batch.N), "ns/event")
}

func BenchmarkParquetRead(b *testing.B) {
	s, batch := paymentsBatch(b)
	var out bytes.Buffer
	w := NewParquetWriter(&out, s.Shape())
	for range 10 {
		if err := w.Write(batch); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Close(nil); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		f, err := OpenParquet(bytes.NewReader(out.Bytes()), int64(out.Len()))
		if err != nil {
			b.Fatal(err)
		}
		if err := f.Read(b.Context(), nil, []string{"event_time", "merchant", "amount"}, func(*event.Batch) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(10*b.N*batch.N), "ns/event")
}

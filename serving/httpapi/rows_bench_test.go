package httpapi_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"anabranch/serving"
	"anabranch/serving/httpapi"
	engine "anabranch/serving/sql"
)

// BenchmarkRows writes a million rows in each format that is written by rows.
func BenchmarkRows(b *testing.B) {
	const rows = 1_000_000
	e, err := engine.New(b.Context(), serving.New(serving.Options{Sources: func() []*serving.Source { return nil }}), engine.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	h := httpapi.Query(e, httpapi.Options{})
	for _, columns := range []string{"i, 'shop ' || (i % 50) AS shop, (i % 7)::HUGEINT AS n", "i / 7 AS x", "TIMESTAMP '2011-01-01' + to_seconds(i) AS t", "(i / 4)::DECIMAL(18,2) AS d"} {
		for _, accept := range []string{"text/csv", "application/json", "application/x-ndjson"} {
			b.Run(columns+"/"+accept, func(b *testing.B) {
				for b.Loop() {
					r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("SELECT "+columns+" FROM range(1000000) r(i)"))
					r.Header.Set("Content-Type", "application/sql")
					r.Header.Set("Accept", accept)
					w := &discards{header: http.Header{}}
					h.ServeHTTP(w, r)
					if w.status != 0 || w.Header().Get("Anabranch-Rows") != "1000000" {
						b.Fatal(w.status, w.header)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
			})
		}
	}
}

// discards is a client that reads at once.
type discards struct {
	header http.Header
	status int
}

func (d *discards) Header() http.Header         { return d.header }
func (d *discards) WriteHeader(status int)      { d.status = status }
func (d *discards) Write(p []byte) (int, error) { return io.Discard.Write(p) }

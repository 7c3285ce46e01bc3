package sql_test

import (
	"syscall"
	"testing"
	"time"

	"anabranch/serving"
	"anabranch/serving/sql"
)

const million = "SELECT i, i / 7 AS part, 'shop' AS shop FROM range(1000000) t(i)"

// empty is an engine without pipelines.
func empty(b *testing.B) *sql.Engine {
	e, err := sql.New(b.Context(), serving.New(serving.Options{Sources: func() []*serving.Source { return nil }}), sql.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { e.Close() })
	return e
}

// BenchmarkRecords reads an answer by columns, BenchmarkRows the same by rows.
func BenchmarkRecords(b *testing.B) {
	engine := empty(b)
	before := cpu()
	for b.Loop() {
		r, err := engine.Records(b.Context(), sql.Request{SQL: million})
		if err != nil {
			b.Fatal(err)
		}
		n := int64(0)
		for {
			rec, err := r.Next()
			if err != nil {
				b.Fatal(err)
			}
			if rec == nil {
				break
			}
			n += rec.NumRows()
			rec.Release()
		}
		if r.Close(); n != 1_000_000 {
			b.Fatal(n)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1e6, "ns/row")
	b.ReportMetric(float64((cpu()-before).Nanoseconds())/float64(b.N)/1e6, "cpu-ns/row")
}

func BenchmarkRows(b *testing.B) {
	engine := empty(b)
	before := cpu()
	for b.Loop() {
		a, err := engine.Query(b.Context(), sql.Request{SQL: million})
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		for {
			row, err := a.Next()
			if err != nil {
				b.Fatal(err)
			}
			if row == nil {
				break
			}
			n++
		}
		if a.Close(); n != 1_000_000 {
			b.Fatal(n)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1e6, "ns/row")
	b.ReportMetric(float64((cpu()-before).Nanoseconds())/float64(b.N)/1e6, "cpu-ns/row")
}

// cpu is what this process has taken of its processors, which on a busy machine
// says more than the clock.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

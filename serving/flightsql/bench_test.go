package flightsql_test

import (
	"errors"
	"io"
	"syscall"
	"testing"
	"time"

	"anabranch/serving/flightsql"
)

// BenchmarkFlight reads a million rows of an integer, a double and a text from
// the door, over loopback.
func BenchmarkFlight(b *testing.B) {
	s := setup(b, flightsql.Options{})
	const rows = 1_000_000
	query := "SELECT i, i / 7 AS part, 'shop' AS shop FROM range(1000000) t(i)"
	before := cpu()
	for b.Loop() {
		info, err := s.client.Execute(b.Context(), query)
		if err != nil {
			b.Fatal(err)
		}
		r, err := s.client.DoGet(b.Context(), info.Endpoint[0].Ticket)
		if err != nil {
			b.Fatal(err)
		}
		n := int64(0)
		for r.Next() {
			n += r.Record().NumRows()
		}
		if err := r.Err(); n != rows || err != nil && !errors.Is(err, io.EOF) {
			b.Fatal(n, err)
		}
		r.Release()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
	b.ReportMetric(float64((cpu()-before).Nanoseconds())/float64(b.N)/rows, "cpu-ns/row")
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

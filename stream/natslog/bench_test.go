package natslog

import (
	"fmt"
	"log/slog"
	"sync"
	"testing"

	"anabranch/stream"
)

const benchFrame = 64 << 10

func benchLog(b *testing.B, partitions int) stream.Log {
	b.Helper()
	s, err := Open(b.Context(), Options{Dir: b.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	l, err := s.Open(b.Context(), "bench", partitions)
	if err != nil {
		b.Fatal(err)
	}
	return l
}

// BenchmarkAppend appends frames of 64 KiB, each durable before the next of
// its goroutine; with 8 goroutines, to one partition and to four.
func BenchmarkAppend(b *testing.B) {
	for _, c := range []struct{ writers, partitions int }{{1, 1}, {8, 1}, {8, 4}} {
		b.Run(fmt.Sprintf("writers=%d/partitions=%d", c.writers, c.partitions), func(b *testing.B) {
			l := benchLog(b, c.partitions)
			frame := make([]byte, benchFrame)
			b.SetBytes(benchFrame)
			b.ResetTimer()
			var wg sync.WaitGroup
			for w := range c.writers {
				wg.Go(func() {
					for i := w; i < b.N; i += c.writers {
						if _, err := l.Append(b.Context(), w%c.partitions, frame); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
		})
	}
}

// BenchmarkRead reads frames of 64 KiB that are there already.
func BenchmarkRead(b *testing.B) {
	const there = 1000
	l := benchLog(b, 1)
	frame := make([]byte, benchFrame)
	for range there {
		if _, err := l.Append(b.Context(), 0, frame); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(benchFrame)
	b.ResetTimer()
	for left := b.N; left > 0; {
		r, err := l.Read(b.Context(), 0, 0)
		if err != nil {
			b.Fatal(err)
		}
		for read := 0; read < there && left > 0; {
			got, err := r.Next(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			read += len(got)
			left -= len(got)
		}
		r.Close()
	}
}

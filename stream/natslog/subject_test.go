package natslog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"anabranch/event"
	"anabranch/fault"
	"anabranch/stream"
)

// TestADamagedSubject flips bits of how long a record's subject is, which no
// checksum of the server covers: it delivers the record under a subject that
// reaches into the frame, or ends early, and a connection breaks by what such
// subjects hold. The record is named, and later readers break nothing.
func TestADamagedSubject(t *testing.T) {
	t.Parallel()
	const n = 47
	for bit := range 16 {
		for _, index := range []bool{true, false} {
			t.Run(fmt.Sprintf("bit %d index %v", bit, index), func(t *testing.T) {
				t.Parallel()
				dir := stopped(t)
				blocks, err := listBlocks(streamDir(dir, streamName("shop", 0)))
				if err != nil || len(blocks) != 1 {
					t.Fatal(blocks, err)
				}
				data, err := os.ReadFile(blocks[0])
				if err != nil {
					t.Fatal(err)
				}
				at := bytes.Index(data, filesFrame(n)) - len("anabranch.shop.p0000") - blockHead
				data[at+20+bit/8] ^= 1 << (bit % 8)
				if err := os.WriteFile(blocks[0], data, 0o640); err != nil {
					t.Fatal(err)
				}
				if !index {
					if err := os.Remove(filepath.Join(filepath.Dir(blocks[0]), "index.db")); err != nil {
						t.Fatal(err)
					}
				}
				s := start(t, Options{Dir: dir})
				l := open(t, s, 1)
				var broken uint64
				for round := range 3 {
					ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
					defer cancel()
					r, err := l.Read(ctx, 0, 4)
					if err != nil {
						t.Fatal(err)
					}
					defer r.Close()
					next := uint64(4)
					for err == nil {
						got, e := r.Next(ctx)
						for _, rec := range got {
							if rec.Offset != next || !bytes.Equal(rec.Frame, filesFrame(int(next))) {
								t.Fatalf("offset %d, %.20q, want %d", rec.Offset, rec.Frame, next)
							}
							next++
						}
						err = e
					}
					if !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), fmt.Sprintf("offset %d", next)) {
						t.Fatalf("round %d: at %d: %v", round, next, err)
					}
					if next != n { // the server has cut the block off there
						if d := s.parts[streamName("shop", 0)].damage.Load(); d == nil || next != d.end {
							t.Fatalf("round %d: at %d: %v", round, next, err)
						}
					}
					for !s.reading.IsConnected() {
						if ctx.Err() != nil {
							t.Fatal("the connection is not made again")
						}
						time.Sleep(time.Millisecond)
					}
					now := s.reading.Stats().Reconnects
					if round > 0 && now != broken {
						t.Errorf("round %d: the connection broke %d times, after %d", round, now, broken)
					}
					broken = now
				}
			})
		}
	}
}

// TestARecordIsAskedFor has a reader do without its consumer: it gets the
// largest record there is, is told of the end and that others were trimmed.
func TestARecordIsAskedFor(t *testing.T) {
	t.Parallel()
	l := open(t, start(t, Options{Dir: t.TempDir()}), 1)
	frames := [][]byte{bytes.Repeat([]byte("m"), event.MaxFrame), {}, []byte("last")}
	for _, frame := range frames {
		if _, err := l.Append(t.Context(), 0, frame); err != nil {
			t.Fatal(err)
		}
	}
	r, err := l.Read(t.Context(), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i, frame := range frames {
		got, err := r.(*reader).ask(t.Context())
		if err != nil || len(got) != 1 || got[0].Offset != uint64(i+1) || !bytes.Equal(got[0].Frame, frame) {
			t.Fatalf("record %d: %.60v, %v", i+1, got, err)
		}
	}
	if got, err := r.(*reader).ask(t.Context()); len(got) > 0 || err != nil {
		t.Fatal(got, err)
	}
	if r, err = l.Read(t.Context(), 0, 0); err != nil {
		t.Fatal(err)
	}
	if err := l.Trim(t.Context(), 0, 3); err != nil {
		t.Fatal(err)
	}
	if got, err := r.(*reader).ask(t.Context()); !errors.Is(err, stream.ErrTrimmed) {
		t.Fatal(got, err)
	}
}

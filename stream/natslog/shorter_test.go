package natslog

import (
	"bytes"
	"context"
	"os"
	"testing"
	"time"

	"anabranch/fault"
	"anabranch/stream"
)

// TestALogThatBecomesShorter damages the length of a record under a running
// server, which cuts the log off there when it next reads the block. Nothing
// is given an offset again, and whoever waits at the end is told.
func TestALogThatBecomesShorter(t *testing.T) {
	t.Parallel()
	const last, damaged = 60, 30
	// shortened returns a log of which a reader has seen everything.
	shortened := func(t *testing.T) (stream.Log, stream.Reader) {
		dir := t.TempDir()
		s := start(t, Options{Dir: dir})
		l := open(t, s, 1)
		for n := 1; n <= last; n++ {
			if _, err := l.Append(t.Context(), 0, filesFrame(n)); err != nil {
				t.Fatal(err)
			}
		}
		r, err := l.Read(t.Context(), 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		for seen := uint64(0); seen < last; {
			got, err := r.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			seen = got[len(got)-1].Offset
		}
		// What the server does when it reads a block again that it has
		// forgotten, it also does when it opens it.
		if err := s.server.ShutdownJetStream(); err != nil {
			t.Fatal(err)
		}
		blocks, err := listBlocks(streamDir(dir, streamName("shop", 0)))
		if err != nil || len(blocks) != 1 {
			t.Fatal(blocks, err)
		}
		data, err := os.ReadFile(blocks[0])
		if err != nil {
			t.Fatal(err)
		}
		data[bytes.Index(data, filesFrame(damaged))-len("anabranch.shop.p0000")-blockHead+2] ^= 1
		if err := os.WriteFile(blocks[0], data, 0o640); err != nil {
			t.Fatal(err)
		}
		if err := s.server.EnableJetStream(jetStreamConfig(s.opts)); err != nil {
			t.Fatal(err)
		}
		return l, r
	}
	refused := func(t *testing.T, l stream.Log) {
		t.Helper()
		if at, err := l.Append(t.Context(), 0, []byte("new")); !fault.Is(err, fault.Corrupt) {
			t.Errorf("appended at %d, %v", at, err)
		}
	}
	ends := func(t *testing.T, r stream.Reader, want int) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		n := 0
		for {
			got, err := r.Next(ctx)
			for _, rec := range got {
				if n++; rec.Offset != uint64(n) || !bytes.Equal(rec.Frame, filesFrame(n)) {
					t.Fatalf("offset %d: %.40q", rec.Offset, rec.Frame)
				}
			}
			if err != nil {
				if !fault.Is(err, fault.Corrupt) || n != want {
					t.Errorf("after %d records: %v", n, err)
				}
				return
			}
		}
	}
	t.Run("an append comes first", func(t *testing.T) {
		t.Parallel()
		l, r := shortened(t)
		refused(t, l)
		ends(t, r, 0)
	})
	t.Run("a reader waits at the end", func(t *testing.T) {
		t.Parallel()
		l, r := shortened(t)
		ends(t, r, 0)
		refused(t, l)
	})
	t.Run("a reader comes to where it is cut off", func(t *testing.T) {
		t.Parallel()
		l, _ := shortened(t)
		r, err := l.Read(t.Context(), 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		ends(t, r, damaged-1)
		refused(t, l)
		if _, _, err := l.Bounds(t.Context(), 0); !fault.Is(err, fault.Corrupt) {
			t.Error(err)
		}
	})
}

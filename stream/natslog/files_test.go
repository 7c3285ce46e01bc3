package natslog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"anabranch/event"
	"anabranch/fault"
	"anabranch/internal/soak"
	"anabranch/internal/spoil"
	"anabranch/stream"
)

const filesRecords = 60

func filesFrame(n int) []byte {
	body := bytes.Repeat(fmt.Appendf(nil, "<%04d>", n), 20+n)
	frame, err := event.AppendFrame(nil, event.Header{Kind: event.Rows, Pipeline: "shop"}, body)
	if err != nil {
		panic(err)
	}
	return frame
}

// stopped leaves a log of filesRecords in a folder, the first few trimmed.
func stopped(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	s := start(t, Options{Dir: dir})
	l := open(t, s, 1)
	for n := 1; n <= filesRecords; n++ {
		if _, err := l.Append(t.Context(), 0, filesFrame(n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Trim(t.Context(), 0, 4); err != nil {
		t.Fatal(err)
	}
	s.Close()
	return dir
}

// readFiles reads everything that can be read, also behind damage.
func readFiles(t *testing.T, f *Files) map[uint64][]byte {
	t.Helper()
	got := map[uint64][]byte{}
	first, next, err := f.Bounds(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	for at := first; at < next; {
		r, err := f.Read(t.Context(), 0, at)
		if err != nil {
			t.Fatal(err)
		}
		for err == nil && at < next {
			var records []stream.Record
			if records, err = r.Next(t.Context()); err == nil {
				for _, rec := range records {
					got[rec.Offset] = rec.Frame
					at = rec.Offset + 1
				}
			}
		}
		r.Close()
		if err == nil {
			break
		}
		if !fault.Is(err, fault.Corrupt) {
			t.Fatal(err)
		}
		for _, flaw := range f.Flaws(0) {
			if flaw.From <= at && at < flaw.To {
				at = flaw.To
				break
			}
		}
	}
	return got
}

func TestFilesAreReadWithoutAServer(t *testing.T) {
	t.Parallel()
	f, err := OpenFiles(stopped(t), "shop", 1)
	if err != nil {
		t.Fatal(err)
	}
	if flaws := f.Flaws(0); len(flaws) > 0 {
		t.Errorf("%+v", flaws)
	}
	if first, next, _ := f.Bounds(t.Context(), 0); first != 4 || next != filesRecords+1 {
		t.Errorf("from %d to %d", first, next)
	}
	got := readFiles(t, f)
	for n := 4; n <= filesRecords; n++ {
		if !bytes.Equal(got[uint64(n)], filesFrame(n)) {
			t.Errorf("record %d: %q", n, got[uint64(n)])
		}
	}
	if _, err := f.Read(t.Context(), 0, 2); !errors.Is(err, stream.ErrTrimmed) {
		t.Error(err)
	}
	if f, err := OpenFiles(t.TempDir(), "shop", 1); err != nil || len(f.Flaws(0)) > 0 {
		t.Errorf("of nothing: %+v, %v", f, err)
	}
}

// damageable are the files of a stopped log, by what damage to them may do.
func damageable(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if info, e := os.Stat(path); err == nil && e == nil && info.Mode().IsRegular() && info.Size() > 0 {
			rel, _ := filepath.Rel(dir, path)
			all = append(all, rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestDamagedFiles damages the files of a stopped log: every record is what
// was appended or is named as lost, with the file; also when a server starts
// on them. -damage says how often.
func TestDamagedFiles(t *testing.T) {
	t.Parallel()
	seed := spoil.Seed()
	run := soak.Open(t, "damage-log", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	dir := stopped(t)
	files := damageable(t, dir)
	t.Logf("%v", files)
	servers := *spoil.Times / 20
	lost, kinds := 0, map[string]int{}
	for i := range *spoil.Times {
		rel := files[rnd.IntN(len(files))]
		if i%2 == 0 {
			for filepath.Ext(rel) != ".blk" {
				rel = files[rnd.IntN(len(files))]
			}
		}
		good, err := os.ReadFile(filepath.Join(dir, rel))
		if err != nil {
			t.Fatal(err)
		}
		bad, how := spoil.Bytes(rnd, good)
		how = rel + ", " + how
		if err := os.WriteFile(filepath.Join(dir, rel), bad, 0o640); err != nil {
			t.Fatal(err)
		}
		f, err := OpenFiles(dir, "shop", 1)
		if err != nil {
			t.Fatalf("%s: %v", how, err)
		}
		gone := checkFiles(t, how, f, rel)
		if gone > 0 {
			lost++
			kinds[filepath.Base(rel)]++
		}
		if i < servers {
			checkServer(t, how, dir)
			run.Add("damaged log and started", 1)
		}
		if err := os.WriteFile(filepath.Join(dir, rel), good, 0o640); err != nil {
			t.Fatal(err)
		}
	}
	run.Add("damaged log", int64(*spoil.Times))
	t.Logf("records were lost %d times: %v", lost, kinds)
}

// checkFiles compares what can be read with what was appended, and returns
// how many records are named as lost.
func checkFiles(t *testing.T, how string, f *Files, rel string) int {
	t.Helper()
	gone := 0
	for _, flaw := range f.Flaws(0) {
		if !fault.Is(flaw.Err, fault.Corrupt) || !strings.Contains(flaw.Err.Error(), filepath.Base(flaw.File)) {
			t.Fatalf("%s: %+v does not name its file", how, flaw)
		}
	}
	got := readFiles(t, f)
	for n := uint64(4); n <= filesRecords; n++ {
		named := ""
		for _, flaw := range f.Flaws(0) {
			if flaw.From <= n && n < flaw.To {
				named = flaw.File
			}
		}
		data, ok := got[n]
		switch {
		case ok && (named != "" || !bytes.Equal(data, filesFrame(int(n)))):
			t.Fatalf("%s: record %d is %.20q; named as lost in %q", how, n, data, named)
		case !ok && named == "":
			t.Fatalf("%s: record %d is gone and nobody says so: %+v", how, n, f.Flaws(0))
		case !ok && !strings.HasSuffix(named, filepath.FromSlash(rel)):
			t.Fatalf("%s: record %d is lost in %s", how, n, named)
		case !ok:
			gone++
		}
	}
	return gone
}

// checkServer starts a server on a copy of the files.
func checkServer(t *testing.T, how, dir string) {
	t.Helper()
	image := t.TempDir()
	if err := os.CopyFS(image, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	s, err := Open(ctx, Options{Dir: image})
	if fault.Is(err, fault.Corrupt) && strings.Contains(err.Error(), ".blk") {
		return
	}
	if err != nil {
		t.Fatalf("%s: %v", how, err)
	}
	defer s.Close()
	l, err := s.Open(ctx, "shop", 1)
	if fault.Is(err, fault.Corrupt) {
		return
	}
	if err != nil {
		t.Fatalf("%s: %v", how, err)
	}
	defer l.Close()
	r, err := l.Read(ctx, 0, 4)
	if err != nil {
		if !fault.Is(err, fault.Corrupt) && !errors.Is(err, stream.ErrTrimmed) {
			t.Fatalf("%s: %v", how, err)
		}
		return
	}
	defer r.Close()
	for at := uint64(4); at <= filesRecords; {
		records, err := r.Next(ctx)
		if err != nil {
			if !fault.Is(err, fault.Corrupt) {
				t.Fatalf("%s: at %d: %v", how, at, err)
			}
			return
		}
		for _, rec := range records {
			if rec.Offset == at && !bytes.Equal(rec.Frame, filesFrame(int(at))) {
				// The server's checksum leaves some bytes out; the frame's does not.
				if _, _, err := event.ParseFrame(rec.Frame); fault.Is(err, fault.Corrupt) {
					return
				}
			}
			if rec.Offset != at || !bytes.Equal(rec.Frame, filesFrame(int(at))) {
				t.Fatalf("%s: offset %d is %.20q, want %d", how, rec.Offset, rec.Frame, at)
			}
			at++
		}
	}
}

// TestASequenceThatIsDamaged: one bit of a record's number would keep the
// server busy for ever. The log is not opened, and can be repaired.
func TestASequenceThatIsDamaged(t *testing.T) {
	t.Parallel()
	dir := stopped(t)
	blocks, err := listBlocks(streamDir(dir, streamName("shop", 0)))
	if err != nil || len(blocks) != 1 {
		t.Fatal(blocks, err)
	}
	good, err := os.ReadFile(blocks[0])
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(good, filesFrame(41)) - len("anabranch.shop.p0000") - blockHead
	for bit := 17; bit < 64; bit++ {
		bad := bytes.Clone(good)
		bad[at+4+bit/8] ^= 1 << (bit % 8)
		if err := os.WriteFile(blocks[0], bad, 0o640); err != nil {
			t.Fatal(err)
		}
		if bit >= 62 { // the marks of deleted records; the checksum tells
			continue
		}
		if s, err := Open(t.Context(), Options{Dir: dir}); !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), fmt.Sprintf("byte %d", at)) {
			if err == nil {
				s.Close()
			}
			t.Fatalf("bit %d: %v", bit, err)
		}
		f, err := OpenFiles(dir, "shop", 1)
		if err != nil {
			t.Fatal(err)
		}
		if flaws := f.Flaws(0); len(flaws) != 1 || flaws[0].From != 41 || flaws[0].To != 42 || flaws[0].At != int64(at) {
			t.Fatalf("bit %d: %+v", bit, flaws)
		}
	}
}

// TestSetAside damages a log, and has it begin anew behind its end.
func TestSetAside(t *testing.T) {
	t.Parallel()
	dir := stopped(t)
	flip(t, dir, filesFrame(30), true)
	f, err := OpenFiles(dir, "shop", 1)
	if err != nil {
		t.Fatal(err)
	}
	if flaws := f.Flaws(0); len(flaws) != 1 || flaws[0].From != 30 || flaws[0].To != 31 || flaws[0].At == 0 {
		t.Fatalf("%+v", flaws)
	}
	if got := readFiles(t, f); len(got) != filesRecords-4 || !bytes.Equal(got[31], filesFrame(31)) {
		t.Fatalf("%d records beside it", len(got))
	}
	for range 2 { // the second call finds nothing to move
		if _, err := SetAside(dir, "shop", 0, filesRecords+1); err != nil {
			t.Fatal(err)
		}
	}
	for round := range 2 {
		f, err := OpenFiles(dir, "shop", 1)
		if err != nil {
			t.Fatal(err)
		}
		end := uint64(filesRecords + 1 + round)
		if first, next, _ := f.Bounds(t.Context(), 0); len(f.Flaws(0)) > 0 || first != filesRecords+1 || next != end {
			t.Fatalf("%+v, from %d to %d", f.Flaws(0), first, next)
		}
		s := start(t, Options{Dir: dir})
		l := open(t, s, 1)
		if _, err := l.Read(t.Context(), 0, 10); !errors.Is(err, stream.ErrTrimmed) {
			t.Fatal(err)
		}
		if first, next, err := l.Bounds(t.Context(), 0); err != nil || first != filesRecords+1 || next != end {
			t.Fatalf("from %d to %d, %v", first, next, err)
		}
		if offset, err := l.Append(t.Context(), 0, []byte("later")); err != nil || offset != end {
			t.Fatalf("appended at %d, %v", offset, err)
		}
		s.Close()
	}
}

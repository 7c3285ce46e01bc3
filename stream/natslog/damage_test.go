package natslog

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"anabranch/fault"
	"anabranch/stream"
)

// crashDir names the folder in which a child process of the crash test
// appends.
const crashDir = "NATSLOG_CRASH_DIR"

const crashPartitions = 3

func crashFrame(partition, n int) []byte {
	return bytes.Repeat(fmt.Appendf(nil, "%d/%08d;", partition, n), 2000)
}

// appendUntilKilled appends to every partition and prints what was
// acknowledged, until it is killed.
func appendUntilKilled(dir string) {
	ctx := context.Background()
	s, err := Open(ctx, Options{Dir: dir})
	if err != nil {
		panic(err)
	}
	l, err := s.Open(ctx, "shop", crashPartitions)
	if err != nil {
		panic(err)
	}
	for p := range crashPartitions {
		go func() {
			for n := 0; ; n++ {
				offset, err := l.Append(ctx, p, crashFrame(p, n))
				if err != nil {
					panic(err)
				}
				fmt.Printf("%d %d %d\n", p, offset, n) // one write: lines do not mix
			}
		}()
	}
	select {}
}

// TestKilled kills a process in the middle of its appends, again and again on
// one folder: no acknowledged frame is lost, and a torn one is no damage.
func TestKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	want := map[[2]int]int{} // partition, offset -> n
	for round := range 4 {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), crashDir+"="+dir)
		var says bytes.Buffer
		child.Stderr = &says
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		in := bufio.NewReader(out)
		for lines := 0; ; lines++ {
			line, err := in.ReadString('\n')
			if err == io.EOF {
				break
			}
			var p, offset, n int
			if _, err := fmt.Sscanf(line, "%d %d %d\n", &p, &offset, &n); err != nil {
				t.Fatalf("%q: %v\n%s", line, err, says.String())
			}
			want[[2]int{p, offset}] = n
			if lines == 100+37*round {
				child.Process.Kill()
			}
		}
		child.Wait()
		if len(want) < 100*(round+1) {
			t.Fatalf("round %d: the child acknowledged %d frames in all\n%s", round, len(want), says.String())
		}

		s := start(t, Options{Dir: dir})
		l := open(t, s, crashPartitions)
		seen := 0
		for p := range crashPartitions {
			_, next, err := l.Bounds(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range readTo(t, l, p, next) {
				n, acknowledged := want[[2]int{p, int(r.Offset)}]
				if acknowledged {
					seen++
					if !bytes.Equal(r.Frame, crashFrame(p, n)) {
						t.Fatalf("round %d: offset %d of partition %d holds %.20q", round, r.Offset, p, r.Frame)
					}
				}
			}
		}
		if seen != len(want) {
			t.Fatalf("round %d: %d of %d acknowledged frames are there", round, seen, len(want))
		}
		s.Close()
	}
}

// readTo reads partition p from its first record up to offset next.
func readTo(t *testing.T, l stream.Log, p int, next uint64) []stream.Record {
	t.Helper()
	got, err := tryReadTo(t, l, p, next)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func tryReadTo(t *testing.T, l stream.Log, p int, next uint64) ([]stream.Record, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	r, err := l.Read(ctx, p, 0)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var got []stream.Record
	for len(got) == 0 || got[len(got)-1].Offset+1 < next {
		more, err := r.Next(ctx)
		if err != nil {
			return got, err
		}
		got = append(got, more...)
	}
	return got, nil
}

// TestDamage flips one bit of the n-th of ten records, with and without the
// server's index, which kill -9 does not leave behind: the record is named,
// what stands before it is read, and nothing is given its offset.
func TestDamage(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 4, 10} {
		for _, index := range []bool{true, false} {
			t.Run(fmt.Sprintf("record %d index %v", n, index), func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				s := start(t, Options{Dir: dir})
				l := open(t, s, 1)
				for i := range 10 {
					if _, err := l.Append(t.Context(), 0, bytes.Repeat(fmt.Appendf(nil, "<%04d>", i+1), 1000)); err != nil {
						t.Fatal(err)
					}
				}
				s.Close()
				flip(t, dir, bytes.Repeat(fmt.Appendf(nil, "<%04d>", n), 1000), index)

				s = start(t, Options{Dir: dir})
				l = open(t, s, 1)
				if _, next, err := l.Bounds(t.Context(), 0); err == nil && next != 11 || err != nil && !fault.Is(err, fault.Corrupt) {
					t.Fatalf("ten records were acknowledged, and the log ends below %d: %v", next, err)
				}
				got, err := tryReadTo(t, l, 0, 11)
				if !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), fmt.Sprintf("offset %d", n)) {
					t.Fatalf("read %d records, then: %v", len(got), err)
				}
				for i, r := range got {
					if r.Offset != uint64(i+1) || !bytes.Equal(r.Frame, bytes.Repeat(fmt.Appendf(nil, "<%04d>", i+1), 1000)) {
						t.Fatalf("record %d: offset %d, %.20q", i, r.Offset, r.Frame)
					}
				}
				if offset, err := l.Append(t.Context(), 0, []byte("new")); err == nil && offset <= 10 || err != nil && !fault.Is(err, fault.Corrupt) {
					t.Fatalf("append on damage: offset %d, %v", offset, err)
				}
				t.Logf("%d records, then %v", len(got), err)
			})
		}
	}
}

// flip flips one bit in the middle of payload, wherever it is on disk.
func flip(t *testing.T, dir string, payload []byte, keepIndex bool) {
	t.Helper()
	found := errors.New("found")
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".blk" {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		at := bytes.Index(data, payload)
		if at < 0 {
			return nil
		}
		data[at+len(payload)/2] ^= 4
		if err := os.WriteFile(path, data, 0o640); err != nil {
			return err
		}
		if !keepIndex {
			if err := os.Remove(filepath.Join(filepath.Dir(path), "index.db")); err != nil {
				return err
			}
		}
		return found
	})
	if err != found {
		t.Fatalf("no record to damage: %v", err)
	}
}

// TestTornTail leaves half a record at the end of the file, as kill -9 may:
// it was never acknowledged and is no damage.
func TestTornTail(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := start(t, Options{Dir: dir})
	l := open(t, s, 1)
	for range 5 {
		if _, err := l.Append(t.Context(), 0, []byte("whole")); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	blocks, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", "*", "msgs", "*.blk"))
	if err != nil || len(blocks) != 1 {
		t.Fatal(blocks, err)
	}
	data, err := os.ReadFile(blocks[0])
	if err != nil {
		t.Fatal(err)
	}
	data = append(data, data[:len(data)/5-7]...)
	if err := os.WriteFile(blocks[0], data, 0o640); err != nil {
		t.Fatal(err)
	}
	l = open(t, start(t, Options{Dir: dir}), 1)
	if got := readTo(t, l, 0, 6); len(got) != 5 {
		t.Fatalf("%d records", len(got))
	}
	if offset, err := l.Append(t.Context(), 0, []byte("next")); err != nil || offset != 6 {
		t.Fatalf("offset %d, %v", offset, err)
	}
}

// TestImage opens a copy of the folder made while the server runs, right after
// everything was trimmed: offsets go on where they were.
func TestImage(t *testing.T) {
	t.Parallel()
	dir, image := t.TempDir(), t.TempDir()
	l := open(t, start(t, Options{Dir: dir}), 1)
	for range 5 {
		if _, err := l.Append(t.Context(), 0, make([]byte, 10_000)); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Trim(t.Context(), 0, 6); err != nil {
		t.Fatal(err)
	}
	// A file that is replaced meanwhile may vanish under the copy.
	for err := os.CopyFS(image, os.DirFS(dir)); err != nil; err = os.CopyFS(image, os.DirFS(dir)) {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		image = t.TempDir()
	}
	l = open(t, start(t, Options{Dir: image}), 1)
	if first, next, err := l.Bounds(t.Context(), 0); err != nil || first != 6 || next != 6 {
		t.Fatalf("bounds %d to %d, %v", first, next, err)
	}
	if offset, err := l.Append(t.Context(), 0, []byte("next")); err != nil || offset != 6 {
		t.Fatalf("offset %d, %v", offset, err)
	}
}

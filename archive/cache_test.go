package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"anabranch/bucket/faultbucket"
	"anabranch/event"
	"anabranch/fault"
)

func tempFiles(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, "temp"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func onDisk(t testing.TB, dir string) (total int64) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, "objects"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
	}
	return total
}

type blob struct {
	name, sum string
	data      []byte
}

// blobs puts n objects of some 1000 bytes each.
func (tb *testBundle) blobs(n int) []blob {
	out := make([]blob, n)
	for i := range out {
		data := make([]byte, 900+tb.r.IntN(200))
		for j := range data {
			data[j] = byte(tb.r.Uint32())
		}
		sum := sha256.Sum256(data)
		out[i] = blob{fmt.Sprintf("shop/days/%d.parquet", i), hex.EncodeToString(sum[:]), data}
		replace(tb, tb.bucket, out[i].name, data)
	}
	return out
}

func (tb *testBundle) local(a *Archive, b blob) func() {
	tb.Helper()
	path, release, err := a.Local(context.Background(), b.name, int64(len(b.data)), b.sum)
	if err != nil {
		tb.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, b.data) {
		tb.Fatalf("%s: %d bytes, want %d: %v", path, len(got), len(b.data), err)
	}
	if filepath.Ext(path) != ".parquet" {
		tb.Fatal(path)
	}
	return release
}

func TestTheCacheKeepsItsSizeAndItsPins(t *testing.T) {
	t.Parallel()
	tb := setup(t, 31)
	dir := t.TempDir()
	blobs := tb.blobs(40)
	const limit = 10000
	a := Open(tb.bucket, "shop", tb.set, Options{CacheDir: dir, CacheBytes: limit, Clock: tb.clock})
	var wg sync.WaitGroup
	seeds := []uint64{1, 2, 3, 4}
	for _, seed := range seeds {
		wg.Go(func() {
			r := setup(t, seed).r
			type pin struct {
				blob
				path    string
				release func()
			}
			var pins []pin
			for range 400 {
				b := blobs[r.IntN(len(blobs))]
				path, release, err := a.Local(context.Background(), b.name, int64(len(b.data)), b.sum)
				if err != nil {
					t.Error(err)
					return
				}
				pins = append(pins, pin{b, path, release})
				for len(pins) > r.IntN(8) {
					i := r.IntN(len(pins))
					p := pins[i]
					if got, err := os.ReadFile(p.path); err != nil || !bytes.Equal(got, p.data) {
						t.Errorf("a pinned copy is gone: %v", err)
					}
					p.release()
					p.release() // twice is fine
					pins = append(pins[:i], pins[i+1:]...)
				}
			}
			for _, p := range pins {
				p.release()
			}
		})
	}
	wg.Wait()
	if used := onDisk(t, dir); used > limit || used != a.cache.used {
		t.Fatalf("%d bytes on disk, %d on the books, limit %d", used, a.cache.used, limit)
	}
	for _, it := range a.cache.items {
		if it.pins != 0 {
			t.Fatalf("%+v", it)
		}
	}
}

func TestTheLeastUsedCopyGoesFirst(t *testing.T) {
	t.Parallel()
	tb := setup(t, 32)
	blobs := tb.blobs(4)
	calls := faultbucket.Wrap(tb.bucket, nil)
	a := Open(calls, "shop", tb.set, Options{CacheDir: t.TempDir(), CacheBytes: 3400})
	fetched := func(i int) int {
		calls.Set(nil)
		tb.local(a, blobs[i])()
		return len(calls.Calls())
	}
	for i, want := range []struct{ blob, fetched int }{
		{0, 1}, {1, 1}, {2, 1}, {0, 0}, {3, 1}, // 1 goes
		{0, 0}, {2, 0}, {3, 0}, {1, 1}, // 0 goes
		{2, 0}, {3, 0}, {1, 0}, {0, 1},
	} {
		if got := fetched(want.blob); got != want.fetched {
			t.Fatalf("step %d, object %d: %d fetched, want %d", i, want.blob, got, want.fetched)
		}
	}
}

func TestPinnedCopiesMayGoOverTheLimit(t *testing.T) {
	t.Parallel()
	tb := setup(t, 33)
	dir := t.TempDir()
	blobs := tb.blobs(5)
	a := Open(tb.bucket, "shop", tb.set, Options{CacheDir: dir, CacheBytes: 1500})
	var releases []func()
	for _, b := range blobs {
		releases = append(releases, tb.local(a, b))
	}
	for _, b := range blobs {
		tb.local(a, b)()
	}
	for _, release := range releases {
		release()
	}
	if used := onDisk(t, dir); used > 1500 {
		t.Fatal(used)
	}
}

func TestANewProcessVerifiesWhatItFinds(t *testing.T) {
	t.Parallel()
	tb := setup(t, 34)
	dir := t.TempDir()
	blobs := tb.blobs(3)
	a := Open(tb.bucket, "shop", tb.set, Options{CacheDir: dir})
	for _, b := range blobs {
		tb.local(a, b)()
	}
	path := func(b blob) string { return filepath.Join(dir, "objects", b.sum+".parquet") }
	bad := bytes.Clone(blobs[0].data)
	bad[5] ^= 1
	for p, data := range map[string][]byte{
		path(blobs[0]): bad, path(blobs[1]): blobs[1].data[:100],
		filepath.Join(dir, "temp", "half"): {1, 2}, filepath.Join(dir, "objects", "stranger"): {1},
	} {
		if err := os.WriteFile(p, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	calls := faultbucket.Wrap(tb.bucket, nil)
	a = Open(calls, "shop", tb.set, Options{CacheDir: dir})
	for _, b := range blobs {
		tb.local(a, b)()
		tb.local(a, b)()
	}
	if n := len(calls.Calls()); n != 2 {
		t.Fatalf("%d fetched, want the two damaged ones: %v", n, calls.Calls())
	}
	if left := tempFiles(t, dir); len(left) > 0 {
		t.Fatal(left)
	}
	total := int64(1)
	for _, b := range blobs {
		total += int64(len(b.data))
	}
	if a.cache.used != total-1 || onDisk(t, dir) != total {
		t.Fatal(a.cache.used, onDisk(t, dir), total)
	}
}

func TestWhatIsNotWhatWasWrittenIsNeverHandedOut(t *testing.T) {
	t.Parallel()
	tb := setup(t, 35)
	dir := t.TempDir()
	b := tb.blobs(1)[0]
	other := b.sum[1:] + "0"
	a := Open(tb.bucket, "shop", tb.set, Options{CacheDir: dir})
	for _, c := range []struct {
		name, sum string
		size      int64
		kind      fault.Kind
	}{
		{b.name, other, int64(len(b.data)), fault.Corrupt},
		{b.name, b.sum, int64(len(b.data)) - 1, fault.Corrupt},
		{"shop/days/none.parquet", b.sum, int64(len(b.data)), fault.NotFound},
		{b.name, "../x", 5, fault.Invalid},
	} {
		if _, release, err := a.Local(t.Context(), c.name, c.size, c.sum); !fault.Is(err, c.kind) {
			t.Fatalf("%+v: %v", c, err)
		} else {
			release()
		}
	}
	if a.cache.used != 0 || onDisk(t, dir) != 0 || len(tempFiles(t, dir)) != 0 {
		t.Fatal(a.cache.used)
	}
	tb.local(a, b)()
	if _, _, err := a.Local(t.Context(), b.name, 7, b.sum); !fault.Is(err, fault.Corrupt) {
		t.Fatal(err)
	}
	none := Open(tb.bucket, "shop", tb.set, Options{})
	if _, _, err := none.Local(t.Context(), b.name, 7, b.sum); !fault.Is(err, fault.Invalid) {
		t.Fatal(err)
	}
}

func TestAFetchThatBreaksLeavesNothing(t *testing.T) {
	t.Parallel()
	tb := setup(t, 36)
	dir := t.TempDir()
	b := tb.blobs(1)[0]
	faulty := faultbucket.Wrap(tb.bucket, faultbucket.Nth(0, faultbucket.Harm{Kind: fault.Throttled, Body: true, Bytes: 500}))
	a := Open(faulty, "shop", tb.set, Options{CacheDir: dir})
	if _, _, err := a.Local(t.Context(), b.name, int64(len(b.data)), b.sum); !fault.Is(err, fault.Throttled) {
		t.Fatal(err)
	}
	if a.cache.used != 0 || onDisk(t, dir) != 0 || len(tempFiles(t, dir)) != 0 {
		t.Fatal(a.cache.used)
	}
	tb.local(a, b)()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	two := tb.blobs(2)[1]
	if _, _, err := a.Local(ctx, two.name, int64(len(two.data)), two.sum); err == nil {
		t.Fatal("fetched for a caller that had gone")
	}
	tb.local(a, two)()
}

func TestWhatIsWrittenIsLocalAtOnce(t *testing.T) {
	t.Parallel()
	tb := setup(t, 37)
	calls := faultbucket.Wrap(tb.bucket, nil)
	a := tb.open(calls, t.TempDir())
	f, err := a.WriteResult(t.Context(), "v", "1", "p", 0, "", tb.groups(1, 50))
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	if err := a.ReadResult(t.Context(), f, nil, func(b *event.Batch) error { rows += b.N; return nil }); err != nil || rows != 50 {
		t.Fatal(rows, err)
	}
	if n := len(calls.Calls()); n != 1 {
		t.Fatal(calls.Calls())
	}
}

// TestADoomedCopyStaysWhileItIsUsed: one reader finds a copy damaged; others
// have its file open by name and judge for themselves.
func TestADoomedCopyStaysWhileItIsUsed(t *testing.T) {
	t.Parallel()
	tb := setup(t, 36)
	dir := t.TempDir()
	b := tb.blobs(1)[0]
	a := Open(tb.bucket, "shop", tb.set, Options{CacheDir: dir, CacheBytes: 10_000, Clock: tb.clock})
	first, second := tb.local(a, b), tb.local(a, b)
	a.cache.doom(b.sum)
	first()
	if got := onDisk(t, dir); got != int64(len(b.data)) {
		t.Fatalf("%d bytes on disk while the copy is used, want %d", got, len(b.data))
	}
	second()
	if got := onDisk(t, dir); got != 0 || a.cache.used != 0 {
		t.Errorf("%d bytes on disk and %d on the books after the last use", got, a.cache.used)
	}
}

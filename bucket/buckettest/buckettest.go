// Package buckettest is the one suite that every bucket passes.
package buckettest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"anabranch/bucket"
	"anabranch/fault"
)

// Run runs the suite. Each test opens a bucket of its own, empty, and leaves
// closing it to open.
func Run(t *testing.T, open func(t *testing.T) bucket.Bucket) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, b bucket.Bucket)
	}{
		{"what was put is read back", readBack},
		{"what is absent is not found", absent},
		{"bad names are invalid", badNames},
		{"ranges end at the object's borders", ranges},
		{"list is in byte order and starts after", list},
		{"list of many objects", listMany},
		{"a put replaces", replace},
		{"delete", remove},
		{"create-only has one winner", createOnly},
		{"compare-and-swap loses no update", swap},
		{"a failed condition writes nothing", condition},
		{"readers see the old object or the new", atomicOverwrite},
		{"a body that was read already is put from its start", rewound},
		{"twenty megabytes", large},
		{"a cancelled context", cancelled},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, open(t))
		})
	}
}

func put(t *testing.T, b bucket.Bucket, name, content string) string {
	t.Helper()
	etag, err := b.Put(t.Context(), name, strings.NewReader(content), bucket.Condition{})
	if err != nil {
		t.Fatalf("put %s: %v", name, err)
	}
	return etag
}

func get(t *testing.T, b bucket.Bucket, name string) (string, bucket.Info) {
	t.Helper()
	body, info, err := b.Get(t.Context(), name)
	if err != nil {
		t.Fatalf("get %s: %v", name, err)
	}
	defer body.Close()
	data, err := io.ReadAll(body)
	if err != nil {
		t.Fatalf("read %s: %v", name, err)
	}
	return string(data), info
}

func names(t *testing.T, b bucket.Bucket, prefix, after string) []string {
	t.Helper()
	found := []string{}
	for info, err := range b.List(t.Context(), prefix, after) {
		if err != nil {
			t.Fatalf("list %q after %q: %v", prefix, after, err)
		}
		found = append(found, info.Name)
	}
	return found
}

func wantKind(t *testing.T, doing string, err error, want fault.Kind) {
	t.Helper()
	if !fault.Is(err, want) {
		t.Errorf("%s: error is %v (%s), want one that is %s", doing, err, fault.KindOf(err), want)
	}
}

func readBack(t *testing.T, b bucket.Bucket) {
	for name, content := range map[string]string{
		"a": "x", "empty": "", "deep/er/and/deeper.json.zst": "y", "A=1/b_c-d.e": "\x00\xff\n", ".hidden/..x": "z",
	} {
		etag := put(t, b, name, content)
		got, info := get(t, b, name)
		if got != content || info.Name != name || info.Size != int64(len(content)) || info.ETag != etag || etag == "" || info.Modified.IsZero() {
			t.Errorf("%s: read %q, %+v; put %q with ETag %q", name, got, info, content, etag)
		}
		st, err := b.Stat(t.Context(), name)
		if err != nil || st.Size != info.Size || st.ETag != info.ETag || st.Name != name || st.Modified.Unix() != info.Modified.Unix() {
			t.Errorf("stat %s: %+v, %v; get said %+v", name, st, err, info)
		}
	}
}

func absent(t *testing.T, b bucket.Bucket) {
	put(t, b, "folder/x", "x")
	for _, name := range []string{"nothing", "no/such/folder", "folder", "folder/x2", "folder/x/y"} {
		_, _, err := b.Get(t.Context(), name)
		if !errors.Is(err, bucket.ErrNotFound) {
			t.Errorf("get %s: %v", name, err)
		}
		if _, err := b.Stat(t.Context(), name); !errors.Is(err, bucket.ErrNotFound) {
			t.Errorf("stat %s: %v", name, err)
		}
		if _, err := b.Range(t.Context(), name, 0, 1); !errors.Is(err, bucket.ErrNotFound) {
			t.Errorf("range %s: %v", name, err)
		}
	}
	if got := names(t, b, "no/such/", ""); len(got) != 0 {
		t.Errorf("list of nothing: %q", got)
	}
}

func badNames(t *testing.T, b bucket.Bucket) {
	for _, name := range []string{"", "/a", "a/", "a//b", "a/../b", ".", "..", "a/.", "a b", "ä", "@temp/1", "a\x00", strings.Repeat("x/", 450) + "x"} {
		_, err := b.Put(t.Context(), name, strings.NewReader("x"), bucket.Condition{})
		wantKind(t, fmt.Sprintf("put %q", name), err, fault.Invalid)
		_, _, err = b.Get(t.Context(), name)
		wantKind(t, fmt.Sprintf("get %q", name), err, fault.Invalid)
		_, err = b.Range(t.Context(), name, 0, 0)
		wantKind(t, fmt.Sprintf("range %q", name), err, fault.Invalid)
		_, err = b.Stat(t.Context(), name)
		wantKind(t, fmt.Sprintf("stat %q", name), err, fault.Invalid)
		wantKind(t, fmt.Sprintf("delete %q", name), b.Delete(t.Context(), name), fault.Invalid)
	}
	if got := names(t, b, "", ""); len(got) != 0 {
		t.Errorf("after refused puts the bucket holds %q", got)
	}
}

func ranges(t *testing.T, b bucket.Bucket) {
	put(t, b, "r", "0123456789")
	put(t, b, "empty", "")
	for _, c := range []struct {
		name         string
		offset, size int64
		want         string
		ok           bool
	}{
		{"r", 0, 10, "0123456789", true}, {"r", 0, 1, "0", true}, {"r", 9, 1, "9", true}, {"r", 3, 4, "3456", true},
		{"r", 0, 0, "", true}, {"r", 10, 0, "", true}, {"empty", 0, 0, "", true},
		{"r", 0, 11, "", false}, {"r", 9, 2, "", false}, {"r", 10, 1, "", false}, {"r", 11, 0, "", false},
		{"r", -1, 1, "", false}, {"r", 1, -1, "", false}, {"empty", 0, 1, "", false}, {"r", 1, 1<<63 - 1, "", false},
	} {
		body, err := b.Range(t.Context(), c.name, c.offset, c.size)
		if !c.ok {
			wantKind(t, fmt.Sprintf("range %s %d+%d", c.name, c.offset, c.size), err, fault.Invalid)
			continue
		}
		if err != nil {
			t.Errorf("range %s %d+%d: %v", c.name, c.offset, c.size, err)
			continue
		}
		got, err := io.ReadAll(body)
		body.Close()
		if err != nil || string(got) != c.want {
			t.Errorf("range %s %d+%d: %q, %v; want %q", c.name, c.offset, c.size, got, err, c.want)
		}
	}
}

func list(t *testing.T, b bucket.Bucket) {
	// "-" and "." sort before "/", digits and letters behind it: a store that
	// walks folders must not be misled by that.
	all := []string{"a-b/x", "a.c", "a/b", "a/b-c", "a/b.d/z", "a/c/1", "a/c/2", "a0", "aa/x", "b"}
	for _, i := range rand.Perm(len(all)) {
		put(t, b, all[i], all[i])
	}
	if !slices.IsSorted(all) {
		t.Fatal("the test's own names are not sorted")
	}
	for _, prefix := range []string{"", "a", "a/", "a/b", "a/c/", "a/c", "a.", "a-", "b", "c", "a/b-c", "a//", "/", "aa/x/", "../", "./"} {
		for _, after := range append([]string{"", "a", "a/", "a/b/", "a/c", "a/c/15", "zzz", "a/b.d", "b", "!", "a/b.e"}, all...) {
			want := []string{}
			for _, name := range all {
				if strings.HasPrefix(name, prefix) && name > after {
					want = append(want, name)
				}
			}
			if got := names(t, b, prefix, after); !slices.Equal(got, want) {
				t.Errorf("list %q after %q: %q, want %q", prefix, after, got, want)
			}
		}
	}
	n := 0
	for info, err := range b.List(t.Context(), "a", "") {
		if err != nil || info.Size != int64(len(info.Name)) || info.Modified.IsZero() {
			t.Errorf("list: %+v, %v", info, err)
		}
		if n++; n == 3 {
			break
		}
	}
	if n != 3 {
		t.Errorf("a stopped list yielded %d", n)
	}
}

func listMany(t *testing.T, b bucket.Bucket) {
	const many = 1100 // more than one page of S3
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := w; i < many; i += 4 {
				if _, err := b.Put(t.Context(), fmt.Sprintf("many/%05d", i), strings.NewReader(""), bucket.Condition{}); err != nil {
					t.Errorf("put %d: %v", i, err)
					return
				}
			}
		})
	}
	wg.Wait()
	got := names(t, b, "many/", "many/00004")
	if len(got) != many-5 || !slices.IsSorted(got) {
		t.Errorf("list of %d objects after the fifth yields %d, sorted: %v", many, len(got), slices.IsSorted(got))
	}
}

func replace(t *testing.T, b bucket.Bucket) {
	first := put(t, b, "x/y", "one")
	second := put(t, b, "x/y", "two!")
	if first == second {
		t.Errorf("two contents share the ETag %q", first)
	}
	if got, info := get(t, b, "x/y"); got != "two!" || info.Size != 4 || info.ETag != second {
		t.Errorf("after replacing: %q, %+v", got, info)
	}
	if got := names(t, b, "", ""); !slices.Equal(got, []string{"x/y"}) {
		t.Errorf("after replacing the bucket holds %q", got)
	}
}

func remove(t *testing.T, b bucket.Bucket) {
	put(t, b, "d/one", "1")
	put(t, b, "d/two", "2")
	for range 2 {
		if err := b.Delete(t.Context(), "d/one"); err != nil {
			t.Errorf("delete: %v", err)
		}
	}
	for _, name := range []string{"d", "never/there", "d/two/x"} {
		if err := b.Delete(t.Context(), name); err != nil {
			t.Errorf("delete %s: %v", name, err)
		}
	}
	if got := names(t, b, "", ""); !slices.Equal(got, []string{"d/two"}) {
		t.Errorf("after deleting the bucket holds %q", got)
	}
	if err := b.Delete(t.Context(), "d/two"); err != nil {
		t.Error(err)
	}
	if _, err := b.Put(t.Context(), "d/one", strings.NewReader("new"), bucket.Condition{Absent: true}); err != nil {
		t.Errorf("create after delete: %v", err)
	}
}

func createOnly(t *testing.T, b bucket.Bucket) {
	for round := range 5 {
		name := fmt.Sprintf("race/%d", round)
		var winners, losers atomic.Int32
		var winner atomic.Value
		var wg sync.WaitGroup
		start := make(chan struct{})
		for g := range 16 {
			wg.Go(func() {
				<-start
				content := fmt.Sprintf("racer %d", g)
				_, err := b.Put(t.Context(), name, strings.NewReader(content), bucket.Condition{Absent: true})
				switch {
				case err == nil:
					winners.Add(1)
					winner.Store(content)
				case errors.Is(err, bucket.ErrCondition):
					losers.Add(1)
				default:
					t.Errorf("racer %d: %v", g, err)
				}
			})
		}
		close(start)
		wg.Wait()
		if winners.Load() != 1 || losers.Load() != 15 {
			t.Fatalf("%d winners and %d losers of 16", winners.Load(), losers.Load())
		}
		if got, _ := get(t, b, name); got != winner.Load() {
			t.Errorf("the object is %q, the winner put %q", got, winner.Load())
		}
	}
}

func swap(t *testing.T, b bucket.Bucket) {
	put(t, b, "counter", "0")
	var wg sync.WaitGroup
	const each, racers = 5, 4
	for range racers {
		wg.Go(func() {
			for done := 0; done < each; {
				body, info, err := b.Get(t.Context(), "counter")
				if err != nil {
					t.Errorf("get: %v", err)
					return
				}
				var n int
				_, err = fmt.Fscan(body, &n)
				body.Close()
				if err != nil {
					t.Errorf("scan: %v", err)
					return
				}
				_, err = b.Put(t.Context(), "counter", strings.NewReader(fmt.Sprint(n+1)), bucket.Condition{Match: info.ETag})
				if err == nil {
					done++
				} else if !errors.Is(err, bucket.ErrCondition) {
					t.Errorf("swap: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	if got, _ := get(t, b, "counter"); got != fmt.Sprint(each*racers) {
		t.Errorf("counter is %s after %d increments", got, each*racers)
	}
}

func condition(t *testing.T, b bucket.Bucket) {
	etag := put(t, b, "c", "kept")
	for name, c := range map[string]struct {
		name string
		when bucket.Condition
	}{
		"create of what is there":  {"c", bucket.Condition{Absent: true}},
		"match of another version": {"c", bucket.Condition{Match: "0123456789abcdef0123456789abcdef"}},
		"match of what is absent":  {"none", bucket.Condition{Match: etag}},
	} {
		_, err := b.Put(t.Context(), c.name, strings.NewReader("new"), c.when)
		if !errors.Is(err, bucket.ErrCondition) || !fault.Is(err, fault.Conflict) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, info := get(t, b, "c"); got != "kept" || info.ETag != etag {
		t.Errorf("after refused puts: %q, %+v", got, info)
	}
	if got := names(t, b, "", ""); !slices.Equal(got, []string{"c"}) {
		t.Errorf("after refused puts the bucket holds %q", got)
	}
	next, err := b.Put(t.Context(), "c", strings.NewReader("next"), bucket.Condition{Match: etag})
	if err != nil {
		t.Fatalf("match of the version that is there: %v", err)
	}
	if got, info := get(t, b, "c"); got != "next" || info.ETag != next {
		t.Errorf("after a swap: %q, %+v; the put said %q", got, info, next)
	}
}

func atomicOverwrite(t *testing.T, b bucket.Bucket) {
	const size = 256 << 10
	content := func(c byte) []byte { return bytes.Repeat([]byte{c}, size) }
	put(t, b, "o", string(content('a')))
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for ctx.Err() == nil {
				body, _, err := b.Get(t.Context(), "o")
				if err != nil {
					t.Errorf("get: %v", err)
					return
				}
				got, err := io.ReadAll(body)
				body.Close()
				if err != nil || len(got) != size || !bytes.Equal(got, content(got[0])) {
					t.Errorf("a reader saw a mixture of %d bytes, %v", len(got), err)
					return
				}
			}
		})
	}
	for i := range 25 {
		put(t, b, "o", string(content('a'+byte(i))))
	}
	cancel()
	wg.Wait()
}

func rewound(t *testing.T, b bucket.Bucket) {
	body := strings.NewReader("whole")
	io.CopyN(io.Discard, body, 3)
	if _, err := b.Put(t.Context(), "w", body, bucket.Condition{}); err != nil {
		t.Fatal(err)
	}
	if got, _ := get(t, b, "w"); got != "whole" {
		t.Errorf("put %q", got)
	}
}

func large(t *testing.T, b bucket.Bucket) {
	seed := rand.Uint64()
	data := make([]byte, 20<<20)
	r := rand.New(rand.NewPCG(seed, 0))
	for i := 0; i < len(data); i += 8 {
		v := r.Uint64()
		for j := range 8 {
			data[i+j] = byte(v >> (8 * j))
		}
	}
	if _, err := b.Put(t.Context(), "large", bytes.NewReader(data), bucket.Condition{Absent: true}); err != nil {
		t.Fatal(err)
	}
	got, info := get(t, b, "large")
	if got != string(data) || info.Size != int64(len(data)) {
		t.Errorf("seed %d: read %d other bytes, size %d", seed, len(got), info.Size)
	}
	body, err := b.Range(t.Context(), "large", 13<<20+7, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if part, err := io.ReadAll(body); err != nil || !bytes.Equal(part, data[13<<20+7:][:1<<20]) {
		t.Errorf("seed %d: a range of the large object differs: %v", seed, err)
	}
}

func cancelled(t *testing.T, b bucket.Bucket) {
	put(t, b, "x", "x")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := b.Put(ctx, "y", strings.NewReader("y"), bucket.Condition{})
	wantKind(t, "put", err, fault.Transient)
	_, _, err = b.Get(ctx, "x")
	wantKind(t, "get", err, fault.Transient)
	for _, err = range b.List(ctx, "", "") {
	}
	wantKind(t, "list", err, fault.Transient)
	if got := names(t, b, "", ""); !slices.Equal(got, []string{"x"}) {
		t.Errorf("after a cancelled put the bucket holds %q", got)
	}
}

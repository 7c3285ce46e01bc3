package deadletter

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"anabranch/bucket"
	"anabranch/fault"
)

type testBundle struct {
	bucket *bucket.Memory
	store  *Store
	now    time.Time
}

func setup(t *testing.T) *testBundle {
	b := bucket.NewMemory()
	return &testBundle{bucket: b, store: New(b, "retail"), now: time.Date(2026, 3, 1, 23, 59, 0, 0, time.UTC)}
}

func (tb *testBundle) letters(codes ...string) []Letter {
	out := make([]Letter, len(codes))
	for i, c := range codes {
		out[i] = Letter{Code: c, Message: "why " + c, Line: i + 1, Raw: []byte(fmt.Sprintf("raw \xff %d", i)), Received: tb.now, Kind: "poison"}
	}
	return out
}

func (tb *testBundle) put(t *testing.T, request string, codes ...string) []Letter {
	t.Helper()
	l := tb.letters(codes...)
	if err := tb.store.Put(t.Context(), request, l); err != nil {
		t.Fatal(err)
	}
	return l
}

func (tb *testBundle) list(t *testing.T, o Options) []string {
	t.Helper()
	var ids []string
	for l, err := range tb.store.List(t.Context(), o) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, l.ID)
	}
	return ids
}

func names(t *testing.T, b bucket.Bucket, prefix string) []string {
	t.Helper()
	var out []string
	for info, err := range b.List(t.Context(), prefix, "") {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, info.Name)
	}
	return out
}

func TestPutGetRelease(t *testing.T) {
	t.Parallel()
	tb := setup(t)
	put := tb.put(t, "a request/ü", "zero_price", "wrong_type")
	got, err := tb.store.Get(t.Context(), put[1].ID)
	if err != nil || got.Code != "wrong_type" || !bytes.Equal(got.Raw, put[1].Raw) || !got.Received.Equal(tb.now) || got.Pipeline != "retail" || got.ID != put[1].ID || got.Released != nil {
		t.Fatalf("got %+v %v", got, err)
	}
	if err := tb.store.Release(t.Context(), got.ID, Release{By: "ann", Into: "r2", At: tb.now}); err != nil {
		t.Fatal(err)
	}
	if err := tb.store.Release(t.Context(), got.ID, Release{By: "bob"}); !fault.Is(err, fault.Conflict) {
		t.Fatal(err)
	}
	for l, err := range tb.store.List(t.Context(), Options{}) {
		if released := l.Released != nil && l.Released.By == "ann"; err != nil || released != (l.ID == got.ID) {
			t.Fatalf("%+v %v", l, err)
		}
	}
	for _, id := range []string{"2026-03-01.nobody.0", strings.TrimSuffix(got.ID, "1") + "2"} {
		if _, err := tb.store.Get(t.Context(), id); !fault.Is(err, fault.NotFound) {
			t.Fatal(id, err)
		}
	}
	if _, err := tb.store.Get(t.Context(), "../x"); !fault.Is(err, fault.Invalid) {
		t.Fatal(err)
	}
}

func TestARetryReplacesAndNeverDoubles(t *testing.T) {
	t.Parallel()
	tb := setup(t)
	tb.put(t, "r", "a", "a", "b")
	tb.put(t, "r-2", "c")
	tb.put(t, "r", "a", "a", "b")
	tb.put(t, "r", "a") // the rules changed between the attempts
	counts, err := tb.store.Counts(t.Context())
	if want := map[string]int64{"a": 1, "c": 1}; err != nil || !maps.Equal(counts, want) {
		t.Fatalf("counts %v %v, want %v", counts, err, want)
	}
	if n := names(t, tb.bucket, "letters/retail/"); len(n) != 2 {
		t.Fatal(n)
	}
}

func TestNothingToPutMakesNoObject(t *testing.T) {
	t.Parallel()
	tb := setup(t)
	tb.put(t, "r")
	if n := names(t, tb.bucket, ""); len(n) != 0 {
		t.Fatal(n)
	}
}

func TestListPagesInEveryOrder(t *testing.T) {
	t.Parallel()
	tb := setup(t)
	byDay := map[string][]string{}
	var all []string
	for range 4 {
		for _, request := range []string{"ab", "ab-c", "b", "b=1"} { // "-" sorts before the dot behind a request
			tb.put(t, request, "x", "y", "x")
		}
		tb.now = tb.now.AddDate(0, 0, 1)
	}
	all = tb.list(t, Options{})
	if len(all) != 4*4*3 {
		t.Fatal(len(all), all)
	}
	for _, id := range all {
		byDay[id[:10]] = append(byDay[id[:10]], id)
	}
	var newest []string
	for i := 4; i >= 1; i-- {
		newest = append(newest, byDay[fmt.Sprintf("2026-03-%02d", i)]...)
	}
	for _, c := range []struct {
		name string
		o    Options
		want []string
	}{
		{"oldest first", Options{}, all},
		{"newest first", Options{Newest: true}, newest},
		{"since", Options{Since: time.Date(2026, 3, 3, 15, 0, 0, 0, time.UTC)}, all[24:]},
		{"since, newest", Options{Since: time.Date(2026, 3, 3, 15, 0, 0, 0, time.UTC), Newest: true}, newest[:24]},
	} {
		for limit := 1; limit < 8; limit++ {
			var got []string
			for o := c.o; ; {
				o.Limit = limit
				page := tb.list(t, o)
				got = append(got, page...)
				if len(page) < limit {
					break
				}
				o.After = page[len(page)-1]
			}
			if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
				t.Fatalf("%s, %d a page:\n%s\nwant\n%s", c.name, limit, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		}
	}
	if y := tb.list(t, Options{Codes: []string{"y"}}); len(y) != 16 {
		t.Fatal(y)
	}
	if z := tb.list(t, Options{Codes: []string{"z"}}); len(z) != 0 {
		t.Fatal(z)
	}
}

func TestCodesThatFitNoNameAreCountedInside(t *testing.T) {
	t.Parallel()
	tb := setup(t)
	tb.put(t, "odd", "price is 0!", "ok", "ok")
	var many []string
	for i := range 100 {
		many = append(many, fmt.Sprintf("code_%d", i))
	}
	tb.put(t, strings.Repeat("long", 500), many...)
	for _, n := range names(t, tb.bucket, "") {
		if err := bucket.CheckName(n); err != nil {
			t.Fatal(err)
		}
	}
	counts, err := tb.store.Counts(t.Context())
	if err != nil || len(counts) != 102 || counts["ok"] != 2 || counts["price is 0!"] != 1 || counts["code_99"] != 1 {
		t.Fatal(counts, err)
	}
	if got := tb.list(t, Options{Codes: []string{"ok"}}); len(got) != 2 {
		t.Fatal(got)
	}
}

func TestCountsGoOnFromSettledDays(t *testing.T) {
	t.Parallel()
	tb := setup(t)
	want := map[string]int64{}
	for day := range 9 {
		for r := range 3 {
			tb.put(t, fmt.Sprint("r", r), "a", fmt.Sprint("d", day))
			want["a"]++
			want[fmt.Sprint("d", day)]++
		}
		got, err := tb.store.Counts(t.Context())
		if err != nil || !maps.Equal(got, want) {
			t.Fatalf("day %d: %v %v, want %v", day, got, err, want)
		}
		again, err := New(tb.bucket, "retail").Counts(t.Context())
		if err != nil || !maps.Equal(again, want) {
			t.Fatalf("day %d, a new store: %v %v, want %v", day, again, err, want)
		}
		tb.now = tb.now.AddDate(0, 0, 1)
	}
	if tb.store.settled.day != "2026-03-07" {
		t.Fatal(tb.store.settled)
	}
}

func TestDamageIsNamed(t *testing.T) {
	t.Parallel()
	tb := setup(t)
	id := tb.put(t, "r", "a", "b")[0].ID
	name := names(t, tb.bucket, "letters/")[0]
	good, err := tb.store.object(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1 << (i % 8)
		if _, err := tb.bucket.Put(context.Background(), name, bytes.NewReader(bad), bucket.Condition{}); err != nil {
			t.Fatal(err)
		}
		if _, err := tb.store.Get(t.Context(), id); !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), name) {
			t.Fatalf("byte %d: %v", i, err)
		}
	}
}

// The number in a name is counted without looking inside: it has to be right.
func TestAnObjectThatHoldsOthersThanItsNameSays(t *testing.T) {
	t.Parallel()
	tb := setup(t)
	id := tb.put(t, "r", "a", "b")[0].ID
	name := names(t, tb.bucket, "letters/")[0]
	good, err := tb.store.object(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tb.bucket.Put(t.Context(), strings.Replace(name, ".2.", ".3.", 1), bytes.NewReader(good), bucket.Condition{}); err != nil {
		t.Fatal(err)
	}
	if err := tb.bucket.Delete(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	if _, err := tb.store.Get(t.Context(), id); !fault.Is(err, fault.Corrupt) {
		t.Fatal(err)
	}
}

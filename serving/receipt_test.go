package serving_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"anabranch/archive"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/serving"
	"anabranch/view"
)

func TestReceiptsThatAreHandedIn(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]map[string]event.Cut{
		"": nil,
		`{"pipeline":"shop","positions":["2/7/1","0/3/0","2/5/9"]}`:                                        {"shop": {4, 0, 8}},
		`{"pipeline":"shop","positions":[]}`:                                                               {"shop": nil},
		`{"as_of":"2026-01-01T00:00:00Z","pipelines":{"shop":{"manifest":3,"at":[4,9]},"sea":{"at":[1]}}}`: {"shop": {4, 9}, "sea": {1}},
		`{"pipelines":{}}`: {},
	} {
		got, err := serving.ParseAtLeast(text)
		if err != nil || !maps.EqualFunc(got, want, func(a, b event.Cut) bool { return slices.Equal(a, b) }) {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"x", "{}", "[]", `{"positions":["0/1/1"]}`, `{"pipeline":"shop","pipelines":{"shop":{"at":[1]}}}`,
		`{"pipeline":"shop","positions":["0/1"]}`, `{"pipelines":{"shop":{"at":[-1]}}}`,
		`{"pipeline":"shop","positions":["2147483647/1/1"]}`, // must not take 16 GB
	} {
		if got, err := serving.ParseAtLeast(text); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
}

// A receipt adds up what batch and speed have counted.
func TestReceiptOfAnAnswer(t *testing.T) {
	t.Parallel()
	s := serving.New(serving.Options{})
	src := &serving.Source{Name: "shop", DeadLetters: func() int64 { return 6 }, Lateness: time.Hour}
	day := []archive.DayFile{{Days: []archive.DayRows{{Day: 2}}}, {Days: []archive.DayRows{{Day: 1}}}}
	m := &archive.Manifest{Version: 3, K: 2, Cut: event.Cut{5}, Counted: 100, Duplicates: 10, Days: day}
	d := &view.Delta{At: event.Cut{8}, Counted: 7, Duplicates: 4, MaxTime: 24 * time.Hour.Microseconds()}
	got := s.Receipt(&serving.Pin{Source: src, Manifest: m, Delta: d, Stale: "away"}).Pipelines["shop"]
	if got.Manifest != 3 || got.Barrier != 2 || got.ManifestHash != m.Hash() || !slices.Equal(got.Cut, m.Cut) || !slices.Equal(got.At, d.At) {
		t.Errorf("where it stands: %+v", got)
	}
	if got.RowsBatch != 100 || got.RowsSpeed != 7 || got.Duplicates != 14 || got.DeadLetters != 6 || !got.Stale || got.StaleBecause != "away" {
		t.Errorf("what it counts: %+v", got)
	}
	if got.CompleteTo != "1970-01-02 23:00:00" {
		t.Errorf("complete to %s", got.CompleteTo)
	}
}

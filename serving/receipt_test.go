package serving_test

import (
	"maps"
	"slices"
	"testing"

	"anabranch/event"
	"anabranch/fault"
	"anabranch/serving"
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

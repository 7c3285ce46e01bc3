package view

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"anabranch/event"
)

// TestChanged folds into several states at random and keeps up with all of them
// together by what changed: every group has to be as in all of them merged.
func TestChanged(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 8))
		v, shape := fuzzView()
		states, marks := make([]*State, 1+rnd.IntN(4)), []Mark(nil)
		for i := range states {
			states[i], marks = v.New(), append(marks, 0)
		}
		have := map[string]string{}
		for step := range 12 {
			for range rnd.IntN(4) {
				s := states[rnd.IntN(len(states))]
				b := randomBatch(rnd, shape, len(v.program.keys), 1+rnd.IntN(30), false)
				switch rnd.IntN(3) {
				case 0:
					o := v.New()
					check(t, o.Fold(b, nil))
					check(t, s.Merge(o))
				case 1:
					o := v.New()
					check(t, o.Fold(b, nil))
					groups, err := o.Groups()
					check(t, err)
					check(t, s.MergeGroups(groups))
				default:
					check(t, s.Fold(b, nil))
				}
			}
			some, all := Changes(states, marks)
			got, err := v.Changed(states, marks)
			check(t, err)
			if got.Len() > some || some > all {
				t.Fatalf("seed %d, step %d: %d groups changed, counted %d of %d", seed, step, got.Len(), some, all)
			}
			for key, state := range groupsOf(t, got) {
				have[key] = state
			}
			whole := v.New()
			for i, s := range states {
				check(t, whole.Merge(s))
				marks[i] = s.Mark()
			}
			want := groupsOf(t, whole)
			if len(have) != len(want) {
				t.Fatalf("seed %d, step %d: %d groups, want %d", seed, step, len(have), len(want))
			}
			for key, state := range want {
				if have[key] != state {
					t.Fatalf("seed %d, step %d: group %q is behind", seed, step, key)
				}
			}
			if none, err := v.Changed(states, marks); err != nil || none.Len() != 0 {
				t.Fatalf("seed %d, step %d: %d groups changed after all was seen, %v", seed, step, none.Len(), err)
			}
		}
	}
}

// groupsOf returns the states of groups by their keys.
func groupsOf(t *testing.T, s *State) map[string]string {
	t.Helper()
	b, err := s.Groups()
	check(t, err)
	of := map[string]string{}
	last := len(b.Columns) - 1
	for i := range b.N {
		var key []byte
		for k := range last {
			key = appendOrdered(key, &b.Columns[k], i)
		}
		of[string(key)] = string(b.Columns[last].Bytes(i))
	}
	return of
}

// TestOrderedKeys: rendered keys are in the order of Sorted, and no two equal.
func TestOrderedKeys(t *testing.T) {
	t.Parallel()
	groups, err := fuzzState(t, 3000).Groups()
	check(t, err)
	var before []byte
	for i := range groups.N {
		var key []byte
		for k := range groups.Columns[:len(groups.Columns)-1] {
			key = appendOrdered(key, &groups.Columns[k], i)
		}
		if i > 0 && bytes.Compare(before, key) >= 0 {
			t.Fatalf("key %d, %q, is not above %q", i, key, before)
		}
		before = key
	}
	texts := []string{"", "\x00", "\x00\x00", "\x00\x01", "\x00\xff", "\x01", "a", "a\x00", "a\x00b", "ab", "\xff", "\xff\xff"}
	c := &event.Column{Type: event.Type{Kind: event.Bytes}, Dict: &event.Dict{Offsets: []uint32{0}}}
	var keys []string
	for i, text := range texts {
		c.Codes = append(c.Codes, c.Dict.Append([]byte(text)))
		keys = append(keys, string(appendOrdered(nil, c, i)))
	}
	if !slices.IsSorted(keys) {
		t.Errorf("%q", keys)
	}
}

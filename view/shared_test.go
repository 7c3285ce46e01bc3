package view

import (
	"bytes"
	"sync"
	"testing"
)

// TestAStateNobodyChangesIsReadByMany runs all readers of one state at once;
// the race detector is the judge.
func TestAStateNobodyChangesIsReadByMany(t *testing.T) {
	t.Parallel()
	s := fuzzState(t, 300)
	want := finishImage(t, s)
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			into := s.view.New()
			if err := into.Merge(s); err != nil {
				t.Error(err)
			}
			if _, err := s.AppendBinary(nil); err != nil {
				t.Error(err)
			}
			if _, err := s.Result(); err != nil {
				t.Error(err)
			}
			if s.Len() != s.Clone().Len() || s.Bytes() == 0 {
				t.Error("a clone of another length")
			}
			for _, state := range []*State{s, into} {
				groups, result, err := state.Finish()
				if err != nil || !bytes.Equal(append(image(groups), image(result)...), want) {
					t.Error("a reader saw something else", err)
				}
			}
		})
	}
	wait.Wait()
}

// TestWhatWasHandedOutStays: batches returned before do not change when the
// state goes on.
func TestWhatWasHandedOutStays(t *testing.T) {
	t.Parallel()
	s := fuzzState(t, 300)
	result, err := s.Result()
	check(t, err)
	groups, finished, err := s.Finish()
	check(t, err)
	before := [][]byte{image(result), image(groups), image(finished)}
	more := fuzzState(t, 900)
	check(t, s.Merge(more))
	s.Reset()
	check(t, s.Merge(more))
	check(t, s.Merge(s))
	for i, b := range [][]byte{image(result), image(groups), image(finished)} {
		if !bytes.Equal(b, before[i]) {
			t.Errorf("batch %d changed", i)
		}
	}
}

// TestEmptyAndKeyless: a view without keys has its one row from the start.
func TestEmptyAndKeyless(t *testing.T) {
	t.Parallel()
	v := testView(nil, nil, []aggregate{{fn: aggCountStar, arg: -1, by: -1, filter: -1, out: outType(aggCountStar, outType(aggCount, testKinds[0]))}})
	s := v.New()
	for range 2 {
		groups, result, err := s.Finish()
		check(t, err)
		if groups.N != 1 || result.N != 1 || result.Columns[0].Ints[0] != 0 || s.Len() != 1 {
			t.Fatalf("%d groups, %d rows", groups.N, result.N)
		}
		check(t, s.MergeGroups(groups))
		data, err := s.AppendBinary(nil)
		check(t, err)
		check(t, s.UnmarshalBinary(data))
		s.Reset()
	}
	empty := fuzzState(t, 0)
	groups, result, err := empty.Finish()
	check(t, err)
	if groups.N != 0 || result.N != 0 || empty.Len() != 0 {
		t.Fatal("groups without rows")
	}
}

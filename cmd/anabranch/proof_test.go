package main

import (
	"slices"
	"testing"
)

func TestCompareRowsFindsEveryDifference(t *testing.T) {
	t.Parallel()
	truth := [][]string{{"day", "n"}, {"1", "10"}, {"2", "20"}}
	for _, c := range []struct {
		name   string
		merged [][]string
		equal  int
		says   []string
	}{
		{"equal in another order", [][]string{{"day", "n"}, {"2", "20"}, {"1", "10"}}, 2, nil},
		{"a wrong value", [][]string{{"day", "n"}, {"1", "10"}, {"2", "21"}}, 1, []string{"got 2,21, want 2,20"}},
		{"a missing row", [][]string{{"day", "n"}, {"1", "10"}}, 1, []string{"2,20 is missing"}},
		{"one row too much", [][]string{{"day", "n"}, {"1", "10"}, {"2", "20"}, {"3", "0"}}, 2, []string{"3,0 is too much"}},
		{"one row twice", [][]string{{"day", "n"}, {"1", "10"}, {"2", "20"}, {"2", "20"}}, 2, []string{`two rows of ["2"]`}},
		{"other columns", [][]string{{"day", "m"}, {"1", "10"}, {"2", "20"}}, 0, []string{"the columns are not those of the truth"}},
		{"nothing", nil, 0, []string{"the columns are not those of the truth"}},
	} {
		equal, says := compareRows(c.merged, truth, 1)
		if equal != c.equal || !slices.Equal(says, c.says) {
			t.Errorf("%s: %d %q, want %d %q", c.name, equal, says, c.equal, c.says)
		}
	}
}

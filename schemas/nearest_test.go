package schemas

import "testing"

func TestNearest(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ word, want string }{
		{"cuontry", "country"}, {"countr", "country"}, {"countries", "country"}, {"c", ""}, {"COUNTRY", "country"}, {"da", "day"}, {"something", ""}, {"", ""},
	} {
		if got := Nearest(c.word, []string{"country", "day", "net_milli"}); got != c.want {
			t.Errorf("%q: %q, want %q", c.word, got, c.want)
		}
	}
}

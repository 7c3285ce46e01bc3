package pgwire_test

import (
	"testing"
)

// Arrays come as text from drivers that do not know their type: spaces around
// elements are none of theirs, those inside quotes are.
func TestArraysAsText(t *testing.T) {
	t.Parallel()
	b := open(t)
	b.fold("shops", 1, 20)
	c := b.connect().PgConn()
	for _, text := range []string{
		`{r,v}`, `{"r","v"}`, `{"v", "r"}`, `{ "v" , "r" }`, "{\n\t\"v\",\n\t\"r\"\n}", `{v, r }`, `{v , "r"}`, `{NULL, "r"}`,
	} {
		const query = "SELECT count(*) FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind = ANY($2)"
		r := c.ExecParams(t.Context(), query, [][]byte{[]byte("shops"), []byte(text)}, nil, nil, nil).Read()
		if r.Err != nil || len(r.Rows) != 1 || string(r.Rows[0][0]) != "2" {
			t.Errorf("%s: %q %v, want the two views of shops", text, r.Rows, r.Err)
		}
	}
	for text, want := range map[string]string{
		`{" a"}`: "f", `{"a "}`: "f", `{"a", " a"}`: "t", `{ "a" }`: "t", `{b, a}`: "t", `{"b","a\""}`: "f", `{}`: "f", `{""}`: "f",
	} {
		r := c.ExecParams(t.Context(), "SELECT coalesce('a' = ANY($1), false)", [][]byte{[]byte(text)}, nil, nil, nil).Read()
		if r.Err != nil || len(r.Rows) != 1 || string(r.Rows[0][0]) != want {
			t.Errorf("'a' = ANY('%s'): %q %v, want %s", text, r.Rows, r.Err, want)
		}
	}
	// As literals: clients that put parameters in themselves.
	for where, want := range map[string]string{
		`shop = ANY('{"shop ''1''", "x"}')`: "1", `shop = ANY('{"shop ''1''"}'::text[])`: "1", `n = ANY('{1,2,3}')`: "all", `n <> ALL ('{1, 2, 3}'::bigint[])`: "none",
		`shop = ANY('{}')`: "0", `shop = SOME('{NULL,"shop ''1''"}')`: "1",
	} {
		r := c.ExecParams(t.Context(), "SELECT count(*), count(*) FILTER (n <= 3), count(*) FILTER (n > 3) FROM shops.by_shop WHERE "+where, nil, nil, nil, nil).Read()
		small := c.ExecParams(t.Context(), "SELECT count(*) FILTER (n <= 3), count(*) FILTER (n > 3) FROM shops.by_shop", nil, nil, nil, nil).Read()
		if r.Err != nil || small.Err != nil {
			t.Errorf("%s: %v %v", where, r.Err, small.Err)
			continue
		}
		got := string(r.Rows[0][0])
		switch want {
		case "all":
			want = string(small.Rows[0][0])
		case "none":
			want = string(small.Rows[0][1])
		}
		if got != want {
			t.Errorf("%s: %s, want %s", where, got, want)
		}
	}
}

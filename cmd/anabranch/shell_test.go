package main

import (
	"errors"
	"slices"
	"testing"
)

func TestWhenAQueryIsComplete(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"": true, `\d`: true, "SELECT 1": false, "SELECT 1;": true, "SELECT 1 ; \n": true, "SELECT ';'": false, "SELECT ';": false,
		"SELECT ';';": true, "SELECT 1; -- done": true, "SELECT 1 -- ;": false, "SELECT 1 /* ; */": false, "SELECT 1 /* x */;": true, "SELECT \";\" ;": true, "SELECT 1; SELECT": false, "SELECT 1; SELECT 2;": true, "SELECT 1; /*": false, "-- ;": true, ";": true, "/* ;": false, "-- it's\nSELECT 1;": true,
	} {
		if complete(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}

func TestQueriesOfALine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		queries []string
		rest    string
	}{
		"":                         {},
		" ; ;; -- nothing":         {},
		"SELECT 1; SELECT 2;":      {[]string{"SELECT 1", "SELECT 2"}, ""},
		"SELECT ';'; SELECT \";\"": {[]string{"SELECT ';'"}, "SELECT \";\""},
		"SELECT 1 /* ; */; -- ;\nSELECT 'it''s;'; /* done": {[]string{"SELECT 1 /* ; */", "-- ;\nSELECT 'it''s;'"}, "/* done"},
		`SELECT $$it's; $$, E'it\'s;'; SELECT 2`:           {[]string{`SELECT $$it's; $$, E'it\'s;'`}, "SELECT 2"},
		"SELECT 1 /* /* ; */ ; */; SELECT 2;":              {[]string{"SELECT 1 /* /* ; */ ; */", "SELECT 2"}, ""},
		"SELECT $t$ open; $$;":                             {nil, "SELECT $t$ open; $$;"},
		"SELECT 'open;":                                    {nil, "SELECT 'open;"},
	} {
		if queries, rest := split(text); !slices.Equal(queries, want.queries) || rest != want.rest {
			t.Errorf("%q: %q and %q", text, queries, rest)
		}
	}
}

func TestCompletions(t *testing.T) {
	t.Parallel()
	s := &shell{names: []string{"country", "retail.country_day", "retail.day"}}
	for text, want := range map[string][]string{
		"SELECT cou":         {"country", "retail.country_day", "count"},
		"SELECT * FROM reta": {"retail.country_day", "retail.day"},
		"SELECT sum(x)FRO":   {"FROM"},
		"sel":                {"SELECT"},
	} {
		if got := s.completions(text); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestThePlaceIsMarked(t *testing.T) {
	t.Parallel()
	got := marked("SELECT\n  shup FROM x", errors.New(`there is no column "shup" (line 2, column 3)`))
	if want := "    shup FROM x\n    ^\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

package sql_test

import (
	"fmt"
	"strings"
	"testing"

	"anabranch/archive"
	"anabranch/schemas"
	"anabranch/serving/sql"
	"anabranch/view"
)

// Columns that come straight from a view or a reference table say so, with
// their comments, on every way to ask; computed ones do not.
func TestColumnsSayWhereTheyComeFrom(t *testing.T) {
	t.Parallel()
	b := setup(t)
	// The schema tells what the view does not: of what stands as it is, only.
	schema, err := schemas.Parse(1, []byte(strings.Replace(shop, `{"name":"shop",`, `{"name":"shop","doc":"where it was sold",`, 1)))
	if err != nil || schema.Shape().Fields[0].Doc == "" {
		t.Fatal(schema.Shape().Fields, err)
	}
	v, err := view.Compile(t.Context(), view.Source{Name: "by_shop", SQL: "SELECT shop, upper(shop) AS loud, min(shop) AS least,\n count(*) AS n -- sales\nFROM events GROUP BY ALL"}, schema.Shape(), "ts")
	if err != nil {
		t.Fatal(err)
	}
	b.sources[0].Views, b.speed.states["by_shop"] = []*view.View{v, b.views[1]}, v.New()
	b.sources[0].References = []archive.Reference{b.brought("owners", "1", "{owner: {comment: who}}", owners)}
	if got := strings.Join(b.ask("DESCRIBE shops.by_shop"), " "); got != "least|VARCHAR|YES|NULL|NULL loud|VARCHAR|YES|KEY|NULL n|BIGINT|NO|NULL|sales shop|VARCHAR|YES|KEY|where it was sold" {
		t.Error(got)
	}
	const s, h, o = "shops.by_shop", "shops.by_hour", "shops.owners"
	for query, want := range map[string][]string{
		"SELECT shop, n + 1, n AS many FROM shops.by_shop":     {s + "(where it was sold)", "", s + "(sales)"},
		"SELECT * FROM shops.by_shop":                          {s + "(where it was sold)", s, s, s + "(sales)"},
		"FROM SHOPS.BY_SHOP":                                   {s + "(where it was sold)", s, s, s + "(sales)"},
		"SELECT 1, *, n FROM shops.by_shop":                    {"", s + "(where it was sold)", s, s, s + "(sales)", s + "(sales)"},
		"SELECT * EXCLUDE (loud, least) FROM shops.by_shop":    {s + "(where it was sold)", s + "(sales)"},
		"SELECT * REPLACE (1 AS n) FROM shops.by_shop":         {"", "", "", ""},
		"SELECT shop, sum(n) FROM shops.by_shop GROUP BY shop": {s + "(where it was sold)", ""},
		"SELECT x.n, owner, hour FROM shops.by_shop x JOIN shops.owners USING (shop) JOIN shops.by_hour h ON true": {s + "(sales)", o + "(who)", h},
		"SELECT * FROM shops.by_shop JOIN shops.owners USING (shop)":                                               {"", s, s, s + "(sales)", o + "(who)", o, o},
		"SELECT n FROM (SELECT shop AS n FROM shops.by_shop)":                                                      {""},
		"WITH by_shop AS (SELECT 1 AS n) SELECT n FROM by_shop":                                                    {""},
		"SELECT * FROM shops.by_shop, (SELECT 1 AS extra)":                                                         {"", "", "", "", ""},
		"SELECT * FROM shops.by_shop AS t(n, shop, least, loud)":                                                   {"", "", "", ""},
		"SELECT n FROM shops.by_shop AS t(n, shop, least, loud)":                                                   {""},
		"SELECT n FROM shops.by_shop UNION ALL SELECT 1":                                                           {""},
		"SELECT COLUMNS('n') FROM shops.by_shop":                                                                   {""},
		"SHOW SCHEMAS":                                                                                             {""},
	} {
		r := sql.Request{SQL: query}
		a, err := b.engine.Query(t.Context(), r)
		if err != nil {
			t.Errorf("%s: %v", query, err)
			continue
		}
		a.Close()
		d, err := b.engine.Describe(t.Context(), r)
		if err != nil {
			t.Errorf("%s: %v", query, err)
		}
		records, err := b.engine.Records(t.Context(), r)
		if err != nil {
			t.Errorf("%s: %v", query, err)
			continue
		}
		held, err := b.engine.Hold(t.Context(), r)
		if err != nil || !held.Schema.Equal(records.Schema) || !held.Schema.Field(0).Metadata.Equal(records.Schema.Field(0).Metadata) {
			t.Errorf("%s: held %v, %v", query, held.Schema, err)
		}
		told := func(c sql.Column) string {
			if c.Comment != "" {
				return c.View + "(" + c.Comment + ")"
			}
			return c.View
		}
		var answered, described, arrow []string
		for i, c := range a.Columns {
			answered = append(answered, told(c))
			described = append(described, told(d.Columns[i]))
			m := records.Schema.Field(i).Metadata
			table, _ := m.GetValue("ARROW:FLIGHT:SQL:TABLE_NAME")
			pipeline, _ := m.GetValue("ARROW:FLIGHT:SQL:SCHEMA_NAME")
			comment, _ := m.GetValue("comment")
			arrow = append(arrow, told(sql.Column{View: strings.Trim(pipeline+"."+table, "."), Comment: comment}))
		}
		for _, got := range [][]string{answered, described, arrow} {
			if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
				t.Errorf("%s: %q\nwant %q", query, got, want)
			}
		}
		records.Close()
		held.Close()
	}
}

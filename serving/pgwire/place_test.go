package pgwire_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// Programs mark the place of an error in what was sent: psql with a caret,
// pgAdmin and DBeaver in the editor. It is counted in characters, over all the
// statements that came together, and whatever the door writes anew.
func TestPlaceOfErrors(t *testing.T) {
	t.Parallel()
	b := open(t)
	b.fold("shops", 1, 50)
	c := b.connect().PgConn()
	for _, q := range []string{ // the place is behind @, which is not sent
		"SELECT shop, @nn FROM shops.by_shop",
		"SELECT shop,\n  n,\n  @nn\nFROM shops.by_shop",
		"SELECT 'über Köln — Łódź', @nn FROM shops.by_shop",
		"SELECT '東京 e\u0301', 'ﬁ', @nn FROM shops.by_shop",
		"SELECT '東京', @read_text('/etc/passwd')",
		"SELECT '東京' AS \"köln\",\n\t'é' || @nn || shop FROM by_shop",
		"SELECT '" + strings.Repeat("東京ü", 100) + "', @nn, '" + strings.Repeat("東京ü", 100) + "' FROM by_shop",
		"SELECT 1; SELECT shop, @nn FROM shops.by_shop; SELECT 2",
		"SELECT 1;\n\nSELECT shop,\n@nn FROM shops.by_shop",
		"SELECT shop FROM by_shop JOIN by_hour USING (shop) WHERE @nn > 1",
		"SELECT to_char(hour, 'YYYY-MM-DD HH24:MI'), hour AT TIME ZONE 'UTC', @nn FROM by_hour",
		"SELECT anabranch.shops.by_shop.shop, @nn FROM anabranch.shops.by_shop",
		"SELECT shop FROM shops.by_shop WHERE n > 1 @GRUOP BY shop",
		"SELECT @read_text('/etc/passwd')",
		"  -- of a shop\nEXPLAIN SELECT shop FROM by_shop, @shops.by_shp",
		"EXPLAIN (FORMAT JSON) SELECT shop FROM @shops.by_shp",
		"COPY (  SELECT shop, @nn FROM by_shop) TO STDOUT",
		"BEGIN; DECLARE c CURSOR FOR SELECT shop, @nn FROM by_shop",
		"SELECT * FROM shops.by_shop, @shops.by_shp",
		"EXPLAIN SELECT shop, @nn FROM by_shop",
		"SELECT @relnam FROM pg_class",
		"SELECT 'ü', c.relname::text,\n  @c.relnam FROM pg_catalog.pg_class c WHERE c.relname ~ '^x'",
		"SELECT oid::regclass FROM pg_catalog.pg_class\nWHERE relname OPERATOR(pg_catalog.~) 'x' COLLATE pg_catalog.default AND @relnam = 'x'",
		"SELECT relname FROM pg_catalog.@pg_clas",
		"SELECT relname FROM pg_catalog.pg_class c, pg_catalog.@pg_clas d",
		"SELECT 1; SELECT relname, @nosuch(oid) FROM pg_class",
		"SELECT oid FROM pg_class WHERE oid = 1 @GRUOP BY oid",
		"SELECT relname, relname @+ 1 FROM pg_class",
	} {
		want := strings.IndexRune(q, '@')
		want = len([]rune(q[:want])) + 1
		q = strings.Replace(q, "@", "", 1)
		_, err := c.Exec(t.Context(), q).ReadAll()
		var e *pgconn.PgError
		if !errors.As(err, &e) || int(e.Position) != want {
			t.Errorf("%s: %v at %d, want %d", q, err, position(e), want)
		}
		if !strings.HasPrefix(q, "EXPLAIN") && !strings.Contains(q, "DECLARE") {
			all := c.ExecParams(t.Context(), q, nil, nil, nil, nil).Read()
			if errors.As(all.Err, &e) && !strings.Contains(q, ";") && int(e.Position) != want {
				t.Errorf("%s, prepared: %v at %d, want %d", q, all.Err, position(e), want)
			}
		}
		if _, err := c.Exec(t.Context(), "ROLLBACK").ReadAll(); err != nil {
			t.Fatal(err)
		}
	}
}

func position(e *pgconn.PgError) int32 {
	if e == nil {
		return 0
	}
	return e.Position
}

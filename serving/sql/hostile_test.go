package sql_test

import (
	"database/sql"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"anabranch/fault"
	engine "anabranch/serving/sql"
)

// hostile are statements of strangers. $CACHE is the folder that the engine
// may read, $FILE a file in it, $OUT a file that must not come to be.
var hostile = []string{
	// Statements that are no SELECT.
	"CREATE TABLE x AS SELECT 1", "CREATE TEMP TABLE x(a INT)", "CREATE VIEW v AS SELECT 1", "CREATE MACRO m(a) AS a", "CREATE SECRET s (TYPE s3)",
	"DROP TABLE shops.by_shop", "DROP VIEW shops.by_shop", "INSERT INTO shops.by_shop SELECT * FROM shops.by_shop", "DELETE FROM shops.by_shop",
	"UPDATE shops.by_shop SET n = 1", "TRUNCATE shops.by_shop", "ALTER TABLE shops.by_shop RENAME TO x", "MERGE INTO shops.by_shop USING shops.by_hour ON true WHEN MATCHED THEN DELETE",
	"COPY (SELECT 1) TO '$OUT'", "COPY shops.by_shop TO '$OUT' (FORMAT parquet)", "COPY shops.by_shop FROM '$FILE'", "COPY FROM DATABASE memory TO temp",
	"EXPORT DATABASE '$OUT'", "IMPORT DATABASE '$CACHE'", "ATTACH '$OUT' AS x", "ATTACH ':memory:' AS y", "DETACH memory", "USE memory", `USE "cut 1"`,
	"INSTALL httpfs", "LOAD httpfs", "UPDATE EXTENSIONS", "SET memory_limit='1TB'", "SET GLOBAL threads=64", "RESET memory_limit", "SET enable_external_access=true", "SET VARIABLE x = 1",
	"PRAGMA database_list", "PRAGMA show_tables", "PRAGMA enable_profiling", "PRAGMA threads=9", "CALL pragma_version()", "CHECKPOINT", "FORCE CHECKPOINT", "VACUUM", "ANALYZE",
	"BEGIN", "COMMIT", "ROLLBACK", "PREPARE p AS SELECT 1", "EXECUTE p", "DEALLOCATE p", "EXPLAIN ANALYZE COPY (SELECT 1) TO '$OUT'", "COMMENT ON TABLE shops.by_shop IS 'x'",
	"SELECT 1; DROP VIEW shops.by_shop", "SELECT 1;SELECT 2", "; ATTACH '$OUT'",
	"WITH x AS (DELETE FROM shops.by_shop RETURNING *) SELECT * FROM x", "SELECT 1 INTO x",
	// Files, by function and by name.
	"SELECT * FROM read_csv('/etc/passwd')", "SELECT * FROM read_text('$FILE')", "SELECT * FROM read_blob('$FILE')", "SELECT * FROM read_parquet('$FILE')",
	"SELECT * FROM parquet_scan('$FILE')", "SELECT * FROM parquet_metadata('$FILE')", "SELECT * FROM read_json('$FILE')", "SELECT * FROM glob('$CACHE/*')",
	"SELECT * FROM sniff_csv('$FILE')", "SELECT * FROM '$FILE'", "FROM '$FILE'", `SELECT * FROM "$FILE"`, "SELECT * FROM shops.by_shop, '$FILE'", "SELECT (SELECT max(n) FROM '$FILE')",
	"SELECT * FROM main.read_text('/etc/passwd')", "SELECT * FROM system.main.read_text('/etc/passwd')", "SELECT * FROM READ_TEXT('/etc/passwd')", `SELECT * FROM "read_text"('/etc/passwd')`,
	`SELECT * FROM (WITH "$FILE" AS (SELECT 1 AS n) SELECT * FROM "$FILE"), "$FILE"`, `WITH a AS (SELECT * FROM "$FILE"), "$FILE" AS (SELECT 1) SELECT * FROM a`,
	"SELECT * FROM read_duckdb('$FILE')", "SELECT * FROM shops.by_shop WHERE shop IN (SELECT content FROM read_text('/etc/passwd'))",
	"DESCRIBE SELECT * FROM read_parquet('$FILE')", "SUMMARIZE SELECT * FROM '$FILE'", "DESCRIBE '$FILE'", "SUMMARIZE '$FILE'",
	"SELECT sum(n) OVER (ORDER BY (SELECT count(*) FROM glob('/*'))) FROM shops.by_shop", "SELECT * FROM shops.by_shop ORDER BY (SELECT max(content) FROM read_text('/etc/passwd'))",
	"SELECT * FROM shops.by_shop LIMIT (SELECT count(*) FROM glob('/*'))", "SELECT list_transform([1], lambda x: (SELECT count(*) FROM glob('/*')))",
	"PIVOT '$FILE' ON n IN (1) USING count(*)", "SELECT * FROM shops.by_shop JOIN '$FILE' USING (n)", "SELECT 1 UNION ALL SELECT n FROM '$FILE'", "VALUES ((SELECT count(*) FROM glob('/*')))",
	"WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n FROM '$FILE') SELECT * FROM t",
	// Text that runs as SQL.
	"SELECT * FROM query('SELECT 1')", "SELECT * FROM query_table('$FILE')", "SELECT * FROM query_table(['shops.by_shop'])", "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
	"SELECT json_serialize_plan('SELECT * FROM read_text(''/etc/passwd'')')", "SELECT * FROM histogram_values('$FILE', n)", "SELECT * FROM check_peg_parser('SELECT 1')",
	// The environment, the settings, the engine.
	"SELECT getenv('HOME')", "SELECT current_setting('memory_limit')", "SELECT getvariable('x')", "SELECT * FROM duckdb_settings()", "SELECT * FROM duckdb_secrets()", "SELECT * FROM which_secret('x', 's3')",
	"SELECT * FROM duckdb_views()", "SELECT sql FROM duckdb_views", "SELECT * FROM duckdb_databases()", "SELECT * FROM duckdb_extensions()", "SELECT * FROM duckdb_logs()", "SELECT * FROM pragma_database_size()",
	"SELECT * FROM pragma_table_info('shops.by_shop')", "SELECT * FROM pragma_storage_info('shops.by_shop')", "SELECT * FROM seq_scan('x')", "SELECT * FROM sqlite_master", "SELECT 1 AS x\u00a0FROM\u00a0sqlite_master", "SELECT * FROM pg_catalog.pg_views",
	"SELECT definition FROM pg_views", "SELECT * FROM duckdb_temporary_files()", "SELECT * FROM duckdb_external_file_cache()", "SELECT current_query()", "SELECT pg_get_viewdef(1)",
	"SELECT * FROM information_schema.key_column_usage", "SHOW memory_limit", "SHOW DATABASES FROM x", "SELECT * FROM (SHOW TABLES)", "SELECT * FROM (SHOW DATABASES)", "SELECT * FROM (SHOW ALL TABLES)",
	"SELECT pg_sleep(100)", "SELECT sleep_ms(100000)", "SELECT setseed(0.5)", "SELECT nextval('s')", "SELECT write_log('x')", "SELECT * FROM enable_logging()", "SELECT * FROM checkpoint()",
	"SELECT * FROM force_checkpoint('memory')", "SELECT * FROM enable_profiling()", "SELECT * FROM truncate_duckdb_logs()", "SELECT * FROM test_all_types()", "SELECT stats(n) FROM shops.by_shop",
	// Other cuts, and what lies beside the views.
	`SELECT * FROM "the engine's overlay"(1)`, `SELECT "the engine's unmarked"(1, 2)`, `SELECT * FROM "cut 1".shops.by_shop`, `SELECT * FROM cut1.shops.by_shop`, `SELECT * FROM "cut 1"."speed side"."merged shops by_shop"`, `SELECT * FROM "speed side"."touched shops by_shop"`,
	`SELECT * FROM "touched shops by_shop"`, `SELECT * FROM main."merged shops by_shop"`, "SELECT * FROM memory.main.x", "SELECT * FROM temp.x", "SELECT * FROM system.information_schema.tables",
	`SELECT * FROM (WITH "touched shops by_shop" AS (SELECT 1) SELECT 1), "touched shops by_shop"`, "SELECT * FROM shops.by_shop AT (VERSION => 1)", "SELECT filename FROM shops.by_shop", "SELECT file_row_number FROM shops.by_shop",
	"SELECT count(*) EXPORT_STATE FROM shops.by_shop", "SELECT finalize('x'::BLOB)", "SELECT combine('x'::BLOB, 'y'::BLOB)",
	// Statements in other words, and in others.
	"EXPLAIN ANALYZE SELECT 1", "EXPLAIN (ANALYZE) SELECT 1", "EXPLAIN (FORMAT json) SELECT 1", "EXPLAIN EXPLAIN SELECT 1", "EXPLAIN/**/ANALYZE/**/SELECT 1", "explain analyse select 1", "EXPLAIN CREATE TABLE x AS SELECT 1",
	"EXPLAIN ATTACH ':memory:' AS z", "EXPLAIN EXECUTE p", "EXPLAIN SELECT getenv('HOME')", "EXPLAIN SELECT * FROM '$FILE'", "EXPLAIN SELECT 1; SELECT 2", "EXECUTE IMMEDIATE 'SELECT 1'", "EXECUTE p(1)",
	"PREPARE p AS SELECT getenv('HOME')", "START TRANSACTION", "ABORT", "END", "SAVEPOINT s", "LOCK TABLE shops.by_shop", "DECLARE c CURSOR FOR SELECT 1", "DO $$ BEGIN END $$", "DISCARD ALL", "LISTEN x",
	"SET LOCAL x = 1", "SET ROLE x", "SET SESSION AUTHORIZATION x", "SET search_path TO x", "RESET ALL", "PRAGMA memory_limit='10GB'", "PRAGMA import_database('/tmp')", "CALL read_text('$FILE')", "CALL start_ui()", "CALL enable_logging()",
	"CREATE FUNCTION f(a) AS a", "CREATE TYPE t AS ENUM ('a')", "CREATE SEQUENCE s", "CREATE SCHEMA s", "CREATE PERSISTENT SECRET s (TYPE s3)", "CREATE OR REPLACE TEMP MACRO m() AS TABLE SELECT * FROM read_text('$FILE')", "DROP SECRET s",
	"INSTALL spatial FROM community", "FORCE INSTALL httpfs", "LOAD '$OUT'", "COPY (SELECT 1) TO '/dev/stdout'", "COPY shops.by_shop TO STDOUT", "COPY (SELECT 1) TO PROGRAM 'id'", "ATTACH 'postgres:dbname=x' AS p (TYPE postgres)",
	"(ATTACH ':memory:' AS q)", "WITH a AS (ATTACH ':memory:') SELECT 1", "WITH a AS (COPY (SELECT 1) TO '$OUT') SELECT 1", "SELECT (INSERT INTO x VALUES (1))", "SELECT * FROM (COPY shops.by_shop TO '$OUT')", "SELECT * FROM (PRAGMA database_list)",
	"SELECT * FROM (CALL pragma_version())", "SELECT * FROM (EXPLAIN SELECT 1)", "SELECT * FROM (DESCRIBE '$FILE')", "SELECT * FROM (SHOW TABLES FROM \"cut 1\")", "SELECT * FROM shops.by_shop FOR UPDATE", "SELECT * INTO OUTFILE '$OUT' FROM shops.by_shop",
	"SELECT 1;;SELECT getenv('HOME')", "SELECT 1\\;SELECT 2", "SELECT 1;/*", "SELECT * FROM shops.by_shop AS OF RECEIPT getenv('HOME')", "SELECT * FROM shops.by_shop AS OF RECEIPT ''; SELECT 1",
	// Where a function may stand.
	"SELECT list_transform(['HOME'], lambda x: getenv(x))", "SELECT list_transform(['HOME'], x -> getenv(x))", "SELECT [getenv(x) for x in ['HOME']]", "SELECT ('HOME').getenv()", "SELECT ['HOME'].list_transform(lambda x: x.getenv())",
	"SELECT list_aggregate(['x'], 'getenv')", "SELECT list_aggr(['{}'::JSON], 'JSON_GROUP_STRUCTURE')", "SELECT list_aggregate(['{}'::JSON], chr(106) || 'son_group_structure')", "SELECT ['{}'::JSON].aggregate('json_group_structure')",
	"SELECT main.getenv('HOME')", "SELECT system.main.getenv('HOME')", "SELECT pg_catalog.current_setting('threads')", "SELECT getenv/**/('HOME')", "SELECT getenv -- x\n ('HOME')", "SELECT getenv\u3000('HOME')", "SELECT \u0261etenv('HOME')",
	"SELECT \u202egetenv('HOME')", "SELECT getenv($$HOME$$)", "SELECT/*'*/getenv('HOME')/*'*/", "SELECT a: getenv('HOME')", "SELECT * FROM range((SELECT count(*) FROM glob('/etc/*')))", "SELECT * FROM repeat((SELECT content FROM read_text('$FILE')), 1)",
	"SELECT * FROM json_each(getenv('HOME'))", "SELECT * FROM unnest([getenv('HOME')])", "SELECT count(*) FILTER (WHERE getenv('HOME') = 'x') FROM shops.by_shop", "SELECT sum(n ORDER BY getenv('HOME')) FROM shops.by_shop",
	"SELECT sum(n) OVER (ROWS BETWEEN length(getenv('HOME')) PRECEDING AND CURRENT ROW) FROM shops.by_shop", "SELECT sum(n) OVER w FROM shops.by_shop WINDOW w AS (ORDER BY getenv('HOME'))", "SELECT n FROM shops.by_shop GROUP BY GROUPING SETS ((n, getenv('HOME')))",
	"SELECT n FROM shops.by_shop QUALIFY row_number() OVER (ORDER BY getenv('HOME')) = 1", "SELECT n FROM shops.by_shop LIMIT length(getenv('HOME'))%", "SELECT n FROM shops.by_shop OFFSET length(getenv('HOME'))", "SELECT DISTINCT ON (getenv('HOME')) n FROM shops.by_shop",
	"SELECT * REPLACE (getenv('HOME') AS shop) FROM shops.by_shop", "SELECT COLUMNS(lambda c: c = getenv('HOME')) FROM shops.by_shop", "SELECT COLUMNS((SELECT getenv('HOME'))) FROM shops.by_shop", "SELECT * FROM shops.by_shop a JOIN shops.by_shop b ON getenv('HOME') = 'x'",
	"SELECT * FROM shops.by_shop, LATERAL (SELECT getenv(shop))", "PIVOT shops.by_shop ON shop IN (getenv('HOME')) USING sum(n)", "PIVOT shops.by_shop ON shop IN ('a') USING sum(length(getenv('HOME')))", "PIVOT shops.by_shop ON getenv('HOME') IN ('a') USING sum(n)",
	"UNPIVOT (SELECT getenv('HOME') AS x) ON x", "SELECT TRY(getenv('HOME'))", "SELECT {'a': getenv('HOME')}", "SELECT ARRAY(SELECT getenv('HOME'))", "SELECT INTERVAL (getenv('HOME')) DAY", "SELECT now() AT TIME ZONE getenv('TZ')", "SELECT getenv('HOME') COLLATE NOCASE",
	"SELECT 1::DECIMAL(getenv('HOME'))", "SELECT NULL::ENUM(getenv('HOME'))", "SELECT 'x'::ENUM((SELECT content FROM read_text('$FILE')))", "SELECT 1::INT[getenv('HOME')]", "SELECT CAST(1 AS make_type(getenv('HOME')))", "SELECT json_transform('1', getenv('HOME'))",
	"WITH t AS MATERIALIZED (SELECT getenv('HOME')) SELECT 1", "WITH RECURSIVE t(n) USING KEY (n) AS (SELECT getenv('HOME') UNION SELECT n FROM t) SELECT * FROM t", "SELECT 1 UNION BY NAME SELECT getenv('HOME')", "SELECT * FROM ROWS FROM (getenv('HOME'))",
	// Names of other databases' doors to the machine, and of ours.
	"SELECT pg_read_file('/etc/passwd')", "SELECT pg_ls_dir('/')", "SELECT lo_import('/etc/passwd')", "SELECT load_extension('x')", "SELECT readfile('/etc/passwd')", "SELECT set_config('threads', '3', false)", "SELECT pg_terminate_backend(1)",
	"SELECT * FROM sqlite_scan('$FILE', 'x')", "SELECT * FROM read_text('/etc/passwd') WITH ORDINALITY", "FROM 's3://a/b.parquet'", `FROM "hf://datasets/x"`, "TABLE '$FILE'", "DESCRIBE FROM '$FILE'", "SHOW '$FILE'", "SELECT * FROM $$$FILE$$", "SELECT * FROM ONLY '$FILE'",
	"SELECT a: 1 FROM b: '$FILE'", "SELECT * FROM (shops.by_shop JOIN '$FILE' USING (n))", `SELECT * FROM shops."$FILE"`, `SELECT * FROM main."$FILE"`, "TABLE duckdb_settings", "FROM pg_catalog.pg_settings", "FROM system.main.duckdb_settings", `FROM "cut 1".information_schema.tables`,
	"SHOW ALL TABLES FROM temp", `SHOW TABLES FROM "cut 1"`, "SHOW VARIABLES", "SHOW SETTINGS", `SELECT "cut 99".shops.by_shop.n FROM shops.by_shop`, `SELECT "speed side"."merged shops by_shop".n FROM shops.by_shop`,
	// What has no end of stack.
	"SELECT json_structure(repeat('[', 1000000) || repeat(']', 1000000))", "SELECT json_group_structure((repeat('[', 1000000) || repeat(']', 1000000))::JSON)",
	"SELECT json_contains(repeat('[', 1000000) || repeat(']', 1000000), '1')", "SELECT json_merge_patch(repeat('{\"a\":', 1000000) || '1' || repeat('}', 1000000), repeat('{\"a\":', 1000000) || '2' || repeat('}', 1000000))",
	"SELECT from_json('1', repeat('[', 100000) || '\"INT\"' || repeat(']', 100000))", "SELECT json_transform('1', '" + strings.Repeat("[", 50_000) + `"INT"` + strings.Repeat("]", 50_000) + "')",
	"SELECT json_transform_strict('1', (SELECT '[\"INT\"]'))", `SELECT from_json('[[]]', '["VARIANT"]')`, `SELECT FROM_JSON_STRICT('1', '"STRUCT(a ` + strings.Repeat("STRUCT(a ", 5000) + `')`,
	"SELECT (repeat('[', 100000) || repeat(']', 100000))::JSON::VARIANT::VARCHAR", "SELECT TRY_CAST('[]'::JSON AS variant[])::VARCHAR", "SELECT typeof(CAST({'a': '[]'::JSON} AS STRUCT(a VARIANT)))",
	"SELECT '[]'::JSON::MAP(INT, VARIANT)::VARCHAR", "SELECT list_aggregate([repeat('[', 100000)::JSON], 'json_group_structure')", "SELECT CAST('[]'::JSON AS \"VARIANT\")::VARCHAR",
}

// No statement of a stranger is answered, nor has it any effect, nor does what
// it is told name a folder of this machine or another cut.
func TestStrangers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := rand.New(rand.NewPCG(8, 9))
	b.publish(1, b.events(r, 200))
	b.fold(1, b.events(r, 20)) // so that there are overlays
	before := b.ask("SELECT * FROM shops.by_shop")
	var file string
	if err := filepath.WalkDir(b.cache, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			file = path
		}
		return err
	}); err != nil || file == "" {
		t.Fatal("no file in the cache", err)
	}
	out := filepath.Join(b.cache, "out")
	// The path of a connection is memory.main once it has been in a cut's catalog.
	state := func() [3]any {
		return [3]any{
			engine.Cell(t, b.engine, "SELECT count(*) FROM duckdb_tables() WHERE database_name NOT LIKE 'cut%'"),
			engine.Cell(t, b.engine, "SELECT string_agg(name || replace(value, 'memory.main', ''), ',' ORDER BY name) FROM duckdb_settings() WHERE name IN ('memory_limit','threads','enable_external_access','lock_configuration','search_path')"),
			engine.Cell(t, b.engine, "SELECT string_agg(database_name, ',' ORDER BY database_name) FROM duckdb_databases() WHERE database_name NOT LIKE 'cut%'"),
		}
	}
	was := state()
	if len(hostile) < 60 {
		t.Fatal("fewer statements than promised")
	}
	for _, s := range hostile {
		s = strings.NewReplacer("$CACHE", b.cache, "$FILE", file, "$OUT", out).Replace(s)
		a, err := b.engine.Query(t.Context(), engine.Request{SQL: s})
		if err == nil {
			row, _ := a.Next()
			a.Close()
			t.Errorf("%s: answered, %v", s, row)
			continue
		}
		if k := fault.KindOf(err); k != fault.Denied && k != fault.Invalid && k != fault.NotFound || fault.CodeOf(err) == "" {
			t.Errorf("%s: %v, kind %v, code %q", s, err, k, fault.CodeOf(err))
		}
		// What the stranger wrote himself may come back, nothing else.
		told := strings.ToLower(strings.ReplaceAll(err.Error(), s, ""))
		for _, secret := range []string{b.cache, "cut 1", "speed side", "touched "} {
			if strings.Contains(told, strings.ToLower(secret)) && !strings.Contains(strings.ToLower(s), strings.ToLower(secret)) {
				t.Errorf("%s: the error tells %q: %v", s, secret, err)
			}
		}
		if _, err := b.engine.Describe(t.Context(), engine.Request{SQL: s}); err == nil {
			t.Errorf("%s: described", s)
		}
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a file was written")
	}
	if now := state(); now != was {
		t.Errorf("the engine was changed: %v, was %v", now, was)
	}
	if after := b.ask("SELECT * FROM shops.by_shop"); strings.Join(before, "\n") != strings.Join(after, "\n") {
		t.Errorf("the answer has changed: %v, was %v", after, before)
	}
	t.Logf("%d statements refused", len(hostile))
}

// What analysts write is not refused by the list of what may be.
func TestAnalysts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := rand.New(rand.NewPCG(8, 10))
	b.publish(1, b.events(r, 200))
	b.fold(1, b.events(r, 20))
	for _, q := range []string{
		"FROM shops.by_shop", "TABLE shops.by_shop", "VALUES (1, 'a'), (2, 'b')", "SELECT 1", "SELECT * FROM SHOPS.By_Shop", `SELECT "shop" FROM "shops"."by_shop"`,
		"SELECT shop, sum(n) AS n FROM shops.by_shop GROUP BY shop HAVING sum(n) > 1 ORDER BY n DESC NULLS LAST LIMIT 3 OFFSET 1",
		"SELECT DISTINCT ON (shop) shop, hour FROM shops.by_hour ORDER BY shop, hour", "SELECT shop, count(*) FILTER (WHERE mean > 0) FROM shops.by_hour GROUP BY ALL ORDER BY ALL",
		"WITH a AS (SELECT * FROM shops.by_shop), b AS (SELECT shop FROM a) SELECT * FROM a JOIN b USING (shop)", "WITH by_shop AS MATERIALIZED (SELECT 1 AS x) SELECT * FROM by_shop",
		"WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 5) SELECT sum(n) FROM t",
		"SELECT s.shop, h.hour FROM shops.by_shop s LEFT JOIN shops.by_hour h ON s.shop = h.shop AND h.mean > 0", "SELECT * FROM shops.by_shop s, LATERAL (SELECT s.n + 1) AS l(x)",
		"SELECT * FROM shops.by_shop s WHERE EXISTS (SELECT 1 FROM shops.by_hour h WHERE h.shop = s.shop)", "SELECT shop FROM shops.by_shop WHERE shop IN (SELECT shop FROM shops.by_hour)",
		"SELECT shop FROM shops.by_shop UNION SELECT shop FROM shops.by_hour EXCEPT SELECT 'x' INTERSECT SELECT 'y'", "SELECT n, rank() OVER (ORDER BY n), lag(n) OVER w FROM shops.by_shop WINDOW w AS (ORDER BY n)",
		"SELECT shop, n FROM shops.by_shop QUALIFY row_number() OVER (ORDER BY n DESC) <= 2", "SELECT time_bucket(INTERVAL '1 day', hour), sum(worth) FROM shops.by_hour GROUP BY 1",
		"SELECT date_trunc('day', hour), extract(hour FROM hour), strftime(hour, '%Y'), hour + INTERVAL 1 DAY, hour::DATE, hour AT TIME ZONE 'UTC' FROM shops.by_hour",
		"SELECT CASE WHEN n > 1 THEN 'many' ELSE 'one' END, coalesce(shop, '-'), shop ILIKE '%1%', shop || '!', n BETWEEN 1 AND 3, TRY_CAST(shop AS INT), shop COLLATE NOCASE FROM shops.by_shop",
		"SELECT {'a': n, 'b': [n, 1]}, [x + 1 for x in [n]], MAP {'k': n}, list_transform([n], lambda x: x * 2), {'n': n, 's': shop} FROM shops.by_shop",
		"SELECT * EXCLUDE (n) REPLACE (upper(shop) AS shop) RENAME (low AS lowest) FROM shops.by_shop", "SELECT COLUMNS('n|units') FROM shops.by_shop", "SELECT shop, sum(n) FROM shops.by_shop GROUP BY ROLLUP (shop)",
		"SELECT * FROM shops.by_hour ASOF JOIN shops.by_shop ON by_hour.shop = by_shop.shop AND by_hour.hour >= by_shop.last", "SELECT * FROM range(3), generate_series(1, 2), unnest([1, 2]) AS u(x)",
		"PIVOT shops.by_hour ON shop IN ('shop ''1''', 'shop ''2''') USING sum(worth) GROUP BY hour", "UNPIVOT shops.by_shop ON n, units INTO NAME what VALUE number", "SELECT * FROM shops.by_shop USING SAMPLE 10 ROWS",
		"SELECT * FROM shops.by_shop TABLESAMPLE 50%", "SELECT current_date, now() IS NOT NULL, current_user, version() IS NOT NULL", "SELECT quantile_cont(n, 0.5), approx_quantile(n, 0.9), arg_max(shop, n), histogram(n), string_agg(shop, ',' ORDER BY shop) FROM shops.by_shop",
		"DESCRIBE SELECT n + 1 AS m FROM shops.by_shop", "SUMMARIZE shops.by_shop", "SHOW TABLES", "SHOW ALL TABLES", "SHOW SCHEMAS", "SHOW TABLES FROM shops", "DESCRIBE shops.by_shop",
		"SELECT t.table_name, c.column_name FROM information_schema.tables t JOIN information_schema.columns AS c USING (table_schema, table_name)", `SELECT * FROM "information_schema"."schemata"`,
		"SELECT json_extract('{\"a\": 1}', '$.a'), '{\"a\": 1}'::JSON ->> 'a'", "SELECT regexp_replace(shop, '[0-9]', '#', 'g'), printf('%d', n), md5(shop) FROM shops.by_shop", "SELECT n FROM shops.by_shop WHERE n = ANY (SELECT 1) OR n > ALL (SELECT 0)",
		`SELECT 1e309, [-1e309], n < 1e999, ':Infinity, \"Infinity"' FROM shops.by_shop`, "SELECT lag(n) OVER (), lead(n, 1, 0) OVER (), first_value(n) OVER () FROM shops.by_shop",
		"SELECT -n, NOT n > 1, n IS DISTINCT FROM 3, n IN (1, 2), shop LIKE 'a!%' ESCAPE '!', shop SIMILAR TO 'x.*', n::DECIMAL(9, 2), #1 FROM shops.by_shop", "SELECT trim(both 'x' FROM 'xax'), substring('abc' FROM 2), position('a' IN 'ba')",
	} {
		a, err := b.engine.Query(t.Context(), engine.Request{SQL: q})
		if err != nil {
			t.Errorf("%s: %v", q, err)
			continue
		}
		for {
			row, err := a.Next()
			if err != nil {
				t.Errorf("%s: %v", q, err)
			}
			if row == nil {
				break
			}
		}
		a.Close()
	}
	if _, err := b.engine.Query(t.Context(), engine.Request{SQL: "SELECT (n, shop) FROM shops.by_shop"}); fault.CodeOf(err) != "unnamed_struct" {
		t.Errorf("a struct without names: %v", err)
	}
}

// Somebody has decided about every function of the engine. A new DuckDB that
// brings one fails here.
func TestEveryFunctionIsDecided(t *testing.T) {
	t.Parallel()
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(t.Context(), "SELECT DISTINCT lower(function_name) FROM duckdb_functions() WHERE function_type <> 'pragma'")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		n++
		called, refused := engine.Decided(name)
		inside := strings.HasPrefix(name, "__internal_") || strings.HasPrefix(name, "icu_collate_")
		if called && refused || !called && !refused && !inside {
			t.Errorf("%s: may be called %t, is refused by name %t", name, called, refused)
		}
	}
	if rows.Err() != nil || n < 600 {
		t.Fatalf("%d functions, %v", n, rows.Err())
	}
}

package pgwire

import (
	"fmt"
	"strings"
)

// duckTypes are the types of relations.txt.
var duckTypes = map[string]string{"": "VARCHAR", "text": "VARCHAR", "oid": "UINTEGER", "bool": "BOOLEAN", "int2": "SMALLINT", "int4": "INTEGER", "int8": "BIGINT",
	"float4": "FLOAT", "float8": "DOUBLE", "timestamptz": "TIMESTAMPTZ", "interval": "INTERVAL", "bytea": "BLOB"}

// relations makes the tables, all empty; those that views stand for are not
// among them.
func (c *catalog) relations() (script []string) {
	for line := range strings.Lines(relationsText) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] == "#" || viewed[f[0]] {
			continue
		}
		columns := make([]string, len(f)-1)
		for i, col := range f[1:] {
			name, typ, _ := strings.Cut(col, ":")
			base, list := strings.CutSuffix(typ, "[]")
			columns[i] = sqlName(name) + " " + duckTypes[base]
			if list {
				columns[i] += "[]"
			}
		}
		script = append(script, "CREATE TABLE "+f[0]+" ("+strings.Join(columns, ", ")+")")
	}
	return script
}

// views are the relations that say the same as others, or something of the
// session that asks.
var views = append(statistics(), []string{
	`CREATE VIEW pg_database AS SELECT (16384 + i)::UINTEGER AS oid, n AS datname, 10::UINTEGER AS datdba, 6 AS encoding, 'c' AS datlocprovider, false AS datistemplate, true AS datallowconn,
		-1 AS datconnlimit, 0::UINTEGER AS datfrozenxid, 1::UINTEGER AS datminmxid, 1663::UINTEGER AS dattablespace, 'C' AS datcollate, 'C' AS datctype, NULL::VARCHAR AS daticulocale,
		NULL::VARCHAR AS datcollversion, NULL::VARCHAR[] AS datacl FROM (SELECT unnest(list_distinct(['anabranch', getvariable('db')])) AS n, generate_subscripts(list_distinct(['anabranch', getvariable('db')]), 1) AS i)`,
	`CREATE VIEW pg_roles AS SELECT n AS rolname, false AS rolsuper, true AS rolinherit, false AS rolcreaterole, false AS rolcreatedb, true AS rolcanlogin, false AS rolreplication,
		-1 AS rolconnlimit, '********' AS rolpassword, NULL::TIMESTAMPTZ AS rolvaliduntil, false AS rolbypassrls, NULL::VARCHAR[] AS rolconfig, o::UINTEGER AS oid
		FROM (VALUES ('anabranch', 10), (getvariable('usr'), 16000)) v(n, o)`,
	`CREATE VIEW pg_authid AS SELECT oid, rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls, rolconnlimit, NULL::VARCHAR AS rolpassword, rolvaliduntil FROM pg_roles`,
	`CREATE VIEW pg_user AS SELECT rolname AS usename, oid AS usesysid, false AS usecreatedb, false AS usesuper, false AS userepl, false AS usebypassrls, '********' AS passwd, NULL::TIMESTAMPTZ AS valuntil, NULL::VARCHAR[] AS useconfig FROM pg_roles`,
	`CREATE VIEW pg_tables AS SELECT n.nspname AS schemaname, c.relname AS tablename, 'anabranch' AS tableowner, NULL::VARCHAR AS tablespace, false AS hasindexes, false AS hasrules, false AS hastriggers, false AS rowsecurity
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r'`,
	`CREATE VIEW pg_settings AS SELECT s.key AS name, s.value AS setting, NULL::VARCHAR AS unit, 'Session' AS category, '' AS short_desc, NULL::VARCHAR AS extra_desc, 'user' AS context, 'string' AS vartype, 'default' AS source,
		NULL::VARCHAR AS min_val, NULL::VARCHAR AS max_val, NULL::VARCHAR[] AS enumvals, s.value AS boot_val, s.value AS reset_val, NULL::VARCHAR AS sourcefile, NULL::INTEGER AS sourceline, false AS pending_restart
		FROM (SELECT unnest(map_entries(getvariable('settings'))) AS s)`,
	`CREATE VIEW pg_stat_activity AS SELECT 5::UINTEGER AS datid, getvariable('db') AS datname, pg_backend_pid() AS pid, NULL::INTEGER AS leader_pid, 16000::UINTEGER AS usesysid, getvariable('usr') AS usename,
		current_setting('application_name') AS application_name, NULL::VARCHAR AS client_addr, NULL::VARCHAR AS client_hostname, NULL::INTEGER AS client_port, now() AS backend_start, now() AS xact_start, now() AS query_start,
		now() AS state_change, NULL::VARCHAR AS wait_event_type, NULL::VARCHAR AS wait_event, 'active' AS state, NULL::UINTEGER AS backend_xid, NULL::UINTEGER AS backend_xmin, NULL::BIGINT AS query_id, '' AS query, 'client backend' AS backend_type`,
	`CREATE VIEW info.schemata AS SELECT getvariable('db') AS catalog_name, nspname AS schema_name, 'anabranch' AS schema_owner, NULL::VARCHAR AS default_character_set_catalog, NULL::VARCHAR AS default_character_set_schema,
		NULL::VARCHAR AS default_character_set_name, NULL::VARCHAR AS sql_path FROM pg_namespace`,
	`CREATE VIEW info.tables AS SELECT getvariable('db') AS table_catalog, n.nspname AS table_schema, c.relname AS table_name, CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'BASE TABLE' END AS table_type,
		NULL::VARCHAR AS self_referencing_column_name, NULL::VARCHAR AS reference_generation, NULL::VARCHAR AS user_defined_type_catalog, NULL::VARCHAR AS user_defined_type_schema, NULL::VARCHAR AS user_defined_type_name,
		'NO' AS is_insertable_into, 'NO' AS is_typed, NULL::VARCHAR AS commit_action FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace ORDER BY n.nspname, c.relname`,
	`CREATE VIEW info.columns AS SELECT getvariable('db') AS table_catalog, n.nspname AS table_schema, c.relname AS table_name, a.attname AS column_name, a.attnum::INTEGER AS ordinal_position, NULL::VARCHAR AS column_default,
		CASE WHEN a.attnotnull THEN 'NO' ELSE 'YES' END AS is_nullable, CASE WHEN t.typcategory = 'A' THEN 'ARRAY' ELSE format_type(a.atttypid, NULL) END AS data_type, NULL::INTEGER AS character_maximum_length,
		CASE WHEN a.atttypid = 25 THEN 1073741824 END AS character_octet_length,
		_pg_numeric_precision(a.atttypid, a.atttypmod) AS numeric_precision, _pg_numeric_precision_radix(a.atttypid, a.atttypmod) AS numeric_precision_radix, _pg_numeric_scale(a.atttypid, a.atttypmod) AS numeric_scale,
		_pg_datetime_precision(a.atttypid, a.atttypmod) AS datetime_precision, NULL::VARCHAR AS interval_type, NULL::INTEGER AS interval_precision,
		NULL::VARCHAR AS character_set_catalog, NULL::VARCHAR AS character_set_schema, NULL::VARCHAR AS character_set_name, NULL::VARCHAR AS collation_catalog, NULL::VARCHAR AS collation_schema, NULL::VARCHAR AS collation_name,
		NULL::VARCHAR AS domain_catalog, NULL::VARCHAR AS domain_schema, NULL::VARCHAR AS domain_name, getvariable('db') AS udt_catalog, 'pg_catalog' AS udt_schema, t.typname AS udt_name,
		NULL::VARCHAR AS scope_catalog, NULL::VARCHAR AS scope_schema, NULL::VARCHAR AS scope_name, NULL::INTEGER AS maximum_cardinality, a.attnum::VARCHAR AS dtd_identifier, 'NO' AS is_self_referencing, 'NO' AS is_identity,
		NULL::VARCHAR AS identity_generation, NULL::VARCHAR AS identity_start, NULL::VARCHAR AS identity_increment, NULL::VARCHAR AS identity_maximum, NULL::VARCHAR AS identity_minimum, 'NO' AS identity_cycle,
		'NEVER' AS is_generated, NULL::VARCHAR AS generation_expression, 'NO' AS is_updatable
		FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_type t ON t.oid = a.atttypid WHERE a.attnum > 0 ORDER BY n.nspname, c.relname, a.attnum`,
	`CREATE VIEW info.information_schema_catalog_name AS SELECT getvariable('db') AS catalog_name`,
	`CREATE VIEW info.enabled_roles AS SELECT rolname AS role_name FROM pg_roles`,
	`CREATE VIEW info.table_privileges AS SELECT 'anabranch' AS grantor, getvariable('usr') AS grantee, table_catalog, table_schema, table_name, 'SELECT' AS privilege_type, 'NO' AS is_grantable, 'YES' AS with_hierarchy FROM info.tables`,
	`CREATE VIEW info.role_table_grants AS FROM info.table_privileges`,
}...)

// statistics are views of all tables of their kind, with nothing counted: tools
// join them with other things of a table.
func statistics() (script []string) {
	of := map[string]string{"pg_stat_all_tables": "true", "pg_stat_user_tables": "c.oid >= 16384", "pg_statio_all_tables": "true", "pg_statio_user_tables": "c.oid >= 16384"}
	for line := range strings.Lines(relationsText) {
		f := strings.Fields(line)
		if len(f) == 0 || of[f[0]] == "" {
			continue
		}
		columns := []string{"c.oid AS relid", "n.nspname AS schemaname", "c.relname"}
		for _, col := range f[4:] {
			name, typ, _ := strings.Cut(col, ":")
			value := "NULL"
			if typ == "int8" {
				value = "0"
			}
			columns = append(columns, value+"::"+duckTypes[typ]+" AS "+name)
		}
		script = append(script, "CREATE VIEW "+f[0]+" AS SELECT "+strings.Join(columns, ", ")+" FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE "+of[f[0]])
	}
	return script
}

// viewed are the names of views.
var viewed = func() map[string]bool {
	m := map[string]bool{}
	for _, v := range views {
		m[strings.Fields(v)[2]] = true
	}
	return m
}()

// catalogTables are the names of all relations, as they are written after
// [rewrite].
var catalogTables = func() map[string]bool {
	m := map[string]bool{}
	for line := range strings.Lines(relationsText) {
		if f := strings.Fields(line); len(f) > 0 && f[0] != "#" {
			m[f[0]] = true
		}
	}
	return m
}()

// systemOIDs are those that clients know by heart.
var systemOIDs = map[string]uint32{"pg_class": 1259, "pg_type": 1247, "pg_proc": 1255, "pg_namespace": 2615, "pg_database": 1262, "pg_attribute": 1249, "pg_constraint": 2606,
	"pg_trigger": 2620, "pg_rewrite": 2618, "pg_index": 2610, "pg_attrdef": 2604, "pg_description": 2609, "pg_extension": 3079, "pg_authid": 1260, "pg_tablespace": 1213, "pg_language": 2612, "pg_operator": 2617}

const (
	catalogSchema     = 11
	informationSchema = 13000
	firstFunction     = 12000
)

// fixedRows are what never changes: types, the catalog's own relations.
func (c *catalog) fixedRows() (script []string) {
	var types, named, functions []string
	seen := map[string]bool{}
	for _, t := range pgTypes() {
		for _, does := range []string{"in", "out", "recv", "send"} {
			if f := t.function(does); !seen[f] {
				functions = append(functions, fmt.Sprintf("(%d, %s, 11, 10, 12, 1, 0, 0, 'f', false, false, true, false, 'i', 's', 1, 0, %d, %s)", firstFunction+len(seen), sqlText(f), t.returned(does), sqlText(f)))
				seen[f] = true
			}
		}
		types = append(types, fmt.Sprintf("(%d, %s, 11, 10, %s, %v, %s, %s, %v, true, ',', 0, %s, %s, %s, %s, %s, %s, 'i', 'p', false, 0, -1, 0, %d)", t.oid, sqlText(t.name), t.size, t.size != "-1" && t.size != "-2",
			sqlText(t.family), sqlText(t.category), t.name == "text" || t.name == "float8" || t.name == "bool" || t.name == "timestamptz", t.elem, t.array, sqlText(t.function("in")), sqlText(t.function("out")), sqlText(t.function("recv")), sqlText(t.function("send")),
			map[bool]int{true: 100}[t.category == "S"]))
		named = append(named, fmt.Sprintf("%d: %s", t.oid, sqlText(t.written)))
	}
	c.types = "MAP {" + strings.Join(named, ", ") + "}"
	script = append(script,
		"INSERT INTO pg_type (oid, typname, typnamespace, typowner, typlen, typbyval, typtype, typcategory, typispreferred, typisdefined, typdelim, typrelid, typelem, typarray, typinput, typoutput, typreceive, typsend, typalign, typstorage, typnotnull, typbasetype, typtypmod, typndims, typcollation) VALUES "+strings.Join(types, ", "),
		"INSERT INTO pg_proc (oid, proname, pronamespace, proowner, prolang, procost, prorows, provariadic, prokind, prosecdef, proleakproof, proisstrict, proretset, provolatile, proparallel, pronargs, pronargdefaults, prorettype, prosrc) VALUES "+strings.Join(functions, ", "),
		"INSERT INTO pg_am (oid, amname, amhandler, amtype) VALUES (2, 'heap', 'heap_tableam_handler', 't'), (403, 'btree', 'bthandler', 'i')",
		"INSERT INTO pg_collation (oid, collname, collnamespace, collowner, collprovider, collisdeterministic, collencoding) VALUES (100, 'default', 11, 10, 'd', true, -1), (950, 'C', 11, 10, 'c', true, -1)",
		"INSERT INTO pg_language (oid, lanname, lanowner, lanispl, lanpltrusted) VALUES (12, 'internal', 10, false, false), (14, 'sql', 10, false, true)",
		"INSERT INTO pg_tablespace (oid, spcname, spcowner) VALUES (1663, 'pg_default', 10)",
		"INSERT INTO pg_timezone_names (name, abbrev, utc_offset, is_dst) VALUES ('UTC', 'UTC', INTERVAL 0 SECONDS, false)")
	return script
}

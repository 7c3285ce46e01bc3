-- What PostgreSQL's catalog says, over the tables that the program fills.
-- Variables of the connection say for whom: db, usr, pid, path (pipelines, in
-- the order of search_path), version, settings.

CREATE MACRO current_database() AS getvariable('db');
CREATE MACRO current_catalog() AS getvariable('db');
CREATE MACRO current_user() AS getvariable('usr');
CREATE MACRO session_user() AS getvariable('usr');
CREATE MACRO current_role() AS getvariable('usr');
CREATE MACRO current_schema() AS getvariable('path')[1];
CREATE MACRO current_schemas(implicit) AS CASE WHEN implicit THEN list_concat(['pg_catalog'], getvariable('path')) ELSE getvariable('path') END;
CREATE MACRO version() AS getvariable('version');
CREATE MACRO pg_backend_pid() AS getvariable('pid')::INTEGER;
CREATE MACRO current_setting(n) AS getvariable('settings')[lower(n)], (n, missing) AS getvariable('settings')[lower(n)];
CREATE MACRO set_config(n, v, local) AS v;
CREATE MACRO getdatabaseencoding() AS 'UTF8';
CREATE MACRO pg_client_encoding() AS 'UTF8';
CREATE MACRO pg_encoding_to_char(e) AS 'UTF8';
CREATE MACRO pg_char_to_encoding(e) AS 6;
-- There is no file of a log that could be read. Only of no file is something told.
CREATE MACRO pg_current_logfile() AS NULL::VARCHAR, (f) AS NULL::VARCHAR;
CREATE MACRO pg_stat_file(f) AS CASE WHEN f IS NOT NULL THEN error('permission denied for function pg_stat_file') END;
CREATE MACRO pg_is_in_recovery() AS false;
CREATE MACRO pg_is_wal_replay_paused() AS false;
CREATE MACRO pg_postmaster_start_time() AS getvariable('start')::TIMESTAMPTZ;
CREATE MACRO pg_conf_load_time() AS getvariable('start')::TIMESTAMPTZ;
CREATE MACRO pg_my_temp_schema() AS 0::UINTEGER;
CREATE MACRO pg_is_other_temp_schema(o) AS false;
CREATE MACRO inet_server_addr() AS NULL::VARCHAR;
CREATE MACRO inet_server_port() AS NULL::INTEGER;
CREATE MACRO inet_client_addr() AS NULL::VARCHAR;
CREATE MACRO inet_client_port() AS NULL::INTEGER;
CREATE MACRO txid_current() AS 1::BIGINT;

CREATE MACRO quote_ident(t) AS CASE WHEN regexp_full_match(t, '[a-z_][a-z0-9_]*') THEN t ELSE '"' || replace(t, '"', '""') || '"' END;
CREATE MACRO quote_literal(t) AS '''' || replace(t::VARCHAR, '''', '''''') || '''';
CREATE MACRO quote_nullable(t) AS coalesce('''' || replace(t::VARCHAR, '''', '''''') || '''', 'NULL');
CREATE MACRO parse_ident(t) AS string_split(replace(t, '"', ''), '.');
CREATE MACRO pg_format_one(f, v) AS CASE WHEN strpos(f, '%I') > 0 AND (strpos(f, '%s') = 0 OR strpos(f, '%I') < strpos(f, '%s')) THEN regexp_replace(f, '%I', quote_ident(v::VARCHAR))
	ELSE regexp_replace(f, '%[sL]', v::VARCHAR) END;
CREATE MACRO pg_format(f) AS f, (f, a) AS pg_format_one(f, a), (f, a, b) AS pg_format_one(pg_format_one(f, a), b), (f, a, b, c) AS pg_format_one(pg_format_one(pg_format_one(f, a), b), c);
CREATE MACRO pg_cancel_backend(p) AS true;
CREATE MACRO pg_terminate_backend(p) AS true, (p, t) AS true;
CREATE MACRO pg_advisory_unlock_all() AS ''; -- nobody has any; pools ask when a connection comes back
CREATE MACRO array_upper(a, d) AS nullif(len(a), 0);
CREATE MACRO array_lower(a, d) AS CASE WHEN len(a) > 0 THEN 1 END;
CREATE MACRO array_remove(a, x) AS list_filter(a, lambda v: v <> x);
CREATE MACRO array_ndims(a) AS CASE WHEN len(a) > 0 THEN 1 END;
CREATE MACRO _pg_expandarray(a) AS unnest(list_transform(coalesce(a, []), lambda v, i: {'x': v, 'n': i::INTEGER}));
CREATE MACRO _pg_truetypid(a, t) AS a.atttypid;
CREATE MACRO _pg_truetypmod(a, t) AS a.atttypmod;
CREATE MACRO _pg_char_max_length(t, m) AS NULL::INTEGER;
CREATE MACRO _pg_numeric_precision(t, m) AS CASE t WHEN 21 THEN 16 WHEN 23 THEN 32 WHEN 20 THEN 64 WHEN 700 THEN 24 WHEN 701 THEN 53 WHEN 1700 THEN CASE WHEN m > 4 THEN (m - 4) >> 16 END END::INTEGER;
CREATE MACRO _pg_numeric_precision_radix(t, m) AS CASE WHEN t IN (21, 23, 20, 700, 701) THEN 2 WHEN t = 1700 THEN 10 END;
CREATE MACRO _pg_numeric_scale(t, m) AS CASE WHEN t IN (21, 23, 20) THEN 0 WHEN t = 1700 AND m > 4 THEN (m - 4) & 65535 END::INTEGER;
CREATE MACRO _pg_datetime_precision(t, m) AS CASE WHEN t = 1082 THEN 0 WHEN t IN (1083, 1114, 1184, 1186, 1266) THEN 6 END;
CREATE MACRO _pg_interval_type(t, m) AS NULL::VARCHAR;
CREATE MACRO oidvectortypes(v) AS '';

CREATE MACRO pg_get_userbyid(o) AS CASE o WHEN 10 THEN 'anabranch' WHEN 16000 THEN getvariable('usr') ELSE 'unknown (OID=' || o || ')' END;
CREATE MACRO format_type(o, m) AS CASE
	WHEN o IS NULL THEN NULL
	WHEN o = 1700 AND m > 4 THEN 'numeric(' || ((m - 4) >> 16) || ',' || ((m - 4) & 65535) || ')'
	ELSE coalesce(getvariable('types')[o::UINTEGER], '???') END;
CREATE MACRO pg_table_is_visible(o) AS EXISTS (SELECT 1 FROM pg_class vc JOIN pg_namespace vn ON vn.oid = vc.relnamespace
	WHERE vc.oid = o::UINTEGER AND (vn.nspname = 'pg_catalog' OR list_contains(getvariable('path'), vn.nspname)));
CREATE MACRO pg_type_is_visible(o) AS true;
CREATE MACRO pg_function_is_visible(o) AS true;
CREATE MACRO pg_operator_is_visible(o) AS true;
CREATE MACRO pg_opclass_is_visible(o) AS true;
CREATE MACRO pg_opfamily_is_visible(o) AS true;
CREATE MACRO pg_collation_is_visible(o) AS true;
CREATE MACRO pg_conversion_is_visible(o) AS true;
CREATE MACRO pg_statistics_obj_is_visible(o) AS true;
CREATE MACRO pg_ts_config_is_visible(o) AS true;
CREATE MACRO pg_ts_dict_is_visible(o) AS true;
CREATE MACRO pg_ts_parser_is_visible(o) AS true;
CREATE MACRO pg_ts_template_is_visible(o) AS true;

CREATE MACRO obj_description(o) AS (SELECT any_value(od.description) FROM pg_description od WHERE od.objoid = o::UINTEGER AND od.objsubid = 0),
	(o, c) AS (SELECT any_value(od.description) FROM pg_description od WHERE od.objoid = o::UINTEGER AND od.objsubid = 0);
CREATE MACRO col_description(o, n) AS (SELECT any_value(cd.description) FROM pg_description cd WHERE cd.objoid = o::UINTEGER AND cd.objsubid = n);
CREATE MACRO shobj_description(o, c) AS NULL::VARCHAR;

CREATE MACRO pg_get_expr(e, o) AS NULL::VARCHAR, (e, o, p) AS NULL::VARCHAR;
CREATE MACRO pg_index_column_has_property(i, c, p) AS NULL::BOOLEAN;
CREATE MACRO pg_index_has_property(i, p) AS NULL::BOOLEAN;
CREATE MACRO pg_get_indexdef(i) AS NULL::VARCHAR, (i, c, p) AS NULL::VARCHAR;
CREATE MACRO pg_get_constraintdef(c) AS NULL::VARCHAR, (c, p) AS NULL::VARCHAR;
CREATE MACRO pg_get_viewdef(v) AS NULL::VARCHAR, (v, p) AS NULL::VARCHAR;
CREATE MACRO pg_get_triggerdef(t) AS NULL::VARCHAR, (t, p) AS NULL::VARCHAR;
CREATE MACRO pg_get_ruledef(r) AS NULL::VARCHAR, (r, p) AS NULL::VARCHAR;
CREATE MACRO pg_get_functiondef(f) AS NULL::VARCHAR;
CREATE MACRO pg_get_function_result(f) AS NULL::VARCHAR;
CREATE MACRO pg_get_function_arguments(f) AS NULL::VARCHAR;
CREATE MACRO pg_get_function_identity_arguments(f) AS NULL::VARCHAR;
CREATE MACRO pg_get_function_sqlbody(f) AS NULL::VARCHAR;
CREATE MACRO pg_get_partkeydef(t) AS NULL::VARCHAR;
CREATE MACRO pg_get_partition_constraintdef(t) AS NULL::VARCHAR;
CREATE MACRO pg_get_serial_sequence(t, c) AS NULL::VARCHAR;
CREATE MACRO pg_get_statisticsobjdef(s) AS NULL::VARCHAR;
CREATE MACRO pg_get_statisticsobjdef_columns(s) AS NULL::VARCHAR;
CREATE MACRO pg_sequence_last_value(s) AS NULL::BIGINT;

CREATE MACRO has_table_privilege(t, p) AS upper(p) LIKE 'SELECT%', (u, t, p) AS upper(p) LIKE 'SELECT%';
CREATE MACRO has_any_column_privilege(t, p) AS upper(p) LIKE 'SELECT%', (u, t, p) AS upper(p) LIKE 'SELECT%';
CREATE MACRO has_column_privilege(t, c, p) AS upper(p) LIKE 'SELECT%', (u, t, c, p) AS upper(p) LIKE 'SELECT%';
CREATE MACRO has_schema_privilege(s, p) AS upper(p) LIKE '%USAGE%', (u, s, p) AS upper(p) LIKE '%USAGE%';
CREATE MACRO has_database_privilege(d, p) AS upper(p) LIKE '%CONNECT%', (u, d, p) AS upper(p) LIKE '%CONNECT%';
CREATE MACRO has_function_privilege(f, p) AS true, (u, f, p) AS true;
CREATE MACRO has_sequence_privilege(s, p) AS false, (u, s, p) AS false;
CREATE MACRO has_tablespace_privilege(s, p) AS false, (u, s, p) AS false;
CREATE MACRO has_language_privilege(s, p) AS false, (u, s, p) AS false;
CREATE MACRO has_type_privilege(s, p) AS true, (u, s, p) AS true;
CREATE MACRO has_foreign_data_wrapper_privilege(s, p) AS false, (u, s, p) AS false;
CREATE MACRO has_server_privilege(s, p) AS false, (u, s, p) AS false;
CREATE MACRO pg_has_role(r, p) AS true, (u, r, p) AS true;

CREATE MACRO acldefault(t, o) AS CASE t WHEN 'r' THEN ['anabranch=arwdDxt/anabranch'] WHEN 's' THEN ['anabranch=rwU/anabranch'] WHEN 'n' THEN ['anabranch=UC/anabranch']
	WHEN 'f' THEN ['=X/anabranch', 'anabranch=X/anabranch'] WHEN 'd' THEN ['=Tc/anabranch', 'anabranch=CTc/anabranch'] WHEN 'c' THEN []::VARCHAR[] ELSE ['=U/anabranch', 'anabranch=U/anabranch'] END;

CREATE MACRO pg_relation_size(r) AS 0::BIGINT, (r, f) AS 0::BIGINT;
CREATE MACRO pg_total_relation_size(r) AS 0::BIGINT;
CREATE MACRO pg_table_size(r) AS 0::BIGINT;
CREATE MACRO pg_indexes_size(r) AS 0::BIGINT;
CREATE MACRO pg_size_pretty(n) AS format_bytes(n::BIGINT);
CREATE MACRO pg_database_size(d) AS 0::BIGINT;
CREATE MACRO pg_tablespace_size(d) AS 0::BIGINT;
CREATE MACRO pg_tablespace_location(d) AS '';
CREATE MACRO pg_relation_filenode(r) AS NULL::UINTEGER;
CREATE MACRO pg_relation_is_updatable(r, t) AS 0;
CREATE MACRO pg_relation_is_publishable(r) AS false;
CREATE MACRO pg_column_is_updatable(r, c, t) AS false;
CREATE MACRO pg_stat_get_numscans(o) AS 0::BIGINT;
CREATE MACRO pg_stat_get_tuples_inserted(o) AS 0::BIGINT;
CREATE MACRO pg_stat_get_live_tuples(o) AS 0::BIGINT;
CREATE MACRO age(x) AS 0;
CREATE MACRO pg_partition_ancestors(o) AS TABLE SELECT o::UINTEGER AS relid;
CREATE MACRO pg_partition_ancestors_rows(o) AS unnest([o::UINTEGER]);
CREATE MACRO pg_partition_tree(o) AS TABLE SELECT o::UINTEGER AS relid, NULL::UINTEGER AS parentrelid, true AS isleaf, 0 AS level;
CREATE MACRO aclexplode(a) AS TABLE SELECT 0::UINTEGER AS grantor, 0::UINTEGER AS grantee, '' AS privilege_type, false AS is_grantable WHERE false;
CREATE MACRO pg_options_to_table(a) AS TABLE SELECT '' AS option_name, '' AS option_value WHERE false;
CREATE MACRO pg_get_keywords() AS TABLE SELECT w AS word, 'U' AS catcode, true AS barelabel, 'unreserved' AS catdesc, 'can be bare label' AS baredesc
	FROM (VALUES ('analyze'), ('ilike'), ('limit'), ('offset'), ('pivot'), ('qualify'), ('sample'), ('unpivot')) v(w);
CREATE MACRO pg_listening_channels() AS TABLE SELECT '' AS pg_listening_channels WHERE false;

-- Names of relations, types and schemas, and what they are called.
CREATE MACRO to_regclass(t) AS (SELECT min(rc.oid) FROM pg_class rc JOIN pg_namespace rn ON rn.oid = rc.relnamespace
	WHERE CASE WHEN regexp_full_match(t::VARCHAR, '[0-9]+') THEN rc.oid::VARCHAR = t::VARCHAR
		ELSE lower(replace(t::VARCHAR, '"', '')) IN (lower(rn.nspname || '.' || rc.relname), lower(getvariable('db') || '.' || rn.nspname || '.' || rc.relname))
			OR lower(replace(t::VARCHAR, '"', '')) = lower(rc.relname) AND (rn.nspname = 'pg_catalog' OR list_contains(getvariable('path'), rn.nspname)) END);
CREATE MACRO regclass_name(o) AS (SELECT any_value(CASE WHEN rn.nspname = 'pg_catalog' OR list_contains(getvariable('path'), rn.nspname) THEN '' ELSE quote_ident(rn.nspname) || '.' END || quote_ident(rc.relname))
	FROM pg_class rc JOIN pg_namespace rn ON rn.oid = rc.relnamespace WHERE rc.oid = o::UINTEGER);
CREATE MACRO regtype_alias(t) AS coalesce(MAP {'int': 'int4', 'decimal': 'numeric', 'float': 'float8', 'dec': 'numeric'}[t], t);
CREATE MACRO to_regtype(t) AS (SELECT min(rt.oid) FROM pg_type rt WHERE regtype_alias(replace(replace(t::VARCHAR, '"', ''), 'pg_catalog.', '')) IN (rt.typname, format_type(rt.oid, NULL), rt.oid::VARCHAR));
CREATE MACRO to_regnamespace(t) AS (SELECT min(rn.oid) FROM pg_namespace rn WHERE replace(t::VARCHAR, '"', '') IN (rn.nspname, rn.oid::VARCHAR));
CREATE MACRO regnamespace_name(o) AS (SELECT any_value(quote_ident(rn.nspname)) FROM pg_namespace rn WHERE rn.oid = o::UINTEGER);
CREATE MACRO to_regproc(t) AS split_part(replace(t::VARCHAR, 'pg_catalog.', ''), '(', 1);
CREATE MACRO to_regrole(t) AS CASE t::VARCHAR WHEN 'anabranch' THEN 10::UINTEGER WHEN getvariable('usr') THEN 16000::UINTEGER END;
CREATE MACRO pg_show_all_settings() AS TABLE FROM pg_settings;
CREATE MACRO pg_blocking_pids(p) AS []::INTEGER[];
CREATE MACRO pg_available_extensions() AS TABLE FROM pg_available_extensions;
-- Functions of rows in a list of columns: there are no privileges to be told.
CREATE MACRO aclexplode_rows(a) AS unnest([]::STRUCT(grantor UINTEGER, grantee UINTEGER, privilege_type VARCHAR, is_grantable BOOLEAN)[]);

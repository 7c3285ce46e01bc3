-- What programs that read whole catalogs ask, besides what their drivers do: SchemaCrawler 16, jOOQ 3.19's generator, GDAL 3.6, postgres_fdw 15.
-- sc
SELECT setting FROM pg_catalog.pg_settings WHERE name='default_transaction_isolation';
SELECT datname AS TABLE_CAT FROM pg_catalog.pg_database WHERE datallowconn = true ORDER BY datname;
select null as type_cat, n.nspname as type_schem, t.typname as type_name,  null as class_name, CASE WHEN t.typtype='c' then 2002 else 2001 end as data_type, pg_catalog.obj_description(t.oid, 'pg_type')  as remarks, CASE WHEN t.typtype = 'd' then  (select CASE when base_type.oid = 1028 then 2003 when base_type.oid = 2950 then 1111 when base_type.oid = 2951 then 2003 when base_type.oid = 142 then 2009 when base_type.oid = 143 then 2003 when base_type.oid = 16 then -7 when base_type.oid = 17 then -2 when base_type.oid = 18 then 1 when base_type.oid = 1042 then 1 when base_type.oid = 1043 then 12 when base_type.oid = 19 then 12 when base_type.oid = 20 then -5 when base_type.oid = 21 then 5 when base_type.oid = 790 then 8 when base_type.oid = 23 then 4 when base_type.oid = 791 then 2003 when base_type.oid = 1560 then -7 when base_type.oid = 25 then 12 when base_type.oid = 1561 then 2003 when base_type.oid = 2201 then 2003 when base_type.oid = 26 then -5 when base_type.oid = 1562 then 1111 when base_type.oid = 1563 then 2003 when base_type.oid = 1182 then 2003 when base_type.oid = 1183 then 2003 when base_type.oid = 1184 then 93 when base_type.oid = 1185 then 2003 when base_type.oid = 1700 then 2 when base_type.oid = 1082 then 91 when base_type.oid = 1083 then 92 when base_type.oid = 700 then 7 when base_type.oid = 701 then 8 when base_type.oid = 199 then 2003 when base_type.oid = 1231 then 2003 when base_type.oid = 600 then 1111 when base_type.oid = 1114 then 93 when base_type.oid = 1115 then 2003 when base_type.oid = 603 then 1111 when base_type.oid = 1000 then 2003 when base_type.oid = 1001 then 2003 when base_type.oid = 1002 then 2003 when base_type.oid = 1003 then 2003 when base_type.oid = 1005 then 2003 when base_type.oid = 1007 then 2003 when base_type.oid = 1009 then 2003 when base_type.oid = 1266 then 92 when base_type.oid = 114 then 1111 when base_type.oid = 1014 then 2003 when base_type.oid = 1270 then 2003 when base_type.oid = 1015 then 2003 when base_type.oid = 1016 then 2003 when base_type.oid = 1017 then 2003 when base_type.oid = 1020 then 2003 when base_type.oid = 1021 then 2003 when base_type.oid = 1022 then 2003 when base_type.oid = 1790 then 2012 else 1111 end from pg_type base_type where base_type.oid=t.typbasetype) else null end as base_type from pg_catalog.pg_type t, pg_catalog.pg_namespace n where t.typnamespace = n.oid and n.nspname != 'pg_catalog' and n.nspname != 'pg_toast' and t.typtype IN ('c','d')  and n.nspname like 'shops' order by data_type, type_schem, type_name;
SELECT NULL AS TABLE_CAT, n.nspname AS TABLE_SCHEM, c.relname AS TABLE_NAME,  CASE n.nspname ~ '^pg_' OR n.nspname = 'information_schema'  WHEN true THEN CASE  WHEN n.nspname = 'pg_catalog' OR n.nspname = 'information_schema' THEN CASE c.relkind   WHEN 'r' THEN 'SYSTEM TABLE'   WHEN 'v' THEN 'SYSTEM VIEW'   WHEN 'i' THEN 'SYSTEM INDEX'   ELSE NULL   END  WHEN n.nspname = 'pg_toast' THEN CASE c.relkind   WHEN 'r' THEN 'SYSTEM TOAST TABLE'   WHEN 'i' THEN 'SYSTEM TOAST INDEX'   ELSE NULL   END  ELSE CASE c.relkind   WHEN 'r' THEN 'TEMPORARY TABLE'   WHEN 'p' THEN 'TEMPORARY TABLE'   WHEN 'i' THEN 'TEMPORARY INDEX'   WHEN 'S' THEN 'TEMPORARY SEQUENCE'   WHEN 'v' THEN 'TEMPORARY VIEW'   ELSE NULL   END  END  WHEN false THEN CASE c.relkind  WHEN 'r' THEN 'TABLE'  WHEN 'p' THEN 'PARTITIONED TABLE'  WHEN 'i' THEN 'INDEX'  WHEN 'P' then 'PARTITIONED INDEX'  WHEN 'S' THEN 'SEQUENCE'  WHEN 'v' THEN 'VIEW'  WHEN 'c' THEN 'TYPE'  WHEN 'f' THEN 'FOREIGN TABLE'  WHEN 'm' THEN 'MATERIALIZED VIEW'  ELSE NULL  END  ELSE NULL  END  AS TABLE_TYPE, d.description AS REMARKS,  '' as TYPE_CAT, '' as TYPE_SCHEM, '' as TYPE_NAME, '' AS SELF_REFERENCING_COL_NAME, '' AS REF_GENERATION  FROM pg_catalog.pg_namespace n, pg_catalog.pg_class c  LEFT JOIN pg_catalog.pg_description d ON (c.oid = d.objoid AND d.objsubid = 0  and d.classoid = 'pg_class'::regclass)  WHERE c.relnamespace = n.oid  AND n.nspname LIKE 'shops' AND (false  OR ( c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' )  OR ( c.relkind = 'v' AND n.nspname <> 'pg_catalog' AND n.nspname <> 'information_schema' ) )  ORDER BY TABLE_TYPE,TABLE_SCHEM,TABLE_NAME;
SELECT * FROM (SELECT n.nspname,c.relname,a.attname,a.atttypid,a.attnotnull OR (t.typtype = 'd' AND t.typnotnull) AS attnotnull,a.atttypmod,a.attlen,t.typtypmod,row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum) AS attnum, nullif(a.attidentity, '') as attidentity,nullif(a.attgenerated, '') as attgenerated,pg_catalog.pg_get_expr(def.adbin, def.adrelid) AS adsrc,dsc.description,t.typbasetype,t.typtype  FROM pg_catalog.pg_namespace n  JOIN pg_catalog.pg_class c ON (c.relnamespace = n.oid)  JOIN pg_catalog.pg_attribute a ON (a.attrelid=c.oid)  JOIN pg_catalog.pg_type t ON (a.atttypid = t.oid)  LEFT JOIN pg_catalog.pg_attrdef def ON (a.attrelid=def.adrelid AND a.attnum = def.adnum)  LEFT JOIN pg_catalog.pg_description dsc ON (c.oid=dsc.objoid AND a.attnum = dsc.objsubid)  LEFT JOIN pg_catalog.pg_class dc ON (dc.oid=dsc.classoid AND dc.relname='pg_class')  LEFT JOIN pg_catalog.pg_namespace dn ON (dc.relnamespace=dn.oid AND dn.nspname='pg_catalog')  WHERE c.relkind in ('r','p','v','f','m') and a.attnum > 0 AND NOT a.attisdropped  AND n.nspname LIKE 'shops' AND c.relname LIKE 'by_shop') c WHERE true  ORDER BY nspname,c.relname,attnum;
SELECT
  CURRENT_DATABASE()::INFORMATION_SCHEMA.SQL_IDENTIFIER AS TABLE_CATALOG,
  NAMESPACES.NSPNAME::INFORMATION_SCHEMA.SQL_IDENTIFIER AS TABLE_SCHEMA,
  TABLES.RELNAME::INFORMATION_SCHEMA.SQL_IDENTIFIER AS TABLE_NAME,
  TABLES.RELTUPLES::BIGINT AS COUNT,
  TABLES.RELPAGES::BIGINT AS PAGES
FROM
  PG_CATALOG.PG_CLASS TABLES
  INNER JOIN PG_CATALOG.PG_NAMESPACE NAMESPACES
    ON TABLES.RELNAMESPACE = NAMESPACES.OID
WHERE
  NAMESPACES.NSPNAME NOT IN ('pg_catalog', 'information_schema')
  AND NAMESPACES.NSPNAME !~ '^pg_toast'
  AND TABLES.RELKIND IN ('r', 'v');
SELECT n.nspname,c.relname,r.rolname,c.relacl  FROM pg_catalog.pg_namespace n, pg_catalog.pg_class c, pg_catalog.pg_roles r  WHERE c.relnamespace = n.oid  AND c.relowner = r.oid  AND c.relkind IN ('r','p','v','m','f')  ORDER BY nspname, relname;
SELECT
  CURRENT_DATABASE()::INFORMATION_SCHEMA.SQL_IDENTIFIER AS CONSTRAINT_CATALOG,
  NAMESPACES.NSPNAME AS CONSTRAINT_SCHEMA,
  CONSTRAINTS.CONNAME AS CONSTRAINT_NAME,
  TABLES.RELNAME AS TABLE_NAME,
  PG_CATALOG.OBJ_DESCRIPTION(CONSTRAINTS.OID, 'pg_constraint')
    AS REMARKS,
  PG_GET_CONSTRAINTDEF(CONSTRAINTS.OID) 
    AS CONSTRAINT_DEFINITION
FROM
  PG_CONSTRAINT CONSTRAINTS
  INNER JOIN PG_NAMESPACE AS NAMESPACES
    ON CONSTRAINTS.CONNAMESPACE = NAMESPACES.OID
  INNER JOIN PG_CATALOG.PG_CLASS TABLES
    ON CONSTRAINTS.CONRELID = TABLES.OID
WHERE
  NAMESPACES.NSPNAME NOT IN ('pg_catalog', 'information_schema')
  AND NAMESPACES.NSPNAME !~ '^pg_toast'
  AND TABLES.RELKIND IN ('r', 'v');
SELECT
  CURRENT_DATABASE()::INFORMATION_SCHEMA.SQL_IDENTIFIER AS INDEX_CATALOG,
  INDEXES.SCHEMANAME AS INDEX_SCHEMA,
  INDEXES.INDEXNAME AS INDEX_NAME,
  INDEXES.TABLENAME AS TABLE_NAME,
  PG_CATALOG.OBJ_DESCRIPTION(PGC.OID, 'pg_class') AS REMARKS,
  INDEXES.INDEXDEF AS INDEX_DEFINITION
FROM
  PG_INDEXES INDEXES
  INNER JOIN PG_CATALOG.PG_CLASS PGC
    ON INDEXES.INDEXNAME = PGC.RELNAME
ORDER BY
  INDEXES.SCHEMANAME,
  INDEXES.TABLENAME,
  INDEXES.INDEXNAME;
SELECT n.nspname,c.relname,r.rolname,c.relacl, a.attacl,  a.attname  FROM pg_catalog.pg_namespace n, pg_catalog.pg_class c,  pg_catalog.pg_roles r, pg_catalog.pg_attribute a  WHERE c.relnamespace = n.oid  AND c.relowner = r.oid  AND c.oid = a.attrelid  AND c.relkind = 'r'  AND a.attnum > 0 AND NOT a.attisdropped  ORDER BY attname;
SELECT
  CURRENT_DATABASE()::INFORMATION_SCHEMA.SQL_IDENTIFIER AS TYPE_CATALOG,
  n.nspname AS TYPE_SCHEMA,
  t.typname AS TYPE_NAME,
  e.enumlabel AS ENUM_LABEL
FROM
  pg_enum e
  INNER JOIN pg_type t
    ON e.enumtypid = t.oid
  INNER JOIN pg_catalog.pg_namespace n
    ON n.oid = t.typnamespace
WHERE
  t.typname = 'text';
SELECT
  CURRENT_DATABASE()::INFORMATION_SCHEMA.SQL_IDENTIFIER AS TYPE_CATALOG,
  n.nspname AS TYPE_SCHEMA,
  t.typname AS TYPE_NAME,
  e.enumlabel AS ENUM_LABEL
FROM
  pg_enum e
  INNER JOIN pg_type t
    ON e.enumtypid = t.oid
  INNER JOIN pg_catalog.pg_namespace n
    ON n.oid = t.typnamespace
WHERE
  t.typname = 'bool';
SELECT
  CURRENT_DATABASE()::INFORMATION_SCHEMA.SQL_IDENTIFIER AS TYPE_CATALOG,
  n.nspname AS TYPE_SCHEMA,
  t.typname AS TYPE_NAME,
  e.enumlabel AS ENUM_LABEL
FROM
  pg_enum e
  INNER JOIN pg_type t
    ON e.enumtypid = t.oid
  INNER JOIN pg_catalog.pg_namespace n
    ON n.oid = t.typnamespace
WHERE
  t.typname = 'date';
SELECT
  CURRENT_DATABASE()::INFORMATION_SCHEMA.SQL_IDENTIFIER AS TYPE_CATALOG,
  n.nspname AS TYPE_SCHEMA,
  t.typname AS TYPE_NAME,
  e.enumlabel AS ENUM_LABEL
FROM
  pg_enum e
  INNER JOIN pg_type t
    ON e.enumtypid = t.oid
  INNER JOIN pg_catalog.pg_namespace n
    ON n.oid = t.typnamespace
WHERE
  t.typname = 'int8';
SELECT
  CURRENT_DATABASE()::INFORMATION_SCHEMA.SQL_IDENTIFIER AS TYPE_CATALOG,
  n.nspname AS TYPE_SCHEMA,
  t.typname AS TYPE_NAME,
  e.enumlabel AS ENUM_LABEL
FROM
  pg_enum e
  INNER JOIN pg_type t
    ON e.enumtypid = t.oid
  INNER JOIN pg_catalog.pg_namespace n
    ON n.oid = t.typnamespace
WHERE
  t.typname = 'timestamp';
-- jooq
select pg_catalog.pg_namespace.nspname from pg_catalog.pg_namespace order by pg_catalog.pg_namespace.nspname;
select exists (select 1 as one from information_schema.tables where (information_schema.tables.table_name = 'shops' and information_schema.tables.table_schema = 'shops'));
with recursive domains(domain_id, base_id, typbasetype, conname, src) as (select d.oid, d.oid, d.typbasetype, c.conname, case when (c.oid is not null and c.contype <> 'n') then array[pg_get_constraintdef(c.oid)] end from (pg_catalog.pg_type as d join pg_catalog.pg_namespace as alias_34093787 on d.typnamespace = alias_34093787.oid) left outer join pg_catalog.pg_constraint as c on d.oid = c.contypid where (d.typtype = 'shops' and alias_34093787.nspname in ('shops')) union all select domains.domain_id, d.oid, d.typbasetype, c.conname, case when (c.conbin is null or c.contype <> 'n') then domains.src else array_append(domains.src, pg_get_constraintdef(c.oid)) end from domains join pg_catalog.pg_type as d on domains.typbasetype = d.oid left outer join pg_catalog.pg_constraint as c on d.oid = c.contypid) select alias_34093787.nspname, d.typname, d.typnotnull, d.typdefault, b.typname, information_schema._pg_char_max_length(d.typbasetype, d.typtypmod) as character_maximum_length, coalesce(information_schema._pg_datetime_precision(d.typbasetype, d.typtypmod), information_schema._pg_numeric_precision(d.typbasetype, d.typtypmod)) as numeric_precision, information_schema._pg_numeric_scale(d.typbasetype, d.typtypmod) as numeric_scale, domains.src from (pg_catalog.pg_type as d join pg_catalog.pg_namespace as alias_34093787 on d.typnamespace = alias_34093787.oid) join domains on (domains.typbasetype = 'shops' and domains.domain_id = d.oid) join pg_catalog.pg_type as b on domains.base_id = b.oid where (d.typtype = 'shops' and alias_34093787.nspname in ('shops')) order by alias_34093787.nspname, d.typname, domains.conname;
select tables.table_schema, tables.table_name, tables.specific_name, tables.description, tables.table_type, tables.type_udt_schema, tables.type_udt_name from (select information_schema.tables.table_schema, information_schema.tables.table_name, information_schema.tables.table_name as specific_name, pg_catalog.pg_description.description, case when information_schema.tables.table_type = 'VIEW' then 'VIEW' else 'TABLE' end as table_type, '' as type_udt_schema, '' as type_udt_name from information_schema.tables join (pg_catalog.pg_class join pg_catalog.pg_namespace as alias_87241969 on pg_catalog.pg_class.relnamespace = alias_87241969.oid) on (pg_catalog.pg_class.relname = information_schema.tables.table_name and alias_87241969.nspname = information_schema.tables.table_schema) left outer join pg_catalog.pg_description on (pg_catalog.pg_description.objoid = pg_catalog.pg_class.oid and pg_catalog.pg_description.classoid = 'pg_class'::regclass and pg_catalog.pg_description.objsubid = 0) left outer join information_schema.views on (information_schema.tables.table_schema = information_schema.views.table_schema and information_schema.tables.table_name = information_schema.views.table_name) where (information_schema.tables.table_schema in ('shops') and (information_schema.tables.table_schema, information_schema.tables.table_name) not in (select alias_87241969.nspname, pg_catalog.pg_class.relname from (pg_catalog.pg_class join pg_catalog.pg_namespace as alias_87241969 on pg_catalog.pg_class.relnamespace = alias_87241969.oid) where pg_catalog.pg_class.relkind = 'm')) union all select alias_87241969.nspname::varchar, pg_catalog.pg_class.relname::varchar, pg_catalog.pg_class.relname::varchar, pg_catalog.pg_description.description, 'MATERIALIZED_VIEW' as table_type, '', '' from (pg_catalog.pg_class join pg_catalog.pg_namespace as alias_87241969 on pg_catalog.pg_class.relnamespace = alias_87241969.oid) left outer join pg_catalog.pg_description on (pg_catalog.pg_description.objoid = pg_catalog.pg_class.oid and pg_catalog.pg_description.classoid = 'pg_class'::regclass and pg_catalog.pg_description.objsubid = 0) where (alias_87241969.nspname in ('shops') and pg_catalog.pg_class.relkind = 'm') union all select information_schema.routines.routine_schema, information_schema.routines.routine_name, information_schema.routines.specific_name, '', 'FUNCTION' as table_type, information_schema.routines.type_udt_schema, information_schema.routines.type_udt_name from information_schema.routines join (pg_catalog.pg_proc join pg_catalog.pg_namespace as alias_120026365 on pg_catalog.pg_proc.pronamespace = alias_120026365.oid) on (alias_120026365.nspname = information_schema.routines.specific_schema and ((pg_catalog.pg_proc.proname || 'shops') || cast(pg_catalog.pg_proc.oid as varchar)) = information_schema.routines.specific_name) where (information_schema.routines.routine_schema in ('shops') and pg_catalog.pg_proc.proretset)) as tables order by 1, 2;
select alias_123817778.nspname, ct.relname, alias_46579013.nspname, pt.relname, max(i.inhseqno) over (partition by i.inhrelid) as m from (pg_catalog.pg_class as ct join pg_catalog.pg_namespace as alias_123817778 on ct.relnamespace = alias_123817778.oid) join pg_catalog.pg_inherits as i on i.inhrelid = ct.oid join (pg_catalog.pg_class as pt join pg_catalog.pg_namespace as alias_46579013 on pt.relnamespace = alias_46579013.oid) on i.inhparent = pt.oid where (alias_123817778.nspname in ('shops') and alias_46579013.nspname in ('shops'));
select alias_42996861.nspname, pg_catalog.pg_type.typname from (pg_catalog.pg_type join pg_catalog.pg_namespace as alias_42996861 on pg_catalog.pg_type.typnamespace = alias_42996861.oid) where (alias_42996861.nspname in ('shops') and pg_catalog.pg_type.oid in (select pg_catalog.pg_enum.enumtypid from pg_catalog.pg_enum)) order by alias_42996861.nspname, pg_catalog.pg_type.typname;
select exists (select 1 as one from information_schema.columns where (information_schema.columns.column_name = 'shops' and information_schema.columns.table_name = 'shops' and information_schema.columns.table_schema = 'shops'));
select exists (select 1 as one from information_schema.tables where information_schema.tables.table_name = 'shops');
select r1.routine_schema, r1.routine_name, r1.specific_name, r1.routine_type, case when (r1.data_type = 'USER-DEFINED' and r1.type_udt_name = 'geometry') then 'geometry' when (pg_catalog.pg_proc.proargmodes && ARRAY['o','b']::"char"[]) then 'void' when r1.data_type = 'ARRAY' then (substring(r1.type_udt_name, 2) || ' ARRAY') else r1.data_type end as data_type, r1.character_maximum_length, case when (r1.numeric_precision is null and r1.data_type in ('time', 'timetz', 'time without time zone', 'time with time zone', 'timestamp', 'timestamptz', 'timestamp without time zone', 'timestamp with time zone')) then 6 else r1.numeric_precision end as numeric_precision, r1.numeric_scale, r1.type_udt_schema, case when r1.data_type = 'ARRAY' then substring(r1.type_udt_name, 2) else r1.type_udt_name end as type_udt_name, case when count(*) over (partition by r1.routine_schema, r1.routine_name) > 1 then row_number() over (partition by r1.routine_schema, r1.routine_name order by r1.specific_name) end as overload, (pg_catalog.pg_proc.prokind = 'a') as is_agg from information_schema.routines as r1 join (pg_catalog.pg_proc join pg_catalog.pg_namespace as alias_120026365 on pg_catalog.pg_proc.pronamespace = alias_120026365.oid) on (alias_120026365.nspname = r1.specific_schema and ((pg_catalog.pg_proc.proname || 'shops') || cast(pg_catalog.pg_proc.oid as varchar)) = r1.specific_name) left outer join pg_catalog.pg_type as rett on pg_catalog.pg_proc.prorettype = rett.oid where (r1.routine_schema in ('shops') and not (pg_catalog.pg_proc.proretset) and r1.data_type is distinct from 'trigger') order by r1.routine_schema asc, r1.routine_name asc, overload asc;
with schemas(schema) as (select v.c1 from (values ('shops')) as v (c1)) (select null as catalog, information_schema.sequences.sequence_schema, information_schema.sequences.sequence_name, information_schema.sequences.data_type, information_schema.sequences.numeric_precision, information_schema.sequences.numeric_scale, nullif(cast(information_schema.sequences.start_value as bigint), 1) as start_value, nullif(cast(information_schema.sequences.increment as bigint), 1) as increment, nullif(cast(information_schema.sequences.minimum_value as bigint), 1) as minimum_value, nullif(cast(information_schema.sequences.maximum_value as decimal), (power(cast(2 as decimal), cast((information_schema.sequences.numeric_precision - 1) as decimal)) - 1)) as maximum_value, cast(information_schema.sequences.cycle_option as boolean) as cycle_option, cast(null as bigint) as cache from information_schema.sequences where (information_schema.sequences.sequence_schema in (select schemas.schema from schemas) and (information_schema.sequences.sequence_schema, information_schema.sequences.sequence_name) not in (select information_schema.columns.table_schema, (((information_schema.columns.table_name || '_') || information_schema.columns.column_name) || '_seq') from information_schema.columns where (information_schema.columns.column_default = (('nextval(''' || ((information_schema.columns.table_name || '_') || information_schema.columns.column_name)) || '_seq''::regclass)') or information_schema.columns.column_default = (('nextval(''' || ((((information_schema.columns.table_schema || '.') || information_schema.columns.table_name) || '_') || information_schema.columns.column_name)) || '_seq''::regclass)'))))) union all (select '', '', '', '', 0, 0, 0, 0, 0, 0, false, 0 where false) order by 2, 3;
select information_schema.columns.column_name, information_schema.columns.ordinal_position, case when information_schema.columns.interval_type like any (array['%YEAR%', '%MONTH%']) then 'INTERVAL YEAR TO MONTH' when information_schema.columns.interval_type like any (array['%DAY%', '%HOUR%', '%MINUTE%', '%SECOND%']) then 'INTERVAL DAY TO SECOND' when (information_schema.columns.data_type = 'USER-DEFINED' and information_schema.columns.udt_name = 'geometry') then 'geometry' when information_schema.columns.data_type = 'ARRAY' then (substring(pg_catalog.pg_type.typname, 2) || repeat(' ARRAY', greatest(1, pg_catalog.pg_attribute.attndims))) else information_schema.columns.data_type end as data_type, coalesce(information_schema.columns.character_maximum_length, case when information_schema.columns.udt_name in ('_varchar', '_bpchar', '_char') then (pg_catalog.pg_attribute.atttypmod - 4) end) as character_maximum_length, coalesce(information_schema.columns.datetime_precision, information_schema.columns.numeric_precision, case when (information_schema.columns.udt_name in ('_time', '_timetz', '_timestamp', '_timestamptz') and pg_catalog.pg_attribute.atttypmod >= 0) then pg_catalog.pg_attribute.atttypmod when information_schema.columns.udt_name = '_numeric' then (((nullif(pg_catalog.pg_attribute.atttypmod, -1) - 4) >> 16) & 65535) end) as numeric_precision, coalesce(information_schema.columns.numeric_scale, case when information_schema.columns.udt_name = '_numeric' then ((nullif(pg_catalog.pg_attribute.atttypmod, -1) - 4) & 65535) end) as numeric_scale, case when (information_schema.columns.is_identity = 'YES' or (count(*) filter (where information_schema.columns.is_identity = 'YES') over () = 0 and lower(information_schema.columns.column_default) ilike 'nextval(''%_seq''::regclass)')) then 'YES' end as is_identity, information_schema.columns.is_nullable, information_schema.columns.generation_expression as generation_expression, 's' as attgenerated, case when (information_schema.columns.is_identity = 'YES' or (count(*) filter (where information_schema.columns.is_identity = 'YES') over () = 0 and lower(information_schema.columns.column_default) ilike 'nextval(''%_seq''::regclass)')) then null else information_schema.columns.column_default end as column_default, coalesce(information_schema.columns.domain_schema, information_schema.columns.udt_schema) as udt_schema, coalesce(information_schema.columns.domain_name, case when information_schema.columns.data_type = 'ARRAY' then substring(pg_catalog.pg_type.typname, 2) else information_schema.columns.udt_name end) as udt_name, pg_catalog.pg_description.description from information_schema.columns join (pg_catalog.pg_attribute join (pg_catalog.pg_class as alias_100646588 join pg_catalog.pg_namespace as alias_117804412 on alias_100646588.relnamespace = alias_117804412.oid) on pg_catalog.pg_attribute.attrelid = alias_100646588.oid) on (pg_catalog.pg_attribute.attname = information_schema.columns.column_name and alias_100646588.relname = information_schema.columns.table_name and alias_117804412.nspname = information_schema.columns.table_schema) join pg_catalog.pg_type on pg_catalog.pg_attribute.atttypid = pg_catalog.pg_type.oid left outer join pg_catalog.pg_description on (pg_catalog.pg_description.objoid = pg_catalog.pg_attribute.attrelid and pg_catalog.pg_description.classoid = 'pg_class'::regclass and pg_catalog.pg_description.objsubid = information_schema.columns.ordinal_position) where (information_schema.columns.table_schema = 'shops' and information_schema.columns.table_name = 'shops') order by information_schema.columns.ordinal_position;
select k.table_catalog, k.table_schema, k.table_name, k.constraint_name, k.column_name, k.ordinal_position from (pg_catalog.pg_constraint as c join (pg_catalog.pg_class as alias_89552482 join pg_catalog.pg_namespace as alias_126892781 on alias_89552482.relnamespace = alias_126892781.oid) on c.conrelid = alias_89552482.oid join pg_catalog.pg_namespace as alias_87501535 on c.connamespace = alias_87501535.oid) join information_schema.key_column_usage as k on (k.table_schema = alias_126892781.nspname and k.table_name = alias_89552482.relname and k.constraint_schema = alias_87501535.nspname and k.constraint_name = c.conname) where (c.contype = 'p' and alias_87501535.nspname in ('shops')) order by k.table_schema asc, k.table_name asc, k.constraint_name asc, k.ordinal_position asc;
select k.table_catalog, k.table_schema, k.table_name, k.constraint_name, k.column_name, k.ordinal_position from (pg_catalog.pg_constraint as c join (pg_catalog.pg_class as alias_89552482 join pg_catalog.pg_namespace as alias_126892781 on alias_89552482.relnamespace = alias_126892781.oid) on c.conrelid = alias_89552482.oid join pg_catalog.pg_namespace as alias_87501535 on c.connamespace = alias_87501535.oid) join information_schema.key_column_usage as k on (k.table_schema = alias_126892781.nspname and k.table_name = alias_89552482.relname and k.constraint_schema = alias_87501535.nspname and k.constraint_name = c.conname) where (c.contype = 'u' and alias_87501535.nspname in ('shops')) order by k.table_schema asc, k.table_name asc, k.constraint_name asc, k.ordinal_position asc;
select alias_122251260.nspname, alias_104821198.relname, pc.conname as constraint_name, replace(pg_get_constraintdef(pc.oid), 'CHECK ', '') as check_clause from (pg_catalog.pg_constraint as pc join (pg_catalog.pg_class as alias_104821198 join pg_catalog.pg_namespace as alias_122251260 on alias_104821198.relnamespace = alias_122251260.oid) on pc.conrelid = alias_104821198.oid) where (alias_122251260.nspname in ('shops') and pc.contype = 'c') union all select '', '', '', '' where false order by 1, 2, 3;
SELECT NULL::text AS PKTABLE_CAT, pkn.nspname AS PKTABLE_SCHEM, pkc.relname AS PKTABLE_NAME, pka.attname AS PKCOLUMN_NAME, NULL::text AS FKTABLE_CAT, fkn.nspname AS FKTABLE_SCHEM, fkc.relname AS FKTABLE_NAME, fka.attname AS FKCOLUMN_NAME, pos.n AS KEY_SEQ, CASE con.confupdtype  WHEN 'c' THEN 0 WHEN 'n' THEN 2 WHEN 'd' THEN 4 WHEN 'r' THEN 1 WHEN 'p' THEN 1 WHEN 'a' THEN 3 ELSE NULL END AS UPDATE_RULE, CASE con.confdeltype  WHEN 'c' THEN 0 WHEN 'n' THEN 2 WHEN 'd' THEN 4 WHEN 'r' THEN 1 WHEN 'p' THEN 1 WHEN 'a' THEN 3 ELSE NULL END AS DELETE_RULE, con.conname AS FK_NAME, pkic.relname AS PK_NAME, CASE  WHEN con.condeferrable AND con.condeferred THEN 5 WHEN con.condeferrable THEN 6 ELSE 7 END AS DEFERRABILITY  FROM  pg_catalog.pg_namespace pkn, pg_catalog.pg_class pkc, pg_catalog.pg_attribute pka,  pg_catalog.pg_namespace fkn, pg_catalog.pg_class fkc, pg_catalog.pg_attribute fka,  pg_catalog.pg_constraint con,  pg_catalog.generate_series(1, 32) pos(n),  pg_catalog.pg_class pkic WHERE pkn.oid = pkc.relnamespace AND pkc.oid = pka.attrelid AND pka.attnum = con.confkey[pos.n] AND con.confrelid = pkc.oid  AND fkn.oid = fkc.relnamespace AND fkc.oid = fka.attrelid AND fka.attnum = con.conkey[pos.n] AND con.conrelid = fkc.oid  AND con.contype = 'f' AND (pkic.relkind = 'i' OR pkic.relkind = 'I') AND pkic.oid = con.conindid  ORDER BY pkn.nspname,pkc.relname, con.conname,pos.n;
select alias_55552762.nspname, alias_19399786.relname, alias_76360422.relname, i.indisunique, array(select pg_get_indexdef(i.indexrelid, k + 1, true) from generate_subscripts(i.indkey, 1) as k order by k) as columns, i.indoption::int[] as asc_or_desc from (pg_catalog.pg_index as i join (pg_catalog.pg_class as alias_19399786 join pg_catalog.pg_namespace as alias_55552762 on alias_19399786.relnamespace = alias_55552762.oid) on i.indrelid = alias_19399786.oid join pg_catalog.pg_class as alias_76360422 on i.indexrelid = alias_76360422.oid) where (alias_55552762.nspname in ('shops') and (alias_55552762.nspname, alias_76360422.relname) not in (select alias_87501535.nspname, c.conname from (pg_catalog.pg_constraint as c join pg_catalog.pg_namespace as alias_87501535 on c.connamespace = alias_87501535.oid))) order by 1, 2, 3;
-- gdal
SHOW client_encoding;
SELECT n.nspname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE proname = 'postgis_version';
SHOW standard_conforming_strings;
SELECT oid, typname FROM pg_type WHERE typname IN ('geometry', 'geography') AND typtype='b';
SELECT 1 FROM information_schema.tables WHERE table_name = 'geometry_columns' LIMIT 1;
SELECT 1 FROM information_schema.tables WHERE table_name = 'spatial_ref_sys' LIMIT 1;
SELECT c.relname, n.nspname, c.relkind FROM pg_class c, pg_namespace n WHERE (c.relkind in ('r','v','m','f') AND c.relname !~ '^pg_' AND c.relnamespace=n.oid);
SELECT c.oid FROM pg_class c JOIN pg_namespace n ON c.relnamespace=n.oid WHERE c.relname = 'by_shop' AND n.nspname = 'shops';
SELECT a.attname, a.attnum, t.typname, t.typname = ANY(ARRAY['int2','int4','int8','serial','bigserial']) AS isfid FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid JOIN pg_index i ON i.indrelid = a.attrelid WHERE a.attnum > 0 AND a.attrelid = 947079128 AND i.indisprimary = 't' AND t.typname !~ '^geom' AND a.attnum = ANY(i.indkey) ORDER BY a.attnum;
SELECT a.attname, t.typname, a.attlen,       format_type(a.atttypid,a.atttypmod), a.attnotnull, def.def, i.indisunique, a.attgenerated FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN (SELECT adrelid, adnum, pg_get_expr(adbin, adrelid) AS def FROM pg_attrdef) def ON def.adrelid = a.attrelid AND def.adnum = a.attnum LEFT JOIN (SELECT DISTINCT indrelid, indkey, indisunique FROM pg_index WHERE indisunique) i ON i.indrelid = a.attrelid AND i.indkey[0] = a.attnum AND i.indkey[1] IS NULL WHERE a.attnum > 0 AND a.attrelid = 947079128 ORDER BY a.attnum;
-- fdw
SET search_path = pg_catalog;
SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = 'shops';
SELECT relname,   attname,   format_type(atttypid, atttypmod),   attnotnull,   pg_get_expr(adbin, adrelid),   attgenerated,   collname,   collnsp.nspname FROM pg_class c   JOIN pg_namespace n ON     relnamespace = n.oid   LEFT JOIN pg_attribute a ON     attrelid = c.oid AND attnum > 0       AND NOT attisdropped   LEFT JOIN pg_attrdef ad ON     adrelid = c.oid AND adnum = attnum   LEFT JOIN pg_collation coll ON     coll.oid = attcollation   LEFT JOIN pg_namespace collnsp ON     collnsp.oid = collnamespace WHERE c.relkind IN ('r','v','f','m','p')   AND n.nspname = 'shops' AND NOT c.relispartition  ORDER BY c.relname, a.attnum;
SELECT pg_catalog.pg_relation_size('shops.day'::pg_catalog.regclass) / 8192;

-- Redash, and what reads the warehouse for Lightdash.
SELECT s.nspname as table_schema, c.relname as table_name, a.attname as column_name, null as data_type FROM pg_class c JOIN pg_namespace s ON c.relnamespace = s.oid AND s.nspname NOT IN ('pg_catalog', 'information_schema') JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped WHERE c.relkind = 'm' AND has_table_privilege(quote_ident(s.nspname) || '.' || quote_ident(c.relname), 'select') AND has_schema_privilege(s.nspname, 'usage') UNION SELECT table_schema, table_name, column_name, data_type FROM information_schema.columns WHERE table_schema NOT IN ('pg_catalog', 'information_schema') AND has_table_privilege(quote_ident(table_schema) || '.' || quote_ident(table_name), 'select') AND has_schema_privilege(table_schema, 'usage') ORDER BY 1, 2, 3;
SELECT table_catalog, table_schema, table_name, column_name, data_type FROM information_schema.columns WHERE table_catalog IN ('anabranch') AND table_schema IN ('shops') AND table_name IN ('by_shop');

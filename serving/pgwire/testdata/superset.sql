-- What Superset asks besides SQLAlchemy's inspector.
SET search_path = "shops";
SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg_%' ORDER BY nspname;
SELECT pg_backend_pid() > 0 AS there;
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = '999999';
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'shops' AND c.relkind in ('v', 'm') ORDER BY 1;
SELECT DATE_TRUNC('hour', "hour") AS "hour", max(mean) AS "MAX(mean)" FROM (SELECT * FROM by_hour) AS virtual_table WHERE "hour" >= TO_TIMESTAMP('2011-03-13 00:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.US') GROUP BY DATE_TRUNC('hour', "hour") ORDER BY 1 LIMIT 2;
-- Recorded from Superset 6.1: a database, its schemas, tables and columns, a dataset, charts by time grain, SQL Lab.
-- Rows are counted where Superset asks for them in no order.
SELECT t.oid, typarray
FROM pg_type t JOIN pg_namespace ns
    ON typnamespace = ns.oid
WHERE typname = 'hstore';
select pg_catalog.version();
select current_schema();
show transaction isolation level;
show standard_conforming_strings;
SELECT 1;
SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg_%' ORDER BY nspname;
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'shops' AND c.relkind in ('r', 'p');
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'shops' AND c.relkind = 'f';
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'shops' AND c.relkind IN ('v', 'm');
SELECT c.oid
            FROM pg_catalog.pg_class c
            LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            WHERE (n.nspname = 'shops')
            AND c.relname = 'by_hour' AND c.relkind in
            ('r', 'v', 'm', 'f', 'p');
SELECT a.attname,
              pg_catalog.format_type(a.atttypid, a.atttypmod),
              (
                SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid)
                FROM pg_catalog.pg_attrdef d
                WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum
                AND a.atthasdef
              ) AS DEFAULT,
              a.attnotnull,
              a.attrelid as table_oid,
              pgd.description as comment,
              a.attgenerated as generated,
                              (SELECT json_build_object(
                    'always', a.attidentity = 'a',
                    'start', s.seqstart,
                    'increment', s.seqincrement,
                    'minvalue', s.seqmin,
                    'maxvalue', s.seqmax,
                    'cache', s.seqcache,
                    'cycle', s.seqcycle)
                FROM pg_catalog.pg_sequence s
                JOIN pg_catalog.pg_class c on s.seqrelid = c."oid"
                WHERE c.relkind = 'S'
                AND a.attidentity != ''
                AND s.seqrelid = pg_catalog.pg_get_serial_sequence(
                    a.attrelid::regclass::text, a.attname
                )::regclass::oid
                ) as identity_options
            FROM pg_catalog.pg_attribute a
            LEFT JOIN pg_catalog.pg_description pgd ON (
                pgd.objoid = a.attrelid AND pgd.objsubid = a.attnum)
            WHERE a.attrelid = 117494938
            AND a.attnum > 0 AND NOT a.attisdropped
            ORDER BY a.attnum;
SELECT t.typname as "name",
               pg_catalog.format_type(t.typbasetype, t.typtypmod) as "attype",
               not t.typnotnull as "nullable",
               t.typdefault as "default",
               pg_catalog.pg_type_is_visible(t.oid) as "visible",
               n.nspname as "schema"
            FROM pg_catalog.pg_type t
               LEFT JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
            WHERE t.typtype = 'd';
SELECT t.typname as "name",
               -- no enum defaults in 8.4 at least
               -- t.typdefault as "default",
               pg_catalog.pg_type_is_visible(t.oid) as "visible",
               n.nspname as "schema",
               e.enumlabel as "label"
            FROM pg_catalog.pg_type t
                 LEFT JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
                 LEFT JOIN pg_catalog.pg_enum e ON t.oid = e.enumtypid
            WHERE t.typtype = 'e'
        ORDER BY "schema", "name", e.oid;
SELECT a.attname
                FROM pg_attribute a JOIN (
                    SELECT unnest(ix.indkey) attnum,
                           generate_subscripts(ix.indkey, 1) ord
                    FROM pg_index ix
                    WHERE ix.indrelid = 117494938 AND ix.indisprimary
                    ) k ON a.attnum=k.attnum
                WHERE a.attrelid = 117494938
                ORDER BY k.ord;
SELECT conname
           FROM  pg_catalog.pg_constraint r
           WHERE r.conrelid = 117494938 AND r.contype = 'p'
           ORDER BY 1;
SELECT r.conname,
                pg_catalog.pg_get_constraintdef(r.oid, true) as condef,
                n.nspname as conschema
          FROM  pg_catalog.pg_constraint r,
                pg_namespace n,
                pg_class c

          WHERE r.conrelid = 117494938 AND
                r.contype = 'f' AND
                c.oid = confrelid AND
                n.oid = c.relnamespace
          ORDER BY 1;
SELECT
                  i.relname as relname,
                  ix.indisunique, ix.indexprs,
                  a.attname, a.attnum, c.conrelid, ix.indkey::varchar,
                  ix.indoption::varchar, i.reloptions, am.amname,
                  pg_get_expr(ix.indpred, ix.indrelid),
                  ix.indnkeyatts as indnkeyatts
              FROM
                  pg_class t
                        join pg_index ix on t.oid = ix.indrelid
                        join pg_class i on i.oid = ix.indexrelid
                        left outer join
                            pg_attribute a
                            on t.oid = a.attrelid and a.attnum = ANY(ix.indkey)
                        left outer join
                            pg_constraint c
                            on (ix.indrelid = c.conrelid and
                                ix.indexrelid = c.conindid and
                                c.contype in ('p', 'u', 'x'))
                        left outer join
                            pg_am am
                            on i.relam = am.oid
              WHERE
                  t.relkind IN ('r', 'v', 'f', 'm', 'p')
                  and t.oid = 117494938
                  and ix.indisprimary = 'f'
              ORDER BY
                  t.relname,
                  i.relname;
SELECT
                pgd.description as table_comment
            FROM
                pg_catalog.pg_description pgd
            WHERE
                pgd.objsubid = 0 AND
                pgd.objoid = 117494938;
SELECT
                cons.conname as name,
                cons.conkey as key,
                a.attnum as col_num,
                a.attname as col_name
            FROM
                pg_catalog.pg_constraint cons
                join pg_attribute a
                  on cons.conrelid = a.attrelid AND
                    a.attnum = ANY(cons.conkey)
            WHERE
                cons.conrelid = 117494938 AND
                cons.contype = 'u';
SELECT
                cons.conname as name,
                pg_get_constraintdef(cons.oid) as src
            FROM
                pg_catalog.pg_constraint cons
            WHERE
                cons.conrelid = 117494938 AND
                cons.contype = 'c';
select relname from pg_class c join pg_namespace n on n.oid=c.relnamespace where n.nspname='shops' and relname='by_hour';
set search_path = "shops";
SELECT count(*) FROM (SELECT
  DATE_TRUNC('SECOND', hour) AS hour,
  COUNT(*) AS n,
  MAX(mean) AS mean
FROM shops.by_hour
WHERE
  hour >= TO_TIMESTAMP('2000-01-01 00:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.US')
  AND hour < TO_TIMESTAMP('2100-01-01 00:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.US')
GROUP BY
  DATE_TRUNC('SECOND', hour)
ORDER BY
  n DESC
LIMIT 1000) AS q;
SELECT count(*) FROM (SELECT
  DATE_TRUNC('HOUR', hour) + INTERVAL '5 MINUTES' * FLOOR(EXTRACT(MINUTE FROM hour) / 5) AS hour,
  COUNT(*) AS n,
  MAX(mean) AS mean
FROM shops.by_hour
WHERE
  hour >= TO_TIMESTAMP('2000-01-01 00:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.US')
  AND hour < TO_TIMESTAMP('2100-01-01 00:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.US')
GROUP BY
  DATE_TRUNC('HOUR', hour) + INTERVAL '5 MINUTES' * FLOOR(EXTRACT(MINUTE FROM hour) / 5)
ORDER BY
  n DESC
LIMIT 1000) AS q;
SELECT count(*) FROM (SELECT
  DATE_TRUNC('HOUR', hour) AS hour,
  COUNT(*) AS n,
  MAX(mean) AS mean
FROM shops.by_hour
WHERE
  hour >= TO_TIMESTAMP('2000-01-01 00:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.US')
  AND hour < TO_TIMESTAMP('2100-01-01 00:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.US')
GROUP BY
  DATE_TRUNC('HOUR', hour)
ORDER BY
  n DESC
LIMIT 1000) AS q;
SELECT count(*) FROM (SELECT
  DATE_TRUNC('DAY', hour) AS hour,
  COUNT(*) AS n,
  MAX(mean) AS mean
FROM shops.by_hour
WHERE
  hour >= TO_TIMESTAMP('2000-01-01 00:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.US')
  AND hour < TO_TIMESTAMP('2100-01-01 00:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.US')
GROUP BY
  DATE_TRUNC('DAY', hour)
ORDER BY
  n DESC
LIMIT 1000) AS q;
SELECT count(*) FROM (SELECT
  DATE_TRUNC('WEEK', hour) AS hour,
  COUNT(*) AS n,
  MAX(mean) AS mean
FROM shops.by_hour
WHERE
  hour >= TO_TIMESTAMP('2000-01-01 00:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.US')
  AND hour < TO_TIMESTAMP('2100-01-01 00:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.US')
GROUP BY
  DATE_TRUNC('WEEK', hour)
ORDER BY
  n DESC
LIMIT 1000) AS q;
SELECT count(*) FROM (SELECT
  DATE_TRUNC('MONTH', hour) AS hour,
  COUNT(*) AS n,
  MAX(mean) AS mean
FROM shops.by_hour
WHERE
  hour >= TO_TIMESTAMP('2000-01-01 00:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.US')
  AND hour < TO_TIMESTAMP('2100-01-01 00:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.US')
GROUP BY
  DATE_TRUNC('MONTH', hour)
ORDER BY
  n DESC
LIMIT 1000) AS q;
SELECT count(*) FROM (SELECT
  DATE_TRUNC('QUARTER', hour) AS hour,
  COUNT(*) AS n,
  MAX(mean) AS mean
FROM shops.by_hour
WHERE
  hour >= TO_TIMESTAMP('2000-01-01 00:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.US')
  AND hour < TO_TIMESTAMP('2100-01-01 00:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.US')
GROUP BY
  DATE_TRUNC('QUARTER', hour)
ORDER BY
  n DESC
LIMIT 1000) AS q;
SELECT count(*) FROM (SELECT
  DATE_TRUNC('YEAR', hour) AS hour,
  COUNT(*) AS n,
  MAX(mean) AS mean
FROM shops.by_hour
WHERE
  hour >= TO_TIMESTAMP('2000-01-01 00:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.US')
  AND hour < TO_TIMESTAMP('2100-01-01 00:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.US')
GROUP BY
  DATE_TRUNC('YEAR', hour)
ORDER BY
  n DESC
LIMIT 1000) AS q;
SELECT count(*) FROM (SELECT
  shop AS shop,
  COUNT(*) AS n
FROM shops.by_hour
WHERE
  shop LIKE 'shop%' AND mean > -1000
GROUP BY
  shop
HAVING
  (
    COUNT(*) > 1
  )
LIMIT 10) AS q;
SELECT count(*) FROM (SELECT
  COUNT(*) AS n
FROM shops.by_hour
LIMIT 10) AS q;
SELECT count(*) FROM (SELECT
  hour AS hour,
  shop AS shop,
  mean AS mean
FROM shops.by_hour
LIMIT 7
OFFSET 2) AS q;
SELECT count(*) FROM (SELECT
  shop AS shop,
  COUNT(*) AS n
FROM shops.by_hour
JOIN (
  SELECT
    shop AS shop__,
    COUNT(*) AS mme_inner__
  FROM shops.by_hour
  GROUP BY
    shop
  ORDER BY
    COUNT(*) DESC
  LIMIT 3
) AS series_limit
  ON shop = shop__
GROUP BY
  shop
LIMIT 100) AS q;
SELECT count(*) FROM (SELECT DISTINCT shop AS column_values
FROM shops.by_hour
 LIMIT 10000) AS q;
SELECT count(*) FROM (SELECT
  shop,
  n
FROM by_shop
ORDER BY
  n DESC
LIMIT 4) AS q;
SELECT count(*) FROM (SELECT
  a.shop,
  b.mean
FROM by_shop AS a
JOIN by_hour AS b
  USING (shop)
LIMIT 1001) AS q;
SELECT
  1 AS a
LIMIT 1001;
SELECT
  2 AS b
LIMIT 1001;
SELECT count(*) FROM (SELECT
  price,
  last,
  n,
  low,
  TRUE AS t,
  NULL AS x,
  ARRAY[1, 2] AS l
FROM by_shop
LIMIT 1001) AS q;

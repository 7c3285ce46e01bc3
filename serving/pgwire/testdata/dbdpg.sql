-- What DBD::Pg 3.16 asks for statistics_info, recorded.
SELECT
    pg_catalog.current_database() AS "TABLE_CAT",
    n.nspname AS "TABLE_SCHEM",
    d.relname AS "TABLE_NAME",
    NULL AS "NON_UNIQUE",
    NULL AS "INDEX_QUALIFIER",
    NULL AS "INDEX_NAME",
    'table' AS "TYPE",
    NULL AS "ORDINAL_POSITION",
    NULL AS "COLUMN_NAME",
    NULL AS "ASC_OR_DESC",
    d.reltuples AS "CARDINALITY",
    d.relpages AS "PAGES",
    NULL AS "FILTER_CONDITION",
    NULL AS "pg_expression",
    NULL AS "pg_is_key_column",
    NULL AS "pg_null_ordering"
    FROM pg_catalog.pg_class d
    JOIN pg_catalog.pg_namespace n ON n.oid = d.relnamespace
    WHERE d.relname = 'by_shop' AND n.nspname = 'shops'
    UNION ALL
    SELECT
    pg_catalog.current_database() AS "TABLE_CAT",
    n.nspname AS "TABLE_SCHEM",
    d.relname AS "TABLE_NAME",
    NOT(i.indisunique) AS "NON_UNIQUE",
    NULL AS "INDEX_QUALIFIER",
    c.relname AS "INDEX_NAME",
    CASE WHEN i.indisclustered THEN 'clustered'
    WHEN a.amname = 'btree' THEN 'btree'
    WHEN a.amname = 'hash' THEN 'hashed'
    ELSE 'other'
    END AS "TYPE",
    col.i AS "ORDINAL_POSITION",
    att.attname AS "COLUMN_NAME",
    CASE WHEN pg_catalog.pg_index_column_has_property(c.oid, col.i, 'asc') THEN 'A'
    WHEN pg_catalog.pg_index_column_has_property(c.oid, col.i, 'desc') THEN 'D'
    END AS "ASC_OR_DESC",
    c.reltuples AS "CARDINALITY",
    c.relpages AS "PAGES",
    pg_catalog.pg_get_expr(i.indpred,i.indrelid)
    AS "FILTER_CONDITION",
    pg_catalog.pg_get_indexdef(i.indexrelid, col.i, true)
    AS "pg_expression",
    col.i <= i.indnkeyatts AS "pg_is_key_column",
    CASE WHEN pg_catalog.pg_index_column_has_property(c.oid, col.i, 'nulls_first') THEN 'first'
    WHEN pg_catalog.pg_index_column_has_property(c.oid, col.i, 'nulls_last') THEN 'last'
    END AS "pg_null_ordering"
    FROM
    pg_catalog.pg_index i
    JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
    JOIN pg_catalog.pg_class d ON d.oid = i.indrelid
    JOIN pg_catalog.pg_am a ON a.oid = c.relam
    JOIN pg_catalog.pg_namespace n ON n.oid = d.relnamespace
    JOIN pg_catalog.generate_series(1, pg_catalog.current_setting('max_index_keys')::integer) col(i)
    ON col.i <= i.indnatts
    LEFT JOIN pg_catalog.pg_attribute att
    ON att.attrelid = d.oid AND att.attnum = i.indkey[col.i - 1]
    WHERE
    d.relname = 'by_shop' AND n.nspname = 'shops'
    AND (i.indisunique OR NOT('0')) -- unique_only
    ORDER BY
    "NON_UNIQUE", "TYPE", "INDEX_QUALIFIER", "INDEX_NAME", "ORDINAL_POSITION";

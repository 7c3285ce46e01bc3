-- What Grafana's PostgreSQL data source asks to offer tables and columns, and
-- what its macros make of a panel.
SELECT current_setting('server_version_num')::int/100 as version;
SELECT extversion FROM pg_extension WHERE extname = 'timescaledb';
SELECT
    CASE WHEN
          quote_ident(table_schema) IN (
          SELECT
            CASE WHEN trim(s[i]) = '"$user"' THEN user ELSE trim(s[i]) END
          FROM
            generate_series(
              array_lower(string_to_array(current_setting('search_path'),','),1),
              array_upper(string_to_array(current_setting('search_path'),','),1)
            ) as i,
            string_to_array(current_setting('search_path'),',') s
          )
      THEN quote_ident(table_name)
      ELSE quote_ident(table_schema) || '.' || quote_ident(table_name)
    END AS "table"
    FROM information_schema.tables
    WHERE quote_ident(table_schema) NOT IN ('information_schema', 'pg_catalog', '_timescaledb_cache', '_timescaledb_catalog', '_timescaledb_internal', '_timescaledb_config', 'timescaledb_information', 'timescaledb_experimental')
    ORDER BY 1;
SELECT quote_ident(column_name) AS "column", data_type AS "type"
    FROM information_schema.columns
    WHERE
      CASE WHEN array_length(parse_ident('shops.by_shop'),1) = 2
        THEN quote_ident(table_schema) = (parse_ident('shops.by_shop'))[1]
          AND quote_ident(table_name) = (parse_ident('shops.by_shop'))[2]
        ELSE quote_ident(table_name) = 'shops.by_shop'
          AND quote_ident(table_schema) IN (
          SELECT
            CASE WHEN trim(s[i]) = '"$user"' THEN user ELSE trim(s[i]) END
          FROM
            generate_series(
              array_lower(string_to_array(current_setting('search_path'),','),1),
              array_upper(string_to_array(current_setting('search_path'),','),1)
            ) as i,
            string_to_array(current_setting('search_path'),',') s
          )
      END;
SELECT 1;
SELECT floor(extract(epoch from "hour")/3600)*3600 AS "time", count(*) AS value FROM shops.by_hour WHERE "hour" BETWEEN '2011-03-13T00:00:00Z' AND '2011-03-14T00:00:00Z' GROUP BY 1 ORDER BY 1;
SELECT "hour" AS "time", shop AS metric, mean FROM shops.by_hour WHERE extract(epoch from "hour") >= 1300000000 AND extract(epoch from "hour") <= 1300010000 ORDER BY 1, 2;
-- What the macros of the data source itself make (that of June 2023, run), in a
-- view whose column is called like it: all of them, with and without TimescaleDB.
SELECT floor(extract(epoch from by_hour)/3600)*3600 AS "time", sum(n) AS n FROM (SELECT hour AS by_hour, mean AS n FROM shops.by_hour) WHERE by_hour BETWEEN '2011-03-13T00:00:00Z' AND '2011-03-14T00:00:00Z' GROUP BY time ORDER BY time;
SELECT extract(epoch from by_hour) as "time", count(*) AS n FROM (SELECT hour AS by_hour FROM shops.by_hour) WHERE extract(epoch from by_hour) BETWEEN 1300000000 AND 1300010000 GROUP BY 1 ORDER BY 1;
SELECT time_bucket('21600.000s',hour) AS "time", count(*) AS n FROM shops.by_hour WHERE hour >= '2011-03-13T00:00:00.123456789Z' AND hour < '2011-03-14T00:00:00Z' GROUP BY 1 ORDER BY 1;
SELECT extract(epoch from hour)*1000000000 as time, count(*) AS n FROM shops.by_hour WHERE extract(epoch from hour)*1000000000 > 1299974400000000000 AND extract(epoch from hour)*1000000000 < 1300060800000000000 GROUP BY 1 ORDER BY 1;

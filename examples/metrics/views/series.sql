-- What a series looks like, and where it ends.
SELECT
    series,
    count(*) AS measurements,
    count(*) FILTER (WHERE value IS NULL) AS gaps,
    approx_count_distinct(ts) AS times,
    avg(value) AS mean,
    approx_quantile(value, 0.5) AS median,
    approx_quantile(value, 0.99) AS p99,
    arg_max(ts, value) AS highest_at,
    arg_max(value, ts) AS latest
FROM events
GROUP BY ALL

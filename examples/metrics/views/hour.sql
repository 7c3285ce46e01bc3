-- Each series by hour. The sum of doubles is exact until it is rounded once, in whatever order events come.
SELECT
    series,
    time_bucket(INTERVAL '1 hour', ts) AS hour,
    count(value) AS count,
    sum(value) AS sum,
    min(value) AS min,
    max(value) AS max,
    min(ts) AS first_ts,
    max(ts) AS last_ts
FROM events
GROUP BY ALL

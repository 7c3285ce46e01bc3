-- What was paid in each month, for lasting things and for running ones.
SELECT
    strftime(paid_date, '%Y-%m') AS month,
    kind,
    count(*) AS payments,
    CAST(sum(amount) * 100 AS BIGINT) AS sum_pence,
    CAST(COALESCE(sum(amount) FILTER (WHERE amount > 0), 0) * 100 AS BIGINT) AS sum_positive_pence,
    CAST(COALESCE(sum(amount) FILTER (WHERE amount < 0), 0) * 100 AS BIGINT) AS sum_negative_pence,
    count(DISTINCT supplier_id) AS distinct_supplier_ids
FROM events
GROUP BY ALL

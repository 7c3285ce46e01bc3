-- The shape of each year's payments: how many suppliers, how large, who got the most at once.
SELECT
    year(paid_date) AS year,
    count(*) AS payments,
    approx_count_distinct(supplier_id) AS suppliers,
    avg(amount) AS mean,
    approx_quantile(CAST(amount AS DOUBLE), 0.5) AS median,
    max(amount) AS largest,
    arg_max(supplier_id, amount) AS largest_to,
    min(paid_date) AS first_day,
    max(paid_date) AS last_day
FROM events
GROUP BY ALL

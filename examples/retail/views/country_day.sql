-- Sales and refunds of each country and day.
SELECT
    CAST(InvoiceDate AS DATE) AS day,
    Country AS country,
    count(*) AS lines,
    count(DISTINCT InvoiceNo) AS invoices,
    CAST(COALESCE(sum(Quantity) FILTER (WHERE NOT starts_with(InvoiceNo, 'C')), 0) AS BIGINT) AS sale_units,
    CAST(COALESCE(-sum(Quantity) FILTER (WHERE starts_with(InvoiceNo, 'C')), 0) AS BIGINT) AS refund_units,
    CAST(COALESCE(sum(Quantity * UnitPrice) FILTER (WHERE NOT starts_with(InvoiceNo, 'C')), 0) * 1000 AS BIGINT) AS gross_milli,
    CAST(COALESCE(-sum(Quantity * UnitPrice) FILTER (WHERE starts_with(InvoiceNo, 'C')), 0) * 1000 AS BIGINT) AS refund_milli,
    CAST(sum(Quantity * UnitPrice) * 1000 AS BIGINT) AS net_milli
FROM events
GROUP BY ALL

-- Rows of silver.${dataset} by month of ${event_time}, and up to when there are any
-- for: analyst
-- each: silver
SELECT
    CAST(date_trunc('month', ${event_time}) AS date) AS month,
    count(*) AS rows,
    min(${event_time}) AS earliest,
    max(${event_time}) AS newest
FROM silver.${dataset}
GROUP BY CAST(date_trunc('month', ${event_time}) AS date)
ORDER BY month DESC

-- How long ${dataset} took from its arrival into bronze, by hour of the last two days
-- for: engineer
-- each: bronze
SELECT
    date_trunc('hour', _arrived_at) AS hour,
    count(*) AS deliveries,
    count_if(_reject IS NOT NULL) AS rejects,
    approx_percentile(date_diff('second', _arrived_at, _ingested_at), 0.5) AS median_seconds,
    max(date_diff('second', _arrived_at, _ingested_at)) AS most_seconds,
    max(_arrived_at) AS newest_arrival
FROM bronze.${dataset}
WHERE _ingested_at >= current_timestamp - INTERVAL '2' DAY AND _attempt = 0
GROUP BY date_trunc('hour', _arrived_at)
ORDER BY hour DESC

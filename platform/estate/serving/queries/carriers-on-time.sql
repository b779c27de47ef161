-- How punctual each carrier was over all months, the most punctual first
-- for: analyst
SELECT
    carrier,
    name,
    sum(flights) AS flights,
    sum(cancelled) AS cancelled,
    CAST(sum(arrived_on_time) AS double) / sum(flights) AS on_time_share
FROM gold.carrier_on_time
GROUP BY carrier, name
ORDER BY on_time_share DESC, carrier

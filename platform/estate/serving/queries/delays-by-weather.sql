-- Which weather delays departures, by airport
-- for: analyst
SELECT
    origin,
    conditions,
    sum(flights) AS flights,
    CAST(sum(delayed) AS double) / nullif(sum(flights) - sum(cancelled), 0) AS delayed_share
FROM gold.delay_by_weather
GROUP BY origin, conditions
ORDER BY origin, delayed_share DESC

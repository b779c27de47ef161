WITH observed AS (
    SELECT
        CAST(date_trunc('month', f.flight_date) AS date) AS month,
        f.origin,
        CASE
            WHEN w.origin IS NULL THEN 'not observed'
            WHEN w.visib < 3 THEN 'low visibility'
            WHEN w.precip > 0 THEN 'rain'
            WHEN w.wind_speed >= 20 THEN 'strong wind'
            ELSE 'clear'
        END AS conditions,
        f.dep_delay,
        w.wind_speed
    FROM silver.flights AS f
    LEFT JOIN silver.weather AS w
        ON w.origin = f.origin
        AND w.time_hour = date_trunc('hour', f.scheduled_departure)
)
SELECT
    month,
    origin,
    conditions,
    count(*) AS flights,
    count_if(dep_delay IS NULL) AS cancelled,
    count_if(dep_delay > 15) AS delayed,
    CAST(count_if(dep_delay > 15) AS double) / nullif(count(dep_delay), 0) AS delayed_share,
    avg(dep_delay) AS mean_dep_delay,
    avg(wind_speed) AS mean_wind_speed
FROM observed
GROUP BY month, origin, conditions

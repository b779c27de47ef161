-- The routes of at least a hundred flights on which the fewest arrive on time
-- for: analyst
SELECT
    origin,
    dest,
    sum(flights) AS flights,
    CAST(sum(arrived_on_time) AS double) / sum(flights) AS on_time_share,
    max(worst_arr_delay) AS worst_arr_delay
FROM gold.route_punctuality
GROUP BY origin, dest
HAVING sum(flights) >= 100
ORDER BY on_time_share, origin, dest
LIMIT 50

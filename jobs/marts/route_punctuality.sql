SELECT
    flight_date,
    origin,
    dest,
    count(*) AS flights,
    count_if(dep_delay IS NULL) AS cancelled,
    count_if(dep_delay <= 15) AS departed_on_time,
    count_if(arr_delay <= 15) AS arrived_on_time,
    avg(dep_delay) AS mean_dep_delay,
    avg(arr_delay) AS mean_arr_delay,
    max(arr_delay) AS worst_arr_delay
FROM silver.flights
GROUP BY flight_date, origin, dest

SELECT
    CAST(date_trunc('month', f.flight_date) AS date) AS month,
    f.carrier,
    coalesce(max(a.name), f.carrier) AS name,
    count(*) AS flights,
    count_if(f.dep_delay IS NULL) AS cancelled,
    count_if(f.arr_delay <= 15) AS arrived_on_time,
    CAST(count_if(f.arr_delay <= 15) AS double) / count(*) AS on_time_share,
    avg(f.arr_delay) AS mean_arr_delay,
    sum(CASE WHEN f.dep_delay IS NOT NULL THEN p.seats END) AS seats_flown
FROM silver.flights AS f
LEFT JOIN silver.airlines AS a ON a.carrier = f.carrier
LEFT JOIN silver.planes AS p ON p.tailnum = f.tailnum
GROUP BY CAST(date_trunc('month', f.flight_date) AS date), f.carrier

SELECT
    e.run,
    e.kind,
    coalesce(max(f.name), e.kind) AS name,
    count(*) AS events,
    sum(e.amount) AS amount
FROM silver.smoke_events AS e
LEFT JOIN silver.smoke_files AS f ON f.run = e.run AND f.kind = e.kind
GROUP BY e.run, e.kind

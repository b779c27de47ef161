-- How the value of each check moved over the last 30 days, against its threshold
-- for: engineer
SELECT
    dataset,
    name,
    "column",
    checked_at,
    outcome,
    value,
    value - lag(value) OVER (
        PARTITION BY dataset, type, name, "column" ORDER BY checked_at
    ) AS change,
    threshold
FROM governance.checks
WHERE checked_at >= date_add('day', -30, current_date)
ORDER BY dataset, name, "column", checked_at

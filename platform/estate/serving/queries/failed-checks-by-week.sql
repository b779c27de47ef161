-- Which checks fail again and again: outcomes by week over the last quarter
-- for: engineer, auditor
SELECT
    CAST(date_trunc('week', checked_at) AS date) AS week,
    dataset,
    name,
    "column",
    count(*) AS evaluated,
    count_if(outcome = 'fail') AS failed,
    count_if(outcome = 'warn') AS warned,
    count_if(outcome = 'not_evaluated') AS not_evaluated
FROM governance.checks
WHERE checked_at >= date_add('week', -13, current_date)
GROUP BY CAST(date_trunc('week', checked_at) AS date), dataset, name, "column"
HAVING count_if(outcome <> 'pass') > 0
ORDER BY week DESC, failed DESC, dataset

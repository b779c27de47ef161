-- When each table last passed its gate, and what its newest verdict says
-- for: engineer, auditor
SELECT
    dataset,
    layer,
    max(from_iso8601_timestamp(checked_at)) AS checked_at,
    max_by(passed, from_iso8601_timestamp(checked_at)) AS passed,
    max_by(reason, from_iso8601_timestamp(checked_at)) AS reason,
    date_diff(
        'hour', max(from_iso8601_timestamp(checked_at)) FILTER (WHERE passed), current_timestamp
    ) AS hours_since_passed
FROM governance.verdicts
GROUP BY dataset, layer
ORDER BY hours_since_passed DESC NULLS FIRST, dataset

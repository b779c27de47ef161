-- What waits for a person or was left out: tables whose newest candidate failed, not yet approved
-- for: engineer, auditor
WITH newest AS (
    SELECT
        dataset,
        max(from_iso8601_timestamp(checked_at)) AS checked_at,
        max_by(snapshot_id, from_iso8601_timestamp(checked_at)) AS snapshot_id
    FROM governance.verdicts
    GROUP BY dataset
)
SELECT v.dataset, v.layer, n.checked_at, v.loads, v.reason, v.run_id, v.snapshot_id
FROM newest AS n
JOIN governance.verdicts AS v ON v.dataset = n.dataset AND v.snapshot_id = n.snapshot_id
LEFT JOIN governance.approvals AS a
    ON a.dataset = v.dataset AND a.snapshot_id = v.snapshot_id
WHERE NOT v.passed AND a.snapshot_id IS NULL
ORDER BY n.checked_at

-- Every candidate that failed, and who had it published nevertheless and why
-- for: auditor
SELECT
    v.dataset,
    v.layer,
    v.checked_at,
    v.reason,
    v.loads,
    a."by" AS approved_by,
    a.reason AS because,
    a.at AS approved_at
FROM governance.verdicts AS v
LEFT JOIN governance.approvals AS a
    ON a.dataset = v.dataset AND a.snapshot_id = v.snapshot_id
WHERE NOT v.passed
ORDER BY v.checked_at DESC

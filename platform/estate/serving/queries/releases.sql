-- Which code and which version of a contract decided on a table, and from when to when
-- for: auditor
SELECT
    dataset,
    code,
    contract_version,
    min(from_iso8601_timestamp(checked_at)) AS first_verdict,
    max(from_iso8601_timestamp(checked_at)) AS last_verdict,
    count(*) AS verdicts,
    count_if(NOT passed) AS failed
FROM governance.verdicts
GROUP BY dataset, code, contract_version
ORDER BY dataset, first_verdict

-- Today's rejects of ${dataset} by reason, with the newest example of each
-- for: engineer
-- each: bronze
SELECT
    reason,
    count(*) AS rejects,
    min(arrived_at) AS first_arrived,
    max(arrived_at) AS last_arrived,
    max(load) AS last_load,
    max_by(detail, arrived_at) AS newest_detail,
    max_by(payload, arrived_at) AS newest_payload
FROM governance.quarantine_${dataset}
WHERE arrived_at >= current_date
GROUP BY reason
ORDER BY rejects DESC, reason

-- The newest snapshots of ${layer}.${dataset}: when, by what, and how many rows they changed
-- for: engineer
-- each: silver, gold
SELECT
    committed_at,
    snapshot_id,
    operation,
    element_at(summary, 'added-records') AS added,
    element_at(summary, 'deleted-records') AS deleted,
    element_at(summary, 'total-records') AS total
FROM ${layer}."${dataset}$snapshots"
ORDER BY committed_at DESC
LIMIT 20

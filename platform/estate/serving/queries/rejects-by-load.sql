-- Rejects of each load by reason, as the gates counted them; a load tried again counts once
-- for: engineer, auditor
SELECT v.dataset, l[1].load AS load, r.reason, max(r.rejects) AS rejects
FROM governance.verdicts AS v
CROSS JOIN UNNEST(transform(v.counts, x -> ARRAY[x])) AS t (l)
CROSS JOIN UNNEST(l[1].rejected) AS r (reason, rejects)
GROUP BY v.dataset, l[1].load, r.reason
ORDER BY rejects DESC, v.dataset, load

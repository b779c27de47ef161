"""Quarantine: a view a dataset over the rejects that bronze holds among its deliveries.

A view opens nothing: who asks it needs the right to read the table below, payloads and all.
"""

from __future__ import annotations

from typing import Final

from estate.serving.views import View

_COLUMNS: Final = {
    "reason": "varchar",
    "detail": "varchar",
    "payload": "varchar",
    "arrived_at": "timestamp(3)",
    "ingested_at": "timestamp(3)",
    "load": "bigint",
    "source": "varchar",
    "sequence": "varchar",
    "index": "bigint",
    "partition_key": "varchar",
    "attempt": "integer",
    "contract_version": "varchar",
}


def quarantine(dataset: str) -> View:
    """The view ``quarantine_<dataset>``: rejects that no replay has made good or given anew.

    Athena has no view over times with a zone; these are in UTC.
    """
    bronze = f"bronze.{dataset}"
    return View(
        f"quarantine_{dataset}",
        f"what was rejected of {dataset} and why, as it came",
        f"""
SELECT r._reject.code AS reason, r._reject.detail AS detail, from_utf8(r._payload) AS payload,
       CAST(r._arrived_at AS timestamp(3)) AS arrived_at,
       CAST(r._ingested_at AS timestamp(3)) AS ingested_at,
       r._load AS load, r._source AS source, r._sequence AS sequence, r._index AS index,
       r._partition_key AS partition_key, r._attempt AS attempt,
       r._contract_version AS contract_version
FROM {bronze} r
WHERE r._reject IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM {bronze} n
                  WHERE n._attempt > 0 AND n._attempt > r._attempt AND n._source = r._source
                    AND n._sequence = r._sequence AND n._index = r._index)
""".strip(),  # noqa: S608  # datasets have names of letters, digits and _
        _COLUMNS,
    )

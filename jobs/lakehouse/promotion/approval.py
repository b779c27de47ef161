"""The publish-only run of a job: one held candidate, on the word of a named person."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from lakehouse.contracts.model import Contract
from lakehouse.errors import InputError
from lakehouse.jobargs import JobArgs
from lakehouse.metrics import Metrics
from lakehouse.promotion.holds import Decision, approve
from lakehouse.reporting.tell import tell
from lakehouse.runner import each_dataset


def approve_held(args: JobArgs, metrics: Metrics) -> None:
    """Publish what ``--publish dataset:snapshot`` names, for ``--by`` and ``--reason``."""
    wanted = args.publish
    if wanted is None:
        raise InputError("--publish: expected dataset:snapshot, got nothing")

    def step(contract: Contract) -> Mapping[str, object]:
        word = Decision(args.by, args.reason, datetime.now(UTC).isoformat())
        done = approve(args.aws, contract, wanted.snapshot_id, word)
        tell(args.aws, contract, metrics, published=True)
        return {"published": done.snapshot_id, "by": args.by, "verdict": done.verdict}

    each_dataset("approve", [args.contracts[wanted.dataset]], step)

"""Reads the verdicts and approvals that a promotion left in S3, and says what they mean."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

_OVERLAP: Final = timedelta(minutes=10)
"""How much later than its date an object may come into sight, for clocks and long puts."""


class Entry(NamedTuple):
    """A verdict or an approval, in the bucket of verdicts."""

    key: str
    at: datetime
    body: dict[str, Any]

    @property
    def published(self) -> bool:
        """Whether it let a candidate through."""
        return self.key.startswith("approvals/") or bool(self.body["passed"])

    @property
    def blamed(self) -> bool:
        """Whether it found the one load that is bad, which no smaller candidate follows."""
        return not self.published and len(self.body["loads"]) == 1


class Mark(NamedTuple):
    """How far the entries of a dataset were dealt with."""

    until: datetime
    seen: frozenset[str] = frozenset()
    """Keys of about that time that are dealt with already."""

    @classmethod
    def load(cls, said: Any, default: datetime) -> Mark:
        """The mark that ``dump`` made, or one before which all was dealt with."""
        if not isinstance(said, Mapping) or "until" not in said:
            return cls(default)
        return cls(datetime.fromisoformat(said["until"]), frozenset(said["seen"]))

    def dump(self) -> dict[str, Any]:
        """The mark as JSON has it."""
        return {"until": self.until.isoformat(), "seen": sorted(self.seen)}

    @property
    def since(self) -> datetime:
        """When what was not dealt with may have been written."""
        return self.until - _OVERLAP

    def new(self, entries: Iterable[Entry]) -> list[Entry]:
        """The entries that were not dealt with."""
        return [e for e in entries if e.at >= self.since and e.key not in self.seen]

    def after(self, entries: Iterable[Entry]) -> Mark:
        """The mark once these entries, too, are dealt with."""
        times = {entry.key: entry.at for entry in entries}
        until = max([self.until, *times.values()])
        near = {key for key, at in times.items() if at >= until - _OVERLAP}
        return Mark(until, frozenset(near | self.seen) if until == self.until else frozenset(near))


def read_entries(dataset: str, since: datetime, bucket: str, s3: Any) -> list[Entry]:
    """What was written on a dataset at a time or later, oldest first; ``s3`` is a boto3 client.

    By time and not by Glue run: what a run published before it failed is published, and the run of
    a retry does not know of it. Older entries, which only become more, are listed but not read.
    """
    found = []
    for prefix in (f"dataset={dataset}/", f"approvals/{dataset}/"):
        listing = s3.get_paginator("list_objects_v2")
        for page in listing.paginate(Bucket=bucket, Prefix=prefix):
            for item in page.get("Contents", []):
                if item["LastModified"] >= since:
                    body = s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()
                    found.append(Entry(item["Key"], item["LastModified"], json.loads(body)))
    return sorted(found, key=lambda e: (e.body.get("checked_at") or e.body["at"], e.key))


def in_words(entry: Entry, *, sets_aside: bool) -> str:
    """One line for the log."""
    body = entry.body
    if entry.key.startswith("approvals/"):
        return f"snapshot {body['snapshot_id']} approved by {body['by']}: {body['reason']}"
    loads = _numbers(body["loads"])
    passed = sum(check["outcome"] in {"pass", "warn"} for check in body["checks"])
    checks = f"{passed} of {len(body['checks'])} checks pass"
    if body["passed"]:
        return f"{loads} passed ({checks})"
    if not entry.blamed:
        return f"{loads} FAILED as one, so that halves are tried: {body['reason']} ({checks})"
    if sets_aside:
        return f"{loads} SET ASIDE: {body['reason']} ({checks})"
    return (
        f"{loads} HELD: {body['reason']} ({checks}); approve snapshot {body['snapshot_id']} by the "
        "DAG approve, set the load aside, or release a corrected contract"
    )


def failures_by_dataset(said: str, datasets: Sequence[str]) -> dict[str, str]:
    """What the last line of a promotion that failed says of each dataset that it names."""
    names = "|".join(map(re.escape, datasets))
    found = re.finditer(rf"(?:^|; |: )({names}): (.*?)(?=; (?:{names}): |$)", said, re.DOTALL)
    return {match[1]: match[2] for match in found}


def _numbers(loads: Sequence[int]) -> str:
    if not loads:
        return "candidate"
    if len(loads) > 2 and loads[-1] - loads[0] == len(loads) - 1:
        return f"loads {loads[0]} to {loads[-1]}"
    return f"load{'s' if len(loads) > 1 else ''} {', '.join(map(str, loads))}"

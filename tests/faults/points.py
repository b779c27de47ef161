"""The points of the ingestion protocol, known by the calls that pass there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
from faults.actions import Moment
from faults.calls import Call
from faults.rules import Answer

Matches = Callable[[Call], bool]

_PROBE: Final = 1
"""Records that the planner asks for, to see whether there are any."""


class Point(msgspec.Struct, frozen=True):
    """A point of the protocol: a call, and the moments in it that are alike."""

    name: str
    matches: Matches
    moments: tuple[Moment, ...]
    answered: Callable[[Answer], bool] | None = None


def plan_put(call: Call) -> bool:
    """The plan of a load is put."""
    return call.method == "PUT" and "-ledger/" in call.path and "/plans/" in call.path


def claim_put(call: Call) -> bool:
    """The claim of a part is put."""
    return call.method == "PUT" and "-ledger/" in call.path and "/claims/" in call.path


def ledger_get(call: Call) -> bool:
    """A plan or claim is read."""
    return (
        call.operation == "GetObject"
        and "-ledger/" in call.path
        and ("/plans/" in call.path or "/claims/" in call.path)
    )


def data_put(call: Call) -> bool:
    """The content of a data file is put, or a part of it."""
    return call.operation in {"PutObject", "UploadPart"} and call.path.endswith(".parquet")


def data_end(call: Call) -> bool:
    """A data file is put or completed."""
    return call.operation in {"PutObject", "CompleteMultipartUpload"} and call.path.endswith(
        ".parquet"
    )


def metadata_put(call: Call) -> bool:
    """A manifest, manifest list or the table's metadata is put."""
    return call.method == "PUT" and "-bronze/" in call.path and "/metadata/" in call.path


def metadata_get(call: Call) -> bool:
    """The table's metadata is read."""
    return call.operation == "GetObject" and "-bronze/" in call.path and "/metadata/" in call.path


def commit(call: Call) -> bool:
    """The table's entry in the catalog is swapped."""
    return call.operation == "UpdateTable"


def table_get(call: Call) -> bool:
    """The table's entry in the catalog is read."""
    return call.operation == "GetTable"


def records(call: Call) -> bool:
    """A worker reads records."""
    return call.operation == "GetRecords" and call.field("Limit") != _PROBE


def probe(call: Call) -> bool:
    """The planner looks whether there are records."""
    return call.operation == "GetRecords" and call.field("Limit") == _PROBE


def iterator(call: Call) -> bool:
    """A shard iterator is asked for."""
    return call.operation == "GetShardIterator"


def service(name: str) -> Matches:
    """Any call of a service."""
    return lambda call: call.service == name


def _some_records(answer: Answer) -> bool:
    return b'"SequenceNumber"' in answer.body


_DONE: Final[tuple[Moment, ...]] = ("unanswered", "answered")
POINTS: Final = (
    Point("planned", plan_put, _DONE),
    Point("reading", records, ("half",), _some_records),
    Point("file half written", data_put, ("before",)),
    Point("files written", data_end, _DONE),
    Point("claimed", claim_put, _DONE),
    Point("before the commit", commit, ("before",)),
    Point("in the commit", commit, ("unanswered",)),
    Point("after the commit", commit, ("answered",)),
)

"""What each role may do to streams and to the objects of buckets, from its policies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

from lakehouse.naming import BUCKETS
from localaws.apply import Recorded
from policies.graph import listed, statements

_READS: Final = ("s3:GetObject", "s3:GetObjectVersion", "kinesis:GetRecords")
_WRITES: Final = ("s3:PutObject", "s3:DeleteObject")


class Touch(NamedTuple):
    """A role that reads or writes a thing: the streams, or a bucket by its purpose."""

    role: str
    thing: str
    writes: bool


def touches(resources: Sequence[Recorded]) -> list[Touch]:
    """Every touch: streams first, then the lake's buckets in their order, then others."""
    buckets = {
        f"arn:aws:s3:::{r.inputs['bucket']}/": r.name
        for r in resources
        if r.type == "aws:s3/bucket:Bucket"
    }
    found: dict[tuple[str, str], bool] = {}
    for role in (r for r in resources if r.type == "aws:iam/rolePolicy:RolePolicy"):
        for action, arn in _allowed(role):
            things = [thing for start, thing in buckets.items() if arn.startswith(start)]
            things += ["streams"] if ":kinesis:" in arn else []
            for thing in things:
                if _is(action, _READS + _WRITES):
                    writes = _is(action, _WRITES)
                    found[role.name, thing] = writes or found.get((role.name, thing), False)
    columns = ["streams", *BUCKETS]
    order = sorted(found, key=lambda key: (_place(key[1], columns), key[1], key[0]))
    return [Touch(role, thing, found[role, thing]) for role, thing in order]


def _place(thing: str, columns: Sequence[str]) -> int:
    return columns.index(thing) if thing in columns else len(columns)


def _is(action: str, wanted: Sequence[str]) -> bool:
    return any(fnmatchcase(one, action) for one in wanted)


def _allowed(role: Recorded) -> Iterator[tuple[str, str]]:
    for statement in statements(role.inputs["policy"]):
        if statement["Effect"] == "Allow":
            for action in listed(statement["Action"]):
                for arn in listed(statement.get("Resource", [])):
                    yield action, arn

"""Rules of buckets."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Final

from policies.graph import Graph, Resource, listed, statements
from policies.rule import each, stack

KEEPING: Final = ("artifacts", "bronze", "gold", "landing", "ledger", "silver", "verdicts")
ONCE: Final = {
    "ledger": ("flights/plans/1.json", "flights/claims/1/0.json"),
    "verdicts": ("dataset=flights/1.json", "approvals/flights/1.json"),
}
"""Buckets whose objects are records: written once, never replaced or removed by a role. Keys of
each kind of them."""
_NONCURRENT_DAYS: Final = 90


@each("BucketLifecycleConfiguration")
def nothing_live_expires(lifecycle: Resource, _graph: Graph) -> Iterator[str]:
    """A claim, a table's file or a record that a lifecycle removes is lost without a word."""
    for found in lifecycle["rules"]:
        removing = {"expiration", "transitions", "noncurrentVersionTransitions"} & set(found)
        if lifecycle.name in KEEPING and removing:
            yield f"rule {found['id']} removes or moves what is current; expire old versions only"


@each("Bucket")
def what_was_erased_ends(bucket: Resource, graph: Graph) -> Iterator[str]:
    """Replaced versions keep erased rows, and unfinished uploads are paid for."""
    lifecycle = graph.by("BucketLifecycleConfiguration", "bucket").get(bucket["bucket"])
    rules = lifecycle["rules"] if lifecycle else []
    rules = [r for r in rules if r["status"] == "Enabled" and not r.get("filter", {}).get("prefix")]
    days = [
        r["noncurrentVersionExpiration"]["noncurrentDays"]
        for r in rules
        if "noncurrentVersionExpiration" in r
    ]
    if not days or min(days) > _NONCURRENT_DAYS:
        kept = f"{min(days):g} days" if days else "ever"
        yield f"keeps replaced versions for {kept}; expire them within {_NONCURRENT_DAYS}"
    if not any("abortIncompleteMultipartUpload" in r for r in rules):
        yield "keeps uploads that nobody finished; abort them after some days"


@stack
def records_are_written_once(graph: Graph) -> Iterator[str]:
    """A put without a condition could replace a claim or a verdict, and a delete free it."""
    policies = {p.name: p for p in graph.of("BucketPolicy")}
    for name, keys in ONCE.items():
        if name not in policies:
            continue
        denied = [
            pattern
            for s in statements(policies[name]["policy"])
            if s["Effect"] == "Deny"
            and "s3:PutObject" in listed(s["Action"])
            and s.get("Condition", {}).get("Null") == {"s3:if-none-match": "true"}
            for pattern in listed(s["Resource"])
        ]
        for key in keys:
            arn = f"arn:aws:s3:::{policies[name]['bucket']}/{key}"
            if not any(fnmatchcase(arn, pattern) for pattern in denied):
                yield f"bucket {name} takes puts that may replace {key}; deny s3:PutObject there"
            for role in graph.of("Role"):
                if graph.may(role["name"], "s3:DeleteObject", arn):
                    yield f"role {role.name} may remove {key} from {name}; take the right away"

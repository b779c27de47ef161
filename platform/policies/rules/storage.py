"""Rules of buckets."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Final

from policies.graph import Graph, Resource, everybody, listed, statements
from policies.rule import each, stack

KEEPING: Final = ("artifacts", "bronze", "gold", "landing", "ledger", "silver", "verdicts")
ONCE: Final = {
    "ledger": ("flights/plans/1.json", "flights/claims/1/0.json"),
    "verdicts": ("dataset=flights/1.json", "approvals/flights/1.json"),
}
"""Buckets whose objects are records: written once, never replaced or removed by a role. Keys of
each kind of them."""
KEY_HEADER: Final = "s3:x-amz-server-side-encryption-aws-kms-key-id"
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


@each("Bucket")
def buckets_are_versioned(bucket: Resource, graph: Graph) -> Iterator[str]:
    """Without versions what was deleted by mistake is gone."""
    found = graph.by("BucketVersioning", "bucket").get(bucket["bucket"])
    if not found or found["versioningConfiguration"].get("status") != "Enabled":
        yield "keeps no versions; enable versioning"


@each("Bucket")
def buckets_are_private(bucket: Resource, graph: Graph) -> Iterator[str]:
    """One open object is a leak; S3 refuses it where all four are set."""
    found = graph.by("BucketPublicAccessBlock", "bucket").get(bucket["bucket"])
    for wanted in (
        "blockPublicAcls",
        "blockPublicPolicy",
        "ignorePublicAcls",
        "restrictPublicBuckets",
    ):
        if not found or found.get(wanted) is not True:
            yield f"{wanted} is not set; set all four of its public access block"


@each("Bucket")
def buckets_are_reached_by_tls_only(bucket: Resource, graph: Graph) -> Iterator[str]:
    """S3 answers without TLS too, unless a policy denies it."""
    found = graph.by("BucketPolicy", "bucket").get(bucket["bucket"])
    arn = f":s3:::{bucket['bucket']}"
    denied = [
        resource
        for s in (statements(found["policy"]) if found else [])
        if s["Effect"] == "Deny"
        and everybody(s)
        and "s3:*" in listed(s["Action"])
        and s.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}}
        for resource in listed(s["Resource"])
    ]
    for suffix in ("", "/*"):
        if not any(resource.endswith(f"{arn}{suffix}") for resource in denied):
            yield f"answers without TLS on {bucket['bucket']}{suffix}; deny s3:* there"


@each("Bucket")
def buckets_take_no_other_key(bucket: Resource, graph: Graph) -> Iterator[str]:
    """A put may ask for another key than the bucket's, and nobody else could read the object."""
    found = graph.by("BucketPolicy", "bucket").get(bucket["bucket"])
    own = graph.keys_of_buckets.get(bucket["bucket"])
    asked = [
        s.get("Condition", {}).get("StringNotEquals", {}).get(KEY_HEADER)
        for s in (statements(found["policy"]) if found else [])
        if s["Effect"] == "Deny" and everybody(s) and "s3:PutObject" in listed(s["Action"])
    ]
    if own not in asked:
        yield f"takes puts under any key; deny s3:PutObject where {KEY_HEADER} is not {own}"


@each("BucketPolicy", "QueuePolicy", "TopicPolicy", "Key")
def no_policy_is_open(found: Resource, _graph: Graph) -> Iterator[str]:
    """What everybody may, every account of AWS may."""
    for s in statements(found["policy"]):
        if s["Effect"] == "Allow" and everybody(s) and not s.get("Condition"):
            yield f"statement {s.get('Sid')} lets everybody in; name who it is for"


@each("Bucket", "Stream", "Key", "CatalogDatabase")
def what_holds_data_is_protected(found: Resource, graph: Graph) -> Iterator[str]:
    """A stack says that it is disposable, letting its buckets be emptied, or protects its data."""
    disposable = all(b.get("forceDestroy") is True for b in graph.of("Bucket"))
    if found.protect and found.get("forceDestroy") is True:
        yield "protected, and emptied on deletion; take force_destroy away"
    if not found.protect and not disposable:
        yield "not protected in a stack that is not disposable; set protect"


@each("Bucket", "Stream", "Key", "CatalogDatabase")
def data_of_prod_outlives_its_stack(found: Resource, graph: Graph) -> Iterator[str]:
    """A stack that is tagged as prod may be destroyed, what it has collected may not."""
    if graph.default_tags.get("stage") != "prod":
        return
    if not found.protect:
        yield "not protected in prod; set protect"
    if found.retain is False:
        yield "deleted with its stack in prod; set retain_on_delete"


@each("Workgroup")
def query_results_end(workgroup: Resource, graph: Graph) -> Iterator[str]:
    """Results are copies of data that no erasure reaches."""
    given = workgroup.get("configuration", {}).get("resultConfiguration", {})
    location = given.get("outputLocation", "")
    bucket = location.removeprefix("s3://").partition("/")[0]
    lifecycle = graph.by("BucketLifecycleConfiguration", "bucket").get(bucket)
    rules = lifecycle["rules"] if lifecycle else []
    if not any("expiration" in r and r["status"] == "Enabled" for r in rules):
        yield f"its results stay in {bucket or 'any bucket'} for ever; expire them"

"""What each audience may do in Athena, as pure functions of the account, the keys, the contracts.

Everybody queries in a workgroup of their own and sees results of their own audience alone. Where
Lake Formation decides on tables, nobody of them may read an object of a layer: Athena is handed
what they may see. Where it does not, IAM opens the objects: to engineers all, to analysts those of
datasets in which nothing is masked.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, get_args

from estate.access.grants import KeyArns, Statement, allow
from estate.account import Account
from estate.storage.keys import BUCKET_KEYS
from lakehouse import naming
from lakehouse.contracts.model import Contract
from lakehouse.naming import LAYERS, BucketPurpose, Layer

Audience = Literal["engineer", "analyst", "auditor"]
AUDIENCES: Final[tuple[Audience, ...]] = get_args(Audience)
_GOVERNANCE: Final = "governance"


def engineer(account: Account, keys: KeyArns, *, governed: bool) -> list[Statement]:
    """Every table, the gates' history and what was rejected."""
    return [
        *_queries(account, keys, "engineer"),
        *(_tables(account, layer) for layer in LAYERS),
        _tables(account, _GOVERNANCE),
        *_reads(account, keys, "verdicts", "dataset=*", "approvals/*"),
        *([] if governed else [s for layer in LAYERS for s in _reads(account, keys, layer)]),
        *_governed(governed=governed),
    ]


def analyst(
    account: Account, keys: KeyArns, contracts: Iterable[Contract], *, governed: bool
) -> list[Statement]:
    """Checked tables; without Lake Formation the objects of those in which nothing is masked."""
    found = [
        *_queries(account, keys, "analyst"),
        _tables(account, "silver"),
        _tables(account, "gold"),
        *_governed(governed=governed),
    ]
    if governed:
        return found
    shown = [c for c in contracts if not any(field.masked for field in c.fields)]
    layers: tuple[Layer, ...] = ("silver", "gold")
    for layer in layers:
        bucket, name = account.bucket(layer), layer.title()
        objects = sorted(f"{bucket}/{c.dataset}/*" for c in shown if c.checked_layer == layer)
        if objects:
            # Athena finds an Iceberg table's objects by its metadata: nothing has to be listed.
            found.append(allow(f"{name}Objects", ["s3:GetObject"], objects))
            found.append(allow(f"{name}Place", ["s3:GetBucketLocation"], [bucket]))
            found.append(_key(f"{name}Key", keys[BUCKET_KEYS[layer]], bucket, ["kms:Decrypt"]))
    return found


def auditor(account: Account, keys: KeyArns, *, governed: bool, trail: bool) -> list[Statement]:
    """What was checked, decided, and, with a trail, read; no row of a layer.

    Where Lake Formation decides, it shows auditors what tables and columns there are.
    """
    audit = f"arn:{account.partition}:s3:::{account.prefix}-audit"
    return [
        *_queries(account, keys, "auditor"),
        _tables(account, _GOVERNANCE),
        *_reads(account, keys, "verdicts"),
        *(_bucket("Audit", audit, keys["operations"]) if trail else []),
        *(_tables(account, layer) for layer in LAYERS if governed),
        *_governed(governed=governed),
    ]


def _queries(account: Account, keys: KeyArns, audience: Audience) -> list[Statement]:
    """Queries in the audience's workgroup, and their results."""
    results = account.bucket("results")
    group = account.arn("athena", f"workgroup/{naming.workgroup(account.prefix, audience)}")
    return [
        allow(
            "Queries",
            [
                "athena:BatchGetNamedQuery",
                "athena:BatchGetQueryExecution",
                "athena:GetNamedQuery",
                "athena:GetQueryExecution",
                "athena:GetQueryResults",
                "athena:GetQueryResultsStream",
                "athena:GetQueryRuntimeStatistics",
                "athena:GetWorkGroup",
                "athena:ListNamedQueries",
                "athena:ListQueryExecutions",
                "athena:StartQueryExecution",
                "athena:StopQueryExecution",
            ],
            [group],
        ),
        allow(
            "Catalogs",
            [
                "athena:GetDataCatalog",
                "athena:GetDatabase",
                "athena:GetTableMetadata",
                "athena:ListDatabases",
                "athena:ListTableMetadata",
            ],
            [account.arn("athena", "datacatalog/AwsDataCatalog")],
        ),
        # Athena has no resources to name for these calls, by which its console begins.
        allow("Lists", ["athena:ListDataCatalogs", "athena:ListWorkGroups"], ["*"]),
        # Athena asks for this database whatever it is asked for. Source: access to Glue's
        # databases in Athena's user guide.
        allow(
            "Default",
            ["glue:GetDatabase"],
            [account.arn("glue", "catalog"), account.arn("glue", "database/default")],
        ),
        allow(
            "Results",
            [
                "s3:AbortMultipartUpload",
                "s3:GetObject",
                "s3:ListMultipartUploadParts",
                "s3:PutObject",
            ],
            [f"{results}/{audience}/*"],
        ),
        allow(
            "ResultsList",
            ["s3:ListBucket"],
            [results],
            {"StringLike": {"s3:prefix": [f"{audience}/*"]}},
        ),
        allow("ResultsPlace", ["s3:GetBucketLocation"], [results]),
        _key(
            "ResultsKey",
            keys[BUCKET_KEYS["results"]],
            results,
            ["kms:Decrypt", "kms:GenerateDataKey"],
        ),
    ]


def _tables(account: Account, database: str) -> Statement:
    """A database's tables as the catalog describes them."""
    return allow(
        f"{database.title()}Tables",
        [
            "glue:BatchGetPartition",
            "glue:GetDatabase",
            "glue:GetDatabases",
            "glue:GetPartition",
            "glue:GetPartitions",
            "glue:GetTable",
            "glue:GetTables",
        ],
        [
            account.arn("glue", "catalog"),
            account.arn("glue", f"database/{database}"),
            account.arn("glue", f"table/{database}/*"),
        ],
    )


def _reads(
    account: Account, keys: KeyArns, purpose: BucketPurpose, *patterns: str
) -> list[Statement]:
    """A bucket's objects below patterns such as ``flights/*``; none: all of them."""
    key = keys[BUCKET_KEYS[purpose]]
    return _bucket(purpose.title(), account.bucket(purpose), key, *patterns)


def _bucket(name: str, bucket: str, key: str, *patterns: str) -> list[Statement]:
    condition = {"StringLike": {"s3:prefix": list(patterns)}} if patterns else None
    return [
        allow(f"{name}Objects", ["s3:GetObject"], [f"{bucket}/{p}" for p in patterns or ("*",)]),
        allow(f"{name}List", ["s3:ListBucket"], [bucket], condition),
        allow(f"{name}Place", ["s3:GetBucketLocation"], [bucket]),
        _key(f"{name}Key", key, bucket, ["kms:Decrypt"]),
    ]


def _key(sid: str, key: str, bucket: str, actions: list[str]) -> Statement:
    """A key for one bucket's objects alone, however many buckets are under it.

    S3 names what it en- and decrypts: the bucket where it has a bucket key, else the object.
    """
    context = {"kms:EncryptionContext:aws:s3:arn": [bucket, f"{bucket}/*"]}
    return allow(sid, actions, [key], {"StringLike": context})


def _governed(*, governed: bool) -> list[Statement]:
    """Lake Formation hands out what it grants; it has no resource to name."""
    return [allow("Granted", ["lakeformation:GetDataAccess"], ["*"])] if governed else []

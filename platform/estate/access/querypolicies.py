"""What it takes to ask Athena: statements of which the policies of audiences are made."""

from __future__ import annotations

from estate.access.grants import KeyArns, Statement, allow
from estate.account import Account
from estate.storage.keys import BUCKET_KEYS
from lakehouse import naming
from lakehouse.naming import BucketPurpose


def queries(account: Account, keys: KeyArns, audience: str) -> list[Statement]:
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
        use_key(
            "ResultsKey",
            keys[BUCKET_KEYS["results"]],
            results,
            ["kms:Decrypt", "kms:GenerateDataKey"],
        ),
    ]


def tables(account: Account, database: str) -> Statement:
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


def reads(
    account: Account, keys: KeyArns, purpose: BucketPurpose, *patterns: str
) -> list[Statement]:
    """A bucket's objects below patterns such as ``flights/*``; none: all of them."""
    key = keys[BUCKET_KEYS[purpose]]
    return in_bucket(purpose.title(), account.bucket(purpose), key, *patterns)


def in_bucket(name: str, bucket: str, key: str, *patterns: str) -> list[Statement]:
    """A bucket's objects below patterns, where the bucket lies, and its key."""
    condition = {"StringLike": {"s3:prefix": list(patterns)}} if patterns else None
    return [
        allow(f"{name}Objects", ["s3:GetObject"], [f"{bucket}/{p}" for p in patterns or ("*",)]),
        allow(f"{name}List", ["s3:ListBucket"], [bucket], condition),
        allow(f"{name}Place", ["s3:GetBucketLocation"], [bucket]),
        use_key(f"{name}Key", key, bucket, ["kms:Decrypt"]),
    ]


def use_key(sid: str, key: str, bucket: str, actions: list[str]) -> Statement:
    """A key for one bucket's objects alone, however many buckets are under it.

    S3 names what it en- and decrypts: the bucket where it has a bucket key, else the object.
    """
    context = {"kms:EncryptionContext:aws:s3:arn": [bucket, f"{bucket}/*"]}
    return allow(sid, actions, [key], {"StringLike": context})


def granted(*, governed: bool) -> list[Statement]:
    """Lake Formation hands out what it grants; it has no resource to name."""
    return [allow("Granted", ["lakeformation:GetDataAccess"], ["*"])] if governed else []

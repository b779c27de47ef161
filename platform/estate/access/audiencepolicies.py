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
from estate.access.querypolicies import granted, in_bucket, queries, reads, tables, use_key
from estate.account import Account
from estate.storage.keys import BUCKET_KEYS
from lakehouse.contracts.model import Contract
from lakehouse.naming import LAYERS, Layer

Audience = Literal["engineer", "analyst", "auditor"]
AUDIENCES: Final[tuple[Audience, ...]] = get_args(Audience)
_GOVERNANCE: Final = "governance"


def engineer(account: Account, keys: KeyArns, *, governed: bool) -> list[Statement]:
    """Every table, the gates' history and what was rejected."""
    return [
        *queries(account, keys, "engineer"),
        *(tables(account, layer) for layer in LAYERS),
        tables(account, _GOVERNANCE),
        *reads(account, keys, "verdicts", "dataset=*", "approvals/*"),
        *([] if governed else [s for layer in LAYERS for s in reads(account, keys, layer)]),
        *granted(governed=governed),
    ]


def analyst(
    account: Account, keys: KeyArns, contracts: Iterable[Contract], *, governed: bool
) -> list[Statement]:
    """Checked tables; without Lake Formation the objects of those in which nothing is masked."""
    found = [
        *queries(account, keys, "analyst"),
        tables(account, "silver"),
        tables(account, "gold"),
        *granted(governed=governed),
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
            found.append(use_key(f"{name}Key", keys[BUCKET_KEYS[layer]], bucket, ["kms:Decrypt"]))
    return found


def auditor(account: Account, keys: KeyArns, *, governed: bool, trail: bool) -> list[Statement]:
    """What was checked, decided, and, with a trail, read; no row of a layer.

    Where Lake Formation decides, it shows auditors what tables and columns there are.
    """
    audit = f"arn:{account.partition}:s3:::{account.prefix}-audit"
    return [
        *queries(account, keys, "auditor"),
        tables(account, _GOVERNANCE),
        *reads(account, keys, "verdicts"),
        *(in_bucket("Audit", audit, keys["operations"]) if trail else []),
        *(tables(account, layer) for layer in LAYERS if governed),
        *granted(governed=governed),
    ]

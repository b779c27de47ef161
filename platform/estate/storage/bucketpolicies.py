"""What every bucket's policy denies, whoever asks."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from estate.account import Account


def tls_only(arn: str) -> dict[str, Any]:
    """The statement that denies whoever speaks without TLS."""
    return {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def own_key_only(arn: str, key: str) -> list[dict[str, Any]]:
    """The statements that deny whoever asks for another encryption than the bucket's own.

    Who asks for none gets the bucket's, and sends no header that a condition could see.
    """
    header = "s3:x-amz-server-side-encryption"
    wrong: dict[str, dict[str, Any]] = {
        "KmsOnly": {"StringNotEquals": {header: "aws:kms"}, "Null": {header: "false"}},
        "OwnKeyOnly": {
            "StringNotEquals": {f"{header}-aws-kms-key-id": key},
            "Null": {f"{header}-aws-kms-key-id": "false"},
        },
        "NoCallersKey": {"Null": {f"{header}-customer-algorithm": "false"}},
    }
    return [
        {
            "Sid": sid,
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:PutObject",
            "Resource": f"{arn}/*",
            "Condition": condition,
        }
        for sid, condition in wrong.items()
    ]


def as_json(render: Callable[[Account, str], dict[str, Any]]) -> Callable[[list[Any]], str]:
    """A policy that follows from the account and the bucket's key, as text."""
    return lambda known: json.dumps(render(*known))

"""Where the ledger lies: a handful of object-store calls, the only ones the protocol needs.

Any store with an atomic "create if absent" and reads that see what was written will do; on S3 that
is a conditional put and its strong consistency.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NotConnectedError

from lakehouse.errors import TransientError

NO_ANSWER: Final = (HTTPClientError, NotConnectedError)
"""What boto3 raises when a call got no answer, so that nobody knows whether it took effect."""


class Store(Protocol):
    """Immutable objects by key."""

    def put_if_absent(self, key: str, body: bytes) -> bool:
        """Create the object; False when the key was taken.

        Raises TransientError when the store's answer leaves it open whether the object was made.
        """

    def get(self, key: str) -> bytes | None:
        """The object's bytes, None when there is none."""

    def list(self, prefix: str, after: str = "") -> list[str]:
        """The keys below a prefix in order, those past ``after`` only."""

    def delete(self, key: str) -> None:
        """Remove the object if it is there."""


class S3Store:
    """A store in one bucket below one prefix."""

    def __init__(self, client: Any, bucket: str, prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix

    def put_if_absent(self, key: str, body: bytes) -> bool:
        """See Store."""
        try:
            self._client.put_object(
                Bucket=self._bucket,
                Key=self._prefix + key,
                Body=body,
                ContentType="application/json",
                IfNoneMatch="*",
            )
        except ClientError as error:
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            if status == 412:
                return False
            if status == 409 or (status is not None and status >= 500):
                raise TransientError(
                    f"s3://{self._bucket}/{self._prefix}{key}: the put was answered with {status}; "
                    "read the object to see whether it took effect"
                ) from error
            raise
        except NO_ANSWER as error:
            raise TransientError(
                f"s3://{self._bucket}/{self._prefix}{key}: the put got no answer ({error}); "
                "read the object to see whether it took effect"
            ) from error
        return True

    def get(self, key: str) -> bytes | None:
        """See Store."""
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)
        except self._client.exceptions.NoSuchKey:
            return None
        body: bytes = answer["Body"].read()
        return body

    def list(self, prefix: str, after: str = "") -> list[str]:
        """See Store."""
        start = {"StartAfter": self._prefix + after} if after else {}
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self._prefix + prefix, **start
        )
        return [
            item["Key"].removeprefix(self._prefix)
            for page in pages
            for item in page.get("Contents", [])
        ]

    def delete(self, key: str) -> None:
        """See Store."""
        self._client.delete_object(Bucket=self._bucket, Key=self._prefix + key)

"""Objects of the landing zone: which there are, and their bytes by range."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final

import structlog
from botocore.exceptions import ClientError, HTTPClientError, ResponseStreamingError
from botocore.exceptions import ConnectionError as NotConnectedError

from lakehouse.aws import Aws
from lakehouse.decoding.source import CHUNK_BYTES
from lakehouse.errors import DataLossError, TransientError
from lakehouse.ingestion.ledger import ObjectRef, ordered_name

log = structlog.get_logger(__name__)
_ANSWER_BYTES: Final = 16 * 1024 * 1024
_ATTEMPTS: Final = 5
_ETAG: Final = "etag-"
_KEY_BYTES: Final = 900
"""The longest name of an object that a ledger's key has room for."""
_BROKEN: Final = (HTTPClientError, NotConnectedError, ResponseStreamingError, OSError)
_GONE: Final = frozenset({"NoSuchKey", "NoSuchVersion", "404", "PreconditionFailed", "412"})


class ObjectSource:
    """One version of an object as a source of bytes.

    A reading that breaks goes on where it stopped. Raises DataLossError where the version is gone,
    TransientError where S3 does not answer.
    """

    def __init__(self, aws: Aws, ref: ObjectRef, load: str = "") -> None:
        self._s3 = aws.client("s3")
        self._bucket = aws.bucket("landing")
        self._ref = ref
        self._load = load

    @property
    def size(self) -> int:
        """See Source."""
        return self._ref.size

    def chunks(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """See Source."""
        stop = self.size if end is None else min(end, self.size)
        failures = 0
        while start < stop:
            # Whoever needs no more leaves little of an answer unread.
            until = min(start + _ANSWER_BYTES, stop)
            try:
                for piece in self._answer(start, until):
                    start += len(piece)
                    failures = 0
                    yield piece
            except _BROKEN as error:
                failures += 1
                if failures >= _ATTEMPTS:
                    raise TransientError(
                        f"s3://{self._bucket}/{self._ref.key}: reading from byte {start} on failed "
                        f"{failures} times ({error}); the load is read again"
                    ) from error

    def _answer(self, start: int, stop: int) -> Iterator[bytes]:
        with closing(self._body(start, stop)) as body:
            while start < stop and (piece := body.read(min(CHUNK_BYTES, stop - start))):
                start += len(piece)
                yield piece
        if start < stop:
            raise OSError(f"{stop - start} bytes are missing at the end of the answer")

    def _body(self, start: int, stop: int) -> Any:
        ref = self._ref
        # Without versions an object may have been replaced, which its ETag tells.
        which = (
            {"IfMatch": f'"{ref.version.removeprefix(_ETAG)}"'}
            if ref.version.startswith(_ETAG)
            else {"VersionId": ref.version}
        )
        try:
            answer = self._s3.get_object(
                Bucket=self._bucket, Key=ref.key, Range=f"bytes={start}-{stop - 1}", **which
            )
        except ClientError as error:
            if error.response["Error"]["Code"] in _GONE:
                raise DataLossError(
                    f"s3://{self._bucket}/{ref.key} version {ref.version} is planned in "
                    f"{self._load or 'a load'} and is gone; put that version back, its load cannot "
                    "be finished without it"
                ) from error
            raise
        body = answer["Body"]
        # A store may answer with everything, whatever range it was asked for.
        skipped = 0 if "ContentRange" in answer else start
        while skipped and (piece := body.read(min(CHUNK_BYTES, skipped))):
            skipped -= len(piece)
        return body


def listed(aws: Aws, prefix: str, *, current: bool = False) -> Iterator[ObjectRef]:
    """The versions of the objects below a prefix in order of their keys, the newest of each first.

    An object is listed once it is uploaded; one that is uploaded again is another version.
    ``current`` leaves out what has been replaced or removed.
    """
    pages = (
        aws.client("s3")
        .get_paginator("list_object_versions")
        .paginate(Bucket=aws.bucket("landing"), Prefix=prefix)
    )
    for page in pages:
        for item in page.get("Versions", []):
            if item["Key"].endswith("/") or (current and not item["IsLatest"]):
                continue
            if len(ordered_name(item["Key"])) > _KEY_BYTES:
                log.error("landing_key_too_long", key=item["Key"], most=_KEY_BYTES)
                continue
            etag = item["ETag"].strip('"')
            # Without versioning every object has the version "null"; its ETag tells them apart.
            known = item.get("VersionId", "null") != "null"
            yield ObjectRef(
                key=item["Key"],
                version=item["VersionId"] if known else f"{_ETAG}{etag}",
                size=item["Size"],
                arrived_at=item["LastModified"],
                etag=etag,
            )

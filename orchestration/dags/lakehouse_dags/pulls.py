"""Pulls the pages of an HTTP API into the landing zone, one period at a time.

A period's pages are ``<dataset>/<period>/page-<n>.<format>``. In this order, so that a pull may be
stopped between any two steps and tried again: changed pages, pages that are no more, the manifest
where the contract has one, the cursor where the pull is incremental.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from lakehouse_dags.client import Api, ApiError
from lakehouse_dags.paging import Page, at, pages
from lakehouse_dags.pullspec import PageFormat, Period, PullCursor, PullSource

log = logging.getLogger("lakehouse.pulls")

_DIGEST: Final = "sha256"
"""Metadata of an object: what its body hashes to."""


class Pulled(NamedTuple):
    """What became of a period."""

    period: str
    pages: int
    written: int
    removed: int

    def __str__(self) -> str:
        return (
            f"{self.period}: {self.pages} pages, {self.written} new or changed, "
            f"{self.removed} removed"
        )


class Landing:
    """A dataset's part of the landing zone."""

    def __init__(self, s3: Any, bucket: str, dataset: str) -> None:
        """``s3`` is a boto3 client."""
        self._s3 = s3
        self._bucket = bucket
        self.dataset = dataset

    def keys(self, prefix: str) -> list[str]:
        """The keys below a prefix, in order."""
        listing = self._s3.get_paginator("list_objects_v2")
        listed = listing.paginate(Bucket=self._bucket, Prefix=prefix)
        return [item["Key"] for page in listed for item in page.get("Contents", [])]

    def has(self, key: str, body: bytes) -> str | None:
        """The ETag of an object that is there, if it was written with this body."""
        head = self._s3.head_object(Bucket=self._bucket, Key=key)
        same = head.get("Metadata", {}).get(_DIGEST) == _digest(body)
        return str(head["ETag"]) if same else None

    def put(self, key: str, body: bytes) -> str:
        """Write an object; its ETag."""
        metadata = {_DIGEST: _digest(body)}
        put = self._s3.put_object(Bucket=self._bucket, Key=key, Body=body, Metadata=metadata)
        return str(put["ETag"])

    def get(self, key: str) -> bytes:
        """Read an object, a small one."""
        body: bytes = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        return body

    def remove(self, keys: Iterable[str]) -> None:
        """Remove objects."""
        for key in keys:
            self._s3.delete_object(Bucket=self._bucket, Key=key)


def pull_period(
    landing: Landing, api: Api, pull: PullSource, form: PageFormat, period: Period
) -> Pulled:
    """Pull one period, which replaces what an earlier pull of it left.

    A page that has not changed is left as it is: written again it would be landed again.
    """
    folder = f"{landing.dataset}/{period.name}/"
    manifest = f"{folder}{form.manifest}" if form.manifest else None
    before = set(landing.keys(folder))
    since = last_cursor(landing, pull.cursor, period) if pull.cursor else None
    until, written = since, 0
    kept: dict[str, dict[str, Any]] = {}

    def open_set() -> None:
        # A set that is being changed is not whole until its manifest is there again.
        if manifest in before:
            landing.remove([manifest])
            before.remove(manifest)

    for number, page in enumerate(pages(api, pull, form, period, since), start=1):
        key = f"{folder}page-{number:04d}.{form.type}"
        etag = landing.has(key, page.body) if key in before else None
        if etag is None:
            open_set()
            etag = landing.put(key, page.body)
            written += 1
        name = key.removeprefix(folder)
        kept[key] = {"name": name, "size": len(page.body), "etag": etag.strip('"')}
        if pull.cursor:
            until = _next_cursor(pull.cursor, str(until), page)
    stale = sorted(before - {*kept, manifest})
    if stale:
        open_set()
        landing.remove(stale)
    if manifest and manifest not in before:
        # Sizes and ETags as well, so that it is another one whenever a page is.
        landing.put(manifest, json.dumps(list(kept.values())).encode())
    if pull.cursor:
        _keep_cursor(landing, period, str(since), str(until), len(kept))
    done = Pulled(period.name, len(kept), written, len(stale))
    log.info("%s, %s", landing.dataset, done)
    return done


def cursor_prefix(dataset: str) -> str:
    """Where a dataset's cursors lie: outside of what is landed, as no dataset begins with ``_``."""
    return f"_cursors/{dataset}/"


def last_cursor(landing: Landing, cursor: PullCursor, period: Period) -> str:
    """Where the pull of a period goes on: what the newest period before it came to.

    So a period that is pulled again begins where it began, and one that was never finished is
    covered by the next.
    """
    prefix = cursor_prefix(landing.dataset)
    done = [key for key in landing.keys(prefix) if key < f"{prefix}{period.name}.json"]
    if not done:
        return cursor.start
    newest = max(done)
    try:
        return str(json.loads(landing.get(newest))["until"])
    except (ValueError, KeyError, TypeError) as error:
        raise ApiError(
            f"{newest} in the landing bucket holds no cursor ({error!r}); remove it to pull again "
            "from the one before"
        ) from error


def _keep_cursor(landing: Landing, period: Period, since: str, until: str, pages: int) -> None:
    entry = {"since": since, "until": until, "pages": pages}
    landing.put(f"{cursor_prefix(landing.dataset)}{period.name}.json", json.dumps(entry).encode())


def _next_cursor(cursor: PullCursor, until: str, page: Page) -> str:
    """Where a pull that has come to ``until`` goes on after a page; never further back."""
    if cursor.key is not None:
        try:
            found = at(page.document, cursor.key)
        except LookupError:
            found = None
        return until if found is None else str(found)
    values = [record[cursor.field] for record in page.records or [] if _has(record, cursor.field)]
    if not values:
        return until
    if all(isinstance(value, str) for value in values):
        return max(until, *values)
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        greatest = max(values)
        return until if _number(until) >= greatest else str(greatest)
    raise ApiError(
        f"records have {cursor.field!r} of several types, such as {values[0]!r}; the cursor needs "
        "texts that sort as they grow, or numbers"
    )


def _has(record: Any, field: str | None) -> bool:
    return isinstance(record, dict) and record.get(field) is not None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("-inf")


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()

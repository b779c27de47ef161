"""Sees when a table's records become visible, as a reader would: by asking the catalog."""

from __future__ import annotations

import threading
import time
from typing import Any, Self

import msgspec

from lakehouse.aws import Aws


class Seen(msgspec.Struct, frozen=True):
    """A table's state, and when it was first seen (seconds since 1970)."""

    at: float
    records: int
    load: int


class Watch:
    """Asks for a bronze table again and again, and keeps each state that it sees."""

    def __init__(self, aws: Aws, dataset: str, interval: float = 0.1) -> None:
        self._glue, self._s3 = aws.client("glue"), aws.client("s3")
        self._dataset = dataset
        self._interval = interval
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.seen: list[Seen] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def records(self) -> int:
        """The records that are visible now."""
        return self.seen[-1].records if self.seen else 0

    def wait(self, records: int, seconds: float) -> bool:
        """Whether so many records became visible within a time."""
        with self._changed:
            return self._changed.wait_for(lambda: self.records >= records, seconds)

    def _run(self) -> None:
        location = ""
        while not self._stop.wait(self._interval):
            now = self._location()
            if now and now != location:
                location = now
                at = time.time()
                state = self._read(location, at)
                with self._changed:
                    self.seen.append(state)
                    self._changed.notify_all()

    def _location(self) -> str:
        try:
            answer = self._glue.get_table(DatabaseName="bronze", Name=self._dataset)
        except self._glue.exceptions.EntityNotFoundException:
            return ""
        location: str = answer["Table"]["Parameters"]["metadata_location"]
        return location

    def _read(self, location: str, at: float) -> Seen:
        bucket, _, key = location.removeprefix("s3://").partition("/")
        body = self._s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        document: dict[str, Any] = msgspec.json.decode(body)
        current = document.get("current-snapshot-id")
        records = next(
            (
                int(snapshot["summary"]["total-records"])
                for snapshot in document.get("snapshots", [])
                if snapshot["snapshot-id"] == current
            ),
            0,
        )
        return Seen(at, records, int(document.get("properties", {}).get("lakehouse.load", -1)))

"""S3 in memory, as far as pulls use it, which may fail at any call."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from typing import Any


class Killed(BaseException):
    """The end of a process; nothing in the code may catch it."""


def etag(body: bytes) -> str:
    """As S3 quotes it."""
    return f'"{hashlib.md5(body).hexdigest()}"'


class MemoryS3:
    """One bucket; ``calls_left`` counts down to the call before which the process is killed."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, dict[str, str]]] = {}
        self.changes: list[tuple[str, str]] = []
        self.calls = 0
        self.calls_left: int | None = None

    @property
    def bodies(self) -> dict[str, bytes]:
        return {key: body for key, (body, _) in self.objects.items()}

    def get_paginator(self, name: str) -> MemoryS3:
        assert name == "list_objects_v2"
        return self

    def paginate(self, **call: str) -> Iterator[dict[str, Any]]:
        self._count()
        keys = sorted(key for key in self.objects if key.startswith(call["Prefix"]))
        # In pages of two, the last of which is empty at times.
        for at in range(0, len(keys) + 1, 2):
            yield {"Contents": [{"Key": key} for key in keys[at : at + 2]]} if keys[at:] else {}

    def head_object(self, **call: str) -> dict[str, Any]:
        self._count()
        body, metadata = self.objects[call["Key"]]
        return {"Metadata": metadata, "ETag": etag(body)}

    def get_object(self, **call: str) -> dict[str, Any]:
        self._count()
        return {"Body": io.BytesIO(self.objects[call["Key"]][0])}

    def put_object(self, **call: Any) -> dict[str, Any]:
        self._count()
        self.objects[call["Key"]] = (call["Body"], call["Metadata"])
        self.changes.append(("put", call["Key"]))
        return {"ETag": etag(call["Body"])}

    def delete_object(self, **call: str) -> None:
        self._count()
        self.objects.pop(call["Key"], None)
        self.changes.append(("delete", call["Key"]))

    def _count(self) -> None:
        self.calls += 1
        if self.calls_left is not None:
            if self.calls_left == 0:
                raise Killed
            self.calls_left -= 1

"""Stands in for S3: objects in memory, with the calls that Iceberg, S3A and the ledger make.

The emulator of the whole estate slows down with the size of a body; this one takes a body as fast
as the loopback interface brings it. ``python -m benchmarks.objects`` prints its URL and serves.
"""

from __future__ import annotations

import itertools
import sys
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterable
from email.utils import formatdate
from typing import Final
from urllib.parse import unquote
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import msgspec

from benchmarks.httpd import Request, Response, Server

_XML: Final = {"Content-Type": "application/xml"}
_numbers = itertools.count(1)


class _Object(msgspec.Struct, frozen=True):
    body: bytes
    etag: str
    modified: str


class _Upload(msgspec.Struct):
    path: str
    parts: dict[int, bytes] = {}


def _object(body: bytes) -> _Object:
    # No digest of the body: it would cost, and the hyphen says that it is none.
    return _Object(body, f'"{next(_numbers):032x}-1"', formatdate(usegmt=True))


class Objects:
    """Buckets and objects by path, ``/bucket/key``."""

    def __init__(self) -> None:
        self._objects: dict[str, _Object] = {}
        self._buckets: set[str] = set()
        self._uploads: dict[str, _Upload] = {}
        self._lock = threading.Lock()

    def __call__(self, request: Request) -> Response:
        """Answer one call, addressed by path."""
        bucket, _, key = request.path[1:].partition("/")
        answers: dict[str, Callable[[Request], Response]] = {
            "GET": self._get,
            "HEAD": self._get,
            "PUT": self._put,
            "POST": self._post,
            "DELETE": self._delete,
        }
        if key:
            return answers[request.method](request)
        return self._on_bucket(bucket, request)

    def _on_bucket(self, bucket: str, request: Request) -> Response:
        if request.method == "PUT":
            self._buckets.add(bucket)
        elif bucket not in self._buckets:
            return _error(404, "NoSuchBucket", bucket)
        elif request.method == "DELETE":
            self._drop(bucket)
        elif request.method == "POST":
            return self._delete_many(bucket, request.body)
        elif request.method == "GET":
            return self._list(bucket, request)
        return Response()

    def _drop(self, bucket: str) -> None:
        """Remove a bucket with all that is in it, which S3 would refuse: memory is short."""
        with self._lock:
            for path in [p for p in self._objects if p.startswith(f"/{bucket}/")]:
                del self._objects[path]
            self._buckets.discard(bucket)

    def _get(self, request: Request) -> Response:
        found = self._objects.get(request.path)
        if found is None:
            return _error(404, "NoSuchKey", request.path)
        headers = {
            "ETag": found.etag,
            "Last-Modified": found.modified,
            "Accept-Ranges": "bytes",
            "Content-Type": "application/octet-stream",
        }
        asked, size = request.headers.get("range"), len(found.body)
        if asked is None:
            return Response(200, (found.body,), headers, size)
        low, high = asked.removeprefix("bytes=").split("-")
        first = int(low) if low else max(0, size - int(high))
        last = min(int(high), size - 1) if low and high else size - 1
        if first >= size:
            return _error(416, "InvalidRange", asked)
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        body = memoryview(found.body)[first : last + 1]
        return Response(206, (body,), headers, len(body))

    def _put(self, request: Request) -> Response:
        if "partNumber" in request.query:
            upload = self._uploads[request.query["uploadId"]]
            upload.parts[int(request.query["partNumber"])] = request.body
            return Response(headers={"ETag": f'"{len(request.body):032x}"'})
        source = request.headers.get("x-amz-copy-source")
        body = request.body
        if source is not None:
            copied = self._objects.get("/" + unquote(source).lstrip("/"))
            if copied is None:
                return _error(404, "NoSuchKey", source)
            body = copied.body
        made = _object(body)
        if not self._keep(request, made):
            return _error(412, "PreconditionFailed", request.path)
        if source is not None:
            return _xml(f"<CopyObjectResult><ETag>{made.etag}</ETag></CopyObjectResult>")
        return Response(headers={"ETag": made.etag})

    def _keep(self, request: Request, made: _Object) -> bool:
        with self._lock:
            present = self._objects.get(request.path)
            if request.headers.get("if-none-match") == "*" and present is not None:
                return False
            if (match := request.headers.get("if-match")) and (
                present is None or present.etag != match
            ):
                return False
            self._objects[request.path] = made
            return True

    def _post(self, request: Request) -> Response:
        bucket, _, key = request.path[1:].partition("/")
        names = f"<Bucket>{bucket}</Bucket><Key>{escape(key)}</Key>"
        if "uploads" in request.query:
            upload = f"upload-{next(_numbers)}"
            self._uploads[upload] = _Upload(request.path)
            inside = f"{names}<UploadId>{upload}</UploadId>"
            return _xml(f"<InitiateMultipartUploadResult>{inside}</InitiateMultipartUploadResult>")
        done = self._uploads.pop(request.query["uploadId"])
        made = _object(b"".join(body for _, body in sorted(done.parts.items())))
        if not self._keep(request, made):
            return _error(412, "PreconditionFailed", request.path)
        inside = f"{names}<ETag>{made.etag}</ETag>"
        return _xml(f"<CompleteMultipartUploadResult>{inside}</CompleteMultipartUploadResult>")

    def _delete(self, request: Request) -> Response:
        if "uploadId" in request.query:
            self._uploads.pop(request.query["uploadId"], None)
        else:
            self._objects.pop(request.path, None)
        return Response(204)

    def _delete_many(self, bucket: str, body: bytes) -> Response:
        root = ElementTree.fromstring(body)  # noqa: S314 - our own clients' requests
        for key in root.iterfind(".//{*}Key"):
            self._objects.pop(f"/{bucket}/{key.text}", None)
        return _xml("<DeleteResult/>")

    def _list(self, bucket: str, request: Request) -> Response:
        prefix = request.query.get("prefix", "")
        delimiter = request.query.get("delimiter", "")
        after = request.query.get("continuation-token") or request.query.get("start-after", "")
        most = int(request.query.get("max-keys", 1000))
        root = f"/{bucket}/"
        with self._lock:
            keys = sorted(
                path[len(root) :] for path in self._objects if path.startswith(root + prefix)
            )
        entries: list[str] = []
        last, more = "", False
        for name, common in _grouped(keys[bisect_right(keys, after) :], prefix, delimiter):
            if name <= after:
                continue
            if len(entries) == most:
                more = True
                break
            last = name
            entries.append(self._entry(root, name, common=common))
        token = f"<NextContinuationToken>{escape(last)}</NextContinuationToken>" if more else ""
        return _xml(
            f"<ListBucketResult><Name>{bucket}</Name><Prefix>{escape(prefix)}</Prefix>"
            f"<KeyCount>{len(entries)}</KeyCount><MaxKeys>{most}</MaxKeys>"
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{token}{''.join(entries)}"
            "</ListBucketResult>"
        )

    def _entry(self, root: str, name: str, *, common: bool) -> str:
        if common:
            return f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>"
        found = self._objects.get(root + name)
        if found is None:
            return ""
        return (
            f"<Contents><Key>{escape(name)}</Key><Size>{len(found.body)}</Size>"
            f"<LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>{found.etag}</ETag>"
            "<StorageClass>STANDARD</StorageClass></Contents>"
        )


def _grouped(keys: Iterable[str], prefix: str, delimiter: str) -> Iterable[tuple[str, bool]]:
    """Keys, and in place of those with the delimiter behind the prefix what they have in common."""
    seen = ""
    for key in keys:
        end = key.find(delimiter, len(prefix)) if delimiter else -1
        if end < 0:
            yield key, False
            continue
        common = key[: end + len(delimiter)]
        if common != seen:
            seen = common
            yield common, True


def _xml(body: str, status: int = 200) -> Response:
    return Response(status, (f'<?xml version="1.0" encoding="UTF-8"?>{body}'.encode(),), _XML)


def _error(status: int, code: str, about: str) -> Response:
    return _xml(f"<Error><Code>{code}</Code><Message>{escape(about)}</Message></Error>", status)


def main() -> None:
    """Serve until ended."""
    with Server(Objects()) as server:
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        server.serve_forever()


if __name__ == "__main__":
    main()

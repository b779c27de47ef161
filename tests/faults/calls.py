"""One request as the proxy sees it: which service, which operation, on what."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from urllib.parse import parse_qs, unquote

import msgspec

_SCOPE = re.compile(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/")
_TARGETS = {"Kinesis": "kinesis", "AWSGlue": "glue"}


class Call(msgspec.Struct, frozen=True):
    """A request; ``body`` is there for the JSON services only, whose requests are small."""

    service: str
    operation: str
    method: str
    path: str
    body: bytes = b""

    def field(self, name: str) -> object:
        """A top-level field of a JSON request; None when it is not there."""
        return json.loads(self.body or b"{}").get(name)


def identify(
    method: str, path: str, query: str, headers: Mapping[str, str], body: bytes = b""
) -> Call:
    """The call that a request is. S3 has no name for its operations in the request."""
    target, _, operation = headers.get("X-Amz-Target", "").partition(".")
    if target:
        service = _TARGETS.get(target.partition("_")[0], target)
        return Call(service, operation, method, path, body)
    scope = _SCOPE.search(headers.get("Authorization", ""))
    service = scope.group(1) if scope else "s3"
    if service != "s3":
        return Call(service, "", method, path, body)
    arguments = parse_qs(query, keep_blank_values=True)
    key = unquote(path).lstrip("/").partition("/")[2]
    return Call(service, _s3_operation(method, key, arguments, headers), method, unquote(path))


def _s3_operation(
    method: str, key: str, arguments: Mapping[str, list[str]], headers: Mapping[str, str]
) -> str:
    if not key:
        listing = "ListObjectsV2" if method == "GET" else f"{method.title()}Bucket"
        return "DeleteObjects" if "delete" in arguments else listing
    if "uploads" in arguments:
        return "CreateMultipartUpload"
    if "uploadId" in arguments:
        return {
            "PUT": "UploadPart",
            "POST": "CompleteMultipartUpload",
            "DELETE": "AbortMultipartUpload",
        }.get(method, "ListParts")
    if method == "PUT" and "x-amz-copy-source" in headers:
        return "CopyObject"
    return f"{method.title()}Object"

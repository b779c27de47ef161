"""A proxy before the local estate that notes every call of AWS, who made it and how it ended.

Who it was is the access key id that a call is signed with: of a Glue run its job's name.
"""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qs, unquote

import msgspec
from aiohttp import web
from botocore.parsers import RpcV2CBORParser
from faults.calls import Call
from faults.proxy import Proxy, kept
from starlette.responses import Response

from localaws.gateway import Handler
from localaws.protocol import ServiceError, error_reply, reply

_SIGNED: Final = re.compile(r"Credential=([^/]+)/\d+/[^/]+/([^/]+)/")
_RPC: Final = re.compile(r"/service/(\w+)/operation/(\w+)")
_TARGETS: Final = {
    "AWSGlue": "glue",
    "AmazonSQS": "sqs",
    "GraniteServiceVersion20100801": "cloudwatch",
    "secretsmanager": "secretsmanager",
}


class Seen(msgspec.Struct, frozen=True):
    """A call: ``body`` and ``answer`` are those of services that speak JSON or forms."""

    caller: str
    service: str
    operation: str
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any
    status: int
    answer: Any

    @property
    def bucket(self) -> str:
        """Of a call to S3."""
        return self.path.lstrip("/").partition("/")[0]

    @property
    def key(self) -> str:
        """Of a call to S3; empty where it is about the bucket."""
        return self.path.lstrip("/").partition("/")[2]


class Recorder(Proxy):
    """The proxy; Glue's job runs are answered by ``runs``, whose jobs are to call through it."""

    def __init__(self, emulator: str, gateway: str) -> None:
        super().__init__(emulator, gateway)
        self.seen: list[Seen] = []
        self.runs: Handler = lambda _operation, _request: None

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.headers.get("Expect", "").lower() == "100-continue" and request.transport:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        signed = _SIGNED.search(request.headers.get("Authorization", ""))
        caller, scope = signed.groups() if signed else ("", "s3")
        path, _, query = request.raw_path.partition("?")
        service, operation = _operation(scope, path, request.headers)
        arguments = {k: v[-1] for k, v in parse_qs(query, keep_blank_values=True).items()}
        call = Call(service, operation, request.method, path)
        whole = service != "s3" or "delete" in arguments
        body = await request.read() if whole else b""

        def note(status: int, answer: bytes) -> None:
            self.seen.append(
                Seen(
                    caller,
                    service,
                    operation,
                    request.method,
                    unquote(path),
                    arguments,
                    {name.lower(): value for name, value in request.headers.items()},
                    _parsed(body, request.headers),
                    status,
                    _parsed(answer, {}),
                )
            )

        if service == "glue":
            answered = await self._own(operation, body)
            if answered is not None:
                note(answered.status, b"")
                return answered
        content = body if whole or not request.body_exists else request.content.iter_any()
        async with self._send(request, call, content) as upstream:
            if whole:
                found = await upstream.read()
                note(upstream.status, found)
                return web.Response(
                    body=found, status=upstream.status, headers=_unsized(upstream.headers)
                )
            note(upstream.status, b"")
            response = web.StreamResponse(status=upstream.status, headers=kept(upstream.headers))
            await response.prepare(request)
            async for chunk in upstream.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response

    async def _own(self, operation: str, body: bytes) -> web.Response | None:
        try:
            found = await asyncio.to_thread(self.runs, operation, json.loads(body or b"{}"))
            answer: Response | None = None if found is None else reply(found)
        except ServiceError as error:
            answer = error_reply(error)
        if answer is None:
            return None
        return web.Response(
            body=answer.body, status=answer.status_code, headers=_unsized(answer.headers)
        )


def _operation(scope: str, path: str, headers: Mapping[str, str]) -> tuple[str, str]:
    """Service and operation of a call; S3 and form-encoded ones name none in their headers."""
    target, _, operation = headers.get("X-Amz-Target", "").partition(".")
    if target:
        return _TARGETS.get(target, target.partition("_")[0].lower()), operation
    if rpc := _RPC.fullmatch(path):
        return _TARGETS.get(rpc[1], rpc[1]), rpc[2]
    return scope, ""


def _parsed(body: bytes, headers: Mapping[str, str]) -> Any:
    """What a body says: JSON, CBOR, a form's fields, else its bytes."""
    if not body:
        return {}
    if headers.get("Content-Encoding") == "gzip":
        body = gzip.decompress(body)
    if headers.get("Content-Type") == "application/cbor":
        return RpcV2CBORParser().parse_data_item(io.BufferedReader(io.BytesIO(body)))
    try:
        return json.loads(body)
    except ValueError:
        pass
    if re.match(rb"[\w.]+=", body):
        return {k: v[-1] for k, v in parse_qs(body.decode()).items()}
    return body


def _unsized(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers of an answer that is sent as a whole."""
    left_out = ("content-length", "transfer-encoding", "connection", "content-encoding")
    return {name: value for name, value in headers.items() if name.lower() not in left_out}

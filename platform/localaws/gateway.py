"""The endpoint beside the emulator.

It answers Glue's job runs and Athena's queries, refuses what neither it nor the emulator truly
does, and hands everything else on.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import httpx
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from localaws.protocol import ServiceError, error_reply, reply

# The emulator answers these without doing what they say.
_STUBS: Final = {
    "AWSGlue": frozenset(
        ("StartCrawler", "StopCrawler", "GetCrawlerMetrics", "StartTrigger", "StopTrigger",
         "StartWorkflowRun")
    ),
    "AmazonAthena": frozenset[str](),
}  # fmt: skip
_HOP_BY_HOP: Final = frozenset(("connection", "keep-alive", "transfer-encoding", "upgrade"))

Handler = Callable[[str, dict[str, Any]], dict[str, Any] | None]


class Gateway:
    """The ASGI application in front of an emulator."""

    def __init__(self, emulator_url: str, handlers: dict[str, Handler]) -> None:
        """``handlers`` answer a service's operations, by the service's target prefix."""
        self._handlers = handlers
        self._upstream = httpx.AsyncClient(
            base_url=emulator_url, timeout=httpx.Timeout(300, connect=5), trust_env=False
        )
        self._url = httpx.URL(emulator_url)

    async def answer(self, request: Request) -> Response:
        """Answer one request."""
        service, _, operation = request.headers.get("x-amz-target", "").partition(".")
        if service not in self._handlers:
            return await self._forward(request)
        try:
            body = await request.body()
            asked = json.loads(body or b"{}")
            answered = await asyncio.to_thread(self._handlers[service], operation, asked)
            if answered is not None:
                return reply(answered)
            if operation in _STUBS[service]:
                raise _not_here(service, operation)
            passed_on = await self._passed_on(request, body)
            if passed_on.status_code >= 400 and b"InvalidAction" in passed_on.body:
                raise _not_here(service, operation)
        except ServiceError as error:
            return error_reply(error)
        return passed_on

    async def close(self) -> None:
        """Give the connections to the emulator back."""
        await self._upstream.aclose()

    async def _forward(self, request: Request) -> Response:
        """The emulator's own answer, streamed both ways, headers as they are."""
        answer = await self._upstream.send(self._outgoing(request, request.stream()), stream=True)

        async def stream() -> AsyncIterator[bytes]:
            try:
                async for chunk in answer.aiter_raw():
                    yield chunk
            finally:
                await answer.aclose()

        response = StreamingResponse(stream(), answer.status_code)
        response.raw_headers = _kept(answer.headers.raw)
        return response

    async def _passed_on(self, request: Request, body: bytes) -> Response:
        """The emulator's answer to a call whose body was read already."""
        answer = await self._upstream.send(self._outgoing(request, body))
        response = Response(answer.content, answer.status_code)
        kept = [pair for pair in _kept(answer.headers.raw) if pair[0] != b"content-encoding"]
        response.raw_headers = [pair for pair in kept if pair[0] != b"content-length"]
        response.headers["content-length"] = str(len(answer.content))
        return response

    def _outgoing(self, request: Request, content: bytes | AsyncIterator[bytes]) -> httpx.Request:
        target = request.scope["raw_path"]
        if query := request.scope["query_string"]:
            target += b"?" + query
        return self._upstream.build_request(
            request.method,
            self._url.copy_with(raw_path=target),
            headers=_kept(request.headers.raw),
            content=content,
        )


def _kept(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [(k.lower(), v) for k, v in headers if k.lower().decode() not in _HOP_BY_HOP]


def _not_here(service: str, operation: str) -> ServiceError:
    return ServiceError(
        "NotImplementedException",
        f"{service}.{operation} is not part of the local estate; use a stack on AWS for it",
        status=501,
    )

"""A reverse proxy between the job and AWS that can do to a call what networks and services do.

It passes everything on as it is, bodies streamed, until a rule takes a call for itself.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine
from typing import Any, Final, Self

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector, web
from faults.calls import Call, identify
from faults.rules import Answer, Exchange, Rule, abort
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

_HOP_BY_HOP: Final = frozenset(
    ("connection", "keep-alive", "transfer-encoding", "upgrade", "expect")
)
_OWN: Final = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
"""What the client would add of its own."""


class Proxy:
    """Serves on a free port of the loopback interface, in a thread of its own.

    ``emulator`` takes all calls but Glue's, ``gateway`` those.
    """

    def __init__(self, emulator: str, gateway: str) -> None:
        self._emulator, self._gateway = emulator, gateway
        self._rule: Rule | None = None
        self._open = asyncio.Event()
        self._open.set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy")
        self.url = ""

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self._in_loop(self._start())
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._in_loop(self._stop())
        self._end()

    def _in_loop(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def arm(self, rule: Rule | None) -> None:
        """The rule that holds from now on, instead of the one before."""
        self._rule = rule

    def freeze(self) -> None:
        """Hold every further call; for actions, which run in the proxy's own loop."""
        self._open.clear()

    def thaw(self) -> None:
        """Let the calls go on, those of dead clients into nothing."""
        self._open.set()

    async def _start(self) -> None:
        self._session = ClientSession(
            # A kept connection that the service closes would be a fault that nobody injected.
            connector=TCPConnector(limit=0, force_close=True),
            auto_decompress=False,
            skip_auto_headers=_OWN,
            # The job's own timeouts are what is tried; the proxy adds none.
            timeout=ClientTimeout(total=None, sock_connect=10),
        )
        server = web.Server(self._handle, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _stop(self) -> None:
        await self._runner.cleanup()
        await self._session.close()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self._answer(request)
        except (ClientError, ConnectionError):
            # The client was killed while it sent its body or was sent its answer.
            return abort(request)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        await self._open.wait()
        if request.headers.get("Expect", "").lower() == "100-continue" and request.transport:
            # Clients wait up to 3 s for it before they send a body.
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        path, _, query = request.raw_path.partition("?")
        body = await request.read() if "X-Amz-Target" in request.headers else b""
        call = identify(request.method, path, query, request.headers, body)
        rule = self._rule
        if rule is None or not rule.wants(call):
            return await self._pass_on(request, call)
        if call.service == "s3":
            body = await request.read()

        async def forward() -> Answer:
            async with self._send(request, call, body) as upstream:
                return Answer(upstream.status, kept(upstream.headers), await upstream.read())

        exchange = Exchange(call, request, forward)
        if rule.answered and not rule.answered(await exchange.forward()):
            return await exchange.answer(await exchange.forward())
        if not rule.take():
            return await exchange.answer(await exchange.forward())
        return await rule.action(exchange)

    def _send(
        self, request: web.BaseRequest, call: Call, body: bytes | AsyncIterator[bytes]
    ) -> Any:
        base = self._gateway if call.service == "glue" else self._emulator
        return self._session.request(
            request.method,
            URL(base + request.raw_path, encoded=True),
            headers=kept(request.headers),
            data=body,
            allow_redirects=False,
        )

    async def _pass_on(self, request: web.BaseRequest, call: Call) -> web.StreamResponse:
        body = call.body or (request.content.iter_any() if request.body_exists else b"")
        async with self._send(request, call, body) as upstream:
            response = web.StreamResponse(status=upstream.status, headers=kept(upstream.headers))
            await response.prepare(request)
            async for chunk in upstream.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response


def kept(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    """The headers that are of the message and not of the connection."""
    return CIMultiDict((k, v) for k, v in headers.items() if k.lower() not in _HOP_BY_HOP)

"""The one process that is the local estate: it owns the emulator, the Glue runs and the queries.

When it ends, all of them end; when the emulator or the owner is gone, it ends itself.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec
import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from localaws.athena import Athena
from localaws.duck import Lake
from localaws.emulator import Emulator, client
from localaws.gateway import Gateway
from localaws.glue import GlueRuns
from localaws.gluejob import Endpoints
from localaws.processes import Process
from localaws.state import State, Store

_log = structlog.get_logger()
HEALTH: Final = "/_estate/health"
_METHODS: Final = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"]


class Supervisor:
    """Emulator, runs and queries behind one port of the loopback interface."""

    def __init__(self, store: Store, prefix: str, port: int, emulator_port: int) -> None:
        self._store = store
        self._prefix = prefix
        self._port = port
        self._emulator_port = emulator_port

    def serve(self, owner: Process | None) -> None:
        """Run until told to stop (SIGTERM, SIGINT), or ``owner`` or the emulator is gone."""
        server: uvicorn.Server

        @asynccontextmanager
        async def lifespan(app: Starlette) -> AsyncIterator[None]:
            self._store.mark_unsaved()
            emulator = Emulator(self._emulator_port, self._store.logs, self._store.data)
            self._store.write(
                State(
                    self._prefix,
                    self._emulator_port,
                    self._port,
                    Process.of(os.getpid()),
                    Process.of(emulator.process.pid),
                )
            )
            try:
                async with self._answering(app, emulator):
                    watch = asyncio.create_task(_watch(server, emulator, owner))
                    yield
                    watch.cancel()
            finally:
                if await asyncio.to_thread(emulator.stop):
                    self._store.mark_saved()
                self._store.forget()

        async def health(_: Request) -> PlainTextResponse:
            return PlainTextResponse("ok")

        app = Starlette(routes=[Route(HEALTH, health)], lifespan=lifespan)
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                host="127.0.0.1",
                port=self._port,
                log_level="warning",
                timeout_graceful_shutdown=2,
            )
        )
        server.run()

    @asynccontextmanager
    async def _answering(self, app: Starlette, emulator: Emulator) -> AsyncIterator[None]:
        await asyncio.to_thread(emulator.wait_ready)
        endpoints = Endpoints(emulator.url, f"http://127.0.0.1:{self._port}", self._prefix)
        glue, s3, athena = (client(name, emulator.url) for name in ("glue", "s3", "athena"))
        runs = GlueRuns(glue, s3, self._store.home, endpoints)
        queries = Athena(Lake(glue, emulator.url, endpoints.region), glue, athena, s3)
        gateway = Gateway(emulator.url, {"AWSGlue": runs.handle, "AmazonAthena": queries.handle})
        app.router.routes.append(Route("/{path:path}", gateway.answer, methods=_METHODS))
        try:
            yield
        finally:
            await asyncio.to_thread(runs.close)
            await asyncio.to_thread(queries.close)
            await gateway.close()


async def _watch(server: uvicorn.Server, emulator: Emulator, owner: Process | None) -> None:
    while True:
        # Half a second is what an owner's end may go unnoticed; asking costs microseconds.
        await asyncio.sleep(0.5)
        if emulator.process.poll() is not None:
            _log.error("the emulator has ended", code=emulator.process.returncode)
            server.should_exit = True
        elif owner is not None and not owner.alive():
            _log.info("the owner has ended", pid=owner.pid)
            server.should_exit = True


def main() -> None:
    """Entry point of the detached process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--prefix", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--emulator-port", type=int, required=True)
    parser.add_argument("--owner", default="")
    asked = parser.parse_args()
    owner = msgspec.json.decode(asked.owner, type=Process) if asked.owner else None
    with suppress(KeyboardInterrupt):
        Supervisor(Store(asked.home), asked.prefix, asked.port, asked.emulator_port).serve(owner)


if __name__ == "__main__":
    main()

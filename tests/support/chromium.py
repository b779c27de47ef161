"""Pages as headless Chromium shows them, asked over its debugging protocol."""

from __future__ import annotations

import asyncio
import base64
import itertools
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest

from tests.support.waiting import wait_for

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="neither chromium nor google-chrome is on PATH"
)
_PHONE = 500
"""Narrower screens are told to be phones."""


class Shown(NamedTuple):
    """A page on a screen of some width."""

    dom: str
    width: int
    """What it takes; more than the screen's if it overflows."""
    complaints: list[str]
    """What the console says, and what could not be loaded."""
    loaded: list[str]
    """Addresses that were asked for."""
    png: bytes


class Chromium:
    """A running browser."""

    def __init__(self, port: int) -> None:
        self._port = port

    def show(self, page: Path, width: int, scheme: str = "light") -> Shown:
        """Open a file on a screen of this width in CSS pixels."""
        return asyncio.run(asyncio.wait_for(self._show(page.as_uri(), width, scheme), 60))

    async def _show(self, url: str, width: int, scheme: str) -> Shown:
        address = f"http://127.0.0.1:{self._port}"
        async with aiohttp.ClientSession() as session:
            async with session.put(f"{address}/json/new?about:blank") as answer:
                tab = await answer.json()
            async with session.ws_connect(tab["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                return await _Tab(socket).show(url, width, scheme)


class _Tab:
    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self._events: list[dict[str, Any]] = []

    async def show(self, url: str, width: int, scheme: str) -> Shown:
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self._call(f"{domain}.enable")
        await self._call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=800,
            deviceScaleFactor=1,
            mobile=width < _PHONE,
        )
        await self._call(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": scheme}],
        )
        await self._call("Page.navigate", url=url)
        while not any(event["method"] == "Page.loadEventFired" for event in self._events):
            self._events.append(await self._receive())
        dom = await self._value("document.documentElement.outerHTML")
        taken = await self._value("document.documentElement.scrollWidth")
        shot = await self._call("Page.captureScreenshot", captureBeyondViewport=True)
        return Shown(
            dom=dom,
            width=taken,
            complaints=[
                str(event["params"])
                for event in self._events
                if event["method"]
                in {
                    "Log.entryAdded",
                    "Runtime.consoleAPICalled",
                    "Runtime.exceptionThrown",
                    "Page.javascriptDialogOpening",
                    "Network.loadingFailed",
                }
            ],
            loaded=[
                event["params"]["request"]["url"]
                for event in self._events
                if event["method"] == "Network.requestWillBeSent"
            ],
            png=base64.b64decode(shot["data"]),
        )

    async def _value(self, expression: str) -> Any:
        answer = await self._call("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer["result"]["value"]

    async def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._ids)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            message = await self._receive()
            if message.get("id") == number:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result
            self._events.append(message)

    async def _receive(self) -> dict[str, Any]:
        message: dict[str, Any] = await self._socket.receive_json()
        return message


@contextmanager
def chromium(home: Path) -> Iterator[Chromium]:
    """A browser with a profile of its own, ended afterwards."""
    assert CHROMIUM is not None
    process = subprocess.Popen(
        [
            CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
            "--no-first-run", "--disable-background-networking", "--remote-debugging-port=0",
            f"--user-data-dir={home}", "about:blank",
        ],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield Chromium(wait_for(lambda: _port(home), 60))
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _port(home: Path) -> int | None:
    file = home / "DevToolsActivePort"
    lines = file.read_text().splitlines() if file.is_file() else []
    return int(lines[0]) if lines else None

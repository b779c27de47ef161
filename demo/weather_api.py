"""A weather service on this machine: hourly observations by month, page by page.

It behaves as a partner's service does: pages, a limit on how fast it may be asked, and a month that
for a while comes in the wrong unit.
"""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Collection, Mapping, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import pandas as pd

from demo.data import observations

PAGE: Final = 500
"""Observations on a page."""
_REFUSE_EVERY: Final = 7
"""Of so many requests one is refused with 429 and has to be made again."""
_RETRY_AFTER: Final = 1
"""Seconds that a refused client is asked to wait."""

Month = list[dict[str, Any]]


class WeatherApi:
    """The service; ``with WeatherApi(months) as api`` serves on ``api.url`` until the end."""

    def __init__(self, months: Mapping[str, Sequence[dict[str, Any]]]) -> None:
        self._months = {month: list(rows) for month, rows in months.items()}
        self._in_celsius: set[str] = set()
        self._requests = itertools.count(1)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def url(self) -> str:
        """Where it listens, such as ``http://127.0.0.1:40123``."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def serve_in_celsius(self, months: Collection[str]) -> None:
        """From now on give the temperature of these months in Celsius, and no other's."""
        self._in_celsius = set(months)

    def __enter__(self) -> WeatherApi:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, target: str) -> tuple[HTTPStatus, dict[str, Any]]:
        """The answer to a GET of a path with its query."""
        parts = urlsplit(target)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        if parts.path != "/v1/observations":
            return HTTPStatus.NOT_FOUND, {"error": f"no {parts.path}; try /v1/observations"}
        month = query.get("month", "")
        if month not in self._months:
            return HTTPStatus.NOT_FOUND, {
                "error": f"no month {month!r}; there are {', '.join(self._months)}"
            }
        rows = self._months[month]
        pages = max(1, -(-len(rows) // PAGE))
        page = query.get("page", "1")
        if not page.isdecimal() or not 1 <= int(page) <= pages:
            return HTTPStatus.BAD_REQUEST, {"error": f"no page {page!r}; there are 1 to {pages}"}
        if next(self._requests) % _REFUSE_EVERY == 0:
            return HTTPStatus.TOO_MANY_REQUESTS, {"error": "asked too fast"}
        shown = rows[(int(page) - 1) * PAGE : int(page) * PAGE]
        if month in self._in_celsius:
            shown = [in_celsius(row) for row in shown]
        return HTTPStatus.OK, {"observations": shown, "page": int(page), "pages": pages}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = api.answer(self.path)
                payload = json.dumps(body).encode()
                self.send_response(status)
                if status is HTTPStatus.TOO_MANY_REQUESTS:
                    self.send_header("Retry-After", str(_RETRY_AFTER))
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Nothing: the demo's terminal is not a server's log."""

        return Handler


def in_celsius(observation: Mapping[str, Any]) -> dict[str, Any]:
    """The observation with its temperature in Celsius, and its dew point still in Fahrenheit."""
    temp = observation["temp"]
    celsius = None if temp is None else round((temp - 32) * 5 / 9, 2)
    return {**observation, "temp": celsius}


def by_month(weather: pd.DataFrame) -> dict[str, Month]:
    """The service's months, such as ``2013-02``, of a frame of observations."""
    return {
        f"{year:04d}-{month:02d}": observations(rows)
        for (year, month), rows in weather.groupby(["year", "month"])
    }

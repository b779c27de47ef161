"""An HTTP API as a patient client sees it: bounded in bytes, tries and time."""

from __future__ import annotations

import ipaddress
import logging
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Final, NamedTuple
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from airflow.sdk import Connection
from requests.auth import AuthBase, HTTPBasicAuth
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_random, wait_random_exponential

log = logging.getLogger("lakehouse.pulls")

_TIMEOUT: Final = (5, 60)
"""Seconds to connect, and between two bytes."""
_ANSWER_SECONDS: Final = 600
"""How long one answer may take to arrive as a whole."""
_TRIES: Final = 8
_PATIENCE: Final = 1800
"""Seconds that one pull waits in all, whatever it is asked to."""
_PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses that may be others the next time."""
_REDIRECTS: Final = 5
_CHUNK: Final = 1 << 16
_EXCERPT: Final = 200


class ApiError(RuntimeError):
    """The API cannot be pulled from as things are; another try would end the same."""


class UnavailableError(RuntimeError):
    """The API did not answer for as long as it was tried."""


class _PassingError(Exception):
    """What may have passed at the next try."""

    def __init__(self, why: str, wait: float | None = None) -> None:
        super().__init__(why)
        self.wait = wait


class Answer(NamedTuple):
    """One answer."""

    address: str
    """Where it came from, without the query."""
    url: str
    body: bytes
    next_link: str | None
    """Of its header ``Link``."""


class Api:
    """An API behind an Airflow connection; ``with`` closes it.

    The connection's host, port and schema are the address. Its password goes out as a bearer token,
    with a login as basic authentication, or in the header that its extra ``header`` names.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        max_bytes: int,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._base = address(connection)
        self._secret = connection.password or ""
        self._max_bytes = max_bytes
        self._sleep = sleep
        self._clock = clock
        self._waited = 0.0
        self._session = requests.Session()
        self._session.auth = _credentials(connection)
        if self._secret and not _private(self._base):
            raise ApiError(
                f"connection {connection.conn_id!r} would send its credentials to {self._base} "
                "unencrypted; set its schema to https"
            )

    def __enter__(self) -> Api:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._session.close()

    def get(self, target: str, query: Mapping[str, Any]) -> Answer:
        """The answer to a GET of a path, or of an address of the same host.

        Raises ApiError where another try would not help, UnavailableError when patience has ended.
        """
        retrying = Retrying(
            sleep=self._pause,
            wait=self._wait,
            stop=self._stop,
            retry=retry_if_exception_type(_PassingError),
            before_sleep=self._tell,
            reraise=True,
        )
        try:
            return retrying(self._once, self._within(target), query)
        except _PassingError as error:
            raise UnavailableError(
                f"{error}; given up after {retrying.statistics['attempt_number']} tries and "
                f"{self._waited:.0f} s of waiting, of {_TRIES} and {_PATIENCE} s; clear the task "
                "when the API is back"
            ) from error

    def _once(self, url: str, query: Mapping[str, Any]) -> Answer:
        for _ in range(_REDIRECTS):
            answer, body = self._ask(url, query)
            if not answer.is_redirect:
                return Answer(_bare(url), answer.url, body, answer.links.get("next", {}).get("url"))
            url, query = self._within(urljoin(answer.url, answer.headers["Location"])), {}
        raise ApiError(f"{_bare(url)}: redirected {_REDIRECTS} times; mend the path of the pull")

    def _ask(self, url: str, query: Mapping[str, Any]) -> tuple[requests.Response, bytes]:
        where = _bare(url)
        try:
            with self._session.get(
                url, params=query, timeout=_TIMEOUT, stream=True, allow_redirects=False
            ) as answer:
                body = self._read(answer, where)
        except (requests.ConnectionError, requests.Timeout) as error:
            raise _PassingError(f"{where}: no answer ({type(error).__name__})") from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise _PassingError(
                f"{where}: the answer broke off ({type(error).__name__})"
            ) from error
        if answer.status_code in _PASSING:
            raise _PassingError(
                f"{where} answers {answer.status_code} {self.excerpt(body)}", _retry_after(answer)
            )
        if answer.status_code >= 400:
            raise ApiError(
                f"{where} answers {answer.status_code} {answer.reason}: {self.excerpt(body)}"
            )
        return answer, body

    def _read(self, answer: requests.Response, where: str) -> bytes:
        until = self._clock() + _ANSWER_SECONDS
        body = bytearray()
        while chunk := answer.raw.read1(_CHUNK, decode_content=True):
            body += chunk
            if len(body) > self._max_bytes:
                raise ApiError(
                    f"{where}: a page of more than {self._max_bytes >> 20} MB; ask for smaller "
                    "pages in pull.parameters or raise pull.maxPageMegabytes"
                )
            if self._clock() > until:
                raise _PassingError(f"{where}: the answer was not there after {_ANSWER_SECONDS} s")
        return bytes(body)

    def _within(self, target: str) -> str:
        url = urljoin(self._base, target)
        if _origin(url) != _origin(self._base):
            raise ApiError(
                f"{self._base} leads to another host, {_bare(url)}, which would be given its "
                "credentials; where that is right, give the connection that host"
            )
        return url

    def excerpt(self, body: bytes) -> str:
        """The beginning of a body for a message, without the credentials it may repeat."""
        text = repr(body[:_EXCERPT].decode(errors="replace"))
        return text.replace(self._secret, "***") if self._secret else text

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.wait if isinstance(error, _PassingError) else None
        if asked is None:
            return wait_random_exponential(multiplier=1, max=60)(state)
        return asked + wait_random(0, 1)(state)

    def _stop(self, state: RetryCallState) -> bool:
        return stop_after_attempt(_TRIES)(state) or self._waited + state.upcoming_sleep > _PATIENCE

    def _pause(self, seconds: float) -> None:
        self._waited += seconds
        self._sleep(seconds)

    def _tell(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        log.warning("%s; trying again in %.0f s", error, state.upcoming_sleep)


class _Header(AuthBase):
    """A credential in a header of any name."""

    def __init__(self, name: str, value: str) -> None:
        self._name = name
        self._value = value

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers[self._name] = self._value
        return request


class _Nobody(AuthBase):
    """No credential, not even one that requests would find in a netrc file."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


def _credentials(connection: Connection) -> AuthBase:
    header = connection.extra_dejson.get("header")
    if not connection.password:
        return _Nobody()
    if header:
        return _Header(header, connection.password)
    if connection.login:
        return HTTPBasicAuth(connection.login, connection.password)
    return _Header("Authorization", f"Bearer {connection.password}")


def address(connection: Connection) -> str:
    """``https://host:port`` of a connection.

    Airflow's form knows the type HTTP alone and keeps ``https`` as the schema; an URI has it as the
    type.
    """
    port = f":{connection.port}" if connection.port else ""
    return f"{connection.schema or connection.conn_type}://{connection.host}{port}"


def _private(base: str) -> bool:
    parts = urlsplit(base)
    if parts.scheme == "https" or parts.hostname == "localhost":
        return True
    try:
        return ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _bare(url: str) -> str:
    return url.partition("?")[0]


def _retry_after(answer: requests.Response) -> float | None:
    """Seconds that the answer asks to wait, given as such or as a date."""
    said = answer.headers.get("Retry-After")
    if said is None:
        return None
    try:
        return urllib3.Retry().parse_retry_after(said)
    except urllib3.exceptions.InvalidHeader:
        return None

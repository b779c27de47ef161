"""Pulls pages of an HTTP API into the landing zone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import requests
from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.sdk import BaseHook, Connection
from requests.adapters import HTTPAdapter
from urllib3 import Retry

_TIMEOUT: Final = (5, 60)
"""Seconds to connect and to read."""
_LOOK_BACK: Final = timedelta(days=3)
"""How late the last observations of a month may be, or a run that was to pull them."""


class Pull(NamedTuple):
    """Where a pulled dataset comes from."""

    connection: str
    """Airflow connection with the address, and a bearer token as its password where one is needed.

    Its schema, else its type, is ``http`` or ``https``.
    """
    path: str
    month_parameter: str = "month"
    page_parameter: str = "page"
    pages_key: str = "pages"
    """Key of the answer that says how many pages there are."""


PULLS: Final[dict[str, Pull]] = {
    "weather": Pull(connection="weather_api", path="/v1/observations"),
}
"""By dataset: one line here adds an API."""


def months_before(end: datetime) -> list[str]:
    """The months, such as ``2013-02``, that the last whole days before a time belong to.

    Of a month that is minutes old an API has nothing yet, and may answer that it is unknown.
    """
    return sorted({f"{end - ago:%Y-%m}" for ago in (_LOOK_BACK, timedelta(days=1))})


def pull_month(dataset: str, month: str, bucket: str, s3: S3Hook) -> list[str]:
    """Pull one month's pages to ``<dataset>/<month>/page-<n>.json``; their keys.

    A retry replaces its own pages, and takes away those of an earlier try that are no more. A page
    that has not changed is left as it is: written again it would be landed again. Raises
    LookupError when nothing says where the dataset comes from.
    """
    if dataset not in PULLS:
        raise LookupError(
            f"the contract of {dataset!r} says source: pull, but PULLS has only "
            f"{', '.join(sorted(PULLS))}; add its connection and path to {__name__}"
        )
    folder = f"{dataset}/{month}/"
    before = set(s3.list_keys(bucket, prefix=folder) or [])
    keys: list[str] = []
    for number, body in enumerate(_pages(PULLS[dataset], month), start=1):
        key = f"{folder}page-{number:04d}.json"
        if key not in before or s3.get_key(key, bucket).get()["Body"].read() != body:
            s3.load_bytes(body, key, bucket_name=bucket, replace=True)
        keys.append(key)
    if stale := sorted(before - set(keys)):
        s3.delete_objects(bucket, stale)
    return keys


def _pages(pull: Pull, month: str) -> Iterator[bytes]:
    connection = BaseHook.get_connection(pull.connection)
    url = _address(connection) + pull.path
    with _session(connection.password) as session:
        page, pages = 1, 1
        while page <= pages:
            query = {pull.month_parameter: month, pull.page_parameter: page}
            answer = session.get(url, params=query, timeout=_TIMEOUT)
            answer.raise_for_status()
            document: Any = answer.json()
            if not isinstance(document, dict) or pull.pages_key not in document:
                raise ValueError(
                    f"{answer.url}: expected an object with {pull.pages_key!r}, got "
                    f"{answer.text[:200]!r}; has the API changed?"
                )
            pages = int(document[pull.pages_key])
            yield answer.content
            page += 1


def _address(connection: Connection) -> str:
    """``https://host:port`` of a connection.

    Airflow's form knows the type HTTP alone and keeps ``https`` as the schema; an URI has it as the
    type.
    """
    port = f":{connection.port}" if connection.port else ""
    return f"{connection.schema or connection.conn_type}://{connection.host}{port}"


def _session(token: str | None) -> requests.Session:
    """A session that waits as it is told to and tries again what may pass."""
    retry = Retry(
        total=8,
        backoff_factor=0.5,
        status_forcelist=(429, 500, 502, 503, 504),
        respect_retry_after_header=True,
    )
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry))
    if token:
        session.headers["Authorization"] = f"Bearer {token}"
    return session

"""AWS's JSON protocol: errors and times as the SDKs expect them."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from starlette.responses import Response

from lakehouse.errors import EstateError


class ServiceError(EstateError):
    """An error that goes out to the client under the name that AWS gives it."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


def reply(payload: dict[str, Any], status: int = 200, code: str = "") -> Response:
    """An answer; times become seconds since 1970, as the protocol wants."""
    headers = {"x-amzn-errortype": code} if code else {}
    return Response(
        json.dumps(payload, default=_plain),
        status,
        headers,
        media_type="application/x-amz-json-1.1",
    )


def error_reply(error: ServiceError) -> Response:
    """An error as the SDKs read it."""
    message = str(error)
    body = {"__type": error.code, "message": message, "Message": message}
    return reply(body, error.status, error.code)


def _plain(value: object) -> float:
    if isinstance(value, datetime):
        return value.timestamp()
    raise TypeError(f"{type(value).__name__} is not part of the protocol")


def page(items: list[Any], token: str | None, size: int) -> tuple[list[Any], str | None]:
    """One page and the token of the next; the token is an offset.

    Raises ServiceError for a token that is none of ours.
    """
    if token is not None and not token.isdecimal():
        raise ServiceError("InvalidRequestException", f"NextToken {token!r} is not valid")
    start = int(token or 0)
    rest = start + size < len(items)
    return items[start : start + size], str(start + size) if rest else None

"""What may be done to a call, and the rule that says to which."""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import msgspec
from aiohttp import web
from faults.calls import Call
from multidict import CIMultiDict


class Answer(msgspec.Struct, frozen=True):
    """A whole answer of the service."""

    status: int
    headers: CIMultiDict[str]
    body: bytes


class Exchange:
    """One call that a rule has taken, and what can be done with it."""

    def __init__(
        self, call: Call, request: web.BaseRequest, forward: Callable[[], Awaitable[Answer]]
    ) -> None:
        self.call = call
        self._request = request
        self._forward = forward
        self._answer: Answer | None = None

    async def forward(self) -> Answer:
        """Let the call take effect, once; the service's answer."""
        if self._answer is None:
            self._answer = await self._forward()
        return self._answer

    async def answer(self, answer: Answer) -> web.StreamResponse:
        """Answer as the service did, or as it might have."""
        response = await self._begin(answer, len(answer.body))
        await response.write_eof()
        return response

    async def answer_half(self, answer: Answer) -> None:
        """Send the head and half of the body."""
        await self._begin(answer, len(answer.body) // 2)

    async def _begin(self, answer: Answer, size: int) -> web.StreamResponse:
        response = web.StreamResponse(status=answer.status, headers=answer.headers)
        await response.prepare(self._request)
        await response.write(answer.body[:size])
        return response

    def reset(self) -> web.StreamResponse:
        """Break the connection off at once."""
        return abort(self._request)


Action = Callable[[Exchange], Coroutine[Any, Any, web.StreamResponse]]


class Rule:
    """Takes matching calls from the ``nth`` on, ``times`` of them or for some ``seconds``.

    With ``answered`` a call counts only when the service's answer is so, and has taken effect.
    """

    def __init__(
        self,
        matches: Callable[[Call], bool],
        action: Action,
        *,
        nth: int = 1,
        times: int = 1,
        seconds: float = 0.0,
        answered: Callable[[Answer], bool] | None = None,
    ) -> None:
        self._matches = matches
        self._left = times
        self._skip = nth - 1
        self._seconds = seconds
        self.action = action
        self.answered = answered
        self.fired = threading.Event()
        self.fired_at = 0.0
        """Of the monotonic clock, at the first call taken."""
        self.on_fire: Callable[[], None] = lambda: None

    @classmethod
    def watching(cls, matches: Callable[[Call], bool]) -> Rule:
        """A rule that lets the call pass and only says that it came."""

        async def act(exchange: Exchange) -> web.StreamResponse:
            return await exchange.answer(await exchange.forward())

        return cls(matches, act)

    def wants(self, call: Call) -> bool:
        """Whether the call may be this rule's."""
        return not self.spent and self._matches(call)

    @property
    def spent(self) -> bool:
        """Whether it takes no more calls."""
        if self._seconds and self.fired.is_set():
            return time.monotonic() > self.fired_at + self._seconds
        return self._left <= 0

    def take(self) -> bool:
        """Whether this very call is one to act upon."""
        if self._skip:
            self._skip -= 1
            return False
        if not self._seconds:
            self._left -= 1
        if not self.fired.is_set():
            self.fired_at = time.monotonic()
            self.on_fire()
            self.fired.set()
        return True


def abort(request: web.BaseRequest) -> web.StreamResponse:
    """Break a connection off."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()

"""What may happen to a call: refused, lost, cut off, slowed down, or the client killed in it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Literal

from aiohttp import web
from faults.calls import Call
from faults.proxy import Proxy
from faults.rules import Action, Answer, Exchange
from multidict import CIMultiDict

Moment = Literal["before", "unanswered", "half", "answered"]
"""Before the call takes effect, after that and unanswered, in half of the answer, or answered."""


def error(service: str, status: int, code: str) -> Answer:
    """An error as the service writes it."""
    if service == "s3":
        body = (
            f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code>'
            f"<Message>injected</Message><RequestId>faults</RequestId></Error>"
        ).encode()
        kind = "application/xml"
    else:
        body = json.dumps({"__type": code, "message": "injected", "Message": "injected"}).encode()
        kind = "application/x-amz-json-1.1"
    headers = CIMultiDict(
        {"Content-Type": kind, "Content-Length": str(len(body)), "x-amzn-RequestId": "faults"}
    )
    if service != "s3":
        headers["x-amzn-ErrorType"] = code
    return Answer(status, headers, body)


def refuse(status: int, code: str, *, after_effect: bool = False) -> Action:
    """Answer with an error, before or after the call took effect."""

    async def act(exchange: Exchange) -> web.StreamResponse:
        if after_effect:
            await exchange.forward()
        refusal = error(exchange.call.service, status, code)
        if exchange.call.method == "HEAD":
            refusal = Answer(status, refusal.headers, b"")
        return await exchange.answer(refusal)

    return act


def no_answer(seconds: float, *, after_effect: bool) -> Action:
    """Hold the connection, then drop it without an answer."""

    async def act(exchange: Exchange) -> web.StreamResponse:
        if after_effect:
            await exchange.forward()
        await asyncio.sleep(seconds)
        return exchange.reset()

    return act


async def reset(exchange: Exchange) -> web.StreamResponse:
    """Reset the connection at once."""
    return exchange.reset()


async def truncate(exchange: Exchange) -> web.StreamResponse:
    """Answer with half of the body."""
    await exchange.answer_half(await exchange.forward())
    return exchange.reset()


def delay(seconds: float) -> Action:
    """Answer late."""

    async def act(exchange: Exchange) -> web.StreamResponse:
        answer = await exchange.forward()
        await asyncio.sleep(seconds)
        return await exchange.answer(answer)

    return act


def kill(proxy: Proxy, victims: Callable[[], None], moment: Moment) -> Action:
    """Kill while the call is under way; no other call gets through until it is done."""

    async def act(exchange: Exchange) -> web.StreamResponse:
        proxy.freeze()
        try:
            if moment == "before":
                await asyncio.to_thread(victims)
                return exchange.reset()
            answer = await exchange.forward()
            if moment == "answered":
                response = await exchange.answer(answer)
                await asyncio.to_thread(victims)
                return response
            if moment == "half":
                await exchange.answer_half(answer)
            await asyncio.to_thread(victims)
            return exchange.reset()
        finally:
            proxy.thaw()

    return act


def late(proxy: Proxy, victims: Callable[[], None], done: Callable[[Call], bool]) -> Action:
    """Kill at the first call, and let that call take effect only after one that is ``done``.

    By then another driver has done what the call was to do.
    """
    held: list[Exchange] = []

    async def act(exchange: Exchange) -> web.StreamResponse:
        if not held:
            held.append(exchange)
            return await kill(proxy, victims, "before")(exchange)
        response = await exchange.answer(await exchange.forward())
        if done(exchange.call):
            await held[0].forward()
        return response

    return act

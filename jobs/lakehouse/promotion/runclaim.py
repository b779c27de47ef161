"""A run's claim on a table, so that of two runs at once one works and the other stands back.

Claims save work; what keeps two runs from harming each other is the compare-and-swap that
publishes. So a claim that is lost, or outlived by a run that stalls, breaks nothing.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import structlog
from botocore.exceptions import BotoCoreError, ClientError

from lakehouse.aws import Aws
from lakehouse.errors import RunningElsewhereError
from lakehouse.naming import Layer

LIFE: Final = 60.0
"""Seconds for which a claim holds that its run no longer renews, as when it was killed."""
_CLOCK: Final = (time.time,)
"""The wall clock, where Soda, which freezes the process's clocks while it verifies, leaves it."""
_TAKEN: Final = frozenset({"PreconditionFailed", "412", "ConditionalRequestConflict", "409"})
_log = structlog.get_logger()


class RunClaim(msgspec.Struct, frozen=True):
    """Which run works on a table, and until when that holds unless it is renewed."""

    run_id: str
    until: float
    """Seconds since 1970."""


def claim_key(table: str) -> str:
    """Key of a table's claim, such as ``silver.flights``, in the bucket of verdicts."""
    return f"runs/{table}.json"


@contextlib.contextmanager
def run_claim(
    aws: Aws,
    layer: Layer,
    dataset: str,
    run_id: str,
    *,
    clock: Callable[[], float] = _CLOCK[0],
    life: float = LIFE,
) -> Iterator[None]:
    """Hold the claim on a table while this lasts, renewed in the background.

    Raises RunningElsewhereError while another run holds it.
    """
    claim = _Claim(aws, f"{layer}.{dataset}", run_id, clock, life)
    claim.take()
    ended = threading.Event()
    renewing = threading.Thread(target=claim.renew, args=(ended,), daemon=True)
    renewing.start()
    try:
        yield
    finally:
        ended.set()
        renewing.join()
        claim.release()


class _Claim:
    def __init__(
        self,
        aws: Aws,
        table: str,
        run_id: str,
        clock: Callable[[], float],
        life: float,
    ) -> None:
        self._s3 = aws.client("s3")
        self._where = {"Bucket": aws.bucket("verdicts"), "Key": claim_key(table)}
        self._table = table
        self._run_id = run_id
        self._clock = clock
        self._life = life
        self._etag = ""

    def take(self) -> None:
        held, etag = self._read()
        if held is not None and held.until > self._clock():
            raise RunningElsewhereError(
                f"{self._table}: run {held.run_id} works on it, by its claim until "
                f"{datetime.fromtimestamp(held.until, UTC):%H:%M:%S} UTC; this run leaves it alone"
            )
        if not self._put({"IfMatch": etag} if etag else {"IfNoneMatch": "*"}):
            raise RunningElsewhereError(
                f"{self._table}: another run claimed it at the same moment; this run leaves it "
                "alone"
            )
        if held is not None:
            _log.warning("run_claim_outlived", table=self._table, of=held.run_id)

    def renew(self, ended: threading.Event) -> None:
        """Until ``ended``; a claim that is lost is no longer renewed."""
        while not ended.wait(self._life / 4):
            try:
                if not self._put({"IfMatch": self._etag}):
                    _log.warning("run_claim_lost", table=self._table, run=self._run_id)
                    return
            except (ClientError, BotoCoreError) as error:
                _log.warning("run_claim_not_renewed", table=self._table, why=str(error))

    def release(self) -> None:
        try:
            held, etag = self._read()
            if held is not None and held.run_id == self._run_id and etag == self._etag:
                self._s3.delete_object(**self._where)
        except (ClientError, BotoCoreError) as error:
            _log.warning("run_claim_not_released", table=self._table, why=str(error))

    def _read(self) -> tuple[RunClaim | None, str]:
        try:
            answer = self._s3.get_object(**self._where)
        except self._s3.exceptions.NoSuchKey:
            return None, ""
        return msgspec.json.decode(answer["Body"].read(), type=RunClaim), answer["ETag"]

    def _put(self, condition: dict[str, Any]) -> bool:
        body = msgspec.json.encode(RunClaim(self._run_id, self._clock() + self._life))
        try:
            answer = self._s3.put_object(
                **self._where, Body=body, ContentType="application/json", **condition
            )
        except ClientError as error:
            if error.response["Error"]["Code"] in _TAKEN | {"NoSuchKey"}:
                return False
            raise
        self._etag = answer["ETag"]
        return True

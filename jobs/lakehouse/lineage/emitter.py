"""Sends OpenLineage events to a file or an endpoint, and never disturbs a job.

Events go out by a thread of their own. What cannot be sent is dropped and said in the log, once
with its reason and once at the end with its number; the tables and verdicts have all of it too.
"""

from __future__ import annotations

import contextlib
import functools
import os
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Self, TypeVar
from urllib.parse import urlsplit

import structlog

from lakehouse.aws import Aws
from lakehouse.contracts.model import Contract, Contracts
from lakehouse.errors import InputError
from lakehouse.ingestion.loads import LoadReport
from lakehouse.jobargs import JobArgs

if TYPE_CHECKING:
    from openlineage.client.event_v2 import RunEvent
    from openlineage.client.transport import Transport

    from lakehouse.lineage.events import Events, StepRun
    from lakehouse.lineage.facts import Before

log = structlog.get_logger(__name__)

_T = TypeVar("_T")
Step = Callable[[Contract], Mapping[str, object]]
_WAITING: Final = 1000
"""Events that wait for a slow endpoint; more are dropped."""
_TIMEOUT: Final = 5.0
_CLOSING: Final = 15.0
"""Seconds that the end of a job waits for events that are on their way."""


class Emitter:
    """Emits the events of one run of a job; does nothing where no address was given.

    ``close`` sends what is left.
    """

    def __init__(
        self,
        aws: Aws,
        transport: Transport | None,
        *,
        run_id: str,
        code: str = "",
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._aws = aws
        self._transport = transport
        self._run_id = run_id
        self._code = code
        self._clock = clock
        self._began = clock()
        self._events: Events | None = None
        self._failed = False
        self._lost = 0
        self._queue: queue.Queue[RunEvent | None] = queue.Queue(_WAITING)
        self._sender = threading.Thread(target=self._send_all, name="openlineage", daemon=True)
        if transport is not None:
            self._sender.start()

    @classmethod
    def from_url(cls, url: str, aws: Aws, *, run_id: str, code: str = "") -> Self:
        """The emitter to a file (a path or ``file://``) or an HTTP endpoint; nowhere for ``""``.

        An address without a path is completed by ``/api/v1/lineage``; ``OPENLINEAGE_API_KEY`` is
        sent as a bearer token. Raises InputError for any other address.
        """
        return cls(aws, _transport(url) if url else None, run_id=run_id, code=code)

    def observed(self, step: str, work: Step) -> Step:
        """The step of ``each_dataset`` with its events: begun, and completed or failed."""
        if self._transport is None:
            return work

        def observing(contract: Contract) -> Mapping[str, object]:
            run = self._guarded(lambda: self._start(step, contract))
            try:
                done = work(contract)
            except Exception as error:
                why = f"{type(error).__name__}: {error}"
                if run is not None:
                    self._guarded(lambda: self._end(run, why))
                raise
            if run is not None:
                self._guarded(lambda: self._end(run, ""))
            return done

        return observing

    def loads(
        self, contracts: Contracts, observe: Callable[[LoadReport], None]
    ) -> Callable[[LoadReport], None]:
        """An observer of loads that tells ``observe`` first and emits then."""
        if self._transport is None:
            return observe

        def observing(report: LoadReport) -> None:
            observe(report)
            self._guarded(lambda: self._load(contracts[report.dataset], report))

        return observing

    def close(self) -> None:
        """Send what is left, for at most 15 seconds, and say how much was not sent."""
        if self._transport is None:
            return
        try:
            self._queue.put(None, timeout=_CLOSING)
        except queue.Full:
            self._lost += self._queue.qsize()
        else:
            self._sender.join(_CLOSING)
            self._lost += self._queue.qsize()
        if self._lost:
            log.warning("openlineage_not_sent", events=self._lost)

    def _start(self, step: str, contract: Contract) -> tuple[StepRun, Before]:
        from lakehouse.lineage.events import StepRun
        from lakehouse.lineage.facts import Before

        run = StepRun(
            step=step,
            contract=contract,
            run_id=self._run_id,
            code=self._code,
            began=self._clock(),
        )
        before = Before.of(self._aws, run)
        self._put(self._made().start(run))
        return run, before

    def _end(self, begun: tuple[StepRun, Before], error: str) -> None:
        run, before = begun
        done = before.done(self._aws, self._made(), run)
        for event in self._made().ended(run, self._clock(), done, error):
            self._put(event)

    def _load(self, contract: Contract, report: LoadReport) -> None:
        from lakehouse.lineage.events import StepRun

        job = StepRun(
            step="ingest",
            contract=contract,
            run_id=self._run_id,
            code=self._code,
            began=self._began,
        )
        for event in self._made().load(report, self._clock(), job):
            self._put(event)

    def _made(self) -> Events:
        from lakehouse.lineage.events import Events

        if self._events is None:
            account = self._aws.client("sts").get_caller_identity()["Account"]
            self._events = Events(self._aws, account)
        return self._events

    def _guarded(self, work: Callable[[], _T]) -> _T | None:
        """What the work gives, None where it failed: a job goes on without its events."""
        try:
            return work()
        except Exception as error:  # noqa: BLE001 - whatever it is, the job is not to suffer for it
            self._lose(f"{type(error).__name__}: {error}")
            return None

    def _put(self, event: RunEvent) -> None:
        try:
            self._queue.put_nowait(event)
        except queue.Full:
            self._lose(f"{_WAITING} events wait for the endpoint already")

    def _send_all(self) -> None:
        while (event := self._queue.get()) is not None:
            self._guarded(functools.partial(self._emit, event))

    def _emit(self, event: RunEvent) -> None:
        if self._transport is not None:
            self._transport.emit(event)

    def _lose(self, why: str) -> None:
        self._lost += 1
        if not self._failed:
            self._failed = True
            log.warning("openlineage_failed", why=why)


def _transport(url: str) -> Transport:
    from openlineage.client.transport.file import FileConfig, FileTransport
    from openlineage.client.transport.http import HttpConfig, HttpTransport, create_token_provider

    parts = urlsplit(url)
    if parts.scheme in {"", "file"}:
        return FileTransport(FileConfig(url, append=True))
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise InputError(
            f"--openlineage-url {url!r}: expected http://, https://, file:// or a path"
        )
    key = os.environ.get("OPENLINEAGE_API_KEY")
    auth = {"type": "api_key", "apiKey": key} if key else {}
    return HttpTransport(
        HttpConfig(
            url=f"{parts.scheme}://{parts.netloc}",
            endpoint=parts.path.strip("/") or "api/v1/lineage",
            timeout=_TIMEOUT,
            auth=create_token_provider(auth),
            retry={"total": 1, "backoff_factor": 0.2, "allowed_methods": ["POST"]},
        )
    )


@contextlib.contextmanager
def emitting(args: JobArgs) -> Iterator[Emitter]:
    """The emitter that a job is told of, closed at its end."""
    url, run, code = args.openlineage, args.run_id, args.release
    with contextlib.closing(Emitter.from_url(url, args.aws, run_id=run, code=code)) as emitter:
        yield emitter

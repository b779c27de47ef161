"""Keeps one table small: dead branches, snapshots, orphans, small files, in that order.

Orphans go before files are rewritten: the files that a compaction leaves behind stay for a day, for
whoever is reading them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec
import structlog
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.table import Table

from lakehouse import naming
from lakehouse.aws import Aws
from lakehouse.contracts.model import Contract
from lakehouse.errors import PublishConflictError, RunningElsewhereError
from lakehouse.ingestion.icetable import IcebergLoadTable
from lakehouse.ingestion.ingest import open_ledger
from lakehouse.ingestion.ledger import Ledger
from lakehouse.ingestion.orphans import MINIMUM_AGE, Orphans, remove_orphans
from lakehouse.ingestion.tablefiles import TableFiles, referenced
from lakehouse.maintenance.branches import dead_rebuilds, drop_branch
from lakehouse.maintenance.compact import RUN_BYTES, Compacted, compact, plan
from lakehouse.maintenance.expire import KEPT, SHORTEST, Expired, expire, line
from lakehouse.promotion.progress import read_state
from lakehouse.promotion.publish import dead_branches, drop_dead_branches
from lakehouse.promotion.runclaim import run_claim
from lakehouse.tables import load_table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

COMPACTED: Final = "lakehouse.compacted"
"""Table property: when files were last rewritten, which makes those before them loose."""
_log = structlog.get_logger(__name__)


class Maintained(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was done to a table, or would be where ``dry_run``.

    ``skipped`` says of each step that was left out or given up why.
    """

    table: str
    dry_run: bool
    branches: tuple[str, ...] = ()
    """Dead ones that were dropped."""
    snapshots: Expired | None = None
    orphans: int = 0
    young: int = 0
    """Loose files that are too young to be removed."""
    compacted: Compacted | None = None
    skipped: dict[str, str] = {}


class _NoClaims:
    """The store of a ledger without entries: nothing but ingestion has claims."""

    def put_if_absent(self, key: str, body: bytes) -> bool:
        raise NotImplementedError

    def get(self, key: str) -> bytes | None:  # noqa: ARG002 - see Store
        return None

    def list(self, prefix: str, after: str = "") -> list[str]:  # noqa: ARG002 - see Store
        return []

    def delete(self, key: str) -> None:
        raise NotImplementedError


def maintain(
    aws: Aws,
    session: Callable[[], SparkSession],
    layer: naming.Layer,
    dataset: str,
    *,
    pins: Collection[int],
    clock: Callable[[], datetime],
    run_id: str,
    dry_run: bool,
    most_bytes: int = RUN_BYTES,
) -> Maintained:
    """Maintain one table; ``pins`` are snapshots of it that marts were made from.

    ``session`` gives Spark, which is asked for only where files are to be rewritten. A step that
    another run is in the way of is left out; the next run does it. Raises RunningElsewhereError
    while another run works on a checked table.
    """
    claim = (
        contextlib.nullcontext()
        if dry_run or layer == "bronze"
        else run_claim(aws, layer, dataset, run_id)
    )
    with claim:
        table = aws.catalog().load_table(naming.table(layer, dataset))
        run = _Run(aws, session, layer, dataset, table, clock, dry_run)
        return run.all_steps(pins, most_bytes)


class _Run:
    """The steps on one table."""

    def __init__(  # noqa: PLR0917 - what all steps share
        self,
        aws: Aws,
        session: Callable[[], SparkSession],
        layer: naming.Layer,
        dataset: str,
        table: Table,
        clock: Callable[[], datetime],
        dry_run: bool,
    ) -> None:
        self._aws = aws
        self._session = session
        self._layer = layer
        self._dataset = dataset
        self._table = table
        self._clock = clock
        self._dry_run = dry_run
        self._skipped: dict[str, str] = {}

    def all_steps(self, pins: Collection[int], most_bytes: int) -> Maintained:
        branches: tuple[str, ...] = ()
        snapshots: Expired | None = None
        orphans: Orphans | None = None
        compacted: Compacted | None = None
        with self._step("branches"):
            branches = self._drop_branches()
        with self._step("snapshots"):
            snapshots = expire(
                self._table.refresh(),
                pins,
                self._clock(),
                keep=KEPT[self._layer],
                with_rows=self._layer != "bronze",
                dry_run=self._dry_run,
            )
        with self._step("orphans"):
            orphans = self._remove_orphans()
        with self._step("compaction"):
            compacted = self._compact(most_bytes)
        return Maintained(
            table=naming.table(self._layer, self._dataset),
            dry_run=self._dry_run,
            branches=branches,
            snapshots=snapshots,
            orphans=len(orphans.paths) if orphans else 0,
            young=orphans.young if orphans else 0,
            compacted=compacted,
            skipped=self._skipped,
        )

    @contextlib.contextmanager
    def _step(self, name: str) -> Iterator[None]:
        """A step that is given up in words where another run is in its way."""
        try:
            yield
        except PublishConflictError as error:
            self._skip(name, str(error))

    def _skip(self, step: str, why: str) -> None:
        self._skipped[step] = why
        _log.warning("maintenance_skipped", table=self._table.name(), step=step, why=why)

    def _drop_branches(self) -> tuple[str, ...]:
        now = self._clock()
        rebuilds = tuple(dead_rebuilds(self._table, now))
        if self._dry_run or self._layer == "bronze":
            return (*dead_branches(self._table, now), *rebuilds)
        for name in rebuilds:
            drop_branch(self._table.refresh(), name)
        return (*drop_dead_branches(self._aws, self._layer, self._dataset, now), *rebuilds)

    def _remove_orphans(self) -> Orphans | None:
        now = self._clock()
        rewritten = self._table.refresh().properties.get(COMPACTED)
        if rewritten and now - datetime.fromisoformat(rewritten) < SHORTEST:
            hours = SHORTEST / timedelta(hours=1)
            self._skip(
                "orphans", f"files were rewritten at {rewritten}; they go {hours:g} hours later"
            )
            return None
        bronze = self._layer == "bronze"
        ledger = (
            open_ledger(self._aws, self._dataset) if bronze else Ledger(_NoClaims(), self._dataset)
        )
        loads = IcebergLoadTable(self._table)
        return remove_orphans(
            ledger,
            TableFiles(self._aws.client("s3"), self._table),
            lambda: loads.state().load if bronze else -1,
            lambda: referenced(self._table),
            now,
            minimum_age=MINIMUM_AGE,
            dry_run=self._dry_run,
        )

    def _compact(self, most_bytes: int) -> Compacted | None:
        self._table.refresh()
        if why := self._in_use():
            self._skip("compaction", why)
            return None
        work = plan(self._table, most_bytes)
        if self._dry_run or not (work.chosen or work.many_manifests):
            return work.outlook()
        self._mark_compacted()
        return compact(self._session(), self._table, self._layer, work)

    def _in_use(self) -> str:
        """Why main must not move: what is on a branch could not be published any more."""
        state = read_state(self._table)
        if self._layer == "bronze" or state.base is None:
            return ""
        held = state.held
        if held is not None and held.base == state.base:
            return f"snapshot {held.snapshot_id} is held and waits for a person since {held.at}"
        others = sorted(
            name
            for name, ref in self._table.metadata.refs.items()
            if name != "main" and state.base in line(self._table, ref.snapshot_id)
        )
        return f"what is on branch {', '.join(others)} can still be published" if others else ""

    def _mark_compacted(self) -> None:
        """Said before anything is rewritten, so that a run that dies has said it too."""
        try:
            with self._table.transaction() as transaction:
                transaction.set_properties({COMPACTED: self._clock().isoformat()})
        except CommitFailedException as error:
            raise PublishConflictError(
                f"{'.'.join(self._table.name())}: the table moved; the next run rewrites its files"
            ) from error


def maintain_dataset(
    aws: Aws,
    session: Callable[[], SparkSession],
    contract: Contract,
    *,
    pins: Mapping[str, Collection[int]],
    clock: Callable[[], datetime],
    run_id: str,
    dry_run: bool,
) -> list[Maintained]:
    """Maintain each table that a dataset has; ``pins`` are those of ``expire.pinned``."""
    done: list[Maintained] = []
    for layer in contract.layers:
        name = naming.table(layer, contract.dataset)
        if load_table(aws, layer, contract.dataset) is None:
            continue
        try:
            done.append(
                maintain(
                    aws,
                    session,
                    layer,
                    contract.dataset,
                    pins=pins.get(name, ()),
                    clock=clock,
                    run_id=run_id,
                    dry_run=dry_run,
                )
            )
        except RunningElsewhereError as error:
            done.append(Maintained(table=name, dry_run=dry_run, skipped={"all": str(error)}))
    return done

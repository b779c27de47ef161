"""Which publication a snapshot belongs to: by the table's own list, else by verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Operation

from lakehouse.aws import Aws
from lakehouse.naming import Layer
from lakehouse.promotion.progress import Approval, Publication, State, Touched, read_state
from lakehouse.promotion.verdict import Verdict, read_approval, read_verdict, verdict_key
from lakehouse.tables import load_table

Known = Literal["list", "verdict", "time"]
"""How a publication was found: in the table's list; by its verdict, the list being too short for
it; or as the newest before a moment, its snapshot being gone without a trace."""


class Failing(msgspec.Struct, frozen=True):
    """A check that a verdict did not find good."""

    name: str
    outcome: str
    value: float | None
    threshold: str


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """One publication and the verdict that let it through; ``number`` None: too old to be counted.

    ``compacted`` says that the snapshot asked for has its rows, written anew. ``passed`` is None
    where the verdict cannot be read.
    """

    number: int | None
    snapshot_id: int
    known: Known
    compacted: bool
    at: str
    run_id: str
    code: str
    contract_version: str
    verdict: str
    passed: bool | None
    reason: str
    rows: int | None
    rows_added: int | None
    failing: tuple[Failing, ...]
    approval: Approval | None
    loads: tuple[int, ...]
    inputs: dict[str, int]
    touched: Touched | None
    rebuilt: bool


class Lake:
    """The checked tables of a deployment, each read once."""

    def __init__(self, aws: Aws) -> None:
        self.aws = aws
        self._tables: dict[tuple[Layer, str], tuple[Table, State] | None] = {}

    def table(self, layer: Layer, dataset: str) -> tuple[Table, State] | None:
        """A table and its progress by one reading, None when nobody has made it."""
        if (layer, dataset) not in self._tables:
            found = load_table(self.aws, layer, dataset)
            self._tables[layer, dataset] = None if found is None else (found, read_state(found))
        return self._tables[layer, dataset]

    def publication(
        self, layer: Layer, dataset: str, snapshot_id: int, *, before: str = ""
    ) -> Published | str:
        """The publication that a snapshot's rows come from, or why there is none.

        ``before`` (ISO 8601): a snapshot of which nothing is known any more is taken for the
        newest publication up to then.
        """
        found = self.table(layer, dataset)
        if found is None:
            return f"there is no table {layer}.{dataset}"
        table, state = found
        at, compacted = _behind_compactions(table, snapshot_id)
        listed = {item.snapshot_id: item for item in state.publications}
        if at in listed:
            return self._listed(dataset, listed[at], compacted=compacted, known="list")
        verdict = read_verdict(self.aws, dataset, at)
        if verdict is not None and verdict.layer == layer:
            approval = None if verdict.passed else read_approval(self.aws, dataset, at)
            if why := _unpublished(state, verdict, approval):
                return why
            return _by_verdict(verdict, approval, compacted)
        past = [item for item in state.publications if before and item.at <= before]
        if past and table.metadata.snapshot_by_id(at) is None:
            return self._listed(dataset, past[-1], compacted=False, known="time")
        return (
            f"nothing published snapshot {snapshot_id} of {layer}.{dataset}: it is in none of its "
            f"{len(state.publications)} listed publications and has no verdict"
        )

    def _listed(
        self, dataset: str, item: Publication, *, compacted: bool, known: Known
    ) -> Published:
        verdict = read_verdict(self.aws, dataset, item.snapshot_id)
        return Published(
            number=item.number,
            snapshot_id=item.snapshot_id,
            known=known,
            compacted=compacted,
            at=item.at,
            run_id=item.run_id,
            code=item.code,
            contract_version=item.contract_version,
            verdict=item.verdict,
            passed=verdict.passed if verdict else None,
            reason=verdict.reason if verdict else "the verdict is gone",
            rows=verdict.rows if verdict else None,
            rows_added=verdict.rows_added if verdict else None,
            failing=_failing(verdict),
            approval=item.approval,
            loads=item.loads,
            inputs=item.inputs,
            touched=item.touched,
            rebuilt=item.rebuilt,
        )


def _behind_compactions(table: Table, snapshot_id: int) -> tuple[int, bool]:
    """The snapshot whose rows one has: itself, or the one that compactions wrote anew."""
    at = snapshot_id
    while (snapshot := table.metadata.snapshot_by_id(at)) is not None:
        replaces = snapshot.summary is not None and (
            snapshot.summary.operation == Operation.REPLACE
        )
        if not replaces or snapshot.parent_snapshot_id is None:
            break
        at = snapshot.parent_snapshot_id
    return at, at != snapshot_id


def _unpublished(state: State, verdict: Verdict, approval: Approval | None) -> str:
    """Why a snapshot with a verdict that is not listed was never published; empty if it was.

    A listed publication is never older than one that is not.
    """
    kept: Sequence[Publication] = state.publications
    what = f"snapshot {verdict.snapshot_id} of {verdict.layer}.{verdict.dataset}"
    if not verdict.passed and approval is None:
        return f"nothing published {what}: its gate failed it: {verdict.reason}"
    if kept and kept[0].number > 1 and verdict.checked_at < kept[0].at:
        return ""
    return f"nothing published {what}: its gate let it through, but main had moved meanwhile"


def _by_verdict(verdict: Verdict, approval: Approval | None, compacted: bool) -> Published:
    return Published(
        number=None,
        snapshot_id=verdict.snapshot_id,
        known="verdict",
        compacted=compacted,
        at=verdict.checked_at,
        run_id=verdict.run_id,
        code=verdict.code,
        contract_version=verdict.contract_version,
        verdict=verdict_key(verdict.dataset, verdict.snapshot_id),
        passed=verdict.passed,
        reason=verdict.reason,
        rows=verdict.rows,
        rows_added=verdict.rows_added,
        failing=_failing(verdict),
        approval=approval,
        loads=verdict.loads,
        inputs=verdict.inputs,
        touched=verdict.touched,
        rebuilt=False,
    )


def _failing(verdict: Verdict | None) -> tuple[Failing, ...]:
    checks = verdict.checks if verdict else ()
    return tuple(
        Failing(check.name, check.outcome, check.value, check.threshold)
        for check in checks
        if check.outcome != "pass"
    )

"""What a step did to a table: the difference between its progress before and after."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Self

import msgspec

from lakehouse.aws import Aws
from lakehouse.contracts.model import Contract
from lakehouse.ingestion.ingest import open_ledger
from lakehouse.lineage.brought import LoadGroup, resolve
from lakehouse.lineage.events import Done, Events, StepRun
from lakehouse.lineage.facets import LoadsRunFacet
from lakehouse.naming import Layer
from lakehouse.promotion.progress import Publication, State, read_state
from lakehouse.promotion.promote import newest_load
from lakehouse.promotion.verdict import Verdict, read_verdict
from lakehouse.tables import load_table

if TYPE_CHECKING:
    from openlineage.client.facet_v2 import RunFacet


class Before(msgspec.Struct, frozen=True):
    """Where the table that a step writes stood before it."""

    layer: Layer
    load: int
    state: State | None

    @classmethod
    def of(cls, aws: Aws, run: StepRun) -> Self:
        """As it is now; metadata is all that is read."""
        layer: Layer = "bronze" if run.step == "land" else run.contract.checked_layer
        table = load_table(aws, layer, run.contract.dataset)
        if layer == "bronze":
            return cls(layer, newest_load(table), None)
        return cls(layer, -1, read_state(table) if table else None)

    def done(self, aws: Aws, events: Events, run: StepRun) -> Done:
        """What has changed since."""
        if self.layer == "bronze":
            return self._landed(aws, events, run)
        return self._published(aws, events, run)

    def _landed(self, aws: Aws, events: Events, run: StepRun) -> Done:
        dataset = run.contract.dataset
        newest = newest_load(load_table(aws, "bronze", dataset))
        new = range(self.load + 1, newest + 1)
        if not new:
            return Done()
        groups = resolve(open_ledger(aws, dataset), new, None)
        objects = [item for group in groups for item in group.objects]
        good, rejected = _counts(groups)
        rows = good + sum(rejected.values())
        return Done(
            tuple(events.datasets.objects(run.contract, objects)),
            (events.datasets.output("bronze", run.contract, f"load {newest}", rows),),
            {"lakehouse_loads": LoadsRunFacet(list(new), good, rejected)},
        )

    def _published(self, aws: Aws, events: Events, run: StepRun) -> Done:
        contract = run.contract
        table = load_table(aws, self.layer, contract.dataset)
        if table is None:
            return Done()
        state = read_state(table)
        made = self._made(state)
        verdicts = tuple(_verdicts(aws, contract, self.state, state, made))
        if not made:
            return Done(verdicts=verdicts)
        newest = made[-1]
        published = {item.snapshot_id for item in made}
        added = sum(v.rows_added for v in verdicts if v.snapshot_id in published)
        loads = sorted({load for item in made for load in item.loads})
        inputs = [
            events.datasets.table(name, str(head)) for name, head in sorted(newest.inputs.items())
        ]
        facets: dict[str, RunFacet] = {"lakehouse_publications": events.publications(run, made)}
        if loads:
            inputs.append(events.datasets.table(f"bronze.{contract.dataset}", f"load {loads[-1]}"))
            facets["lakehouse_loads"] = LoadsRunFacet(loads)
        output = events.datasets.output(self.layer, contract, str(newest.snapshot_id), added)
        return Done(tuple(inputs), (output,), facets, verdicts)

    def _made(self, state: State) -> tuple[Publication, ...]:
        had = self.state.publications[-1].number if self.state and self.state.publications else 0
        return tuple(item for item in state.publications if item.number > had)


def _counts(groups: tuple[LoadGroup, ...]) -> tuple[int, dict[str, int]]:
    rejected: dict[str, int] = {}
    for group in groups:
        for code, number in group.rejected.items():
            rejected[code] = rejected.get(code, 0) + number
    return sum(group.good for group in groups), rejected


def _verdicts(
    aws: Aws, contract: Contract, before: State | None, after: State, made: tuple[Publication, ...]
) -> Iterator[Verdict]:
    """Of what was published, held or set aside meanwhile; halves that failed have none kept."""
    snapshots = [item.snapshot_id for item in made]
    known = {item.load for item in before.set_aside} if before else set()
    keys = [item.verdict for item in after.set_aside if item.load not in known and item.verdict]
    snapshots += [int(key.rpartition("/")[2].removesuffix(".json")) for key in keys]
    held = after.held
    if held is not None and (before is None or before.held != held):
        snapshots.append(held.snapshot_id)
    for snapshot in dict.fromkeys(snapshots):
        verdict = read_verdict(aws, contract.dataset, snapshot)
        if verdict is not None:
            yield verdict

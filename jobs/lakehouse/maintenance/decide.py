"""What becomes of a rebuild: published by the whole gate and one commit, or dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakehouse import naming
from lakehouse.aws import Aws
from lakehouse.contracts.model import Contract
from lakehouse.errors import GateError, InputError, PublishConflictError
from lakehouse.maintenance.branches import drop_branch, require_rebuild
from lakehouse.maintenance.rebuild import Clock, Recipe, fingerprint, read_recipe
from lakehouse.promotion import gate
from lakehouse.promotion.progress import (
    GATED,
    HELD,
    INPUTS,
    PROMOTED,
    SELECT,
    SET_ASIDE,
    TAKEN_IN,
    Publication,
    State,
    as_property,
    read_state,
)
from lakehouse.promotion.publish import publish
from lakehouse.promotion.refine import read_candidate
from lakehouse.promotion.runclaim import run_claim
from lakehouse.promotion.verdict import Origin, Verdict, read_verdict

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def publish_rebuild(
    aws: Aws,
    spark: SparkSession,
    contract: Contract,
    branch: str,
    *,
    clock: Clock,
    run_id: str,
    code: str = "",
) -> Publication:
    """Audit the whole of a rebuild and make it main; its progress becomes that of the table.

    Raises InputError where the contract is not the one that it was made by, GateError where its
    gate fails it, PublishConflictError where main has moved since, and RunningElsewhereError while
    another run works on the table.
    """
    layer = contract.checked_layer
    table = aws.catalog().load_table(naming.table(layer, contract.dataset))
    recipe = read_recipe(table, branch)
    if recipe.contract != fingerprint(contract):
        raise InputError(
            f"{layer}.{contract.dataset}: the rebuild on branch {branch} was made by version "
            f"{recipe.contract_version} of the contract, given is {contract.version} or another "
            "text of it; give the same contract, or rebuild by this one"
        )
    with run_claim(aws, layer, contract.dataset, run_id):
        table.refresh()
        state = read_state(table)
        if state.base != recipe.base:
            raise PublishConflictError(
                f"{layer}.{contract.dataset}: main is at snapshot {state.base} by now, the rebuild "
                f"on branch {branch} is to replace {recipe.base}; drop it and rebuild again"
            )
        candidate = read_candidate(aws, layer, contract, branch, recipe.base)
        verdict = read_verdict(aws, contract.dataset, candidate.snapshot_id)
        if verdict is None:
            origin = Origin(run_id=run_id, code=code, loads=recipe.loads, inputs=recipe.inputs)
            verdict, _ = gate.audit(aws, spark, contract, candidate, origin, clock=clock)
        _require_passed(verdict, branch)
        return publish(aws, candidate, state, _progress(contract, recipe, state), rebuilt=True)


def drop_rebuild(aws: Aws, contract: Contract, branch: str) -> int:
    """Drop a rebuild; the snapshot that it was."""
    table = aws.catalog().load_table(naming.table(contract.checked_layer, contract.dataset))
    snapshot = require_rebuild(table, branch)
    drop_branch(table, branch)
    return snapshot


def _require_passed(verdict: Verdict, branch: str) -> None:
    if not verdict.passed:
        raise GateError(
            f"{verdict.layer}.{verdict.dataset}: the gate failed the rebuild on branch {branch}: "
            f"{verdict.reason}; nothing was published, drop it and rebuild without what is wrong"
        )


def _progress(contract: Contract, recipe: Recipe, state: State) -> dict[str, str | None]:
    """What the table says once the rebuild is main. What is held was made from the old main."""
    common: dict[str, str | None] = {GATED: gate.fingerprint(contract), HELD: None}
    if contract.checked_layer == "gold":
        return common | {INPUTS: as_property(recipe.inputs), SELECT: recipe.select}
    taken = set(recipe.including)
    return common | {
        PROMOTED: str(recipe.as_of),
        SET_ASIDE: as_property([item for item in state.set_aside if item.load not in taken]),
        TAKEN_IN: as_property([item for item in state.taken_in if item.load not in taken]),
    }

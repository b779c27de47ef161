"""Builds a mart again from the snapshots that it was made from, on a branch of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakehouse import naming
from lakehouse.aws import Aws
from lakehouse.contracts.model import Contract, Contracts
from lakehouse.errors import InputError
from lakehouse.maintenance.branches import finish, rebuild_branch
from lakehouse.maintenance.rebuild import Clock, Rebuild, Recipe, fingerprint, summary
from lakehouse.marts.changes import live_rows
from lakehouse.marts.plan import Plan, plan
from lakehouse.marts.sql import check_columns, check_select, pinned
from lakehouse.promotion.publish import branch_name
from lakehouse.promotion.refine import conflicts_told, create_branch, snapshot_summary
from lakehouse.tables import ensure_table, load_table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def rebuild_mart(
    aws: Aws,
    spark: SparkSession,
    contract: Contract,
    sql: str,
    *,
    contracts: Contracts,
    clock: Clock,
    run_id: str,
    now: bool = False,
) -> Rebuild:
    """Make all of a mart anew by ``sql``, from the inputs that it says; ``now``: from their heads.

    Raises InputError where it was never built, or where an input has expired or has no rows.
    """
    from pyspark.sql.functions import lit

    planned, base = _built(aws, contract, sql, contracts)
    known = mart_inputs(aws, contract, sql, contracts, now=now)
    live = {name: _live(aws, contracts[name.partition(".")[2]], at) for name, at in known.items()}
    rows = spark.sql(pinned(contract.dataset, sql, known, live))
    check_columns(contract, rows.schema)
    ensure_table(aws, contract, "gold")
    recipe = Recipe(
        base=base,
        contract_version=contract.version,
        contract=fingerprint(contract),
        inputs=known,
        select=planned.select,
    )
    began = clock()
    work = branch_name(run_id, 1, began)
    create_branch(spark, "gold", contract, work, base)
    target = f"{naming.CATALOG}.{naming.table('gold', contract.dataset)}.`branch_{work}`"
    with conflicts_told(), snapshot_summary(spark, summary(recipe, run_id)):
        rows.writeTo(target).overwrite(lit(True))
    branch = rebuild_branch(run_id, began)
    made = aws.catalog().load_table(naming.table("gold", contract.dataset))
    return Rebuild(
        layer="gold",
        dataset=contract.dataset,
        branch=branch,
        snapshot_id=finish(made, work, branch),
        recipe=recipe,
    )


def mart_inputs(
    aws: Aws, contract: Contract, sql: str, contracts: Contracts, *, now: bool
) -> dict[str, int]:
    """The snapshots that a rebuild would read, by table; InputError as ``rebuild_mart``."""
    made, _ = _built(aws, contract, sql, contracts)
    if now and made.waits_for:
        raise InputError(f"gold.{contract.dataset} {made.idle}; promote them first")
    names = check_select(contract.dataset, sql, contract, contracts)
    wanted = made.inputs if now or made.state is None else made.state.inputs
    for name in names:
        _require(aws, contracts, contract.dataset, name, wanted.get(name))
    return {name: wanted[name] for name in names}


def _built(aws: Aws, contract: Contract, sql: str, contracts: Contracts) -> tuple[Plan, int]:
    """What the mart would be made from now, and main's snapshot."""
    made = plan(aws, contract, sql, contracts, full=True)
    if made.state is None or made.state.base is None:
        raise InputError(
            f"gold.{contract.dataset} has no rows yet, so there is nothing to rebuild; build it "
            "first"
        )
    return made, made.state.base


def _require(aws: Aws, contracts: Contracts, mart: str, name: str, snapshot: int | None) -> None:
    """InputError unless the snapshot of an input is there to be read."""
    dataset = name.partition(".")[2]
    table = load_table(aws, contracts[dataset].checked_layer, dataset)
    if snapshot is None or table is None or table.metadata.snapshot_by_id(snapshot) is None:
        raise InputError(
            f"gold.{mart}: the snapshot {snapshot} of {name} that it is to be made from is not "
            "there; rebuild it from what is published now (--now)"
        )


def _live(aws: Aws, contract: Contract, snapshot_id: int) -> str:
    """The predicate of an input's rows that are no tombstones, as of its snapshot."""
    table = load_table(aws, contract.checked_layer, contract.dataset)
    return live_rows(contract, table, snapshot_id) if table else ""

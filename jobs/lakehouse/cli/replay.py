"""Replays rejects for the command line: a forecast, in this process, or by a Glue job."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

import msgspec
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from lakehouse.cli.context import err
from lakehouse.cli.operation import operate
from lakehouse.ingestion import ingest
from lakehouse.ingestion.rejectlist import list_rejects
from lakehouse.ingestion.replay import ReplayReport

if TYPE_CHECKING:
    from lakehouse.aws import Aws
    from lakehouse.cli.context import Context
    from lakehouse.contracts.model import Contract
    from lakehouse.ingestion.ledger import RejectFilter


def forecast(aws: Aws, contract: Contract, which: RejectFilter) -> ReplayReport:
    """What a replay would do, with a bar while it is found out."""
    with err.status("counting rejects"):
        total = sum(list_rejects(aws, contract, which).by_reason.values())
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    bar = Progress(*columns, console=err, transient=True, disable=not err.is_terminal)
    with bar as progress:
        task = progress.add_task("decoding", total=total)
        return ingest.forecast(aws, contract, which, lambda number: progress.advance(task, number))


def replay_here(aws: Aws, contract: Contract, which: RejectFilter) -> ReplayReport:
    """A replay in this process, a part after the other."""
    execute = ingest.on_driver(aws, contract)
    said = f"replaying rejects of {contract.dataset}"
    # Standard output is the answer's; what is logged on the way goes elsewhere.
    with err.status(said) as status, contextlib.redirect_stdout(sys.stderr):
        return ingest.replay(
            aws, contract, which, execute, told=status.update, observe=lambda _: None
        )


def replay_by_job(context: Context, contract: Contract, which: RejectFilter) -> ReplayReport:
    """A replay by a run of the Glue job ``operate``, by the contract that is deployed.

    Where it is stopped, whoever loads next carries on what it began.
    """
    said = operate(
        context,
        "replay",
        contract.dataset,
        which,
        dry_run=False,
        saying=f"replaying rejects of {contract.dataset}",
    )
    return msgspec.convert(said, ReplayReport)

"""``python -m acceptance <stack>``: deploy, send, land, promote, ask, upgrade; leave evidence."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from rich.console import Console

from acceptance.accept import STEPS
from acceptance.estates import LOCAL, Estate, LocalEstate, PulumiEstate
from acceptance.evidence import Evidence, EvidenceFolder, StepEvidence
from acceptance.session import Session
from acceptance.steps import Step, carry_out, select
from lakehouse import __version__
from lakehouse.aws import Aws
from lakehouse.cli.context import told
from lakehouse.errors import LakehouseError
from localaws.apply import CONTRACTS, ROOT, stack_config

_MARKS = {"passed": "[green]✓[/]", "failed": "[red]✗[/]", "interrupted": "[yellow]✗[/]"}
console = Console(highlight=False, emoji=False, soft_wrap=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Accept a stack: 0 when all of it held, 1 when not, 130 when interrupted."""
    arguments = _parser().parse_args(argv)
    if arguments.list:
        for step in STEPS:
            console.print(f"{step.name:10} {step.asked}")
        return 0
    try:
        return _accept(arguments)
    except LakehouseError as error:
        console.print(f"[red]error:[/] {' '.join(str(error).split())}")
        return 1


def _accept(arguments: argparse.Namespace) -> int:
    steps = select(STEPS, arguments.only, arguments.skip)
    # Whoever ends it gets its evidence, as with Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    stack_config(arguments.stack)
    began = datetime.now(UTC)
    run = began.strftime("%Y%m%dt%H%M%Sz").lower()
    folder = Path(arguments.evidence) / f"{arguments.stack}-{run}"
    contracts = Path(os.environ.get("LAKEHOUSE_CONTRACTS") or CONTRACTS)
    with told():
        estate = _estate(arguments.stack, folder, Path(arguments.home), contracts)
    try:
        with told():
            account = Aws(estate.prefix, estate.region).client("sts").get_caller_identity()
        evidence = Evidence(
            stack=estate.stack,
            run=run,
            prefix=estate.prefix,
            region=estate.region,
            account=account["Account"],
            versions=_versions(),
            began=began,
            steps=[StepEvidence(name=step.name, asked=step.asked) for step in steps],
        )
        return _carried_out(Session(estate, run, folder, contracts), evidence, steps)
    finally:
        estate.close()


def _carried_out(session: Session, evidence: Evidence, steps: Sequence[Step[Session]]) -> int:
    files = EvidenceFolder(session.folder)

    def noted(line: StepEvidence) -> None:
        files.write(evidence)
        if line.outcome == "under way":
            console.print(f"  {line.name}: {line.asked} ...", style="dim")
        else:
            seconds = (line.ended - line.began).total_seconds() if line.ended and line.began else 0
            mark = _MARKS.get(line.outcome, "[dim]-[/]")
            console.print(f"{mark} {line.name} [dim]{seconds:.1f} s[/] {line.outcome}: ", end="")
            console.print(line.said, markup=False)

    interrupted = False
    try:
        carry_out(steps, session, evidence, noted)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        # First of all: a run that goes on is paid for as long as it does.
        session.close()
        left = dict(session.estate.changes)
        if left and session.estate.stack != LOCAL:
            evidence.left = f"{left}; 'pulumi up --stack {evidence.stack}' makes it what it says"
        evidence.ended = datetime.now(UTC)
        files.write(evidence)
    console.print(f"[b]{evidence.verdict}[/]; evidence: {session.folder / 'evidence.md'}")
    if evidence.left:
        console.print(f"[yellow]the stack was left with {evidence.left}[/]")
    return 130 if interrupted else (0 if evidence.accepted else 1)


def _estate(stack: str, folder: Path, home: Path, contracts: Path) -> Estate:
    if stack == LOCAL:
        return LocalEstate(home.absolute(), contracts)
    return PulumiEstate(stack, folder)


def _versions() -> dict[str, str]:
    names = ("boto3", "pulumi", "pulumi-aws", "pyiceberg")
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],  # noqa: S607 - git of PATH
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    return {
        "lakehouse": __version__,
        "commit": commit or "unknown",
        "Python": sys.version.split()[0],
        **{name: metadata.version(name) for name in names},
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nox -s smoke --",
        description="Accept a stack on its account, step by step, and leave evidence of it.",
        epilog="Interrupted or failed, it may be run again: each run sends what only it counts.",
    )
    parser.add_argument("stack", nargs="?", default=LOCAL, help="Pulumi.<stack>.yaml")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="STEP", help="these steps and what they need"
    )
    parser.add_argument("--skip", nargs="+", default=[], metavar="STEP", help="all steps but these")
    parser.add_argument("--list", action="store_true", help="say what the steps are, and end")
    parser.add_argument("--evidence", default="evidence", help="folder of the evidence")
    parser.add_argument(
        "--home", default=".lakehouse/smoke", help="folder of the local estate, for the stack local"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())

"""Holds every resource of the stacks against checkov's policies: ``python -m review.policy``."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from rich.console import Console
from rich.table import Table

from estate.accepted import ACCEPTED
from lakehouse.errors import EstateError
from localaws.apply import CONTRACTS, ROOT
from review.terraform import HERE, STACKS, TYPES, address, document, rendered, unchecked, write

CHECKS: Final = HERE / "checks"
"""Policies of our own, beside checkov's."""
Where = tuple[str, str]
"""A resource and a check of it."""


class Result(NamedTuple):
    """What a check found at a resource; ``asks`` is what it asks for."""

    check: str
    asks: str
    resource: str
    passed: bool


class Scan(NamedTuple):
    """The resources that checkov has read, and every result."""

    resources: frozenset[str]
    results: tuple[Result, ...]


@dataclass(frozen=True)
class Verdict:
    """What became of a stack."""

    stack: str
    resources: int
    passed: int
    failed: tuple[Result, ...]
    accepted: Mapping[Where, str]
    """Failures that are accepted, with the reason."""
    unused: Mapping[Where, str]
    """What is accepted and does not fail in this stack."""
    unseen: tuple[str, ...]
    """Resources that no check has looked at, though checkov has one for their type."""


def review(stacks: Iterable[str], contracts: Path, python: Path) -> list[Verdict]:
    """The verdict on each stack; checkov runs under ``python``."""
    with tempfile.TemporaryDirectory(prefix="lakehouse-policy-") as home:
        written: dict[str, Collection[str]] = {}
        reasons: dict[str, dict[Where, str]] = {}
        for stack in stacks:
            ACCEPTED.clear()
            resources = rendered(stack, contracts)
            reasons[stack] = accepted_here()
            written[stack] = addresses(document(resources))
            write(resources, Path(home, stack))
        scans = scan([Path(home, stack) for stack in written], python)
    return [judge(stack, written[stack], scans[stack], reasons[stack]) for stack in written]


def judge(
    stack: str, written: Collection[str], scanned: Scan, reasons: Mapping[Where, str]
) -> Verdict:
    """The verdict on a stack of which some resources were written and some scanned."""
    failed = [result for result in scanned.results if not result.passed]
    accepted = {
        where: reasons[where] for f in failed if (where := (f.resource, f.check)) in reasons
    }
    checked = {result.resource for result in scanned.results}
    unheard = (r for r in scanned.resources - checked if r.partition(".")[0] not in unchecked())
    return Verdict(
        stack=stack,
        resources=len(written),
        passed=len(scanned.results) - len(failed),
        failed=tuple(f for f in failed if (f.resource, f.check) not in accepted),
        accepted=accepted,
        unused={where: why for where, why in reasons.items() if where not in accepted},
        unseen=tuple(sorted({*written} - scanned.resources | {*unheard})),
    )


def scan(folders: Sequence[Path], python: Path) -> dict[str, Scan]:
    """What checkov finds in folders of Terraform JSON, by their names."""
    done = subprocess.run(  # noqa: S603 - the project's own script and folders
        [str(python), str(HERE / "scan.py"), str(CHECKS), *map(str, folders)],
        # Without a key of its platform checkov asks nothing of the network.
        env={key: os.environ[key] for key in ("HOME", "PATH", "TMPDIR") if key in os.environ},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise EstateError(
            f"checkov ended with {done.returncode}: {done.stderr.strip()[-2000:]}\nexpected its "
            "results; make its environment anew from locks/checkov.txt with nox -s policy"
        )
    return {
        Path(folder).name: Scan(
            frozenset(found["resources"]), tuple(Result(*result) for result in found["results"])
        )
        for folder, found in json.loads(done.stdout).items()
    }


def addresses(written: Mapping[str, Mapping[str, Mapping[str, object]]]) -> list[str]:
    """The resources of a Terraform file."""
    return [f"{kind}.{name}" for kind, named in written["resource"].items() for name in named]


def accepted_here() -> dict[Where, str]:
    """What the program that ran last accepts."""
    return {
        (address(kind, name), check): why
        for (kind, name), reasons in ACCEPTED.items()
        for check, why in reasons.items()
    }


def unused(verdicts: Sequence[Verdict]) -> dict[Where, str]:
    """What is accepted in some of the stacks and fails in none of them."""
    used = {where for verdict in verdicts for where in verdict.accepted}
    return {where: why for v in verdicts for where, why in v.unused.items() if where not in used}


def checkov_python(env: Mapping[str, str]) -> Path:
    """The Python that has checkov; EstateError if there is none."""
    python = Path(env.get("LAKEHOUSE_CHECKOV_PYTHON", ROOT / ".nox" / "checkov" / "bin" / "python"))
    if not python.is_file():
        raise EstateError(
            f"no Python with checkov at {python}; run nox -s policy, which makes its environment, "
            "or set LAKEHOUSE_CHECKOV_PYTHON"
        )
    return python


def show(verdicts: Sequence[Verdict], console: Console, *, reasons: bool) -> None:
    """Print the verdicts as a table, and below it what is to be mended."""
    table = Table(title="checkov's policies")
    table.add_column("stack")
    for column in ("resources", "passed", "accepted", "failed", "unseen"):
        table.add_column(column, justify="right")
    for v in verdicts:
        counts = (v.resources, v.passed, len(v.accepted), len(v.failed), len(v.unseen))
        table.add_row(v.stack, *map(str, counts))
    console.print(table)
    for v in verdicts:
        for check, asks, resource, _ in v.failed:
            line = f"{v.stack}: {resource} fails {check}: {asks}"
            console.print(line, markup=False, soft_wrap=True)
        for resource in v.unseen:
            console.print(
                f"{v.stack}: {resource} was looked at by no check: correct its type in "
                f"{TYPES.name}, or list it below 'unchecked'",
                soft_wrap=True,
            )
        for (resource, check), why in v.accepted.items() if reasons else ():
            console.print(f"{v.stack}: {resource} may fail {check}: {why}", soft_wrap=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the stacks that are named, or all of them; 1 if one of them is not as it should be."""
    parser = argparse.ArgumentParser(prog="python -m review.policy", description=main.__doc__)
    parser.add_argument("stacks", nargs="*", default=list(STACKS), metavar="stack")
    parser.add_argument("--contracts", type=Path, default=CONTRACTS)
    parser.add_argument("--reasons", action="store_true", help="say why failures are accepted")
    args = parser.parse_args(arguments)
    console = Console()
    try:
        verdicts = review(args.stacks, args.contracts, checkov_python(os.environ))
    except EstateError as error:
        console.print(f"error: {error}", markup=False, soft_wrap=True)
        return 1
    show(verdicts, console, reasons=args.reasons)
    # A stack may be without what another one accepts.
    idle = unused(verdicts) if {*STACKS} <= {*args.stacks} else {}
    for resource, check in idle:
        console.print(f"{resource} fails {check} in no stack: take out what accepts it")
    return int(bool(idle) or any(v.failed or v.unseen for v in verdicts))


if __name__ == "__main__":
    sys.exit(main())

from __future__ import annotations

import io
from typing import Any

import msgspec
import pytest
from rich.console import Console

from lakehouse.cli import showrebuild
from lakehouse.maintenance.compact import Compacted
from lakehouse.maintenance.compare import Difference, RowDifference
from lakehouse.maintenance.expire import Expired
from lakehouse.maintenance.maintain import Maintained

SAME = Difference(
    table="silver.planes",
    before=1,
    after=2,
    rows_before=1000,
    rows_after=1000,
    added=0,
    removed=0,
    changed=0,
    columns={},
    groups=1,
    differing=0,
    samples=(),
)
CHANGED = RowDifference(
    kind="changed",
    key={"tailnum": "N[1]"},
    columns={"seats": (None, "7"), "engine": ("•••", "•••")},
)


@pytest.fixture
def out() -> Console:
    return Console(file=io.StringIO(), width=200, emoji=False, highlight=False)


def text(out: Console) -> str:
    found: Any = out.file
    return str(found.getvalue())


def difference(found: Difference) -> dict[str, Any]:
    rebuild = {"branch": "rebuild_jr_1_20260101T000000"}
    return {"rebuild": rebuild, "difference": msgspec.to_builtins(found)}


def test_no_difference_is_said_in_one_line_with_what_can_be_done(out: Console) -> None:
    showrebuild.told(out, "silver.planes", difference(SAME), " --contract old.yaml")

    again, branch = "next: lakehouse rebuild silver.planes", "rebuild_jr_1_20260101T000000"
    assert text(out).splitlines() == [
        "no difference to silver.planes: 1,000 rows before, 1,000 after",
        "it waits on branch rebuild_jr_1_20260101T000000",
        f"{again} --publish {branch} --contract old.yaml",
        f"{again} --drop {branch}",
    ]


def test_rows_that_differ_are_shown_column_by_column_and_taken_literally(out: Console) -> None:
    found = msgspec.structs.replace(
        SAME, added=2, changed=1, columns={"seats": 1, "engine": 1}, samples=(CHANGED,)
    )

    showrebuild.told(out, "silver.planes", difference(found), "")

    said = text(out)
    assert "against silver.planes: 2 added, 0 removed, 1 changed; 1,000 rows before" in said
    assert "changed by column: seats 1, engine 1" in said
    rows = [line.split() for line in said.splitlines()]
    assert ["changed", "tailnum=N[1]", "seats", "null", "7"] in rows
    assert ["engine", "•••", "•••"] in rows


def test_maintenance_is_a_line_a_table_and_says_what_was_left_out(out: Console) -> None:
    done = Maintained(
        table="bronze.planes",
        dry_run=True,
        snapshots=Expired(3, 4),
        orphans=1200,
        compacted=Compacted(
            partitions=1,
            files_before=9,
            rewritten_bytes=2_000_000,
            left=2,
            manifests_before=3,
        ),
    )
    skipped = Maintained(table="silver.planes", dry_run=True, skipped={"all": "run x works on it"})

    showrebuild.maintained(out, msgspec.to_builtins([done, skipped]), dry_run=True)

    lines = text(out).splitlines()
    assert lines[1].split() == [
        "bronze.planes",
        "0",
        "3",
        "of",
        "7",
        "1,200",
        "9",
        "2.0",
        "1",
        "of",
        "3",
    ]
    assert lines[3] == "silver.planes: all left out: run x works on it"
    assert lines[-1] == "a dry run: nothing was changed; --run does it"

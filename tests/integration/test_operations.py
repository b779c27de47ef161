"""The jobs that operate and maintain, run by the local Glue and asked for on the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import pytest

from lakehouse.aws import Aws
from lakehouse.cli import app as cli
from lakehouse.contracts.model import Contract, Contracts
from lakehouse.ingestion.ingest import land, on_driver
from lakehouse.store import S3Store
from localaws.local import LocalEstate

PREFIX = "lakehouse-local"
Lakehouse = Callable[..., tuple[int, str, str]]


@pytest.fixture
def lakehouse(
    local_estate: LocalEstate,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Lakehouse:
    monkeypatch.setenv("LAKEHOUSE_HOME", str(local_estate.home))

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["lakehouse", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


@pytest.fixture(scope="module")
def airlines(local_estate: LocalEstate, contracts: Contracts) -> Contract:
    """A dataset with one load in bronze: two good rows and a reject."""
    assert local_estate.prefix == PREFIX
    aws, contract = Aws.from_env(PREFIX), contracts["airlines"]
    aws.client("s3").put_object(
        Bucket=aws.bucket("landing"),
        Key="airlines/airlines.csv",
        Body=b"carrier,name\nAA,American\nUA,United\nnope,\n",
    )
    land(aws, contract, on_driver(aws, contract))
    return contract


@pytest.mark.usefixtures("airlines")
def test_tables_are_maintained_and_a_failed_operation_says_why(lakehouse: Lakehouse) -> None:
    code, said, why = lakehouse("maintain", "airlines")
    assert code == 0, why
    assert "bronze.airlines" in said
    assert "a dry run: nothing was changed" in said
    code, said, why = lakehouse("maintain", "airlines", "--run", "--json")
    assert code == 0, why
    (table,) = json.loads(said)
    assert (table["table"], table["dry_run"]) == ("bronze.airlines", False)
    assert table["compacted"]["files_before"] == 0

    code, _, why = lakehouse("rebuild", "silver.airlines", "--dry-run")

    assert code == 1
    assert "silver.airlines has no rows yet" in why
    aws = Aws.from_env(PREFIX)
    keys = S3Store(aws.client("s3"), aws.bucket("verdicts"), "").list("operations/")
    assert len(keys) == 3, "a run that fails leaves its result too"


@pytest.mark.usefixtures("airlines")
def test_a_table_is_rebuilt_compared_and_dropped(lakehouse: Lakehouse) -> None:
    assert lakehouse("run", "promote", "airlines")[0] == 0
    code, said, why = lakehouse("rebuild", "silver.airlines", "--dry-run")
    assert code == 0, why
    assert "from the loads up to 0 (left out: none); bronze has 3 rows" in said

    code, said, why = lakehouse("rebuild", "silver.airlines", "--json")

    assert code == 0, why
    found = json.loads(said)
    assert (found["difference"]["rows_after"], found["difference"]["changed"]) == (2, 0)
    branch = found["rebuild"]["branch"]
    assert branch.startswith("rebuild_")
    code, said, why = lakehouse("rebuild", "silver.airlines", "--drop", branch)
    assert code == 0, why
    assert f"branch {branch}, snapshot {found['rebuild']['snapshot_id']}, is dropped" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("rebuild", "airlines"), "got 'airlines', expected silver.DATASET or gold.MART"),
        (("rebuild", "gold.airlines"), "there is no gold.airlines; expected silver.airlines"),
        (
            ("rebuild", "silver.airlines", "--publish", "a", "--drop", "a"),
            "--publish and --drop exclude each other",
        ),
    ],
)
def test_what_cannot_be_meant_is_told_before_a_job_is_started(
    lakehouse: Lakehouse, arguments: tuple[str, ...], message: str
) -> None:
    code, said, why = lakehouse(*arguments)

    assert (code, said) == (1, "")
    assert message in why

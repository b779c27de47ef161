"""What the commands answer when something is wrong: one line, exit code 1."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    ProfileNotFound,
)

from lakehouse.cli import app as cli
from lakehouse.cli.context import Context
from localaws.local import LocalEstate


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ENDPOINT_URL", "LAKEHOUSE_PREFIX", "LAKEHOUSE_CONTRACTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")


def answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["lakehouse", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out + said.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["status"], "no estate: none runs in"),
        (["sql", "SELECT 1"], "lakehouse local up"),
        (["local", "status"], "no estate runs in"),
        (["produce", "flihgts", "x"], "unknown dataset 'flihgts'; quality/contracts declares"),
        (["produce", "planes", "x"], "'planes' has source 'files'; expected stream"),
        (["produce", "flights", "nowhere.ndjson"], "it is not there"),
        (["drop", "flights", "x"], "expected files or pull"),
        (["run", "promote", "nothing"], "unknown dataset 'nothing'"),
        (["run", "marts", "flights"], "'flights' has source 'stream'; expected mart"),
        (["--contracts", "nowhere", "run", "land"], "no contract directory at nowhere"),
        (["sql", ""], "expected a SELECT, got nothing"),
    ],
)
def test_a_mistake_is_answered_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    says: str,
) -> None:
    code, said = answer(monkeypatch, capsys, *arguments)
    assert code == 1
    assert says in said
    assert said.startswith("error: ")
    assert said.count("\n") == 1


def test_a_dead_endpoint_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    code, said = answer(monkeypatch, capsys, "--prefix", "x", "sql", "SELECT 1")
    assert code == 1
    assert "nothing answers at http://127.0.0.1:9" in said


def test_help_names_every_command_and_the_first_steps(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = answer(monkeypatch, capsys, "--help")
    assert code == 0
    for command in ("local", "produce", "drop", "run", "sql", "status"):
        assert command in said
    assert "lakehouse local up" in said


def test_the_version_is_the_librarys(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = answer(monkeypatch, capsys, "--version")
    assert (code, said) == (0, "lakehouse 0.1.0\n")


def test_ctrl_c_ends_with_130_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Context, "contracts", interrupted)
    assert answer(monkeypatch, capsys, "status") == (130, "")


@pytest.mark.parametrize(
    ("raised", "says"),
    [
        (
            ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetJob"),
            "AWS refuses GetJob: AccessDenied: no; check",
        ),
        (NoCredentialsError(), "no AWS credentials; log in"),
        (EndpointConnectionError(endpoint_url="http://x"), 'endpoint URL: "http://x"; check'),
        (S3UploadFailedError("Failed to upload f\nto b"), "Failed to upload f to b; check"),
        (ProfileNotFound(profile="p"), "config profile (p) could not be found; check"),
    ],
)
def test_what_aws_refuses_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    raised: Exception,
    says: str,
) -> None:
    def refuse(_: object) -> None:
        raise raised

    monkeypatch.setattr(Context, "aws", refuse)
    code, said = answer(monkeypatch, capsys, "status")
    assert code == 1
    assert said.startswith("error: ")
    assert says in said
    assert said.count("\n") == 1


def test_without_its_extra_the_local_estate_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "localaws", None)
    for command in ("up", "status", "down"):
        code, said = answer(monkeypatch, capsys, "local", command)
        assert code == 1
        assert "the local estate is not installed" in said
        assert 'pip install -e ".[local,platform,spark]"' in said
    code, said = answer(monkeypatch, capsys, "status")
    assert code == 1
    assert "no estate" in said


def test_a_misspelt_option_is_answered_with_the_usage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = answer(monkeypatch, capsys, "run", "promte")
    assert code == 2
    assert "'ingest', 'land', 'promote', 'marts'" in " ".join(said.split())


def test_only_ingestion_can_be_followed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = answer(monkeypatch, capsys, "run", "land", "--follow")
    assert (code, said) == (1, "error: --follow goes with ingest; land ends by itself\n")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "lakehouse finds it by itself; other clients"),
        (["--home", "/elsewhere"], "lakehouse finds it with LAKEHOUSE_HOME=/elsewhere; other"),
    ],
)
def test_up_says_how_the_estate_is_reached(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    says: str,
) -> None:
    asked: list[tuple[Path, Path, int | None]] = []

    def up(home: Path, contracts: Path, _report: object, *, port: int | None) -> LocalEstate:
        asked.append((home, contracts, port))
        return LocalEstate(home.absolute(), "http://e", "http://g", "lakehouse-local")

    monkeypatch.setattr("localaws.local.up", up)
    code, said = answer(
        monkeypatch, capsys, "--contracts", "c", "local", "up", "--port", "7", *options
    )
    assert code == 0
    assert says in said
    assert "export AWS_ENDPOINT_URL=http://e\n" in said
    assert "export AWS_ENDPOINT_URL_GLUE=http://g\n" in said
    home = Path(options[-1]) if options else Path(os.environ["LAKEHOUSE_HOME"])
    assert asked == [(home, Path("c"), 7)]

"""What an acceptance sends, deploys and asks, with fakes for AWS and for Pulumi."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import yaml
from botocore.exceptions import ClientError
from support.rendered import CONTRACTS, names

from acceptance import __main__ as command
from acceptance import estates, grants, jobs
from acceptance.datasets import EVENTS, FILES, MART, datasets
from acceptance.estates import PulumiEstate, changed
from acceptance.events import NAMES, Sent, event, trouble, write_files
from acceptance.grants import QUESTIONS, Question
from acceptance.session import Session, same
from acceptance.steps import AcceptanceError, NotAskedError
from lakehouse.aws import Aws
from lakehouse.decoding.decode import Reject, RowDecoder
from lakehouse.decoding.formats import object_records
from lakehouse.decoding.source import FileSource
from lakehouse.errors import EstateError
from localaws.apply import render

# What is sent.


def codes(payloads: list[bytes]) -> list[str | None]:
    _, rejects = RowDecoder(datasets()[EVENTS]).json(payloads)
    return [reject.code if reject else None for reject in rejects]


def test_good_events_are_good_by_both_versions_of_their_contract() -> None:
    payloads = [event("r1", 7, version).record.payload for version in (1, 2)]
    for version in (1, 2):
        _, rejects = RowDecoder(datasets(version)[EVENTS]).json(payloads)
        assert rejects == [None, None]


def test_trouble_is_rejected_for_the_reasons_that_are_expected() -> None:
    deliveries = trouble("r1", range(8))
    expected = [delivery.reject for delivery in deliveries]
    assert codes([d.record.payload for d in deliveries]) == expected
    assert set(expected) == {"enum", "range", "missing", "malformed"}


def test_files_hold_the_rejects_that_are_expected(tmp_path: Path) -> None:
    files = write_files(tmp_path, "r1")
    contract = datasets()[FILES]
    wrong = {}
    for path in (files.good, files.bad):
        records = list(object_records(FileSource(path), contract))
        decoder = RowDecoder(contract)
        _, rejects = decoder.text([r.values for r in records if r.values is not None])
        wrong[path] = [reject.code for reject in rejects if isinstance(reject, Reject)]
        assert len(records) == 4
    assert wrong == {files.good: ["enum"], files.bad: ["enum"] * 3}
    assert contract.gate.reject_share == 0.5
    assert files.rejects.total() == 4


def test_a_repeat_is_a_delivery_and_no_event() -> None:
    sent = Sent()
    first = event("r1", 0)
    sent.add([first, event("r1", 1), *trouble("r1", [2])])
    sent.add([first])
    sent.add([event("r1", 3, 2)], 2)
    assert (sent.deliveries, sorted(sent.good)) == (5, [0, 1, 3])
    assert sum(sent.good.values()) == 1
    assert sent.rejects == {"enum": 1}
    assert sent.marts() == [["click", NAMES["click"], "1", "1"], ["view", NAMES["view"], "2", "3"]]


def test_what_differs_is_named() -> None:
    assert same("bronze", {"a": 1, "b": 2}, {"a": 1}) == {"a": 1, "b": 2}
    with pytest.raises(AcceptanceError, match="bronze: a is 1, not 2; c is None, not 3"):
        same("bronze", {"a": 1}, {"a": 2, "c": 3})


# What is deployed.


def test_the_second_version_adds_a_property_to_the_events_and_nothing_else() -> None:
    one, two = datasets(1), datasets(2)
    assert sorted(one) == sorted(two) == [MART, EVENTS, FILES]
    added = {f.name for f in two[EVENTS].fields} - {f.name for f in one[EVENTS].fields}
    assert added == {"note"}
    assert {name for name in one if one[name] != two[name]} == {EVENTS}


def test_a_stack_has_the_acceptances_datasets_if_it_says_so() -> None:
    before, after = render("dev", CONTRACTS), render("dev", CONTRACTS, {"acceptance": 1})
    added = {name for _, name in names(after) - names(before) if "/" not in name}
    assert EVENTS in added
    assert [name for name in added if "smoke_" not in name] == []
    assert (
        not names(before)
        - names(after)
        - {item for item in names(before) if item[1].startswith("contracts/")}
    )


@pytest.mark.parametrize(
    ("stack", "version", "paused", "changes"),
    [
        ("local", 1, False, {"acceptance": 1}),
        (
            "local", 2, True,
            {
                "acceptance": 2,
                "jobs": {"ingest": {"worker_type": "G.025X", "workers": 2, "paused": True}},
            },
        ),
    ],
)  # fmt: skip
def test_only_what_differs_from_the_stacks_file_is_changed(
    stack: str, version: Any, paused: bool, changes: dict[str, Any]
) -> None:
    assert changed(stack, version, paused=paused) == changes


def test_a_pause_keeps_what_else_the_stack_says_of_its_jobs() -> None:
    jobs_of_dev = changed("dev", 1, paused=True)["jobs"]
    assert jobs_of_dev["python_requirements"] == "jobs/requirements.txt"
    assert jobs_of_dev["ingest"]["continuous"] is False


PULUMI = """#!/bin/sh
echo "$@" >> {calls}
case "$1" in
  up) while [ "$1" != --config-file ]; do shift; done; cp "$2" {config}; echo up; exit {code};;
  stack) echo '{{"release": "abc"}}';;
  preview) exit {code};;
esac
"""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stack with the acceptance's datasets, and a Pulumi that notes how it is called."""
    document = {
        "config": {
            "aws:region": "eu-west-3",
            "lakehouse:platform": {"prefix": "acme", "acceptance": 1},
        },
        "encryptionsalt": "v1:x",
    }
    (tmp_path / "Pulumi.dev.yaml").write_text(yaml.safe_dump(document))
    monkeypatch.setattr(estates, "ROOT", tmp_path)
    monkeypatch.setattr("localaws.apply.ROOT", tmp_path)
    monkeypatch.setattr(command, "ROOT", tmp_path)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    pulumi(tmp_path, monkeypatch)
    return tmp_path


def pulumi(folder: Path, monkeypatch: pytest.MonkeyPatch, code: int = 0) -> None:
    script = folder / "bin" / "pulumi"
    script.parent.mkdir(exist_ok=True)
    script.write_text(
        PULUMI.format(calls=folder / "calls", config=folder / "config.yaml", code=code)
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}:/usr/bin:/bin")


def test_a_stack_is_deployed_by_a_copy_of_its_file(repository: Path) -> None:
    estate = PulumiEstate("dev", repository / "logs")
    assert estate.up(2, paused=True) == {"release": "abc"}
    up, output = (repository / "calls").read_text().splitlines()
    assert up.startswith("up --yes --skip-preview --config-file ")
    assert up.endswith(" --stack dev --non-interactive")
    assert output == "stack output --json --stack dev --non-interactive"
    used = yaml.safe_load((repository / "config.yaml").read_text())
    assert used["encryptionsalt"] == "v1:x"
    assert used["config"]["lakehouse:platform"] == {
        "prefix": "acme", "acceptance": 2, "jobs": {"ingest": {"paused": True}},
    }  # fmt: skip
    own = yaml.safe_load((repository / "Pulumi.dev.yaml").read_text())
    assert own["config"]["lakehouse:platform"] == {"prefix": "acme", "acceptance": 1}
    assert (estate.prefix, estate.region) == ("acme", "eu-west-3")


def test_what_the_stack_is_left_with_is_what_differs_from_its_file(repository: Path) -> None:
    estate = PulumiEstate("dev", repository / "logs")
    estate.up(2)
    assert estate.changes == {"acceptance": 2}
    estate.up(1)
    assert estate.changes == {}


def test_a_deployment_that_fails_is_one_line_with_its_log(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pulumi(repository, monkeypatch, code=255)
    estate = PulumiEstate("dev", repository / "logs")
    with pytest.raises(EstateError, match="'pulumi up --yes' ended with code 255: up; read ") as e:
        estate.up(1)
    assert "\n" not in str(e.value)
    (log,) = (repository / "logs").glob("pulumi-*.log")
    assert log.read_text() == "up\n"
    with pytest.raises(EstateError, match="'pulumi preview --expect-no-changes' ended with"):
        estate.unchanged()


def test_an_interrupted_deployment_is_waited_for(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[str] = []

    class Interrupted:
        def __init__(self, *_: Any, **__: Any) -> None:
            """Started like any other."""

        def wait(self) -> int:
            waited.append("waited")
            if len(waited) == 1:
                raise KeyboardInterrupt
            return 1

    monkeypatch.setattr("acceptance.estates.subprocess.Popen", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        PulumiEstate("dev", repository / "logs").up(1)
    assert waited == ["waited", "waited"]


# The command.


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[str]]:
    code = command.main(arguments)
    return code, capsys.readouterr().out.splitlines()


def test_an_unknown_stack_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    code, lines = said(capsys, "nosuch")
    assert (code, len(lines)) == (1, 1)
    assert lines[0].startswith("error: no stack 'nosuch'; expected one of dev, local, ")


def test_an_unknown_step_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    code, lines = said(capsys, "local", "--only", "everything")
    assert (code, len(lines)) == (1, 1)
    assert lines[0].startswith("error: no step 'everything'; expected some of doctor, deploy, ")


def test_a_stack_without_the_datasets_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    code, lines = said(capsys, "dev")
    assert (code, len(lines)) == (1, 1)
    assert "write 'acceptance: 1' below lakehouse:platform in Pulumi.dev.yaml" in lines[0]


def test_a_machine_without_pulumi_is_one_line(
    repository: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / "bin" / "pulumi").unlink()
    monkeypatch.setenv("PATH", str(repository / "bin"))
    code, lines = said(capsys, "dev")
    assert (code, len(lines)) == (1, 1)
    assert "is deployed by Pulumi, which is not here; install it from https://" in lines[0]


def test_an_account_without_credentials_is_one_line(
    repository: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from lakehouse import aws as aws_module

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(repository / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(repository / "none"))
    aws_module._client.cache_clear()
    code, lines = said(capsys, "dev")
    aws_module._client.cache_clear()
    assert (code, len(lines)) == (1, 1)
    assert lines[0].startswith("error: no AWS credentials; log in, ")
    assert not (repository / "calls").exists()


def test_the_steps_can_be_listed(capsys: pytest.CaptureFixture[str]) -> None:
    code, lines = said(capsys, "--list")
    assert code == 0
    assert [line.split()[0] for line in lines][:3] == ["doctor", "deploy", "again"]


# Glue runs.


class FakeGlue:
    """A job whose runs are under way for some questions."""

    def __init__(self, once: str = "false") -> None:
        self.once = once
        self.runs: list[dict[str, Any]] = []
        self.lives: dict[str, int] = {}

    def add(self, lives: int, **arguments: str) -> str:
        run = f"jr_{len(self.runs)}"
        given = {f"--{name}": value for name, value in arguments.items()}
        self.runs.insert(0, {"Id": run, "JobName": "acme-ingest-main", "Arguments": given})
        self.lives[run] = lives
        return run

    def _told(self, run: dict[str, Any]) -> dict[str, Any]:
        self.lives[run["Id"]] -= 1
        state = "RUNNING" if self.lives[run["Id"]] >= 0 else "SUCCEEDED"
        return {"JobRunState": state, **run}

    def get_job_runs(self, **_: Any) -> dict[str, Any]:
        return {"JobRuns": [self._told(run) for run in self.runs]}

    def get_job_run(self, RunId: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        return {"JobRun": next(self._told(run) for run in self.runs if run["Id"] == RunId)}

    def get_job(self, **_: Any) -> dict[str, Any]:
        return {"Job": {"DefaultArguments": {"--once": self.once}}}

    def start_job_run(self, Arguments: dict[str, str], **_: Any) -> dict[str, Any]:  # noqa: N803
        if any(lives > 0 for lives in self.lives.values()):
            raise self.exceptions.ConcurrentRunsExceededException
        return {"JobRunId": self.add(9, once=Arguments.get("--once", self.once))}

    class exceptions:  # noqa: N801 - boto3's name
        """As a client has them."""

        class EntityNotFoundException(Exception):  # noqa: N818 - AWS's name
            """There is no such job."""

        class ConcurrentRunsExceededException(Exception):  # noqa: N818 - AWS's name
            """It is running."""


@pytest.fixture
def glue(monkeypatch: pytest.MonkeyPatch) -> FakeGlue:
    fake = FakeGlue()
    monkeypatch.setattr(Aws, "client", lambda *_: fake)
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda _: None)
    return fake


AWS = Aws("acme", "eu-west-1")


def test_a_continuous_run_that_is_under_way_is_taken(glue: FakeGlue) -> None:
    there = glue.add(99)
    run, started = jobs.ingesting(AWS, "ingest-main", 10)
    assert (run.run_id, started) == (there, False)


def test_a_run_that_drains_is_waited_for_and_followed_by_one_that_goes_on(glue: FakeGlue) -> None:
    glue.once = "true"
    draining = glue.add(4)
    run, started = jobs.ingesting(AWS, "ingest-main", 10)
    assert started
    assert run.run_id != draining
    assert glue.runs[0]["Arguments"] == {"--once": "false"}


def test_a_job_that_somebody_else_runs_is_run_after_it(glue: FakeGlue) -> None:
    glue.add(0)
    answer = jobs.run_to_end(AWS, "land", {"--datasets": "x"}, 10)
    assert answer["JobRunState"] == "SUCCEEDED"


def test_a_run_that_fails_says_why_and_where_its_log_is(
    glue: FakeGlue, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = {
        "Id": "jr_9", "JobName": "acme-land", "JobRunState": "FAILED",
        "ErrorMessage": "error: broken", "LogGroupName": "/aws-glue/jobs",
    }  # fmt: skip
    monkeypatch.setattr(glue, "get_job_run", lambda **_: {"JobRun": run})
    with pytest.raises(
        AcceptanceError, match="run jr_0: acme-land ended as FAILED: broken; its log: /aws-glue"
    ):
        jobs.run_to_end(AWS, "land", {}, 10)


# Grants.


class FakeAthena:
    """Answers every query alike."""

    exceptions = SimpleNamespace(InvalidRequestException=KeyError)

    def __init__(self, refusal: str | None) -> None:
        self.refusal = refusal

    def start_query_execution(self, **_: Any) -> dict[str, Any]:
        return {"QueryExecutionId": "q"}

    def get_query_execution(self, **_: Any) -> dict[str, Any]:
        state = "FAILED" if self.refusal else "SUCCEEDED"
        return {"QueryExecution": {"Status": {"State": state, "StateChangeReason": self.refusal}}}


ALLOWED = Question("analyst", "SELECT 1", True)
FORBIDDEN = Question("analyst", "SELECT 2", False)


@pytest.mark.parametrize(
    ("question", "refusal", "said"),
    [
        (ALLOWED, None, "allowed"),
        (FORBIDDEN, "Insufficient Lake Formation permission(s) on silver", "denied"),
        (FORBIDDEN, "COLUMN_NOT_FOUND: Column 'contact' cannot be resolved", "denied"),
        (FORBIDDEN, "User: x is not authorized to perform: glue:GetTable", "denied"),
    ],
)
def test_an_audience_is_answered_as_it_should_be(
    question: Question, refusal: str | None, said: str
) -> None:
    assert grants._ask(FakeAthena(refusal), "acme-analyst", question) == said


@pytest.mark.parametrize(
    ("question", "refusal", "why"),
    [
        (ALLOWED, "Access Denied", "has to be answered: .* Access Denied"),
        (FORBIDDEN, None, "has to be refused: it was answered"),
        (FORBIDDEN, "SYNTAX_ERROR: line 1", "fails otherwise: .* SYNTAX_ERROR: line 1"),
        (ALLOWED, "SYNTAX_ERROR: line 1", "fails otherwise: .* SYNTAX_ERROR: line 1"),
    ],
)
def test_an_audience_that_is_answered_otherwise_is_a_failure(
    question: Question, refusal: str | None, why: str
) -> None:
    with pytest.raises(AcceptanceError, match=f"analyst: SELECT .: {why}"):
        grants._ask(FakeAthena(refusal), "acme-analyst", question)


def test_a_query_that_may_not_even_be_started_is_refused() -> None:
    athena = FakeAthena(None)

    def start(**_: Any) -> dict[str, Any]:
        raise ClientError({"Error": {"Code": "AccessDeniedException"}}, "StartQueryExecution")

    athena.start_query_execution = start  # type: ignore[method-assign]
    assert grants._ask(athena, "acme-analyst", FORBIDDEN) == "denied"


class FakeEstate:
    """Enough of an estate for a step that asks nobody."""

    prefix, region, patience = "acme", "eu-west-1", 1.0
    stack = "dev"
    supervised = enforces = False


def session(tmp_path: Path, enforces: bool) -> Session:
    estate: Any = FakeEstate()
    estate.enforces = enforces
    made = Session(estate, "r1", tmp_path, CONTRACTS)
    made.outputs = {"audiences": {"analyst": "arn:aws:iam::1:role/acme-analyst"}}
    return made


def test_where_nobody_enforces_iam_grants_are_not_asked(tmp_path: Path) -> None:
    with pytest.raises(NotAskedError, match="the emulator enforces no IAM"):
        grants.grants(session(tmp_path, enforces=False))


def test_a_role_that_may_not_be_taken_says_where_to_put_oneself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Sts:
        def assume_role(self, **_: Any) -> None:
            raise ClientError({"Error": {"Code": "AccessDenied"}}, "AssumeRole")

    monkeypatch.setattr(Aws, "client", lambda *_: Sts())
    with pytest.raises(NotAskedError, match=r"put yourself into audiences\.analyst of Pulumi\.dev"):
        grants.grants(session(tmp_path, enforces=True))


def test_every_audience_has_something_allowed_and_every_narrow_one_something_denied() -> None:
    from estate.access.audiencepolicies import AUDIENCES

    allowed = {q.audience for q in QUESTIONS if q.allowed}
    denied = {q.audience for q in QUESTIONS if not q.allowed}
    assert allowed == set(AUDIENCES)
    assert denied == set(AUDIENCES) - {"engineer"}


def test_a_run_that_was_started_here_does_not_go_on_for_ever(
    tmp_path: Path, glue: FakeGlue, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped: list[str] = []
    monkeypatch.setattr(jobs.JobRun, "stop", lambda run: stopped.append(run.run_id))
    made = session(tmp_path, enforces=False)
    there = glue.add(99)
    assert made.ingesting().run_id == there
    made.close()
    assert stopped == []
    glue.lives[there] = 0
    started = made.ingesting().run_id
    made.close()
    assert stopped == [started]


def test_traffic_counts_what_was_acknowledged_and_raises_what_went_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = session(tmp_path, enforces=False)
    taken: list[int] = []

    def produce(_client: object, _stream: str, records: Any) -> None:
        taken.append(len(list(records)))
        if len(taken) == 3:
            raise EstateError("stream is gone")

    monkeypatch.setattr(Aws, "client", lambda *_: None)
    monkeypatch.setattr("acceptance.session.produce", produce)
    monkeypatch.setattr("acceptance.session._PAUSE", 0)
    waiting = jobs.wait_until
    with pytest.raises(EstateError, match="stream is gone"), made.traffic():
        waiting(lambda: len(taken) == 3, 10, lambda: "no traffic", every=0.001)
    assert made.sent.deliveries == 10
    assert json.loads(msgspec.json.encode(made.sent.rejects)) == {}

"""How an acceptance is carried out, and what it leaves behind whatever happens."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from acceptance.accept import STEPS
from acceptance.evidence import (
    Evidence,
    EvidenceFolder,
    StepEvidence,
    markdown,
    redacted,
)
from acceptance.steps import AcceptanceError, Answer, NotAskedError, Step, carry_out, select
from acceptance.waiting import wait_until
from lakehouse.errors import InputError

START = datetime(2026, 1, 1, tzinfo=UTC)
Did = list[str]


def step(name: str, *needs: str, raising: BaseException | None = None) -> Step[Did]:
    def do(did: Did) -> Answer:
        did.append(name)
        if raising is not None:
            raise raising
        return Answer(f"saw {name}", {"count": 1})

    return Step(name, f"{name} holds", do, needs)


def evidence(steps: list[Step[Did]]) -> Evidence:
    lines = [StepEvidence(name=s.name, asked=s.asked) for s in steps]
    return Evidence(
        stack="dev", run="r1", prefix="acme", region="eu-west-1", account="123456789012",
        versions={"lakehouse": "1"}, began=START, steps=lines,
    )  # fmt: skip


def clock() -> Callable[[], datetime]:
    ticks = iter(range(100))
    return lambda: START + timedelta(seconds=next(ticks))


def carried_out(*steps: Step[Did]) -> tuple[Did, Evidence]:
    did: Did = []
    told = evidence(list(steps))
    carry_out(steps, did, told, lambda _: None, clock())
    told.ended = START
    return did, told


def test_a_step_is_noted_with_its_times_and_what_it_saw() -> None:
    _, told = carried_out(step("send"))
    (line,) = told.steps
    assert (line.outcome, line.said, line.facts) == ("passed", "saw send", {"count": 1})
    assert (line.began, line.ended) == (START, START + timedelta(seconds=1))
    assert told.accepted


def test_a_step_that_fails_stops_those_that_need_it_and_no_other() -> None:
    did, told = carried_out(
        step("deploy"),
        step("send", "deploy", raising=AcceptanceError("3 of 4 arrived; look there")),
        step("query", "send"),
        step("land", "deploy"),
    )
    assert did == ["deploy", "send", "land"]
    assert [line.outcome for line in told.steps] == ["passed", "failed", "not run", "passed"]
    assert told.steps[1].said == "3 of 4 arrived; look there"
    assert told.steps[2].said == "needs send"
    assert not told.accepted
    assert told.verdict == "not accepted: 2 passed, 1 failed, 1 not run"


def test_what_nobody_can_be_asked_is_neither_passed_nor_failed() -> None:
    _, told = carried_out(step("grants", raising=NotAskedError("no IAM")), step("last", "grants"))
    assert [line.outcome for line in told.steps] == ["not asked", "not run"]
    assert told.steps[0].said == "no IAM"
    _, alone = carried_out(step("send"), step("grants", raising=NotAskedError("no IAM")))
    assert alone.accepted
    assert alone.verdict == "accepted: 1 passed, 1 not asked"


def test_an_error_that_nobody_foresaw_fails_its_step_alone() -> None:
    did, told = carried_out(step("send", raising=KeyError("x")), step("land"))
    assert did == ["send", "land"]
    assert told.steps[0].said == "KeyError: 'x'"


def test_an_interrupted_run_says_so_and_what_was_not_run() -> None:
    steps = [step("deploy"), step("send", raising=KeyboardInterrupt()), step("land")]
    told = evidence(steps)
    with pytest.raises(KeyboardInterrupt):
        carry_out(steps, [], told, lambda _: None, clock())
    assert [line.outcome for line in told.steps] == ["passed", "interrupted", "not run"]
    assert told.steps[1].ended is not None
    assert not told.accepted


def test_each_step_is_noted_before_it_begins_and_after_it_ended() -> None:
    noted: list[tuple[str, str]] = []
    steps = [step("deploy"), step("send", "deploy")]
    carry_out(
        steps, [], evidence(steps), lambda line: noted.append((line.name, line.outcome)), clock()
    )
    assert noted == [
        ("deploy", "under way"), ("deploy", "passed"), ("send", "under way"), ("send", "passed"),
    ]  # fmt: skip


CHAIN = [step("deploy"), step("send", "deploy"), step("land", "deploy"), step("query", "send")]


@pytest.mark.parametrize(
    ("only", "without", "chosen"),
    [
        ([], [], ["deploy", "send", "land", "query"]),
        (["query"], [], ["deploy", "send", "query"]),
        ([], ["land"], ["deploy", "send", "query"]),
        (["land", "send"], [], ["deploy", "send", "land"]),
    ],
)
def test_steps_are_chosen_with_all_that_they_need(
    only: list[str], without: list[str], chosen: list[str]
) -> None:
    assert [s.name for s in select(CHAIN, only, without)] == chosen


@pytest.mark.parametrize(
    ("only", "without", "why"),
    [
        (["sned"], [], "no step 'sned'; expected some of deploy, send, land, query"),
        ([], ["send"], "query needs send; leave out both, or neither"),
    ],
)
def test_steps_that_cannot_be_chosen_are_one_line(
    only: list[str], without: list[str], why: str
) -> None:
    with pytest.raises(InputError, match=f"^{why}$"):
        select(CHAIN, only, without)


def test_the_acceptances_own_steps_need_only_what_comes_before() -> None:
    before: set[str] = set()
    for own in STEPS:
        assert set(own.needs) <= before, own.name
        before.add(own.name)
    assert [own.name for own in STEPS] == [
        "doctor", "deploy", "again", "send", "land", "rejects", "promote", "marts", "query",
        "grants", "upgrade", "drain", "rollback",
    ]  # fmt: skip


def test_waiting_ends_with_what_to_do() -> None:
    assert wait_until(lambda: 3, 0, lambda: "") == 3
    with pytest.raises(AcceptanceError, match="the run does not end; look there; waited 0 s"):
        wait_until(lambda: None, 0, lambda: "the run does not end; look there", every=0)


# The evidence.


def test_the_evidence_is_whole_after_every_step(tmp_path: Path) -> None:
    steps = [step("deploy"), step("send", raising=KeyboardInterrupt())]
    told, files = evidence(steps), EvidenceFolder(tmp_path / "dev-r1")
    read: list[list[str]] = []

    def noted(_: StepEvidence) -> None:
        files.write(told)
        again = json.loads((files.folder / "evidence.json").read_text())
        read.append([line["outcome"] for line in again["steps"]])

    with pytest.raises(KeyboardInterrupt):
        carry_out(steps, [], told, noted, clock())
    assert read == [
        ["under way", "not run"],
        ["passed", "not run"],
        ["passed", "under way"],
        ["passed", "interrupted"],
    ]
    assert sorted(path.name for path in files.folder.iterdir()) == ["evidence.json", "evidence.md"]
    assert "not accepted: 1 passed, 1 interrupted" in (files.folder / "evidence.md").read_text()


def test_the_evidence_can_be_read_by_people() -> None:
    _, told = carried_out(step("send"), step("land", raising=AcceptanceError("a | b")))
    told.left = "paused"
    text = markdown(told)
    assert "| send | passed | 1 | saw send |" in text
    assert "| land | failed | 1 | a \\| b |" in text
    assert "**The stack was left otherwise than its file says:** paused" in text
    assert '"count": 1' in text


@pytest.mark.parametrize(
    "secret",
    [
        "AKIAIOSFODNN7EXAMPLE",
        "https://user:hunter2@registry.example.com/x",
        "https://b.s3.amazonaws.com/k?X-Amz-Signature=0123abcd&x=1",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-def",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
        "a value of the environment: correct-horse",
    ],
)
def test_no_secret_of_a_known_form_gets_into_the_evidence(
    secret: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "correct-horse")
    _, told = carried_out(step("send", raising=AcceptanceError(f"refused: {secret}")))
    told.steps[0].facts = {"deep": [{"said": secret}]}
    files = EvidenceFolder(tmp_path)
    files.write(told)
    for path in tmp_path.iterdir():
        text = path.read_text()
        assert "<hidden>" in text
        for part in ("AKIAIOSFODNN7", "hunter2", "0123abcd", "eyJhbGci", "MIIE", "correct-horse"):
            assert part not in text


@pytest.mark.parametrize("key", ["SecretAccessKey", "session_token", "password", "private_key"])
def test_what_is_called_a_secret_is_hidden_whatever_it_is(key: str) -> None:
    assert redacted({key: "x", "count": 1}) == {key: "<hidden>", "count": 1}


def test_what_is_no_secret_stays() -> None:
    facts: dict[str, Any] = {"run": "jr_1", "rows": [1, None], "url": "https://x.example.com/a:b"}
    assert redacted(facts) == facts


def test_the_evidence_reads_back_as_it_was_written(tmp_path: Path) -> None:
    _, told = carried_out(step("send"))
    EvidenceFolder(tmp_path).write(told)
    again = msgspec.json.decode((tmp_path / "evidence.json").read_bytes(), type=Evidence)
    assert again == told

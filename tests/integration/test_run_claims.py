"""Of two runs on one table one works, the other stands back; a dead run's claim ends by itself."""

from __future__ import annotations

import msgspec
import pytest
from freezegun import freeze_time
from support.waiting import wait_for

from lakehouse.aws import Aws
from lakehouse.errors import RunningElsewhereError
from lakehouse.promotion.runclaim import RunClaim, claim_key, run_claim

NOW = 1_767_225_600.0


def body(aws: Aws, table: str) -> bytes | None:
    s3 = aws.client("s3")
    try:
        answer = s3.get_object(Bucket=aws.bucket("verdicts"), Key=claim_key(table))
    except s3.exceptions.NoSuchKey:
        return None
    found: bytes = answer["Body"].read()
    return found


def test_the_second_run_is_told_who_works(aws: Aws) -> None:
    with run_claim(aws, "silver", "one", "run-1", clock=lambda: NOW):
        with (
            pytest.raises(RunningElsewhereError, match="run run-1 works on it"),
            run_claim(aws, "silver", "one", "run-2", clock=lambda: NOW),
        ):
            pytest.fail("two runs hold one claim")
        with run_claim(aws, "gold", "one", "run-2", clock=lambda: NOW):
            pass
    assert body(aws, "silver.one") is None
    with run_claim(aws, "silver", "one", "run-2", clock=lambda: NOW):
        pass


def test_a_claim_that_a_dead_run_left_is_taken_over(aws: Aws) -> None:
    dead = run_claim(aws, "silver", "two", "dead", clock=lambda: NOW)
    dead.__enter__()
    later = NOW + 300
    with run_claim(aws, "silver", "two", "heir", clock=lambda: later):
        taken = body(aws, "silver.two")
        assert taken is not None
        assert b"heir" in taken
        # It comes back to life and ends: the claim is no longer its to release.
        dead.__exit__(None, None, None)
        assert body(aws, "silver.two") == taken


def test_a_run_that_lasts_renews_its_claim(aws: Aws) -> None:
    life = 0.2
    with run_claim(aws, "silver", "three", "run", life=life):
        first = body(aws, "silver.three")
        wait_for(lambda: body(aws, "silver.three") != first, 10)


def test_a_run_that_fails_releases_its_claim(aws: Aws) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        run_claim(aws, "silver", "four", "run", clock=lambda: NOW),
    ):
        raise ZeroDivisionError
    assert body(aws, "silver.four") is None


def test_a_clock_that_soda_freezes_is_not_the_claims(aws: Aws) -> None:
    with run_claim(aws, "silver", "five", "run", life=0.2):
        with freeze_time("2013-01-01"):
            first = body(aws, "silver.five")
            wait_for(lambda: body(aws, "silver.five") != first, 10)
        found = body(aws, "silver.five")
    assert found is not None
    assert msgspec.json.decode(found, type=RunClaim).until > NOW

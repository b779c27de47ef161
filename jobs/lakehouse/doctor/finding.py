"""What the doctor finds, and how a check is carried out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, Literal

import msgspec

from lakehouse.doctor.account import (
    Account,
    DeniedError,
    LackingError,
    NoCredentialsError,
    RefusedError,
    UnreachableError,
)
from lakehouse.doctor.need import Need

Level = Literal["ok", "warn", "fail", "not asked"]
WORST_FIRST: Final[tuple[Level, ...]] = ("fail", "warn", "not asked", "ok")


class Finding(msgspec.Struct, frozen=True):
    """One thing about an account; whatever is not ``ok`` comes with one mend."""

    check: str
    level: Level
    said: str
    mend: str = ""


class Check(msgspec.Struct, frozen=True):
    """A question to an account about one thing, and whether a stack has it asked."""

    name: str
    ask: Callable[[Account, Need], Iterator[Finding]]
    asked: Callable[[Need], bool] = lambda _: True


def examine(account: Account, need: Need, checks: Sequence[Check]) -> list[Finding]:
    """All findings, in the order of the checks; without credentials nothing more is asked."""
    found: list[Finding] = []
    for check in checks:
        if not check.asked(need):
            continue
        try:
            found += _carried_out(check, account, need)
        except NoCredentialsError as error:
            return [*found, _no_credentials(check.name, error)]
    return found


def _carried_out(check: Check, account: Account, need: Need) -> Iterable[Finding]:
    """What a check finds, also where its call is not answered."""
    found: list[Finding] = []
    try:
        for finding in check.ask(account, need):
            found.append(finding)  # noqa: PERF402 - what was found before an error counts
    except DeniedError as error:
        found.append(denied(check.name, error))
    except LackingError as error:
        found.append(Finding(check.name, "not asked", str(error), "ask it of AWS itself"))
    except UnreachableError as error:
        found.append(
            Finding(
                check.name,
                "fail",
                str(error),
                f"take another region than {account.region}, or mend the network",
            )
        )
    except RefusedError as error:
        found.append(
            Finding(check.name, "warn", str(error), f"ask {error.action} by hand, then run again")
        )
    return found


def denied(check: str, error: DeniedError) -> Finding:
    """Nobody knows: the caller may not ask."""
    return Finding(
        check,
        "warn",
        f"may not be asked ({error.code})",
        f"allow {error.action} to whoever deploys, or have it asked by somebody who may",
    )


def _no_credentials(check: str, error: NoCredentialsError) -> Finding:
    return Finding(
        check,
        "fail",
        f"no credentials that AWS takes: {error}",
        "log in ('aws sso login', or AWS_PROFILE) and run again; nothing else was asked",
    )


def failed(findings: Iterable[Finding]) -> bool:
    """Whether a deployment would fail or do harm."""
    return any(finding.level == "fail" for finding in findings)

"""Steps and the order in which they are carried out: each noted, none in the way of the others."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Generic, NamedTuple, TypeVar

from acceptance.evidence import Evidence, Outcome, StepEvidence
from lakehouse.errors import InputError, LakehouseError

S = TypeVar("S")


class AcceptanceError(LakehouseError):
    """Something that has to hold does not."""


class NotAskedError(Exception):
    """A step has nobody to ask here; why is the message. It counts as neither passed nor failed."""


class Answer(NamedTuple):
    """What a step has seen: in one line, and in figures."""

    said: str
    facts: Mapping[str, Any] = {}


class Step(NamedTuple, Generic[S]):
    """One thing to accept."""

    name: str
    asked: str
    """What has to hold."""
    do: Callable[[S], Answer]
    """Sees to it; raises LakehouseError where it does not hold, NotAskedError where nobody
    answers."""
    needs: tuple[str, ...] = ()
    """Steps that have to have passed."""


def select(
    steps: Sequence[Step[S]], only: Collection[str], without: Collection[str]
) -> list[Step[S]]:
    """The steps that are asked for with all that they need, in their order.

    InputError for a name that is no step's, and for one that is left out although needed.
    """
    known = {step.name: step for step in steps}
    for name in (*only, *without):
        if name not in known:
            raise InputError(f"no step {name!r}; expected some of {', '.join(known)}")
    wanted = set(only) or set(known) - set(without)
    for step in reversed(steps):
        if step.name in wanted:
            wanted.update(step.needs)
    for step in steps:
        if step.name in wanted and step.name in without:
            needing = next(s.name for s in steps if s.name in wanted and step.name in s.needs)
            raise InputError(f"{needing} needs {step.name}; leave out both, or neither")
    return [step for step in steps if step.name in wanted]


def carry_out(
    steps: Iterable[Step[S]],
    state: S,
    evidence: Evidence,
    noted: Callable[[StepEvidence], None],
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> None:
    """Carry out the steps, noting each before and after.

    One that fails stops those that need it and no other. KeyboardInterrupt is noted and goes on.
    """
    by_name = {line.name: line for line in evidence.steps}
    for step in steps:
        line = by_name[step.name]
        missing = [need for need in step.needs if by_name[need].outcome != "passed"]
        if missing:
            line.said = f"needs {', '.join(missing)}"
            noted(line)
            continue
        line.began, line.outcome = clock(), "under way"
        noted(line)
        try:
            _note(line, "passed", *step.do(state))
        except NotAskedError as error:
            _note(line, "not asked", str(error))
        except KeyboardInterrupt:
            _note(line, "interrupted", "interrupted by hand")
            raise
        except LakehouseError as error:
            _note(line, "failed", str(error), getattr(error, "facts", {}))
        except Exception as error:  # noqa: BLE001 - AWS's own errors and bugs concern one step too
            _note(line, "failed", f"{type(error).__name__}: {error}")
        finally:
            line.ended = clock()
            noted(line)


def _note(
    line: StepEvidence, outcome: Outcome, said: str, facts: Mapping[str, Any] | None = None
) -> None:
    line.outcome, line.said, line.facts = outcome, " ".join(said.split()), facts or {}

"""What an input's publications say of the way from one of its snapshots to another."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Operation

from lakehouse.marts.changes import Changed, Unknown, pin, since
from lakehouse.promotion.progress import Publication, State, Touched

APRIL = Touched("at", (("2024-04-01", "2024-04-03"),))
MAY = Touched("at", (("2024-05-01", "2024-05-02"),))


def publication(
    snapshot: int, base: int | None, touched: Touched | None, **more: Any
) -> Publication:
    return Publication(
        number=snapshot,
        snapshot_id=snapshot,
        base=base,
        at="",
        verdict="",
        run_id="",
        code="",
        contract_version="",
        touched=touched,
        **more,
    )


def state(head: int | None, *publications: Publication) -> State:
    return State(
        uuid="",
        base=head,
        promoted=0,
        set_aside=(),
        held=None,
        taken_in=(),
        publications=publications,
        inputs={},
        select="",
        gated="",
    )


def table(**snapshots: tuple[int | None, Operation]) -> Table:
    """Snapshots that have not expired: ``s2=(1, Operation.APPEND)`` is 2 with the parent 1."""
    found = {
        int(name[1:]): SimpleNamespace(
            parent_snapshot_id=parent, summary=SimpleNamespace(operation=operation)
        )
        for name, (parent, operation) in snapshots.items()
    }
    return cast(Table, SimpleNamespace(metadata=SimpleNamespace(snapshot_by_id=found.get)))


ALL = table(
    s1=(None, Operation.APPEND),
    s2=(1, Operation.APPEND),
    s3=(2, Operation.OVERWRITE),
    s4=(3, Operation.REPLACE),
)
PUBLISHED = (publication(1, None, None), publication(2, 1, APRIL), publication(3, 2, MAY))


def test_the_days_of_all_publications_since_are_put_together() -> None:
    now = state(3, *PUBLISHED)
    assert since("t", ALL, now, 1, 3) == Changed("t", 1, 3, (APRIL, MAY))
    assert since("t", ALL, now, 2, 3) == Changed("t", 2, 3, (MAY,))
    assert since("t", ALL, now, 3, 3) is None


def test_a_compacted_table_is_read_as_it_was_published() -> None:
    now = state(4, *PUBLISHED)
    assert pin(ALL, now) == 3
    assert since("t", ALL, now, 3, 4) is None
    assert since("t", ALL, now, 4, 3) is None
    assert since("t", ALL, now, 2, 4) == Changed("t", 2, 4, (MAY,))


def test_once_what_was_published_has_expired_the_compacted_one_stands_for_it() -> None:
    left = table(s4=(3, Operation.REPLACE), s5=(4, Operation.APPEND))
    assert pin(left, state(4, *PUBLISHED)) == 4
    now = state(5, *PUBLISHED, publication(5, 4, APRIL))
    assert since("t", left, now, 4, 5) == Changed("t", 4, 5, (APRIL,))
    assert since("t", left, now, 2, 5) == Changed("t", 2, 5, (MAY, APRIL))


@pytest.mark.parametrize(
    ("now", "snapshots", "told"),
    [
        (state(3, *PUBLISHED[1:]), (1, 3), "no longer on record"),
        (state(1, *PUBLISHED), (2, 1), "set back"),
        (state(3, *PUBLISHED[:2]), (2, 3), "not published by a gate"),
        (state(3, *PUBLISHED[:2], publication(3, 2, None)), (2, 3), "publication 3 does not say"),
        (
            state(3, *PUBLISHED[:2], publication(3, 2, MAY, rebuilt=True)),
            (2, 3),
            "publication 3 does not say",
        ),
        (state(3, *PUBLISHED[:2], publication(3, 1, MAY)), (2, 3), "not made from the one before"),
        (state(3, PUBLISHED[0], PUBLISHED[2]), (1, 3), "not made from the one before"),
    ],
)
def test_a_gap_on_the_way_is_told(now: State, snapshots: tuple[int, int], told: str) -> None:
    found = since("silver.t", ALL, now, *snapshots)
    assert isinstance(found, Unknown)
    assert told in str(found)


def test_a_table_without_rows_or_publications_is_read_as_it_is() -> None:
    assert pin(ALL, state(3)) == 3
    nothing = state(0)
    assert (
        pin(ALL, cast(State, SimpleNamespace(base=None, publications=nothing.publications))) is None
    )

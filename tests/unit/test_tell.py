"""What is told of a promotion that is over, or of a hold that is found again."""

from __future__ import annotations

from typing import Any, cast

import pytest

from lakehouse.contracts.model import Contracts
from lakehouse.errors import GateError, InputError
from lakehouse.metrics import Metrics
from lakehouse.reporting.tell import telling_holds


class Said:
    def __init__(self) -> None:
        self.told: list[tuple[str, bool, bool]] = []

    def promotion(self, dataset: str, *, published: bool, held: bool) -> None:
        self.told.append((dataset, published, held))


@pytest.mark.parametrize(
    ("error", "told"),
    [(GateError("held since"), [("flights", False, True)]), (InputError("else"), [])],
)
def test_a_hold_is_told_each_time_that_it_is_found(
    contracts: Contracts, error: Exception, told: list[Any]
) -> None:
    said = Said()
    with (
        pytest.raises(type(error)),
        telling_holds(contracts["flights"], cast("Metrics", said)),
    ):
        raise error
    assert said.told == told


def test_where_nothing_is_held_nothing_is_told(contracts: Contracts) -> None:
    said = Said()
    with telling_holds(contracts["flights"], cast("Metrics", said)):
        pass
    assert said.told == []

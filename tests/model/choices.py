"""Where the decisions of a schedule come from: Hypothesis, which makes them short, or a seed."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random


class Choices:
    """One decision after the other. The first alternative is the dullest: shrinking ends there."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def below(self, count: int) -> int:
        """A number from 0 up to, not including, ``count``."""
        return self._random.randrange(count) if count > 1 else 0


def weighted(choices: Choices, weights: Sequence[int]) -> int:
    """The index of one weight, the heavier the likelier."""
    at = choices.below(sum(weights))
    for index, weight in enumerate(weights):
        if at < weight:
            return index
        at -= weight
    raise AssertionError("unreachable: the number is below the sum")

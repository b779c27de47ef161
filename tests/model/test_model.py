"""The ingestion protocol, its real code, in every interleaving that the budget allows.

``nox -s model`` goes on for longer. A failure prints the shortest schedule that shows it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from model.budget import bounded, search
from model.choices import Choices
from model.schedule import Schedule
from model.scheduler import Violation
from model.variants import VARIANTS, Variant

_SEEDS = 1500
"""Schedules within which each broken variant is found; most take less than ten."""


@pytest.fixture(autouse=True, scope="module")
def _bounded() -> Iterator[None]:
    with bounded():
        yield


@search(examples=250, derandomize=True)
@given(st.randoms())
def test_no_interleaving_loses_repeats_or_reorders(random: Random) -> None:
    Schedule(Choices(random)).run()


def run_until_broken(variant: Variant) -> None:
    for seed in range(_SEEDS):
        Schedule(Choices(Random(seed)), variant.deployment, variant.emphasis).run()


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=list(VARIANTS))
def test_a_broken_protocol_is_found_out(variant: Variant) -> None:
    with variant.applied(), pytest.raises(Violation) as found:
        run_until_broken(variant)
    assert re.search(variant.found, str(found.value).partition("\n")[0]), str(found.value)

from __future__ import annotations

import pytest
from support import mistakes_around, mistakes_data, mistakes_jobs
from support.estategraph import everything, graph, provider
from support.planting import Plant
from support.rendered import STACKS, account, estate

from policies.rules import RULES, findings

MISTAKES = {**mistakes_around.MISTAKES, **mistakes_data.MISTAKES, **mistakes_jobs.MISTAKES}
"""Under each rule, what it has to find."""
BY_NAME = {rule.name: rule for rule in RULES}


@pytest.mark.parametrize("stack", STACKS)
def test_no_rule_finds_anything_in_a_stack(stack: str) -> None:
    assert findings(graph([*estate(stack), provider(stack)])) == []


def test_no_rule_finds_anything_in_the_account_or_where_everything_is_on() -> None:
    assert findings(graph(account())) == []
    assert findings(graph(everything())) == []


@pytest.mark.parametrize(
    ("rule", "plant"), [(rule, plant) for rule, found in MISTAKES.items() for plant in found]
)
def test_a_planted_mistake_is_found_by_its_rule(rule: str, plant: Plant) -> None:
    verdict = BY_NAME[rule](graph(plant(everything())))

    assert verdict.findings
    assert verdict.undecided == []
    assert all("; " in found.message for found in verdict.findings), "what is wrong; how to mend it"


def test_every_rule_has_a_mistake_that_it_catches() -> None:
    assert set(MISTAKES) == set(BY_NAME)
    assert len(BY_NAME) == len(RULES)

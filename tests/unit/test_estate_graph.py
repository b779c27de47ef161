from __future__ import annotations

import pytest
from support import mistakes_around, mistakes_data, mistakes_jobs
from support.estategraph import everything, graph, properties, provider
from support.planting import Plant
from support.rendered import STACKS, account, estate

from policies.graph import Graph, Resource
from policies.rules import RULES, findings
from policies.values import UndecidedError, Unknown, Values

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


def test_no_value_that_is_not_known_yet_is_taken_for_a_mistake() -> None:
    given = [(r, properties(r)) for r in everything()]
    for kind, key in sorted({(r.type, key) for r, values in given for key in values}):
        unknown = Graph(
            Resource(
                r.type,
                r.name,
                Values(values | {key: Unknown(key)} if r.type == kind else values),
                r.protect,
                r.retain,
            )
            for r, values in given
        )
        assert findings(unknown) == [], f"{key} of {kind} is not known"


def test_what_is_given_is_known_although_its_value_is_not() -> None:
    values = Values({"actions": [Unknown("actions.0")], "none": [], "said": ""})

    assert len(values["actions"]) == 1
    assert list(values) == ["actions"]
    with pytest.raises(UndecidedError, match=r"actions\.0 is not known"):
        list(values["actions"])


def test_every_rule_has_a_mistake_that_it_catches() -> None:
    assert set(MISTAKES) == set(BY_NAME)
    assert len(BY_NAME) == len(RULES)

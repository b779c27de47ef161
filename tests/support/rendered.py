"""The stacks as the program declares them, each rendered once a run, and ways to look into them."""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from localaws.apply import Recorded, render

ROOT = Path(__file__).parents[2]
CONTRACTS = ROOT / "quality" / "contracts"
STACKS = ("local", "dev", "staging", "prod")


@functools.cache
def _rendered(stack: str) -> tuple[Recorded, ...]:
    return tuple(render(stack, CONTRACTS))


def estate(stack: str) -> list[Recorded]:
    """All resources of a stack, the caller's own to change."""
    return copy.deepcopy(list(_rendered(stack)))


def of(resources: Sequence[Recorded], kind: str) -> dict[str, Recorded]:
    """The resources of a type such as ``Bucket``, by name."""
    return {r.name: r for r in resources if r.type.endswith(f":{kind}")}


def names(resources: Sequence[Recorded]) -> set[tuple[str, str]]:
    """Type and name of each."""
    return {(r.type, r.name) for r in resources}


def strings(value: object) -> Iterator[str]:
    """Every text in a value, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from strings(item)


def planted(resources: Sequence[Recorded], kind: str, name: str, /, **wrong: Any) -> list[Recorded]:
    """The resources with other inputs in one of them; None takes an input away."""
    assert name in of(resources, kind), f"no {kind} {name!r} to plant a mistake in"
    return [
        replace(r, inputs={k: v for k, v in {**r.inputs, **wrong}.items() if v is not None})
        if r.type.endswith(f":{kind}") and r.name == name
        else r
        for r in resources
    ]

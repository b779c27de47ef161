"""Ways to plant a mistake in a stack's resources."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from support.rendered import changed, of, planted

from localaws.apply import Recorded

Plant = Callable[[list[Recorded]], list[Recorded]]


def without(kind: str, name: str) -> Plant:
    """The resource is not there."""

    def plant(found: list[Recorded]) -> list[Recorded]:
        gone = of(found, kind)[name]
        return [r for r in found if r is not gone]

    return plant


def without_all(kind: str) -> Plant:
    """No resource of the type is there."""
    return lambda found: [r for r in found if not r.type.endswith(f":{kind}")]


def statement(kind: str, name: str, sid: str, /, part: str = "policy", **wrong: Any) -> Plant:
    """Other parts of a statement of a policy; without any the statement is taken away."""

    def plant(found: list[Recorded]) -> list[Recorded]:
        policy = json.loads(of(found, kind)[name].inputs[part])
        assert sid in {s.get("Sid", "") for s in policy["Statement"]}, policy
        policy["Statement"] = [
            s if s.get("Sid", "") != sid else s | wrong
            for s in policy["Statement"]
            if s.get("Sid", "") != sid or wrong
        ]
        return planted(found, kind, name, **{part: json.dumps(policy)})

    return plant


def inputs(kind: str, name: str, /, **wrong: Any) -> Plant:
    """Other inputs; None takes one away."""
    return lambda found: planted(found, kind, name, **wrong)


def at(kind: str, name: str, path: str, wrong: Any) -> Plant:
    """Another value deep in the inputs."""
    return lambda found: changed(found, kind, name, path, wrong)


def another(kind: str, name: str, type_: str) -> Plant:
    """One more resource, of another type."""
    return lambda found: [*found, replace(of(found, kind)[name], type=type_)]


def more(type_: str, **given: Any) -> Plant:
    """One more resource."""
    added = Recorded(type_, "more", given, "", protect=False, retain=False)
    return lambda found: [*found, added]


def options(kind: str, name: str, /, **wrong: bool) -> Plant:
    """Other options of a resource."""

    def plant(found: list[Recorded]) -> list[Recorded]:
        meant = of(found, kind)[name]
        return [replace(r, **wrong) if r is meant else r for r in found]

    return plant

"""The stacks as the program declares them, each rendered once a run, and ways to look into them."""

from __future__ import annotations

import copy
import functools
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from localaws.apply import Recorded, render, render_program

ROOT = Path(__file__).parents[2]
CONTRACTS = ROOT / "quality" / "contracts"
ACCOUNT = ROOT / "platform" / "account"
ACCOUNT_PROJECT = "lakehouse-account"
KEY = f"{ACCOUNT_PROJECT}:account"
DEPLOYER = "arn:aws:iam::123456789012:role/deployer"
STACKS = ("local", "dev", "staging", "prod")


@functools.cache
def _rendered(stack: str) -> tuple[Recorded, ...]:
    return tuple(render(stack, CONTRACTS))


def estate(stack: str) -> list[Recorded]:
    """All resources of a stack, the caller's own to change."""
    return copy.deepcopy(list(_rendered(stack)))


def account(**settings: Any) -> list[Recorded]:
    """The project of what an account has once, with one administrator unless told otherwise."""
    wanted = {"lake_administrators": [DEPLOYER]} | settings
    return render_program(ACCOUNT / "__main__.py", ACCOUNT_PROJECT, "dev", {KEY: wanted})


def of(resources: Sequence[Recorded], kind: str) -> dict[str, Recorded]:
    """The resources of a type such as ``Bucket``, by name."""
    return {r.name: r for r in resources if r.type.endswith(f":{kind}")}


def names(resources: Sequence[Recorded]) -> set[tuple[str, str]]:
    """Type and name of each."""
    return {(r.type, r.name) for r in resources}


def planted(resources: Sequence[Recorded], kind: str, name: str, /, **wrong: Any) -> list[Recorded]:
    """The resources with other inputs in one of them; None takes an input away."""
    assert name in of(resources, kind), f"no {kind} {name!r} to plant a mistake in"
    return [
        replace(r, inputs={k: v for k, v in {**r.inputs, **wrong}.items() if v is not None})
        if r.type.endswith(f":{kind}") and r.name == name
        else r
        for r in resources
    ]


def put(value: Any, path: str, wrong: Any) -> Any:
    """The value with another one at a path such as ``rules.0.status``; None takes it away."""
    first, _, rest = path.partition(".")
    key: Any = int(first) if first.isdigit() else first
    copied: Any = list(value) if isinstance(value, list) else dict(value)
    if rest:
        copied[key] = put(copied[key], rest, wrong)
    elif wrong is None:
        del copied[key]
    else:
        copied[key] = wrong
    return copied


def changed(
    resources: Sequence[Recorded], kind: str, name: str, path: str, wrong: Any
) -> list[Recorded]:
    """The resources with another value deep in one of them."""
    first, _, rest = path.partition(".")
    inputs = of(resources, kind)[name].inputs
    return planted(
        resources, kind, name, **{first: put(inputs[first], rest, wrong) if rest else wrong}
    )


RADAR = """\
apiVersion: v3.1.0
kind: DataContract
id: radar
version: 1.0.0
status: active
team: {name: air-traffic}
slaProperties:
  - {property: freshness, value: 2, unit: h}
customProperties:
  - {property: source, value: stream}
  - {property: group, value: GROUP}
  - {property: format, value: {type: avro}}
schema:
  - name: radar
    properties:
      - {name: plot, logicalType: string, primaryKey: true}
      - {name: seen, logicalType: timestamp, required: true}
"""


def with_radar(stack: str, group: str, folder: Path) -> list[Recorded]:
    """A stack with one more contract, of a stream whose records name their schemas."""
    return with_contracts(stack, folder, radar=RADAR.replace("GROUP", group))


def with_contracts(stack: str, folder: Path, **texts: str) -> list[Recorded]:
    """A stack with more contracts, their texts by dataset."""
    copied = folder / "contracts"
    shutil.copytree(CONTRACTS, copied)
    for dataset, text in texts.items():
        (copied / f"{dataset}.yaml").write_text(text, encoding="utf-8")
    return render(stack, copied)


def with_many(stack: str, count: int, group: int, folder: Path) -> list[Recorded]:
    """A stack of that many streams and nothing else, so many of them in each group."""
    for number in range(count):
        name = f"radar{number:03}"
        text = RADAR.replace("radar", name).replace("GROUP", f"group{number // group:02}")
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return render(stack, folder)


_SOURCES: Final = (("stream", 40), ("files", 25), ("pull", 15), ("mart", 20))
_PULL: Final = """\
  - property: pull
    value: {connection: radar_api, path: /plots, parameters: {day: '{period}'}, every: day}
"""


def with_hundred(stack: str, folder: Path) -> list[Recorded]:
    """A stack of 100 contracts: 40 streams in three groups, 25 file drops, 15 pulls, 20 marts.

    Names have 14 to 16 characters, as those of real datasets do.
    """
    (folder / "marts").mkdir()
    for source, count in _SOURCES:
        for number in range(count):
            name = f"plots_{source}_{number:03}"
            text = RADAR.replace("radar", name).replace("value: stream", f"value: {source}")
            group = "  - {property: group, value: GROUP}\n"
            kept = group.replace("GROUP", f"coast{number // 15}") if source == "stream" else ""
            text = text.replace(group, kept)
            if source in ("files", "pull"):
                text = text.replace("{type: avro}", "{type: json}")
            if source == "pull":
                text = text.replace("schema:\n", f"{_PULL}schema:\n")
            if source == "mart":
                text = text.replace("  - {property: format, value: {type: avro}}\n", "")
                select = "SELECT plot, seen FROM silver.plots_stream_000"
                (folder / "marts" / f"{name}.sql").write_text(select, encoding="utf-8")
            (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return render(stack, folder)

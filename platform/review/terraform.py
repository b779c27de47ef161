"""A stack as Terraform JSON, in which resources refer to each other, for tools that read Terraform.

``types.yaml`` has Terraform's name of each type, ``provider.json`` what Terraform's provider (6.25)
takes for a type: its ``arguments``, nested ``blocks``, and ``maps``, whose keys are the user's own.
"""

from __future__ import annotations

import functools
import importlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from pulumi._types import resource_types

from lakehouse.errors import EstateError
from localaws.apply import ROOT, Recorded, render, render_program
from localaws.golden import STACKS as ESTATES

HERE: Final = Path(__file__).parent
TYPES: Final = HERE / "types.yaml"
PROVIDER: Final = HERE / "provider.json"
_WORD: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_CONTENT: Final = "<content>"
_ACCOUNT: Final = ROOT / "platform" / "account"
STACKS: Final = (*ESTATES, "account")
"""The estate's, and what an account has once, as the example that is kept configures it."""


@dataclass(frozen=True)
class Takes:
    """What Terraform's provider takes for a type, however deep it stands."""

    arguments: frozenset[str]
    blocks: frozenset[str]
    maps: frozenset[str]
    renamed: Mapping[str, str]

    def name(self, given: str) -> str:
        """Terraform's name of a property: Pulumi names what stands several times in the plural."""
        snake = self.renamed.get(given) or _snake(given)
        for name in (snake, snake.removesuffix("s"), snake.removesuffix("es"), f"{snake[:-3]}y"):
            if name in self.arguments or name in self.blocks or name in self.maps:
                return name
        raise KeyError(given)


def rendered(stack: str, contracts: Path) -> list[Recorded]:
    """What the program declares for a stack; what it takes of another resource is a reference."""
    if stack != "account":
        return render(stack, contracts, make=references)
    text = (_ACCOUNT / "Pulumi.dev.yaml").read_text(encoding="utf-8")
    config = yaml.safe_load(text)["config"]
    return render_program(_ACCOUNT / "__main__.py", "lakehouse-account", "dev", config, references)


def references(kind: str, name: str, inputs: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """A resource's id and its text outputs, as Terraform refers to them."""
    del inputs
    where = address(kind, name)
    renamed = _table()["names"].get(terraform_type(kind), {})
    texts = (output for output, type_ in _outputs(kind).items() if type_ is str)
    return f"${{{where}.id}}", {
        output: f"${{{where}.{renamed.get(output) or _snake(output)}}}" for output in texts
    }


def address(kind: str, name: str) -> str:
    """Where a resource stands in Terraform, such as ``aws_s3_bucket.landing``."""
    return f"{terraform_type(kind)}.{_label(name)}"


def terraform_type(kind: str) -> str:
    """Terraform's name of a type; EstateError if it stands in no table."""
    if kind not in terraform_types():
        raise EstateError(
            f"Terraform's name of {kind} is not known; add it to {TYPES.name}, below 'checked', or "
            "below 'unchecked' if checkov has no policy for it"
        )
    return terraform_types()[kind]


def unchecked() -> frozenset[str]:
    """Terraform's types for which checkov has no policy."""
    return frozenset(_table()["unchecked"].values())


def document(resources: Sequence[Recorded]) -> dict[str, Any]:
    """The resources as a Terraform file in JSON."""
    found: dict[str, dict[str, Any]] = {}
    for resource in resources:
        kind, _, label = address(resource.type, resource.name).partition(".")
        if label in found.setdefault(kind, {}):
            raise EstateError(f"two resources are {kind}.{label}; give one of them another name")
        found[kind][label] = arguments(kind, resource.inputs)
    return {"resource": found}


def arguments(kind: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Inputs under Terraform's names; EstateError for one that its provider does not take."""
    if kind not in _provider():
        raise EstateError(
            f"what Terraform's provider takes for {kind} is not known; add the type's arguments, "
            f"blocks and maps from the provider's documentation to {PROVIDER.name}"
        )
    try:
        return _block(_provider()[kind], inputs)
    except KeyError as error:
        raise EstateError(
            f"{kind} takes no {error.args[0]!r}; expected a name in {PROVIDER.name}: add it if the "
            "provider has come to take it"
        ) from None


def write(resources: Sequence[Recorded], folder: Path) -> Path:
    """The resources as the only file of a folder, which is made."""
    folder.mkdir(parents=True)
    path = folder / "main.tf.json"
    path.write_text(json.dumps(document(resources), indent=1), encoding="utf-8")
    return path


def _block(takes: Takes, values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        (name := takes.name(key)): _value(takes, name, value)
        for key, value in values.items()
        if value is not None
    }


def _value(takes: Takes, name: str, value: Any) -> Any:
    if name in takes.maps:
        return value
    if name in takes.blocks:
        several = value if isinstance(value, list | tuple) else [value]
        return [_block(takes, one) for one in several]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return _CONTENT if name == "content_base64" else value


def _snake(name: str) -> str:
    return _WORD.sub("_", name).lower()


def _label(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)


@functools.cache
def _outputs(kind: str) -> Mapping[str, Any]:
    module, _, class_ = kind.removeprefix("aws:").partition("/")
    made = getattr(importlib.import_module(f"pulumi_aws.{module}"), class_.partition(":")[2])
    return resource_types(made)


@functools.cache
def _table() -> dict[str, dict[str, Any]]:
    table: dict[str, dict[str, Any]] = yaml.safe_load(TYPES.read_text(encoding="utf-8"))
    return table


@functools.cache
def terraform_types() -> Mapping[str, str]:
    """Terraform's names by Pulumi's."""
    return _table()["checked"] | _table()["unchecked"]


@functools.cache
def _provider() -> Mapping[str, Takes]:
    read = json.loads(PROVIDER.read_text(encoding="utf-8"))
    return {
        kind: Takes(
            arguments=frozenset(names.get("arguments", "").split()),
            blocks=frozenset(names.get("blocks", "").split()),
            maps=frozenset(names.get("maps", "").split()),
            renamed=_table()["names"].get(kind, {}),
        )
        for kind, names in read.items()
    }

"""The few things that a DAG needs to know of a contract.

The contracts are validated where they are deployed; here their words are only looked up.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml


class Dataset(NamedTuple):
    """A dataset as orchestration sees it."""

    name: str
    owner: str
    source: str
    """``stream``, ``files``, ``pull`` or ``mart``."""
    custom: Mapping[str, Any]
    """The contract's ``customProperties``, as they are written."""

    @property
    def sets_aside(self) -> bool:
        """Whether a load that fails its gate is left out instead of held."""
        return bool((self.custom.get("gate") or {}).get("onFail") == "set-aside")


def read_datasets(*sources: str) -> list[Dataset]:
    """The datasets of these sources, by ``$LAKEHOUSE_CONTRACTS`` or the folder by the DAGs."""
    folder = os.environ.get("LAKEHOUSE_CONTRACTS")
    root = Path(folder) if folder else Path(__file__).parents[1] / "contracts"
    found = [_dataset(yaml.safe_load(path.read_text())) for path in sorted(root.glob("*.yaml"))]
    return [dataset for dataset in found if dataset.source in sources]


def owners(datasets: Sequence[Dataset]) -> str:
    """The owners of datasets, as a DAG shows them."""
    return ", ".join(sorted({dataset.owner for dataset in datasets})) or "lakehouse"


def _dataset(contract: dict[str, Any]) -> Dataset:
    custom = {p["property"]: p["value"] for p in contract["customProperties"]}
    name, owner = contract["schema"][0]["name"], contract["team"]["name"]
    return Dataset(name, owner, custom["source"], custom)

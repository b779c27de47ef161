"""The datasets by which a stack is accepted, beside those that it has."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from lakehouse.contracts.model import Contracts
from lakehouse.contracts.odcs import load_contract, load_contracts

FOLDER: Final = Path(__file__).with_name("contracts")
EVENTS: Final = "smoke_events"
FILES: Final = "smoke_files"
MART: Final = "smoke_counts"

Version = Literal[1, 2]
"""Of these contracts: the second one has a property more, by which an upgrade is seen."""


def datasets(version: Version = 1) -> Contracts:
    """The contracts of the acceptance."""
    contracts = load_contracts(FOLDER)
    if version == 1:
        return contracts
    changed = {c.dataset: c for c in map(load_contract, (FOLDER / str(version)).glob("*.yaml"))}
    return Contracts((changed.get(c.dataset, c) for c in contracts.values()), contracts.origin)


def with_acceptance(contracts: Contracts, version: Version | None) -> Contracts:
    """A stack's contracts and, in a version, those of the acceptance."""
    if version is None:
        return contracts
    return Contracts([*contracts.values(), *datasets(version).values()], contracts.origin)

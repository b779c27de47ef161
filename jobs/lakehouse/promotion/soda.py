"""The Soda contract of a dataset, rendered from its own contract for one table or branch.

Row rules are kept at decoding, so a layer fed by deliveries needs the set-level checks alone; a
mart is made by a SELECT, which nothing has checked, so its row rules become checks here.
Source of the form: Soda's contract language, https://docs.soda.io/data-contracts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import yaml

from lakehouse import naming
from lakehouse.contracts.model import Contract, Field

_DERIVED: Final = "platform"
"""Qualifier that keeps a derived check apart from a check of the same type in the contract."""


def dataset_path(contract: Contract, branch: str) -> str:
    """Soda's name of the contract's table on a branch: catalog, layer, dataset, branch."""
    layer = contract.checked_layer
    return f"{naming.CATALOG}/{layer}/{contract.dataset}/branch_{branch}"


def document(contract: Contract, path: str) -> dict[str, Any]:
    """The Soda contract as a mapping; ``path`` is Soda's name of what is checked."""
    columns = [
        {"name": field.name, "checks": checks}
        for field in contract.fields
        if (checks := [*_column_checks(contract, field), *_own(field.checks)])
    ]
    return {
        "dataset": path,
        "checks": [*_dataset_checks(contract), *_own(contract.checks)],
        **({"columns": columns} if columns else {}),
    }


def render(contract: Contract, path: str) -> str:
    """The Soda contract as YAML, in a stable order."""
    return yaml.safe_dump(document(contract, path), sort_keys=False, allow_unicode=True)


def count(contract: Contract) -> int:
    """How many results a complete verification of the contract has."""
    checks = document(contract, "")
    return len(checks["checks"]) + sum(len(c["checks"]) for c in checks.get("columns", ()))


def _dataset_checks(contract: Contract) -> Iterator[dict[str, Any]]:
    # Every other check passes on no rows at all, so a gate without this one can be empty-handed.
    yield _check("row_count", "has rows", threshold={"must_be_greater_than": 0})
    key = contract.deduplicate.key
    if len(key) > 1:
        yield _check("duplicate", f"unique by {', '.join(key)}", columns=list(key))


def _column_checks(contract: Contract, field: Field) -> Iterator[dict[str, Any]]:
    key = contract.deduplicate.key
    if field.required or field.primary_key or field.name in key:
        yield _check("missing", f"{field.name} is there")
    if field.unique or key == (field.name,):
        yield _check("duplicate", f"{field.name} is unique")
    rules = _row_rules(field) if contract.source == "mart" else {}
    if rules:
        yield _check("invalid", f"{field.name} keeps its rules", **rules)


def _row_rules(field: Field) -> dict[str, Any]:
    rules = {
        "valid_values": list(field.enum) or None,
        "valid_min": field.minimum,
        "valid_max": field.maximum,
        "valid_min_length": field.min_length,
        "valid_max_length": field.max_length,
        "valid_format": {"regex": field.pattern, "name": "pattern"} if field.pattern else None,
    }
    return {name: value for name, value in rules.items() if value is not None}


def _check(kind: str, name: str, **settings: Any) -> dict[str, Any]:
    return {kind: {"name": name, "qualifier": _DERIVED, **settings}}


def _own(checks: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The contract's checks as they stand, told apart where two are of one type."""
    for number, check in enumerate(checks, start=1):
        yield {
            kind: {"qualifier": f"contract_{number}", **(settings or {})}
            for kind, settings in check.items()
        }

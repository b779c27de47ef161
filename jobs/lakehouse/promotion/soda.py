"""The Soda contract of a dataset, rendered from its own contract for one table or branch.

Row rules are kept at decoding, so a layer fed by deliveries needs the set-level checks alone; a
mart is made by a SELECT, which nothing has checked, so its row rules become checks here.
Source of the form: Soda's contract language, https://docs.soda.io/data-contracts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec
import yaml

from lakehouse import naming
from lakehouse.contracts.model import Contract, Field
from lakehouse.promotion.history import unique_key

_DERIVED: Final = "platform"
"""Qualifier that keeps a derived check apart from a check of the same type in the contract."""
_ROW_WISE: Final = frozenset({"missing", "invalid", "failed_rows", "duplicate"})
"""Types whose count of bad rows is that of the rows that changed, where there were none before."""


class Published(msgspec.Struct, frozen=True):
    """What is published now, which drift is measured against."""

    rows: int
    means: Mapping[str, float]
    """By field; a field without a value has none."""


class Rendered(NamedTuple):
    """One check: the column it belongs to, its type and its settings as Soda takes them."""

    column: str | None
    kind: str
    settings: dict[str, Any]

    @property
    def single_rows(self) -> bool:
        """Whether each row keeps or breaks it by itself, whatever the others are."""
        alone = self.kind != "duplicate" and "valid_reference_data" not in self.settings
        return alone and self.row_wise

    @property
    def row_wise(self) -> bool:
        """Whether it holds for a table when it held before and holds where rows changed."""
        threshold = self.settings.get("threshold") or {}
        strict = not set(threshold) - {"must_be", "level"} and threshold.get("must_be", 0) == 0
        return self.kind in _ROW_WISE and strict and "query" not in self.settings


def dataset_path(contract: Contract, branch: str) -> str:
    """Soda's name of the contract's table on a branch: catalog, layer, dataset, branch."""
    layer = contract.checked_layer
    return f"{naming.CATALOG}/{layer}/{contract.dataset}/branch_{branch}"


def checks(contract: Contract, published: Published | None = None) -> list[Rendered]:
    """All checks of a contract in a stable order: the dataset's, then each column's."""
    found = [*_dataset_checks(contract, published)]
    found += _own(None, contract.checks)
    for field in contract.fields:
        found += _column_checks(contract, field, published)
        found += _own(field.name, field.checks)
    return found


def documents(
    contract: Contract,
    path: str,
    *,
    published: Published | None = None,
    live: str = "",
    scope: str = "",
    brought: str = "",
) -> list[str]:
    """The Soda contracts, as YAML, that together hold all checks; ``path`` is what is checked.

    ``live`` is the predicate of the rows that count. With a ``scope``, row-wise checks look at the
    region that it names alone, in a document of their own, and checks of single rows at those that
    were ``brought``: what is published stays out of it, such as rows that a person has approved.
    """
    every = checks(contract, published)
    near = [narrowed(check, brought) for check in every if scope and check.row_wise]
    far = [check for check in every if not (scope and check.row_wise)]
    filters = [" AND ".join(f"({part})" for part in (scope, live) if part), live]
    return [
        yaml.safe_dump(_document(path, where, group), sort_keys=False, allow_unicode=True)
        for group, where in zip((near, far), filters, strict=True)
        if group
    ]


def narrowed(check: Rendered, brought: str) -> Rendered:
    """A check of single rows, of those that were brought alone."""
    if not brought or not check.single_rows:
        return check
    own = check.settings.get("filter")
    where = f"({own}) AND ({brought})" if own else brought
    return check._replace(settings={**check.settings, "filter": where})


def _document(path: str, where: str, group: list[Rendered]) -> dict[str, Any]:
    columns: dict[str, list[dict[str, Any]]] = {}
    for check in group:
        if check.column is not None:
            columns.setdefault(check.column, []).append({check.kind: check.settings})
    rest = [{check.kind: check.settings} for check in group if check.column is None]
    return {
        "dataset": path,
        **({"filter": where} if where else {}),
        **({"checks": rest} if rest else {}),
        # Soda wants the key even where no column has a check.
        "columns": [{"name": name, "checks": own} for name, own in columns.items()],
    }


def _dataset_checks(contract: Contract, published: Published | None) -> Iterator[Rendered]:
    # Every other check passes on no rows at all, so a gate without this one can be empty-handed.
    yield _check(None, "row_count", "has rows", threshold={"must_be_greater_than": 0})
    key = unique_key(contract)
    if len(key) > 1:
        yield _derived(contract, None, "duplicate", f"unique by {', '.join(key)}", columns=[*key])
    drift = contract.gate.drift.rows
    if drift is not None and published is not None:
        limit = _within(contract, published.rows, drift)
        yield _check(
            None, "row_count", "rows against published", qualifier="drift", threshold=limit
        )
    hours, fresh = contract.sla.freshness_hours, contract.sla.freshness_field
    if hours is not None and fresh is not None:
        limit = {
            "unit": "hour",
            "must_be_less_than_or_equal": hours,
            "level": contract.gate.level("freshness"),
        }
        yield _check(None, "freshness", f"{fresh} is fresh", column=fresh, threshold=limit)


def _column_checks(
    contract: Contract, field: Field, published: Published | None
) -> Iterator[Rendered]:
    key = unique_key(contract)
    if field.required or field.primary_key or field.name in key:
        yield _derived(contract, field.name, "missing", f"{field.name} is there")
    if field.unique or key == (field.name,):
        yield _derived(contract, field.name, "duplicate", f"{field.name} is unique")
    rules = _row_rules(field) if contract.source == "mart" else {}
    if rules:
        yield _derived(contract, field.name, "invalid", f"{field.name} keeps its rules", **rules)
    if field.reference is not None:
        target = field.reference
        yield _derived(
            contract,
            field.name,
            "invalid",
            f"{field.name} is in {target.dataset}.{target.field}",
            qualifier="reference",
            valid_reference_data={
                "dataset": f"{naming.CATALOG}/silver/{target.dataset}",
                "column": target.field,
            },
        )
    drift = contract.gate.drift.means.get(field.name)
    mean = published.means.get(field.name) if published else None
    if drift is not None and mean is not None:
        name = f"mean of {field.name} against published"
        limit = _within(contract, mean, drift)
        yield _check(
            field.name, "aggregate", name, qualifier="drift", function="avg", threshold=limit
        )


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


def _derived(
    contract: Contract, where: str | None, kind: str, name: str, **settings: Any
) -> Rendered:
    """A check whose level the contract may lower."""
    if contract.gate.level(kind) == "warn":
        settings["threshold"] = {"must_be": 0, "level": "warn"}
    return _check(where, kind, name, **settings)


def _within(contract: Contract, base: float, share: float) -> dict[str, Any]:
    """A threshold: at most a share of the base away from it."""
    reach = abs(base) * share
    between = {"greater_than_or_equal": base - reach, "less_than_or_equal": base + reach}
    return {"must_be_between": between, "level": contract.gate.level("drift")}


def _check(where: str | None, kind: str, name: str, **settings: Any) -> Rendered:
    return Rendered(where, kind, {"name": name, "qualifier": _DERIVED, **settings})


def _own(column: str | None, given: tuple[Mapping[str, Any], ...]) -> Iterator[Rendered]:
    """The contract's checks as they stand, told apart where two are of one type."""
    for number, check in enumerate(given, start=1):
        for kind, settings in check.items():
            name = f"{kind} {number} of the contract"
            own = {"qualifier": f"contract_{number}", "name": name, **(settings or {})}
            yield Rendered(column, kind, own)

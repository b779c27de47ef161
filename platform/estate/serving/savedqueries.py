"""Queries that stand ready in the workgroups: one SQL file each in ``serving/queries``.

The first line says what a query tells, the second for whom it is, such as ``-- for: engineer``.
With a third line such as ``-- each: bronze`` it is made for each dataset that has a table in that
layer, in the place of ``${layer}``, ``${dataset}`` and ``${event_time}``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Final

import pulumi
import pulumi_aws as aws

from estate.access.audiencepolicies import AUDIENCES, Audience
from lakehouse.contracts.model import Contract, Contracts
from lakehouse.errors import EstateError
from lakehouse.naming import LAYERS

QUERIES: Final = Path(__file__).parent / "queries"
_HEAD: Final = re.compile(
    r"-- (?P<description>[^\n]+)\n-- for: (?P<audiences>[^\n]+)\n(?:-- each: (?P<each>[^\n]+)\n)?"
    r"(?P<sql>[^-].*)",
    re.DOTALL,
)
_TABLE: Final = re.compile(r'\b(bronze|silver|gold|governance)\."?([a-z0-9_]+)')


@dataclass(frozen=True)
class SavedQuery:
    """A query with its description as its first line."""

    name: str
    audiences: tuple[Audience, ...]
    description: str
    sql: str

    @property
    def database(self) -> str:
        """The database of the first table that it reads."""
        return next(self._tables())[0]

    def answers(self, contracts: Contracts) -> bool:
        """Whether all tables of layers that it reads are of datasets with a contract."""
        there = {(layer, c.dataset) for c in contracts.values() for layer in c.layers}
        return all(table in there for table in self._tables() if table[0] in LAYERS)

    def _tables(self) -> Iterator[tuple[str, str]]:
        for found in _TABLE.finditer(self.sql):
            yield found[1], found[2]


def saved_queries(contracts: Contracts, folder: Path = QUERIES) -> list[SavedQuery]:
    """The queries that the contracts' tables answer; EstateError for a file without its head."""
    return [
        query
        for path in sorted(folder.glob("*.sql"))
        for query in _read(path, contracts)
        if query.answers(contracts)
    ]


def _read(path: Path, contracts: Contracts) -> Iterator[SavedQuery]:
    head = _HEAD.fullmatch(path.read_text(encoding="utf-8"))
    audiences = tuple(a for a in AUDIENCES if head and a in head["audiences"].split(", "))
    if head is None or audiences != tuple(head["audiences"].split(", ")):
        raise EstateError(
            f"{path.name} begins otherwise than a saved query; expected a line '-- what it tells', "
            f"then '-- for: ' with some of {', '.join(AUDIENCES)} in this order, "
            "then the query or '-- each: ' with layers"
        )
    layers = head["each"].split(", ") if head["each"] else []
    meant: list[tuple[str, Mapping[str, str]]] = [
        (f"{path.stem} {contract.dataset}", _words(contract, layer))
        for contract in contracts.values()
        for layer in contract.layers
        if layer in layers
    ]
    for name, words in meant if layers else [(path.stem, {})]:
        description, sql = (
            Template(head[part].strip()).safe_substitute(words) for part in ("description", "sql")
        )
        if "${" not in sql:
            text = f"-- {description}\n{sql}\n"
            yield SavedQuery(name, audiences, description, text)


def _words(contract: Contract, layer: str) -> dict[str, str]:
    """What stands for the placeholders; a query with one that has none is not made."""
    event_time = {"event_time": contract.event_time} if contract.event_time else {}
    return {"dataset": contract.dataset, "layer": layer} | event_time


class SavedQueries(pulumi.ComponentResource):
    """Every query in the workgroup of each of its audiences."""

    def __init__(
        self,
        contracts: Contracts,
        workgroups: Mapping[Audience, pulumi.Output[str]],
    ) -> None:
        super().__init__("lakehouse:estate:SavedQueries", "saved-queries")
        for query in saved_queries(contracts):
            for audience in query.audiences:
                aws.athena.NamedQuery(
                    f"{audience}-{query.name.replace(' ', '-')}",
                    name=query.name,
                    description=query.description,
                    workgroup=workgroups[audience],
                    database=query.database,
                    query=query.sql,
                    opts=pulumi.ResourceOptions(parent=self),
                )
        self.register_outputs({})

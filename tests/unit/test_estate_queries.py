"""The saved queries: whom they are for, what they read, and that they are Athena's SQL."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import sqlglot
from sqlglot import exp
from support.rendered import CONTRACTS, STACKS, estate, of

from estate.access.audiencepolicies import AUDIENCES
from estate.serving.governance import CHECKS
from estate.serving.quarantine import quarantine
from estate.serving.savedqueries import QUERIES, SavedQuery, saved_queries
from lakehouse.contracts.model import Contracts
from lakehouse.contracts.odcs import load_contracts
from lakehouse.errors import EstateError

ALL = saved_queries(load_contracts(CONTRACTS))
RIGHTS = {
    "engineer": {"bronze", "silver", "gold", "governance"},
    "analyst": {"silver", "gold"},
    "auditor": {"governance"},
}
"""Databases that an audience may read."""


def parsed(sql: str) -> exp.Expression:
    (tree,) = sqlglot.parse(sql, read="athena")
    assert isinstance(tree, exp.Query)
    return tree


def tables(sql: str) -> set[str]:
    tree = parsed(sql)
    common = {cte.alias for cte in tree.find_all(exp.CTE)}
    return {
        f"{table.db}.{table.name.partition('$')[0]}"
        for table in tree.find_all(exp.Table)
        if table.name and table.name not in common
    }


def test_every_file_is_a_saved_query_of_the_repositorys_own_contracts() -> None:
    assert {query.name.partition(" ")[0] for query in ALL} == {p.stem for p in QUERIES.iterdir()}
    assert len({p.stem for p in QUERIES.iterdir()}) >= 10
    assert {audience for query in ALL for audience in query.audiences} == set(AUDIENCES)


@pytest.mark.parametrize("query", ALL, ids=lambda query: query.name)
def test_it_reads_tables_and_views_that_there_are_and_its_audience_may_read(
    query: SavedQuery,
) -> None:
    contracts = load_contracts(CONTRACTS)
    known = {f"{layer}.{c.dataset}" for c in contracts.values() for layer in c.layers}
    known |= {
        f"governance.{table.inputs['name']}"
        for table in of(estate("prod"), "CatalogTable").values()
    }

    read = tables(query.sql)
    assert read
    assert read <= known
    assert query.database in {table.partition(".")[0] for table in read}
    for audience in query.audiences:
        assert {table.partition(".")[0] for table in read} <= RIGHTS[audience]
    if "analyst" in query.audiences or "auditor" in query.audiences:
        assert not any("quarantine_" in table for table in read)


@pytest.mark.parametrize("query", ALL, ids=lambda query: query.name)
def test_its_first_line_says_what_it_tells_and_athena_takes_it(query: SavedQuery) -> None:
    first, _, _ = query.sql.partition("\n")
    assert first == f"-- {query.description}"
    assert "${" not in query.sql
    assert len(query.name) <= 128
    assert len(query.description) <= 1024


def test_arrays_of_rows_are_unnested_whole() -> None:
    """Athena takes a row in an array apart into columns, for which one name is too few."""
    for sql in [*(query.sql for query in ALL), CHECKS.select]:
        for unnest in parsed(sql).find_all(exp.Unnest):
            alias = unnest.args["alias"]
            whole = isinstance(unnest.expressions[0], exp.Transform | exp.Anonymous)
            assert whole or len(alias.columns) == 2, sql


@pytest.mark.parametrize("stack", STACKS)
def test_each_stands_in_the_workgroup_of_its_audience(stack: str) -> None:
    found = estate(stack)
    groups = {r.inputs["name"]: audience for audience, r in of(found, "Workgroup").items()}
    made = {
        (groups[r.inputs["workgroup"]], r.inputs["name"], r.inputs["query"])
        for r in of(found, "NamedQuery").values()
    }

    assert made == {(a, query.name, query.sql) for query in ALL for a in query.audiences}


def test_a_query_of_a_dataset_without_contract_is_not_made() -> None:
    flights = load_contracts(CONTRACTS)["flights"]
    alone = Contracts([msgspec.structs.replace(flights, event_time=None)], "here")

    names = {query.name for query in saved_queries(alone)}
    assert "rejects-of-today flights" in names
    assert not names & {"worst-routes", "carriers-on-time", "rows-by-month flights"}


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1\n",
        "-- what it tells\nSELECT 1\n",
        "-- what it tells\n-- for: everybody\nSELECT 1\n",
        "-- what it tells\n-- for: analyst, engineer\nSELECT 1\n",
    ],
)
def test_a_file_without_its_head_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "odd.sql").write_text(text, encoding="utf-8")
    with pytest.raises(EstateError, match=r"odd\.sql begins otherwise than a saved query"):
        saved_queries(load_contracts(CONTRACTS), tmp_path)


def test_the_quarantine_has_the_columns_that_it_declares() -> None:
    view = quarantine("flights")
    tree = parsed(view.select)

    assert isinstance(tree, exp.Query)
    assert tree.named_selects == list(view.columns)
    assert tables(view.select) == {"bronze.flights"}

"""Tables are tagged in the step that makes them: Glue's catalog by the emulator, tags by a
stand-in."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
from support.columntags import ColumnTags

from lakehouse import aws as aws_module
from lakehouse.aws import Aws
from lakehouse.contracts.model import Contracts, Field
from lakehouse.errors import EstateError
from lakehouse.naming import Layer
from lakehouse.tables import ensure_table, load_table


@pytest.fixture
def tags(monkeypatch: pytest.MonkeyPatch) -> ColumnTags:
    found = ColumnTags("pii")
    real = aws_module._client

    def client(service: str, region: str, role: str | None = None) -> object:
        return found if service == "lakeformation" else real(service, region, role)

    monkeypatch.setattr(aws_module, "_client", client)
    return found


@pytest.fixture
def governed(aws: Aws) -> Iterator[Aws]:
    yield msgspec.structs.replace(aws, lake_formation=True)
    for layer in ("bronze", "silver", "gold"):
        for _, name in aws.catalog().list_tables(layer):
            aws.catalog().drop_table((layer, name))


@pytest.mark.parametrize(
    ("dataset", "layer"),
    [("flights", "bronze"), ("flights", "silver"), ("carrier_on_time", "gold")],
)
def test_a_table_is_tagged_before_its_first_row(
    governed: Aws, contracts: Contracts, tags: ColumnTags, dataset: str, layer: Layer
) -> None:
    contract = contracts[dataset]
    seen: list[bool] = []

    def look(database: str, name: str) -> None:
        table = governed.catalog().load_table((database, name))
        seen.append(table.current_snapshot() is None)

    tags.meanwhile = look

    table = ensure_table(governed, contract, layer)

    assert seen == [True]
    tagged = {column for database, name, column in tags.own if (database, name) == (layer, dataset)}
    columns = {field.name for field in table.schema().fields}
    own = {name for name in columns if name.startswith("_")}
    assert tagged == (columns - own if layer == "bronze" else columns)


def test_a_run_that_died_before_tagging_is_made_up_for(
    governed: Aws, contracts: Contracts, tags: ColumnTags
) -> None:
    tags.faults = ["AccessDeniedException"]
    with pytest.raises(EstateError, match="did not tag"):
        ensure_table(governed, contracts["flights"], "silver")
    assert load_table(governed, "silver", "flights") is not None
    assert tags.own == {}

    table = ensure_table(governed, contracts["flights"], "silver")

    assert {column for _, _, column in tags.own} == {f.name for f in table.schema().fields}


def test_a_column_that_is_added_is_tagged_as_well(
    governed: Aws, contracts: Contracts, tags: ColumnTags
) -> None:
    contract = contracts["flights"]
    ensure_table(governed, contract, "silver")
    tags.added.clear()
    pilot = Field(name="pilot", type="string", classification="pii")
    wider = msgspec.structs.replace(contract, fields=(*contract.fields, pilot))

    table = ensure_table(governed, wider, "silver")

    assert "pilot" in {field.name for field in table.schema().fields}
    assert tags.added == [("pii", ("pilot",))]


def test_without_lake_formation_nothing_is_asked_of_it(
    governed: Aws, contracts: Contracts, tags: ColumnTags
) -> None:
    ensure_table(
        msgspec.structs.replace(governed, lake_formation=False), contracts["flights"], "silver"
    )

    assert tags.own == {}

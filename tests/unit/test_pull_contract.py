"""What a contract says of a pull, and what is refused of it at deploy."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import yaml

from lakehouse.contracts.model import Contract, PageCursor, PageLink, PageNumber, PullCursor
from lakehouse.contracts.odcs import parse_contract
from lakehouse.errors import ContractError

PULL: dict[str, Any] = {"connection": "tides_api", "path": "/v1/tides"}


def contract(
    pull: dict[str, Any] | None, source: str = "pull", form: dict[str, Any] | None = None
) -> Contract:
    custom: dict[str, Any] = {"source": source}
    if pull is not None:
        custom["pull"] = pull
    if form is not None:
        custom["format"] = form
    document = {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": "tides",
        "version": "1.0.0",
        "status": "active",
        "team": {"name": "harbour"},
        "customProperties": [{"property": k, "value": v} for k, v in custom.items()],
        "schema": [
            {
                "name": "tides",
                "properties": [{"name": "id", "logicalType": "string", "primaryKey": True}],
            }
        ],
    }
    return parse_contract(yaml.safe_dump(document), "tides.yaml")


def test_a_pull_needs_a_connection_and_a_path_and_nothing_else() -> None:
    pull = contract(PULL).pull
    assert pull is not None
    assert (pull.connection, pull.path, pull.every, pull.look_back) == (
        "tides_api", "/v1/tides", "day", "1d",
    )  # fmt: skip
    assert pull.cursor is None


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"kind": "page", "first": 0}, PageNumber(first=0)),
        ({"kind": "page", "pages": "meta.pages"}, PageNumber(pages="meta.pages")),
        ({"kind": "cursor", "key": "next"}, PageCursor(key="next")),
        ({"kind": "link"}, PageLink()),
        ({"kind": "link", "key": "links.next"}, PageLink(key="links.next")),
    ],
)
def test_pages_follow_each_other_as_the_contract_says(
    given: dict[str, Any], expected: object
) -> None:
    pull = contract(PULL | {"pagination": given}).pull
    assert pull is not None
    assert pull.pagination == expected


def test_an_incremental_pull_goes_on_by_a_field_of_its_records() -> None:
    cursor = {"parameter": "since", "start": "2026-01-01", "field": "changed_at"}
    pull = contract(PULL | {"cursor": cursor}).pull
    assert pull is not None
    assert pull.cursor == PullCursor(**cursor)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"pagination": {"kind": "offset"}}, "'offset'"),
        ({"pagination": {"kind": "page", "key": "x"}}, "unknown field `key`"),
        ({"pathh": "/"}, "did you mean 'path'"),
        ({"lookBack": "a week"}, r"matching regex .* at `\$.pull.lookBack`"),
        ({"maxPages": 0}, r"`int` >= 1 - at `\$.pull.maxPages`"),
        ({"every": "hour"}, "'hour'"),
        ({"path": "v1/tides"}, "expected an absolute path"),
        ({"path": "https://other.example/v1"}, "expected an absolute path"),
        ({"path": "/v1?x=1"}, "what follows a '.' as 'parameters'"),
        ({"connection": "https://a"}, "expected the id of an Airflow connection"),
        (
            {"parameters": {"day": "{date}"}},
            r"pull.day: \{date\} .* \{period\}, \{start\}, \{end\}",
        ),
        ({"parameters": {"day": "{start.year}"}}, r"\{start.year\}"),
        ({"parameters": {"day": "{period:%Y}"}}, r"only \{start\} and \{end\} take a format"),
        ({"parameters": {"day": "{start!r}"}}, r"\{start\}"),
        ({"parameters": {"day": "{start"}}, "write '{{' for a brace"),
        ({"parameters": {"page": "1"}, "pagination": {"kind": "page"}}, "remove it"),
        ({"cursor": {"parameter": "since", "start": ""}}, "either 'field'"),
        ({"cursor": {"parameter": "s", "start": "", "field": "a", "key": "b"}}, "either 'field'"),
        (
            {
                "cursor": {"parameter": "cursor", "start": "", "key": "b"},
                "pagination": {"kind": "cursor"},
            },
            "needs two names",
        ),
    ],
)
def test_what_cannot_be_pulled_is_refused_with_the_place(
    change: dict[str, Any], words: str
) -> None:
    with pytest.raises(ContractError, match=words) as refused:
        contract(PULL | change)
    assert str(refused.value).startswith("tides.yaml: ")


@pytest.mark.parametrize(
    ("change", "form", "words"),
    [
        ({"pagination": {"kind": "cursor"}}, {"type": "csv"}, "'next_cursor' in the answer"),
        ({"pagination": {"kind": "page"}}, {"type": "csv"}, "records of a page"),
        (
            {"cursor": {"parameter": "since", "start": "", "field": "at"}},
            {"type": "parquet"},
            "records of a page",
        ),
        ({}, {"type": "json", "manifest": "*.list"}, "expected one name"),
    ],
)
def test_pages_have_to_be_readable_as_far_as_paging_needs_it(
    change: dict[str, Any], form: dict[str, Any], words: str
) -> None:
    with pytest.raises(ContractError, match=words):
        contract(PULL | change, form=form)


def test_only_a_pull_has_a_pull_and_each_has_one() -> None:
    with pytest.raises(ContractError, match="source 'pull' does not say where it pulls from"):
        contract(None)
    with pytest.raises(ContractError, match="'pull' is given for source 'files'; remove it"):
        contract(PULL, source="files")


def test_pages_of_csv_may_follow_each_other_by_the_header() -> None:
    pull = contract(PULL | {"pagination": {"kind": "link"}}, form={"type": "csv"}).pull
    assert msgspec.to_builtins(pull)["pagination"] == {"kind": "link", "key": None}

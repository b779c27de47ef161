from __future__ import annotations

import msgspec
import pytest
from support.columntags import ColumnTags
from support.rendered import CONTRACTS

from lakehouse.contracts.model import Contract, Deduplicate, Deletes
from lakehouse.contracts.odcs import load_contracts
from lakehouse.errors import EstateError, TransientError
from lakehouse.jobargs import JobArgs
from lakehouse.tables import column_classes
from lakehouse.tagging import UNCLASSIFIED, tag_columns

FLIGHTS = load_contracts(CONTRACTS)["flights"]
CLASSES = {"flight": "public", "delay": "internal", "pilot": "pii", "phone": "pii"}


def with_pii(contract: Contract, *names: str) -> Contract:
    fields = tuple(
        msgspec.structs.replace(f, classification="PII") if f.name in names else f
        for f in contract.fields
    )
    return msgspec.structs.replace(contract, fields=fields)


def test_columns_are_tagged_as_they_are_classified() -> None:
    client = ColumnTags("pii")

    tag_columns(client, "silver", "flights", CLASSES)

    assert client.own == {("silver", "flights", column): name for column, name in CLASSES.items()}
    assert client.added == [
        ("internal", ("delay",)),
        ("pii", ("phone", "pilot")),
        ("public", ("flight",)),
    ]


def test_what_is_tagged_already_is_left() -> None:
    client = ColumnTags("pii")
    tag_columns(client, "silver", "flights", CLASSES)
    client.added.clear()

    tag_columns(client, "silver", "flights", CLASSES)

    assert client.added == []


def test_a_new_column_and_another_classification_are_taken_over() -> None:
    client = ColumnTags("pii")
    tag_columns(client, "silver", "flights", CLASSES)
    client.added.clear()

    tag_columns(client, "silver", "flights", CLASSES | {"delay": "pii", "gate": "public"})

    assert client.added == [("pii", ("delay",)), ("public", ("gate",))]


@pytest.mark.parametrize(
    "fault", ["ConcurrentModificationException", "failure:ConcurrentModificationException"]
)
def test_what_may_pass_is_tried_again(fault: str) -> None:
    client, waits = ColumnTags("pii"), list[float]()
    client.faults = [fault, "InternalServiceException"]

    tag_columns(client, "silver", "flights", CLASSES, sleep=waits.append)

    assert len(waits) == 2
    assert len(client.own) == len(CLASSES)


def test_what_does_not_pass_is_given_up_after_a_while() -> None:
    client, waits = ColumnTags("pii"), list[float]()
    client.faults = ["OperationTimeoutException"] * 9

    with pytest.raises(TransientError, match=r"did not tag delay of silver\.flights"):
        tag_columns(client, "silver", "flights", CLASSES, sleep=waits.append)

    assert len(waits) == 5
    assert client.own == {}


def never(seconds: float) -> None:
    pytest.fail(f"waited {seconds} s")


@pytest.mark.parametrize("fault", ["AccessDeniedException", "failure:AccessDeniedException"])
def test_a_refusal_says_what_to_do_and_is_not_tried_again(fault: str) -> None:
    client = ColumnTags("pii")
    client.faults = [fault]

    with pytest.raises(EstateError) as caught:
        tag_columns(
            client, "silver", "flights", CLASSES, sleep=lambda s: pytest.fail(f"waited {s}")
        )

    assert str(caught.value) == (
        "Lake Formation did not tag delay of silver.flights as 'internal': "
        "AccessDeniedException: told so; expected the tag's value and this role's grants as the "
        "estate declares them: name the classification in lake_formation.classifications and "
        "deploy again"
    )


def test_a_classification_without_tag_is_named() -> None:
    with pytest.raises(TransientError, match="as 'pii': EntityNotFoundException"):
        tag_columns(ColumnTags(), "silver", "flights", CLASSES, sleep=lambda _seconds: None)


def test_every_column_of_a_checked_table_has_a_class_and_its_contracts_one() -> None:
    contract = msgspec.structs.replace(
        with_pii(FLIGHTS, "tailnum"),
        deduplicate=Deduplicate(
            key=("flight",), deletes=Deletes(field="op", values=("D",)), history=True
        ),
    )

    classes = column_classes(contract, "silver")

    assert classes["tailnum"] == "pii"
    assert {classes[name] for name in ("_load", "_source", "_tombstone", "_valid_to")} == {
        "internal"
    }
    assert {f.name for f in FLIGHTS.fields} <= set(classes)
    assert UNCLASSIFIED not in classes.values()


def test_what_may_hold_any_value_of_a_record_has_no_class() -> None:
    classes = column_classes(with_pii(FLIGHTS, "tailnum"), "bronze")

    assert set(classes) == {f.name for f in FLIGHTS.fields}


@pytest.mark.parametrize(("said", "tags"), [([], False), (["--lake-formation", "true"], True)])
def test_a_job_tags_when_it_is_told_to(
    said: list[str], tags: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")

    args = JobArgs.parse(["--prefix", "acme", "--contracts", str(CONTRACTS), *said])

    assert args.aws.lake_formation is tags

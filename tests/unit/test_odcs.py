from __future__ import annotations

import re
from pathlib import Path

import pytest

from lakehouse.contracts.model import Contract, Contracts, Partition, StreamSource
from lakehouse.contracts.odcs import load_contracts, parse_contract
from lakehouse.errors import ContractError, UnknownDatasetError

REPOSITORY = Path(__file__).parents[2] / "quality" / "contracts"
MINIMAL = """\
apiVersion: v3.1.0
kind: DataContract
id: sensors
version: 1.0.0
status: active
team: {name: plant}
customProperties:
  - {property: source, value: files}
schema:
  - name: sensors
    properties:
      - {name: sensor, logicalType: string, primaryKey: true}
      - {name: read_at, logicalType: timestamp, required: true}
      - {name: value, logicalType: number, logicalTypeOptions: {minimum: 0, maximum: 9}}
"""


def test_a_minimal_contract_has_defaults_for_everything_else() -> None:
    contract = parse_contract(MINIMAL, "sensors.yaml")
    assert contract.dataset == "sensors"
    assert contract.owner == "plant"
    assert contract.layers == ("bronze", "silver")
    assert contract.deduplicate.key == ("sensor",)
    assert contract.deduplicate.keep == "latest"
    assert contract.format.type == "csv"
    assert contract.field("sensor").required
    assert len(MINIMAL.splitlines()) < 25


def test_the_repositorys_contracts_are_the_eight_datasets() -> None:
    contracts = load_contracts(REPOSITORY)
    assert list(contracts) == [
        "airlines", "airports", "carrier_on_time", "delay_by_weather",
        "flights", "planes", "route_punctuality", "weather",
    ]  # fmt: skip
    flights = contracts["flights"]
    assert flights.deduplicate.keep == "first"
    assert flights.deduplicate.within_days == 7
    assert flights.partition_by == (Partition("scheduled_departure", "day"),)
    assert flights.sla.freshness_hours == 1.0
    assert [c.dataset for c in contracts.select([], "mart")] == [
        "carrier_on_time", "delay_by_weather", "route_punctuality",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("written", "instead", "says"),
    [
        ("primaryKey", "primaryKye", "'primaryKye' was unexpected); did you mean 'primaryKey'?"),
        ("team:", "teem:", "('teem' was unexpected); did you mean 'team'?"),
        ("team: {name: plant}\n", "", "no owner; add 'team: {name: ...}'"),
        ("logicalType: number", "logicalType: decimal", "'decimal' is not one of"),
        ("logicalType: timestamp", "logicalType: array", "logicalType 'array'; expected one of"),
        ("minimum: 0", "minimun: 0", "('minimun' was unexpected); did you mean 'minimum'?"),
        ("minimum: 0", "multipleOf: 2", "multipleOf, which the platform does not check"),
        ("property: source", "property: sorce", "unknown field `sorce`; did you mean 'source'?"),
        ("value: files", "value: filez", "Invalid enum value 'filez'"),
        ("name: read_at", "name: readAt", "property 'readAt'; expected lower case"),
        ("name: read_at", "name: sensor", "property 'sensor' is declared twice"),
        (", primaryKey: true", "", "no key; mark a property"),
        ("status: active", "status: [", "not YAML"),
        (MINIMAL, "", "expected a mapping of ODCS keys, got an empty file"),
    ],
)
def test_a_mistake_is_answered_with_one_line_that_names_it(
    written: str, instead: str, says: str
) -> None:
    with pytest.raises(ContractError) as caught:
        parse_contract(MINIMAL.replace(written, instead), "sensors.yaml")
    message = str(caught.value)
    assert message.startswith("sensors.yaml: ")
    assert says in message
    assert "\n" not in message


def test_event_time_must_be_a_timestamp() -> None:
    text = MINIMAL.replace("schema:", "  - {property: eventTime, value: value}\nschema:")
    with pytest.raises(ContractError, match="eventTime 'value' is a number"):
        parse_contract(text, "sensors.yaml")


def test_an_unknown_dataset_is_answered_with_the_known_ones() -> None:
    contracts = Contracts([parse_contract(MINIMAL, "sensors.yaml")], "here")
    with pytest.raises(UnknownDatasetError, match="unknown dataset 'flihgts'; here declares"):
        contracts["flihgts"]


def test_one_name_in_two_files_is_refused() -> None:
    twins = [parse_contract(MINIMAL, "a.yaml"), parse_contract(MINIMAL, "b.yaml")]
    with pytest.raises(ContractError, match=r"b\.yaml: dataset 'sensors' is already declared by a"):
        Contracts(twins, "here")


def test_a_directory_without_contracts_says_so(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="add one file per dataset"):
        load_contracts(tmp_path)
    with pytest.raises(ContractError, match="--contracts DIR"):
        load_contracts(tmp_path / "nowhere")


STREAMED = MINIMAL.replace(
    "value: files}", "value: stream}\n  - {property: stream, value: {ARN, ROLE, START}}"
)
GIVEN = {
    "ARN": "arn: 'arn:aws:kinesis:eu-west-1:123456789012:stream/partner'",
    "ROLE": "role: 'arn:aws:iam::123456789012:role/reader'",
    "START": "start: '2026-01-31T00:00:00Z'",
}


def streamed(**changed: str) -> Contract:
    text = STREAMED
    for word, given in (GIVEN | changed).items():
        text = text.replace(word, given)
    return parse_contract(text, "sensors.yaml")


def test_where_a_stream_is_and_begins_is_read() -> None:
    found = streamed().stream
    assert found.arn == "arn:aws:kinesis:eu-west-1:123456789012:stream/partner"
    assert found.role == "arn:aws:iam::123456789012:role/reader"
    assert found.start == "2026-01-31T00:00:00Z"
    assert parse_contract(MINIMAL, "sensors.yaml").stream == StreamSource()


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"ARN": "arn: partner"}, "stream.arn 'partner'; expected arn:aws:kinesis:"),
        ({"START": "start: yesterday"}, "stream.start 'yesterday'; expected trim_horizon, latest"),
        ({"START": "start: '2026-01-31T00:00:00'"}, "expected trim_horizon, latest or an instant"),
        ({"START": "begin: latest"}, "unknown field `begin`"),
    ],
)
def test_a_mistake_about_a_stream_is_answered_with_one_line(
    changed: dict[str, str], says: str
) -> None:
    with pytest.raises(ContractError, match=re.escape(says)):
        streamed(**changed)


def test_files_have_no_stream() -> None:
    text = MINIMAL.replace("value: files}", "value: files}\n  - {property: stream, value: {}}")
    with pytest.raises(ContractError, match="'stream' is given for source 'files'; remove it"):
        parse_contract(text, "sensors.yaml")

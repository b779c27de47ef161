from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.cli.produce import (
    Record,
    count_records,
    opened,
    produce,
    read_records,
    record_key,
)
from lakehouse.contracts.model import Contract
from lakehouse.contracts.odcs import load_contracts
from lakehouse.errors import EstateError, InputError, TransientError


class FakeKinesis:
    """A stream that refuses the records it is told to, by the count of records offered."""

    def __init__(self, refuse: Sequence[bool]) -> None:
        self._refuse = list(refuse)
        self.taken: list[Record] = []
        self.largest = 0

    def put_records(self, StreamName: str, Records: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803 - boto3's names
        assert StreamName == "s"
        self.largest = max(self.largest, len(Records))
        results: list[dict[str, str]] = []
        for record in Records:
            if self._refuse and self._refuse.pop(0):
                results.append({"ErrorCode": "ProvisionedThroughputExceededException"})
            else:
                self.taken.append(Record(record["PartitionKey"], record["Data"]))
                results.append({"SequenceNumber": "1"})
        return {"FailedRecordCount": sum("ErrorCode" in r for r in results), "Records": results}


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda _: None)


@pytest.fixture(scope="module")
def flights() -> Contract:
    return load_contracts(Path(__file__).parents[2] / "quality" / "contracts")["flights"]


@given(
    keys=st.lists(st.sampled_from("abc"), max_size=40),
    refuse=st.lists(st.booleans(), max_size=60),
)
def test_every_record_arrives_once_and_those_of_a_key_in_order(
    keys: list[str], refuse: list[bool]
) -> None:
    records = [Record(key, str(number).encode()) for number, key in enumerate(keys)]
    client = FakeKinesis([r for flag in refuse for r in (flag, False)])
    sent = produce(client, "s", records, attempts=200)
    assert sent.acknowledged == len(records)
    assert sorted(client.taken) == sorted(records)
    for key in "abc":
        assert [r for r in client.taken if r.key == key] == [r for r in records if r.key == key]


def test_a_batch_holds_what_the_service_takes() -> None:
    client = FakeKinesis([])
    produce(client, "s", [Record(str(n), b"x") for n in range(1200)])
    assert client.largest == 500
    client = FakeKinesis([])
    produce(client, "s", [Record(str(n), b"x" * 1024 * 1024) for n in range(12)])
    assert client.largest == 4
    assert len(client.taken) == 12


def test_a_stream_that_keeps_refusing_is_reported_with_what_got_through() -> None:
    client = FakeKinesis([False, *[True] * 100])
    with pytest.raises(TransientError, match=r"stream s refuses 1 records .* 1 are acknowledged"):
        produce(client, "s", [Record("a", b"1"), Record("b", b"2")], attempts=3)


def test_progress_counts_what_is_acknowledged() -> None:
    seen: list[int] = []
    produce(FakeKinesis([]), "s", [Record(str(n), b"x") for n in range(700)], seen.append)
    assert seen == [500, 200]


def test_the_key_is_the_contracts_and_a_hash_where_it_cannot_be_read(flights: Contract) -> None:
    assert record_key(b'{"event_id": "abc"}', flights) == "abc"
    assert len(record_key(b"{oops", flights)) == 64
    assert len(record_key(b'{"other": 1}', flights)) == 64


def test_lines_go_along_untouched_even_when_they_do_not_parse(
    tmp_path: Path, flights: Contract
) -> None:
    path = tmp_path / "f.ndjson"
    path.write_bytes(b'{"event_id":  "a"}\n\n{oops \r\n\xff\x00\rb')
    with opened(path) as lines:
        assert count_records(lines, "f", flights) == 3
        payloads = [record.payload for record in read_records(lines, "f", flights)]
    assert payloads == [b'{"event_id":  "a"}', b"{oops ", b"\xff\x00\rb"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "it is empty"),
        (b"\n \n", "it is empty"),
        (b"{}\n" + b"x" * 1024 * 1024, "f:2: the record has 1,048,576 bytes; a stream takes"),
    ],
)
def test_a_file_that_cannot_be_sent_is_one_clear_line(
    flights: Contract, body: bytes, says: str
) -> None:
    with pytest.raises(InputError, match=says):
        count_records(io.BytesIO(body), "f", flights)


def test_a_directory_or_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="it is a directory"), opened(tmp_path):
        pass
    with pytest.raises(InputError, match="it is not there"), opened(tmp_path / "x"):
        pass


def test_standard_input_can_be_read_twice(
    monkeypatch: pytest.MonkeyPatch, flights: Contract
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"{}\n{}\n")))
    with opened(Path("-")) as lines:
        assert count_records(lines, "-", flights) == 2
        assert len(list(read_records(lines, "-", flights))) == 2


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("ResourceNotFoundException", "there is no stream s; deploy the estate first"),
        ("AccessDeniedException", "stream s took 500 records, then: .*AccessDenied"),
    ],
)
def test_a_stream_that_answers_with_an_error_is_reported_with_what_got_through(
    code: str, says: str
) -> None:
    client = FakeKinesis([])
    taken = client.put_records

    def put_records(StreamName: str, Records: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803 - boto3's names
        if client.taken:
            raise ClientError({"Error": {"Code": code, "Message": "no"}}, "PutRecords")
        return taken(StreamName, Records)

    client.put_records = put_records  # type: ignore[method-assign]
    with pytest.raises(EstateError, match=says):
        produce(client, "s", [Record(str(n), b"x") for n in range(700)])


def test_bytes_are_counted_not_characters() -> None:
    assert Record("é", b"\xc3\xa9").weight == 4
